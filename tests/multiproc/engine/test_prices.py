"""Prices: the same on all ranks, measured or given."""
import os
import random
import re
import signal
import threading
import unittest

from support import EngineCase, Rank, free_port, run, thinned

PRICES = re.compile(r"kolo\[(\d+)\] INFO: prices: (\S+)")


class Prices(EngineCase):
    def prices(self, ranks, **variables):
        """What each rank says, after a run that must end well."""
        code, lines, errors = run(ranks, "operations", 20, 5, KOLO_LOG="info", **variables)
        self.assertEqual(code, 0, errors)
        self.assertEqual(len(lines), ranks)
        said = dict(PRICES.findall(errors))
        self.assertEqual(len(said), ranks, errors)
        return said, errors

    def test_measured__the_same_everywhere(self):
        for transport in ("shm", "ucx"):
            for ranks in (2, 3, 5):
                said, errors = self.prices(ranks, KOLO_TRANSPORT=transport)
                self.assertEqual(len(set(said.values())), 1, said)
                self.assertNotIn("could not be measured", errors)

    def test_measured__what_is_there(self):
        default = dict(pair.split("=") for pair in self.prices(2, KOLO_PRICES="default")[0]["0"].split(","))
        for transport, other in (("shm", "message"), ("ucx", "flight")):
            said = dict(pair.split("=") for pair in self.prices(2, KOLO_TRANSPORT=transport)[0]["0"].split(","))
            self.assertEqual(said.keys(), default.keys())
            self.assertEqual(said[other], default[other])
            self.assertNotEqual(said["copy"], default["copy"])

    def test_given(self):
        for transport in ("shm", "ucx"):
            said, _ = self.prices(3, KOLO_TRANSPORT=transport, KOLO_PRICES="flight=1234ns,message64K=50us")
            self.assertEqual(len(set(said.values())), 1, said)
            self.assertIn("flight=1234ns", said["0"])
            self.assertIn("message64K=50us", said["0"])

    def test_alone__nothing_to_measure(self):
        _, lines, errors = run(1, "operations", 20, 5, KOLO_LOG="debug")
        self.assertEqual(len(lines), 1)
        self.assertNotIn("prices", errors)


class Disturbed(unittest.TestCase):
    """A rank is stopped or killed at any moment, most likely while prices are measured, or around that."""
    WITHIN = (0.005, 0.05)  # seconds after its start: by then it has mostly joined, and at the end of that it has left

    def setUp(self):
        self.seed = int(os.environ.get("PRICES_SEED", random.SystemRandom().randrange(1 << 32)))
        self.random = random.Random(self.seed)

    def pause(self, *within):
        threading.Event().wait(self.random.uniform(*within))

    def disturb(self, transport, size, number, end):
        """Starts the ranks, disturbs one, and calls end(ranks, number of that one) for each transport and size."""
        with self.subTest(transport=transport, size=size, seed=self.seed):
            port, victim = free_port(), self.random.randrange(size)
            ranks = [Rank(place, size, port, "failures", "join", KOLO_TRANSPORT=transport, KOLO_INIT_TIMEOUT="1s",
                          KOLO_TIMEOUT="500ms") for place in range(size)]
            for rank in ranks:
                self.addCleanup(rank.end, 0)
            self.pause(*self.WITHIN)
            ranks[victim].signal(number)
            end(ranks, victim)

    def each(self, number, end, sizes=(2, 3)):
        for transport in ("shm", "ucx"):
            for size in sizes:
                self.disturb(transport, size, number, end)

    def told(self, rank, pattern):
        """It has failed, and says so."""
        code, said = rank.end(), "\n".join([*rank.lines, *rank.errors])
        self.assertNotIn(code, (None, 0), said)
        self.assertRegex(said, pattern)
        return said

    def test_killed(self):
        def end(ranks, victim):
            ranks[victim].end()
            for rank in ranks[:victim] + ranks[victim + 1:]:
                if rank.end() == 0:  # the victim had left, or so it seemed
                    continue
                # Of more than two, one may have heard first of another that left because of this.
                named = victim if len(ranks) == 2 else r"\d"
                said = self.told(rank, rf"KOLO_ERR_(?s:.*)\branks? ([\d,-]*,)?{named}\b")
                self.assertNotIn("nothing came from", said)  # it is noticed, not waited for
        self.each(signal.SIGKILL, end, thinned((2, 2, 3, 3)))

    def test_stopped_and_continued(self):
        def end(ranks, victim):
            self.pause(0, 0.2)
            ranks[victim].signal(signal.SIGCONT)
            for rank in ranks:
                self.assertEqual(rank.end(), 0, [*rank.lines, *rank.errors])
        self.each(signal.SIGSTOP, end)

    def test_stopped_for_good(self):
        def end(ranks, victim):
            for rank in ranks[:victim] + ranks[victim + 1:]:
                if rank.end() != 0:
                    self.told(rank, rf"KOLO_ERR_(?s:.*)\branks? {victim}\b")
            ranks[victim].kill()
        self.each(signal.SIGSTOP, end, (2,))


if __name__ == "__main__":
    unittest.main()
