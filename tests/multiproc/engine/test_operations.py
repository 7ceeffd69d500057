"""Every collective, type and operator against the reference; with every algorithm, and with and without fusion."""
import unittest

from support import EngineCase

FEW = 7  # every so many-th case, where all cases have run elsewhere


class Operations(EngineCase):
    def check(self, ranks, batch, stride, *sharing, **variables):
        lines = self.passes(ranks, "operations", batch, stride, *sharing, **variables)
        counts = {line for _, line in lines}
        self.assertEqual(len(lines), ranks)
        self.assertEqual(len(counts), 1, counts)
        self.assertGreater(int(counts.pop().removeprefix("passed ")), 1900 // stride)

    def test_many_cases__one_after_the_other(self):
        for ranks, stride in ((1, 1), (2, 2), (3, 5), (5, FEW)):
            with self.subTest(ranks=ranks):
                self.check(ranks, 1, stride)

    def test_all_cases__many_in_flight(self):
        for ranks, stride in ((1, 1), (2, 1), (3, 1), (4, 5), (5, 3)):
            with self.subTest(ranks=ranks):
                self.check(ranks, 100, stride)

    def test_algorithms(self):
        for algorithm in ("ring", "oneshot", "circulant", "attach", "auto"):
            for ranks, fusion in ((2, "0"), (3, "16M"), (4, "4K"), (5, "16M")):
                with self.subTest(algorithm=algorithm, ranks=ranks):
                    self.check(ranks, 64, FEW, KOLO_ALGORITHM=algorithm, KOLO_FUSION=fusion)

    def test_chunks(self):
        for chunk in ("64", "1000", "1G"):
            for algorithm in ("ring", "circulant", "attach"):
                with self.subTest(chunk=chunk, algorithm=algorithm):
                    self.check(3, 16, FEW, KOLO_CHUNK=chunk, KOLO_ALGORITHM=algorithm)

    def test_broadcasts(self):
        for broadcast in ("binomial", "chain", "auto"):
            for ranks in (2, 3, 5):
                with self.subTest(broadcast=broadcast, ranks=ranks):
                    self.check(ranks, 8, 23, KOLO_BROADCAST=broadcast, KOLO_CHUNK="4K")

    def test_memory_of_kolo_alloc(self):
        for ranks, batch, stride, parts in ((2, 1, 2, 4), (3, 1, 5, 4), (5, 1, 11, 4), (2, 64, 1, 4), (3, 64, 2, 3),
                                            (4, 64, 5, 2), (5, 64, 5, 4), (9, 32, 29, 4), (10, 32, 29, 4)):
            with self.subTest(ranks=ranks, batch=batch, parts=parts):
                self.check(ranks, batch, stride, 3, parts)

    def test_memory_of_kolo_alloc__odd_chunks(self):
        for chunk in ("64", "1000", "1G"):
            with self.subTest(chunk=chunk):
                self.check(3, 32, FEW, 3, 3, KOLO_CHUNK=chunk)

    def test_over_ucx(self):
        for tls in ("", "tcp,self"):
            for ranks, batch, stride in ((2, 1, 3), (3, 50, 3), (5, 1, 23), (5, 100, FEW)):
                with self.subTest(tls=tls, ranks=ranks):
                    self.check(ranks, batch, stride, KOLO_TRANSPORT="ucx", KOLO_UCX_TLS=tls)

    def test_prepared(self):
        for ranks, turns in ((1, 30), (2, 300), (3, 200), (4, 60), (5, 60), (10, 10)):
            with self.subTest(ranks=ranks):
                self.passes(ranks, "prepared", turns)
        self.passes(3, "prepared", 100, KOLO_TRANSPORT="ucx")

    def test_other_limits(self):
        for variables in ({"KOLO_QUEUE_DEPTH": 16}, {"KOLO_GROUPS_IN_FLIGHT": 1}, {"KOLO_GROUPS_IN_FLIGHT": 64},
                          {"KOLO_SPIN": "1ms"}, {"KOLO_SPIN": "0", "KOLO_BIND": "none"}):
            with self.subTest(variables=variables):
                self.check(3, 200, FEW, **variables)


if __name__ == "__main__":
    unittest.main()
