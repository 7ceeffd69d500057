"""Sizes around every boundary, odd addresses, tensors that overlap."""
import unittest

from support import EngineCase, thinned

# Bytes. A cell's first line holds 56, the longest cell 65536; lines, pages, frames of the rings.
CELLS = (1, 8, 55, 56, 57, 63, 64, 65, 4088, 4096, 4104, 4160)
LONGEST_CELL = 65536


def slices(chunk):
    """Around a chunk and its parts, on two to five ranks."""
    return [chunk * part // 64 for part in (2, 4, 8, 16, 24, 32, 64, 96)] + [chunk // 4 + 896]


class Sizes(EngineCase):
    def test_small(self):
        for ranks in thinned((2, 3, 5, 10, 16)):
            with self.subTest(ranks=ranks):
                for batch in (1, 16):
                    self.passes(ranks, "edges", "around", batch, *CELLS)
                self.passes(ranks, "edges", "around", 2, LONGEST_CELL)

    def test_chunks_and_slices(self):
        for ranks in thinned((2, 3, 4, 5)):
            for variables in ({}, {"KOLO_SHM_WINDOW": "0"}, {"KOLO_TRANSPORT": "ucx"}):
                with self.subTest(ranks=ranks, **variables):
                    self.passes(ranks, "edges", "around", 8, *slices(32 << 10), KOLO_CHUNK="32K", **variables)

    def test_chunks_by_default(self):
        self.passes(3, "edges", "around", 8, *slices(256 << 10))

    def test_windows(self):
        """Each group in flight has its part of a rank's window: these sizes are around it and its multiples."""
        for ranks, groups in thinned(((2, 1), (3, 2), (5, 3))):
            with self.subTest(ranks=ranks, groups=groups):
                part = 96 * 1024 // groups // 64 * 64
                sizes = [part * k // 4 for k in (1, 2, 4, 8)] + [part * ranks, part * (ranks - 1)]
                self.passes(ranks, "edges", "around", 4, *sizes, KOLO_SHM_WINDOW="96K", KOLO_GROUPS_IN_FLIGHT=groups)

    def test_fusion(self):
        for ranks in thinned((2, 3)):
            for limit in (4096, 65536):
                with self.subTest(ranks=ranks, limit=limit):
                    self.passes(ranks, "edges", "around", 64, 8, limit // 8, limit // 2, limit, 8, 16, KOLO_FUSION=limit)


class Addresses(EngineCase):
    def test_unaligned(self):
        for ranks in thinned((2, 4, 3)):
            for variables in ({}, {"KOLO_SHM_WINDOW": "0"}, {"KOLO_TRANSPORT": "ucx"}):
                with self.subTest(ranks=ranks, **variables):
                    self.passes(ranks, "edges", "unaligned", **variables)

    def test_overlap(self):
        for ranks in thinned((2, 3, 5)):
            with self.subTest(ranks=ranks):
                self.assertEqual(len(self.passes(ranks, "overlap")), ranks)


if __name__ == "__main__":
    unittest.main()
