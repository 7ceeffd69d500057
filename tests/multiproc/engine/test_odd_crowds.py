"""More ranks than cores."""
import os
import unittest

from support import SANITIZED, EngineCase, thinned

ONE_CORE = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
SMALL, MEDIUM, LARGE = 4, 4096, 1 << 18


class Crowds(EngineCase):
    def works(self, ranks, *args, **variables):
        """And nobody is waited for longer than a second."""
        lines, errors = self.passes_saying(ranks, "edges", *args, KOLO_STALL_WARNING="1s", **variables)
        self.assertEqual(len(lines), ranks)
        self.assertEqual(errors, "")

    def test_one_core(self):
        for ranks in thinned((2, 3, 4)):
            for batch in (1, 16):
                with self.subTest(ranks=ranks, batch=batch):
                    self.works(ranks, "around", batch, SMALL, 4152, 70000, LARGE, around=ONE_CORE)

    def test_one_core__many_in_flight(self):
        for ranks in (2, 4):
            for subject in ("order", "threads", "callbacks"):
                with self.subTest(ranks=ranks, subject=subject):
                    self.passes(ranks, "asynchronous", subject, 1, around=ONE_CORE)

    def test_one_core__spinning_asked_for(self):
        self.works(2, "around", 1, SMALL, MEDIUM, around=ONE_CORE, KOLO_SPIN="1ms")

    def test_16_ranks(self):
        for transport in thinned(("ucx", "auto")):
            for batch in (1, 16):
                with self.subTest(transport=transport, batch=batch):
                    self.works(16, "around", batch, SMALL, MEDIUM, KOLO_TRANSPORT=transport)

    @unittest.skipIf(SANITIZED, "takes minutes")
    def test_as_many_ranks_as_the_board_is_for_and_one_more(self):
        for ranks in (64, 65):
            with self.subTest(ranks=ranks):
                self.works(ranks, "around", 4, SMALL, MEDIUM, KOLO_SHM_WINDOW="4M")

    def test_16_ranks__large(self):
        self.works(16, "around", 4, LARGE // 4 if SANITIZED else LARGE)


if __name__ == "__main__":
    unittest.main()
