"""What goes wrong in a job: every rank that is left gets an error that tells what happened, and none hangs."""
import random
import re
import signal
import socket
import time
import unittest

from support import EngineCase, Rank, free_port, run

LOST = 3  # the program's exit code where the job has failed
SHORT = "2s"
# UCX asks every 20 s whether a process in shared memory still lives; here it shall ask more often.
ASK = {"UCX_KEEPALIVE_INTERVAL": "200ms"}


class Disagreement(EngineCase):
    def test_mismatches(self):
        for ranks in (2, 3, 5, 9, 16):
            with self.subTest(ranks=ranks):
                self.assertEqual(len(self.passes(ranks, "mismatches")), ranks)

    def test_fork(self):
        for ranks in (2, 3):
            with self.subTest(ranks=ranks):
                self.assertEqual(len(self.passes(ranks, "failures", "fork")), ranks)


class Job(EngineCase):
    """Ranks without kolorun, which would end them all when the first fails."""

    def start(self, size, *args, numbers=None, port=None, own=None, **variables):
        """own: variables of single ranks, by place."""
        port = port or free_port()
        ranks = [Rank(number, size, port, "failures", *args, **{**variables, **((own or {}).get(place, {}))})
                 for place, number in enumerate(range(size) if numbers is None else numbers)]
        for rank in ranks:
            self.addCleanup(rank.end, 0)
        return ranks

    def ends(self, rank, code):
        self.assertEqual(rank.end(), code, "\n".join([*rank.lines, *rank.errors]))

    def refused(self, rank, *words):
        """kolo_init has failed with these words."""
        self.ends(rank, LOST)
        self.assertRegex(rank.told("init "), "(?s)" + ".*".join(words))


