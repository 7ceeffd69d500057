"""kolorun: signals reach all ranks, once each; nobody outlives a killed kolorun; job control on a terminal."""
import os
import pty
import signal
import subprocess
import unittest

from support import KOLORUN, PATIENCE, environment, lines_until, python, start

# Says "ready", then what signal it gets, and ends well.
WAITER = """
import os, signal
some = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]
signal.pthread_sigmask(signal.SIG_BLOCK, some)
os.write(1, b"ready\\n")
os.write(1, (signal.Signals(signal.sigwait(some)).name + "\\n").encode())
"""


class PassedOn(unittest.TestCase):
    def test_each_signal_reaches_each_rank(self):
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"):
            with self.subTest(name):
                process = start("-np", "2", *python(WAITER))
                lines_until(process.stdout, "ready", 2)
                process.send_signal(getattr(signal, name))
                out, err = process.communicate(timeout=PATIENCE)
                self.assertEqual((process.returncode, out, err), (0, f"{name}\n" * 2, ""))

    def test_stop_and_go_on(self):
        process = start("-np", "2", *python("""
import os, signal
both = [signal.SIGTSTP, signal.SIGCONT]
signal.pthread_sigmask(signal.SIG_BLOCK, both)
os.write(1, b"ready\\n")
for one in both:
    signal.sigwait([one])
    os.write(1, (one.name + "\\n").encode())
"""))
        lines_until(process.stdout, "ready", 2)
        process.send_signal(signal.SIGTSTP)
        lines_until(process.stdout, "SIGTSTP", 2)
        _, status = os.waitpid(process.pid, os.WUNTRACED)  # kolorun stops as well
        self.assertTrue(os.WIFSTOPPED(status))
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out), (0, "SIGCONT\n" * 2))

    def test_deadly_signal_decides_the_exit_code(self):
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            with self.subTest(name):
                process = start("-np", "2", *python("""
import os, signal
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, signal.SIG_DFL)
os.write(1, b"ready\\n")
signal.pause()
"""))
                lines_until(process.stdout, "ready", 2)
                process.send_signal(getattr(signal, name))
                _, err = process.communicate(timeout=PATIENCE)
                self.assertEqual(process.returncode, 128 + getattr(signal, name))
                self.assertEqual(err, f"kolorun: interrupted ({name}); the job is ended\n")

    def test_rank_that_dies_of_another_signal_is_named(self):
        process = start("-np", "2", *python("""
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
os.write(1, b"ready\\n")
signal.sigwait([signal.SIGINT])
if os.environ["RANK"] == "1":
    os.kill(os.getpid(), signal.SIGKILL)
signal.pause()
"""))
        lines_until(process.stdout, "ready", 2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 128 + signal.SIGKILL)
        self.assertRegex(err, r"\Akolorun: rank 1 \(pid \d+\) was killed by signal 9 \(Killed\)[^\n]*\n\Z")

    def test_second_interrupt_ends_ranks_that_ignore_the_first(self):
        process = start("-np", "2", *python("""
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
os.write(1, b"ready\\n")
signal.sigwait([signal.SIGINT])
os.write(1, b"interrupted\\n")
signal.sigwait([signal.SIGUSR1])
"""))
        lines_until(process.stdout, "ready", 2)
        process.send_signal(signal.SIGINT)
        lines_until(process.stdout, "interrupted", 2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 128 + signal.SIGINT)
        self.assertEqual(err, "kolorun: interrupted twice; ending the ranks\n")

    def test_ignored_hangup_stays_ignored(self):
        process = start("-np", "1", *python("import os; os.write(1, b'ready\\n'); os.read(0, 1); os.write(1, b'still here\\n')"),
                        stdin=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        lines_until(process.stdout, "ready", 1)
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate(input="x", timeout=PATIENCE)
        self.assertEqual((process.returncode, out), (0, "still here\n"))


class Killed(unittest.TestCase):
    def test_ranks_die_with_kolorun(self):
        process = start("-np", "3", "sh", "-c", "echo ready; exec sleep 1000")
        lines_until(process.stdout, "ready", 3)
        process.kill()
        # The ranks hold the other end: it ends when the last of them is gone.
        out, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out), (-signal.SIGKILL, ""))

    def test_rank_killed_from_outside(self):
        process = start("-np", "2", "sh", "-c", "echo $RANK $$; exec sleep 1000")
        pids = dict(process.stdout.readline().split() for _ in range(2))
        os.kill(int(pids["1"]), signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 128 + signal.SIGKILL)
        self.assertEqual(err, f"kolorun: rank 1 (pid {pids['1']}) was killed by signal 9 (Killed); ending the other ranks\n")


class Terminal(unittest.TestCase):
    def test_rank_0_reads_from_it_and_everyone_hears_ctrl_c_once(self):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(KOLORUN, [KOLORUN, "-np", "2", *python("""
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGUSR1])
if os.environ["RANK"] == "0":
    os.write(1, b"<" + os.read(0, 100).strip() + b">\\n")
else:
    os.write(1, b"<waiting>\\n")
signal.sigwait([signal.SIGINT])
os.write(1, b"<interrupted %s>\\n" % os.environ["RANK"].encode())
signal.sigwait([signal.SIGUSR1])  # passed on after whatever else kolorun passed on
os.write(1, b"<twice>\\n" if signal.SIGINT in signal.sigpending() else b"<once>\\n")
""")], environment())
        seen = b""

        def read_until(*wanted):
            nonlocal seen
            while not all(part in seen for part in wanted):
                seen += os.read(terminal, 4096)

        read_until(b"<waiting>")
        os.write(terminal, b"hello\n")
        read_until(b"<hello>")
        os.write(terminal, b"\x03")
        read_until(b"<interrupted 0>", b"<interrupted 1>")
        os.kill(pid, signal.SIGUSR1)
        try:
            while True:
                seen += os.read(terminal, 4096)
        except OSError:  # the terminal's last user has gone
            pass
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0, seen)
        self.assertEqual((seen.count(b"<once>"), seen.count(b"<twice>")), (2, 0), seen)


if __name__ == "__main__":
    unittest.main()
