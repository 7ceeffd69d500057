"""A kernel that refuses: system calls that a container's filter forbids, limits of a process, too little memory. What can
be done without them is done, and else every rank says why not."""
import os
import resource
import subprocess
import unittest

from support import SANITIZED, EngineCase, Rank, free_port, program, run, thinned

SIZES = (4, 4152, 70000, 300007)  # bytes: in cells, in a chunk, in windows, and more than fits there


def without(*rules):
    return [program("without"), *rules, "--"]


def limited(**limits):
    """Commands that start a program with limits, as prlimit names them."""
    return ["prlimit", *(f"--{name}={value}" for name, value in limits.items()), "--"]


class Forbidden(EngineCase):
    @classmethod
    def setUpClass(cls):
        if subprocess.run([*without("mbind:EPERM"), "/bin/true"], capture_output=True, check=False).returncode == 77:
            raise unittest.SkipTest("system calls cannot be filtered here")

    def works(self, *rules, ranks=2, **variables):
        """Returns what the ranks logged."""
        return self.passes_saying(ranks, "edges", "around", 4, *SIZES, before=without(*rules), KOLO_LOG="info",
                                  **variables)[1]

    def test_reading_other_processes(self):
        """Cross-memory attach: large messages go in pieces instead."""
        for error in thinned(("EPERM", "ENOSYS")):
            for variables in ({}, {"KOLO_SHM_WINDOW": "0"}):
                with self.subTest(error=error, **variables):
                    said = self.works(f"process_vm_readv:{error}", ranks=3, **variables)
                    self.assertEqual(said.count("does not let this rank read"), 6, said)
                    self.assertEqual(said.count(" over shm"), 3, said)

    def test_reading_other_processes__on_one_rank(self):
        said = self.mixed(without("process_vm_readv:EPERM"), KOLO_SHM_WINDOW="0", KOLO_LOG="info")
        self.assertEqual(said.count("does not let this rank read"), 1, said)
        self.assertEqual(said.count(" over shm"), 2, said)
        said = self.mixed(without("process_vm_readv:EPERM"), KOLO_ALGORITHM="attach")
        self.assertEqual(said.count("KOLO_ALGORITHM=attach cannot be used"), 2, said)

    def mixed(self, before, **variables):
        """Two ranks, the second one started so; returns what both logged."""
        port = free_port()
        ranks = [Rank(number, 2, port, "edges", "around", 4, *SIZES, before=before if number == 1 else (), **variables)
                 for number in range(2)]
        for rank in ranks:
            self.addCleanup(rank.end, 0)
        for rank in ranks:
            self.assertEqual(rank.end(), 0, rank.errors)
        return "\n".join(ranks[0].errors + ranks[1].errors)

    def test_shared_memory(self):
        """Another transport is taken; and where this one is asked for, all ranks say why it cannot be."""
        for rule, reason in (("memfd_create:EPERM", "memfd_create: Operation not permitted"),
                             ("fallocate:ENOSPC", "No space left on device"),
                             ("pidfd_open:ENOSYS", "pidfd_open: Function not implemented")):
            with self.subTest(rule=rule):
                said = self.works(rule)
                self.assertEqual(said.count(reason), 2, said)
                self.assertEqual(said.count(" over ucx"), 2, said)
                code, lines, _ = run(2, "failures", "join", before=without(rule), KOLO_TRANSPORT="shm")
                self.assertNotEqual(code, 0)
                for _, line in lines:
                    self.assertRegex(line, f"^init KOLO_ERR_UNSUPPORTED .*{reason}")

    def test_shared_memory__on_one_rank(self):
        said = self.mixed(without("memfd_create:EPERM"), KOLO_LOG="info")
        self.assertIn("memfd_create: Operation not permitted", said)
        self.assertIn("transport shm does not work on rank 1", said)
        self.assertEqual(said.count(" over ucx"), 2, said)

    def test_shared_memory_on_one_rank__asked_for(self):
        port = free_port()
        ranks = [Rank(number, 2, port, "failures", "join", before=without("memfd_create:EPERM") if number == 1 else (),
                      KOLO_TRANSPORT="shm") for number in range(2)]
        for rank in ranks:
            self.addCleanup(rank.end, 0)
        self.assertEqual([rank.end() for rank in ranks], [3, 3])
        self.assertIn("transport shm does not work on rank 1", ranks[0].told("init KOLO_ERR_UNSUPPORTED "))
        self.assertIn("memfd_create: Operation not permitted", ranks[1].told("init KOLO_ERR_UNSUPPORTED "))

    @unittest.skipIf(SANITIZED, "the sanitizers' own memory needs madvise")
    def test_no_huge_pages_and_old_kernels(self):
        for rule in ("madvise:EINVAL:2:14", "madvise:EINVAL:2:23", "madvise:EPERM"):  # HUGEPAGE, POPULATE_WRITE, any
            with self.subTest(rule=rule):
                self.works(rule, ranks=3)

    def test_binding(self):
        """What a container forbids of placement costs speed and a warning, no more."""
        self.works("sched_setaffinity:EPERM", "mbind:EPERM")