class Lateness(Job):
    def test_rank_that_does_not_submit(self):
        for size, missing in ((2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (5, 3), (11, 9)):
            with self.subTest(size=size, missing=missing):
                ranks = self.start(size, "missing", missing)
                for number, rank in enumerate(ranks):
                    self.ends(rank, LOST)
                    self.assertIn("KOLO_ERR_TIMEOUT", rank.told("left "))
                    self.assertIn("gradient", rank.told("left "))
                    if number != missing:
                        start = f"KOLO_ERR_TIMEOUT ranks '{missing}' tensor 'gradient'"
                        self.assertTrue(rank.told("late ").startswith(start), f"rank {number}: {rank.lines}")

    def test_rank_that_leaves_in_peace(self):
        for size, deserter in ((2, 0), (2, 1), (5, 3), (11, 0), (11, 9)):
            with self.subTest(size=size, deserter=deserter):
                for number, rank in enumerate(self.start(size, "desert", deserter)):
                    self.ends(rank, LOST)
                    told = rank.told("left " if number == deserter else "deserted ")
                    self.assertTrue(told.startswith(f"KOLO_ERR_PEER ranks '{deserter}' tensor 'gradient'"), rank.lines)
                    self.assertIn(f"rank {deserter} called kolo_finalize without submitting 'gradient'", told)

    def test_rank_that_gives_up_and_leaves(self):
        for size, deserter in ((2, 0), (2, 1), (11, 9)):
            with self.subTest(size=size, deserter=deserter):
                own = {deserter: {"KOLO_TIMEOUT": "500ms"}}
                for number, rank in enumerate(self.start(size, "abandon", deserter, own=own, KOLO_TIMEOUT="60s")):
                    self.ends(rank, LOST)
                    if number != deserter:
                        self.assertIn(f"rank {deserter} has left the job", rank.told("abandoned "))


    def test_rank_that_is_stopped_and_comes_back_too_late(self):
        """The others have their tensors back by then: what it finds there is not to be summed."""
        for number in range(6):
            subject = ("shared", "shared", "loop")[number % 3]
            with self.subTest(number=number, subject=subject):
                ranks = self.start(3, subject, -1, 0, KOLO_TIMEOUT="300ms")
                for rank in ranks:
                    rank.began.wait()
                time.sleep(random.Random(number).uniform(0, 0.05))  # waits for nothing: anywhere in the loop
                ranks[2].signal(signal.SIGSTOP)
                for rank in ranks[:2]:
                    self.ends(rank, LOST)
                ranks[2].signal(signal.SIGCONT)
                self.ends(ranks[2], LOST)


class Death(Job):
    def survive(self, ranks, victim):
        for number, rank in enumerate(ranks):
            if number == victim:
                self.ends(rank, -9)
                continue
            self.ends(rank, LOST)
            self.assertRegex(rank.told("lost "), "^KOLO_ERR_(PEER|TIMEOUT|TRANSPORT) ", rank.lines)
            self.assertRegex(rank.told("left "), "^KOLO_ERR_", rank.lines)

    def test_rank_kills_itself_with_operations_in_flight(self):
        for size, victim, turn in ((2, 0, 5), (2, 1, 14), (3, 0, 23), (3, 1, 32), (3, 2, 41), (5, 4, 6), (16, 11, 7)):
            with self.subTest(size=size, victim=victim):
                self.survive(self.start(size, "loop", victim, turn, KOLO_TIMEOUT=SHORT, **ASK), victim)

    def test_rank_is_killed(self):
        over_tcp = {"KOLO_TRANSPORT": "ucx", "KOLO_UCX_TLS": "tcp,self"}
        attach = {"KOLO_TRANSPORT": "shm", "KOLO_ALGORITHM": "attach"}
        for size, victim, variables in ((2, 1, {}), (3, 0, {}), (3, 2, {}), (3, 1, over_tcp), (2, 0, attach), (3, 1, attach)):
            with self.subTest(size=size, victim=victim, **variables):
                ranks = self.start(size, "loop", -1, 0, KOLO_TIMEOUT=SHORT, **variables)
                for rank in ranks:
                    rank.began.wait()
                ranks[victim].kill()
                self.survive(ranks, victim)


class Joining(Job):
    def test_rank_that_never_comes(self):
        for size, numbers, missing in ((2, (0,), "1"), (3, (0, 2), "1"), (5, (0, 3), "1-2,4")):
            with self.subTest(size=size, missing=missing):
                for rank in self.start(size, "join", numbers=numbers, KOLO_INIT_TIMEOUT="500ms"):
                    self.refused(rank, "^KOLO_ERR_BOOTSTRAP", missing)

    def test_rank_0_never_comes(self):
        for rank in self.start(3, "join", numbers=(1, 2), KOLO_INIT_TIMEOUT="500ms"):
            self.refused(rank, "^KOLO_ERR_BOOTSTRAP", "rank 0|127.0.0.1")

    def test_another_world_size_on_one_rank(self):
        for odd in (0, 1):
            with self.subTest(odd=odd):
                for rank in self.start(2, "join", own={odd: {"WORLD_SIZE": 3}}, KOLO_INIT_TIMEOUT="1s"):
                    self.refused(rank, "^KOLO_ERR_BOOTSTRAP")

    def test_the_same_rank_twice(self):
        ranks = self.start(3, "join", numbers=(0, 1, 1), KOLO_INIT_TIMEOUT="1s")
        for rank in ranks:
            self.refused(rank, "^KOLO_ERR_BOOTSTRAP")
            self.assertIn("two processes have RANK 1", rank.told("init "))

    def test_port_in_use(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            ranks = self.start(2, "join", port=other.getsockname()[1], KOLO_INIT_TIMEOUT="1s")
            self.refused(ranks[0], "KOLO_ERR_", str(other.getsockname()[1]))
            self.refused(ranks[1], "KOLO_ERR_BOOTSTRAP")

    def test_wrong_configuration(self):
        for variables, words in (({"KOLO_ALGORITHM": "nonsense"}, ("nonsense", "ring")),
                                 ({"KOLO_ALGORITHM": "binomial"}, ("binomial", "ring")),
                                 ({"KOLO_ALGORITHM": "shared"}, ("shared", "ring")),
                                 ({"KOLO_BROADCAST": "nonsense"}, ("nonsense",)),
                                 ({"KOLO_BROADCAST": "ring"}, ("ring", "chain")),
                                 ({"KOLO_CHUNK": "63"}, ("KOLO_CHUNK", "64")),
                                 ({"KOLO_PRICES": "flight=fast"}, ("KOLO_PRICES", "flight=fast")),
                                 ({"KOLO_PRICES": "fast"}, ("KOLO_PRICES", "fast")),
                                 ({"KOLO_TRANSPORT": "nonsense"}, ("nonsense",)),
                                 ({"KOLO_BIND": "nonsense"}, ("nonsense",)),
                                 ({"KOLO_TRANSPORT": "ucx", "KOLO_UCX_TLS": "nonsense"}, ("KOLO_UCX_TLS",))):
            with self.subTest(**variables):
                for rank in self.start(2, "join", KOLO_INIT_TIMEOUT="2s", **variables):
                    self.refused(rank, "^KOLO_ERR_", *words)

    def test_ranks_that_are_configured_differently(self):
        """Rank 0's settings hold, and the others say so."""
        for name, values in (("KOLO_ALGORITHM", ("ring", "circulant")), ("KOLO_FUSION", ("0", "1M")),
                             ("KOLO_CHUNK", ("64", "128K")), ("KOLO_GROUPS_IN_FLIGHT", ("1", "3"))):
            with self.subTest(name=name):
                own = {place: {name: value} for place, value in enumerate(values)}
                ranks = self.start(2, "join", own=own)
                for rank in ranks:
                    self.ends(rank, 0)
                warned = [any("WARN" in line and name in line for line in rank.errors) for rank in ranks]
                self.assertEqual(warned, [False, True])

    def test_forced_algorithm_that_cannot_be_used(self):
        for variables, warnings in (({"KOLO_TRANSPORT": "ucx", "KOLO_ALGORITHM": "direct"}, 1),
                                    ({"KOLO_TRANSPORT": "shm", "KOLO_SHM_WINDOW": "0", "KOLO_ALGORITHM": "direct_oneshot",
                                      "KOLO_BROADCAST": "direct"}, 2),
                                    ({"KOLO_TRANSPORT": "shm", "KOLO_ALGORITHM": "direct"}, 0)):
            with self.subTest(**variables):
                code, _, errors = run(2, "failures", "join", **variables)
                self.assertEqual(code, 0, errors)
                said = re.findall("WARN.*=direct.* cannot be used: it needs windows .* over (?:shm|ucx) ", errors)
                self.assertEqual(len(said), 2 * warnings, errors)

    def test_forced_attach_that_is_not_allowed(self):
        for own, warnings in (({}, 0), ({1: {"KOLO_SHM_ATTACH": "no"}}, 1)):
            ranks = self.start(2, "join", own=own, KOLO_TRANSPORT="shm", KOLO_ALGORITHM="attach")
            for rank in ranks:
                self.ends(rank, 0)
            for rank in ranks:
                said = [line for line in rank.errors if "=attach cannot be used: it needs ranks that" in line]
                self.assertEqual(len(said), warnings, rank.errors)

    def test_unknown_variable(self):
        code, _, errors = run(2, "failures", "join", KOLO_ALGORITM="ring")
        self.assertEqual(code, 0, errors)
        self.assertEqual(len(re.findall("WARN.*KOLO_ALGORITM .*KOLO_ALGORITHM", errors)), 2, errors)


if __name__ == "__main__":
    unittest.main()
