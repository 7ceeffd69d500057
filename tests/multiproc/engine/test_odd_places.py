"""Ranks of one machine that do not see each other's processes, memory, or files: containers beside each other."""
import os
import subprocess
import unittest

from support import EngineCase, Rank, free_port, thinned

SIZES = (4, 4152, 70000, 300007)  # bytes: in cells, in a chunk, in windows, and more than fits there
LOST = 3

# Ranks 2 and 3, together; their exit codes as one.
PAIR = """RANK=2 "$@" & first=$!; RANK=3 "$@"; second=$?; wait $first && exit $second"""


def can(*command):
    return subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0


class Places(EngineCase):
    def start(self, before, *args, **variables):
        """Ranks 0 and 1 here, 2 and 3 started by `before`, which is tried first."""
        if not can(*before):
            self.skipTest(f"'{' '.join(before)}' is not permitted here")
        port = free_port()
        ranks = [Rank(number, 4, port, *args, **variables) for number in (0, 1)]
        ranks.append(Rank(2, 4, port, *args, before=[*before, "sh", "-c", PAIR, "sh"], **variables))
        for rank in ranks:
            self.addCleanup(rank.end, 0)
        return ranks

    def works(self, before, **variables):
        ranks = self.start(before, "edges", "around", 4, *SIZES, **variables)
        for rank in ranks:
            self.assertEqual(rank.end(), 0, rank.errors)
        self.assertEqual(sum(line.startswith("passed") for rank in ranks for line in rank.lines), 4)

    def refuses(self, before, words, **variables):
        """kolo_init fails on every rank, and tells why on those that could see it."""
        ranks = self.start(before, "failures", "join", **variables)
        for rank in ranks:
            self.assertEqual(rank.end(), LOST, rank.errors)
        told = [line for rank in ranks for line in rank.lines if line.startswith("init ")]
        self.assertEqual(len(told), 4, told)
        self.assertTrue(any(words in line for line in told), told)
        return told

    def test_ipc_namespaces(self):
        for transport in thinned(("auto", "ucx", "shm")):
            with self.subTest(transport=transport):
                self.works(["unshare", "--ipc"], KOLO_TRANSPORT=transport)

    def test_pid_namespaces(self):
        """Also the containers of a pod, which share all but that."""
        for also in thinned(((), ("--ipc",), ("--ipc", "--uts", "--mount"))):
            before = ["unshare", "--pid", "--fork", "--mount-proc", *also]
            with self.subTest(also=also):
                for transport in ("auto", "ucx"):
                    self.works(before, KOLO_TRANSPORT=transport)
                self.refuses(before, "in another PID namespace", KOLO_TRANSPORT="shm")

    def test_mount_namespaces(self):
        """Each with a /dev/shm of its own."""
        before = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /dev/shm && exec \"$@\"", "sh"]
        for transport in thinned(("auto", "ucx", "shm")):
            with self.subTest(transport=transport):
                self.works(before, KOLO_TRANSPORT=transport)

    def test_user_namespaces(self):
        before = ["unshare", "--user", "--map-root-user"]
        self.works(before)
        self.refuses(before, "another user's", KOLO_TRANSPORT="shm")

    def test_users(self):
        before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if not os.access(".", os.R_OK) or not can(*before, os.environ["KOLORUN"], "--version"):
            self.skipTest("another user cannot be, or cannot read the programs")
        self.works(before)
        self.refuses(before, "another user's", KOLO_TRANSPORT="shm")

    def test_network_namespaces(self):
        """There is no way between them: nobody waits longer than KOLO_INIT_TIMEOUT."""
        self.refuses(["unshare", "--net"], "have not come", KOLO_INIT_TIMEOUT="500ms")


if __name__ == "__main__":
    unittest.main()
