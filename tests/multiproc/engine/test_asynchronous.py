"""Operations in flight, and every way to learn that they are complete."""
import unittest

from support import THREADS_WATCHED, EngineCase


class Asynchronous(EngineCase):
    def check(self, subject, ranks=(1, 2, 3, 5), **variables):
        for seed, count in enumerate(ranks):
            with self.subTest(ranks=count, **variables):
                lines = self.passes(count, "asynchronous", subject, seed, **variables)
                self.assertEqual(sorted(lines), [(rank, "passed 1") for rank in range(count)])

    def test_another_order_on_every_rank(self):
        self.check("order")

    def test_another_order_on_every_rank__short_queue(self):
        self.check("order", (2, 3), KOLO_QUEUE_DEPTH=16)

    def test_callbacks_that_submit(self):
        self.check("callbacks")

    def test_completion_fd(self):
        self.check("fd")

    def test_threads(self):
        self.check("threads")

    def test_progress(self):
        self.check("progress")

    def test_timeouts_of_waits(self):
        self.check("timeouts")

    def test_more_ranks_than_cores(self):
        for ranks in (8,) if THREADS_WATCHED else (8, 16):
            self.check("threads", (ranks,))
            self.check("order", (ranks,))

    def test_idle(self):
        """Nothing to do costs nothing."""
        for rank, line in self.passes(2, "idle"):
            self.assertTrue(line.startswith("passed"), f"rank {rank}: {line}")

    def test_over_tcp(self):
        for subject in ("order", "callbacks", "fd", "threads"):
            self.check(subject, (3,), KOLO_TRANSPORT="ucx", KOLO_UCX_TLS="tcp,self")


if __name__ == "__main__":
    unittest.main()
