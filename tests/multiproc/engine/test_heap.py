"""Tensors in memory of kolo_alloc: it comes and goes, ranks die, threads mix."""
import os
import unittest

from support import SANITIZED, THREADS_WATCHED, EngineCase, Rank, free_port, thinned

LOST = 3  # the program's exit code where the job has failed


class Heap(EngineCase):
    def check(self, subject, ranks, **variables):
        for seed, count in enumerate(ranks):
            with self.subTest(subject=subject, ranks=count, **variables):
                self.assertEqual(len(self.passes(count, "heap", subject, seed, **variables)), count)

    def test_memory_that_comes_and_goes(self):
        self.check("churn", thinned((1, 2, 2, 3, 4, 5)))

    def test_memory_that_comes_and_goes__little_of_it(self):
        self.check("churn", thinned((2, 3)), KOLO_SHM_HEAP="2M")

    @unittest.skipIf(THREADS_WATCHED, "the threads of one rank are the same")
    def test_many_ranks(self):
        self.check("churn", (10,) if SANITIZED else (10, 16))

    def test_threads(self):
        self.check("threads", thinned((2, 3, 5)))


@unittest.skipIf(not {0, 1} <= os.sched_getaffinity(0), "CPUs 0 and 1 are somebody else's")
class Nodes(EngineCase):
    """Ranks that believe to be on two NUMA nodes, and are bound for real."""

    DEFAULT, PREFERRED, PREFERRED_MANY = 0, 1, 5  # the kernel's numbers
    BELIEVED = {"HWLOC_SYNTHETIC": "numa:2 core:1 pu:1", "HWLOC_THISSYSTEM": 1}

    def policies(self, **variables):
        lines, said = self.passes_saying(2, "heap", "node", 0, KOLO_LOG="debug",
                                          **{**self.BELIEVED, **variables})
        if any(text == "policy unknown" for _, text in lines):
            self.skipTest("the system does not tell")
        found = {rank: text.split() for rank, text in lines if text.startswith("policy ")}
        return {rank: (int(words[1]), int(words[3], 16)) for rank, words in found.items()}, said

    def test_memory_belongs_to_its_ranks_node(self):
        found, said = self.policies()
        self.assertIn(found[0], ((self.PREFERRED, 1), (self.PREFERRED_MANY, 1)), said)
        if os.path.exists("/sys/devices/system/node/node1"):
            self.assertIn(found[1], ((self.PREFERRED, 2), (self.PREFERRED_MANY, 2)), said)
        else:  # refused, and the job goes on
            self.assertEqual(found[1][0], self.DEFAULT, said)
            self.assertRegex(said, "bytes cannot be bound to NUMA nodes 1 ")

    def test_unbound(self):
        for variables in ({"KOLO_BIND": "none"}, {"HWLOC_SYNTHETIC": "numa:1 core:2 pu:1"}):
            found, said = self.policies(**variables)
            self.assertEqual([found[rank][0] for rank in (0, 1)], [self.DEFAULT] * 2, said)
            self.assertNotIn("NUMA nodes", said)


class Death(EngineCase):
    """Found out at once, by the process' end: no deadline is near."""

    def survive(self, size, victim, ranks):
        for number, rank in enumerate(ranks):
            self.assertEqual(rank.end(), -9 if number == victim else LOST, "\n".join([*rank.lines, *rank.errors]))
            if number != victim:
                self.assertRegex(rank.told("lost "), f"^KOLO_ERR_PEER ranks '{victim}' ", rank.lines)

    def start(self, size, *args):
        port = free_port()
        ranks = [Rank(number, size, port, "failures", "shared", *args, KOLO_TIMEOUT="1h") for number in range(size)]
        for rank in ranks:
            self.addCleanup(rank.end, 0)
        return ranks

    def test_rank_kills_itself_with_operations_in_flight(self):
        for size, victim, turn in thinned(((2, 0, 15), (2, 1, 14), (3, 0, 23), (3, 2, 12), (5, 4, 10), (11, 9, 8))):
            with self.subTest(size=size, victim=victim):
                self.survive(size, victim, self.start(size, victim, turn))

    def test_rank_is_killed(self):
        for size, victim in thinned(((2, 0), (2, 1), (3, 0), (3, 2), (4, 3), (12, 10))):
            with self.subTest(size=size, victim=victim):
                ranks = self.start(size, -1, 0)
                for rank in ranks:
                    rank.began.wait()
                ranks[victim].kill()
                self.survive(size, victim, ranks)


if __name__ == "__main__":
    unittest.main()
