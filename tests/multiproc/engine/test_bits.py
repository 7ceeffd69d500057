"""The same job gives the same bits on every rank: whatever the timing, the order of submission, fusion, chunk size."""
import unittest

from support import EngineCase


class Bits(EngineCase):
    def checksums(self, ranks, seed, **variables):
        """Of every result; the ranks must agree."""
        found = {}
        for rank, line in self.passes(ranks, "bits", seed, **variables):
            what, checksum = line.rsplit(": ", 1)
            self.assertEqual(found.setdefault(what, checksum), checksum, f"rank {rank}, {what}, {variables}")
        self.assertGreater(len(found), 90)
        return found

    def check(self, ranks, *variants, **fixed):
        expected = self.checksums(ranks, 0, **fixed)
        for seed, variables in enumerate(variants, start=1):
            with self.subTest(ranks=ranks, **fixed, **variables):
                self.assertEqual(self.checksums(ranks, seed, **fixed, **variables), expected)

    VARIANTS = ({}, {"KOLO_FUSION": "0"}, {"KOLO_FUSION": "100000"}, {"KOLO_CHUNK": "64"},
                {"KOLO_CHUNK": "1000", "KOLO_FUSION": "0"}, {"KOLO_GROUPS_IN_FLIGHT": "1", "KOLO_CHUNK": "1G"})

    def test_automatic_choice(self):
        for ranks in (2, 3, 5):
            self.check(ranks, *self.VARIANTS)

    def test_over_tcp(self):
        over_tcp = {"KOLO_UCX_TLS": "tcp,self"}
        for ranks in (2, 5):
            self.check(ranks, over_tcp, {**over_tcp, "KOLO_FUSION": "0"}, KOLO_TRANSPORT="ucx")

    def test_each_algorithm(self):
        for algorithm in ("ring", "oneshot", "circulant"):
            self.check(3, *self.VARIANTS[1:4], KOLO_ALGORITHM=algorithm)

    def test_through_windows_or_by_attach(self):
        attach = {"KOLO_ALGORITHM": "attach"}
        self.check(3, attach, {**attach, "KOLO_CHUNK": "64"}, {"KOLO_ALGORITHM": "direct", "KOLO_SHM_ATTACH": "no"})


if __name__ == "__main__":
    unittest.main()