class Limits(EngineCase):
    def test_files(self):
        """Shared memory counts as a file."""
        said = self.passes_saying(2, "edges", "around", 4, *SIZES, before=limited(fsize=65536), KOLO_LOG="info")[1]
        self.assertEqual(said.count("the limit of file sizes is 65536 (ulimit -f)"), 2, said)

    def test_open_files(self):
        """From none to enough: it works, or all ranks say so."""
        outcomes = set()
        for most in thinned((6, 8, 12, 16, 20, 24, 28, 32, 64)):
            with self.subTest(most=most):
                code, lines, errors = run(2, "failures", "join", before=limited(nofile=most),
                                          KOLO_INIT_TIMEOUT="500ms" if most < 8 else "10s")
                outcomes.add(code == 0)
                said = "\n".join([errors, *(line for _, line in lines)])
                self.assertNotRegex(said, "(?i)signal|core dumped|assertion")
                if code != 0:
                    self.assertRegex(said, "(?i)open files|too many", said)
        self.assertEqual(outcomes, {True, False})

    @unittest.skipIf(SANITIZED, "the sanitizers reserve more address space than that")
    def test_address_space(self):
        """Shared memory is asked for: UCX, which would be next, aborts where it gets none."""
        outcomes = set()
        for mib in (24, 48, 64, 96, 128, 256, 1024):
            with self.subTest(mib=mib):
                code, lines, errors = run(2, "failures", "join", before=limited(**{"as": mib << 20}),
                                          KOLO_TRANSPORT="shm", KOLO_INIT_TIMEOUT="2s")
                outcomes.add(code == 0)
                said = "\n".join([errors, *(line for _, line in lines)])
                self.assertNotRegex(said, "(?i)signal|core dumped")
                if code != 0:
                    self.assertRegex(said, "(?i)cannot allocate memory|temporarily unavailable|no memory", said)
        self.assertEqual(outcomes, {True, False})

    def test_stack(self):
        """A thread gets the stack that the program was given."""
        for bytes_ in (192 << 10, resource.RLIM_INFINITY):
            with self.subTest(bytes=bytes_):
                self.passes(3, "edges", "around", 4, *SIZES, before=limited(stack="unlimited" if bytes_ < 0 else bytes_))

    def test_locked_memory(self):
        self.passes(2, "edges", "around", 4, *SIZES, before=limited(memlock=0))


class Memory(EngineCase):
    def test_small_dev_shm(self):
        """Kolo's shared memory is not there, and UCX finds another way."""
        mount = "mount -t tmpfs -o size=64k tmpfs /dev/shm && exec \"$@\""
        around = ["unshare", "-m", "sh", "-c", mount, "sh"]
        if subprocess.run([*around, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("nothing can be mounted here")
        for transport in ("auto", "ucx"):
            with self.subTest(transport=transport):
                self.passes(2, "edges", "around", 4, *SIZES, around=around, KOLO_TRANSPORT=transport)

    def test_window_too_large(self):
        """What the kernel would answer by killing processes is refused before."""
        for window in thinned(("1T", "900G")):
            with self.subTest(window=window):
                said = self.passes_saying(2, "edges", "around", 4, *SIZES, KOLO_SHM_WINDOW=window, KOLO_LOG="info")[1]
                self.assertEqual(said.count("less KOLO_SHM_WINDOW helps"), 2, said)
                self.assertEqual(said.count(" over ucx"), 2, said)
                code, lines, _ = run(2, "failures", "join", KOLO_SHM_WINDOW=window, KOLO_TRANSPORT="shm")
                self.assertNotEqual(code, 0)
                for _, line in lines:
                    self.assertRegex(line, "^init KOLO_ERR_UNSUPPORTED .*less KOLO_SHM_WINDOW helps")

    def test_windows_that_differ(self):
        """Nobody goes on with something else."""
        port = free_port()
        ranks = [Rank(number, 3, port, "failures", "join", KOLO_SHM_WINDOW="16M" if number == 1 else "8M")
                 for number in range(3)]
        for rank in ranks:
            self.addCleanup(rank.end, 0)
        for rank in ranks:
            self.assertEqual(rank.end(), 3, rank.errors)
            self.assertIn("KOLO_SHM_WINDOW must be the same", rank.told("init KOLO_ERR_CONFIG "))

    def test_windows_of_all_sizes(self):
        for window in thinned(("0", "1", "4K", "64K", "400K", "5M", "7M", "40M")):
            with self.subTest(window=window):
                self.passes(3, "edges", "around", 4, *SIZES, KOLO_SHM_WINDOW=window)


if __name__ == "__main__":
    unittest.main()
