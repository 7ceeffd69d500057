"""kolorun: what a rank finds (environment, socket, stdin, cores), and how its end becomes kolorun's exit code."""
import json
import os
import re
import signal
import tempfile
import unittest

from support import KOLORUN, environment, python, run

REPORT = """
import json, os, socket
fd = os.environ.get("KOLO_STORE_FD")
listening = fd is not None and (lambda s: [s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), s.getsockname()[1]])(
    socket.socket(fileno=os.dup(int(fd))))
sockets = sum(os.readlink("/proc/self/fd/" + n).startswith("socket:") for n in os.listdir("/proc/self/fd")
              if os.path.lexists("/proc/self/fd/" + n))
print(json.dumps({"env": dict(os.environ), "listening": listening, "sockets": sockets, "cpus": sorted(os.sched_getaffinity(0)),
                  "group": os.getpgrp() == os.getpid()}) + "\\n", end="", flush=True)
"""


def reports(*arguments, **options):
    code, out, err = run(*arguments, *python(REPORT), **options)
    assert code == 0, err
    found = [json.loads(line) for line in out.splitlines()]
    return sorted(found, key=lambda report: int(report["env"]["RANK"]))


class Environment(unittest.TestCase):
    def test_every_rank_knows_its_job(self):
        found = reports("-np", "3", "--bind", "none")
        self.assertEqual(len(found), 3)
        for rank, report in enumerate(found):
            env = report["env"]
            self.assertEqual(env["RANK"], str(rank))
            self.assertEqual(env["LOCAL_RANK"], str(rank))
            self.assertEqual(env["WORLD_SIZE"], "3")
            self.assertEqual(env["LOCAL_WORLD_SIZE"], "3")
            self.assertEqual(env["MASTER_ADDR"], "127.0.0.1")
            self.assertEqual(env["MASTER_PORT"], found[0]["env"]["MASTER_PORT"])
            self.assertRegex(env["KOLO_JOB_SECRET"], "^[0-9a-f]{64}$")
            self.assertEqual(env["KOLO_JOB_SECRET"], found[0]["env"]["KOLO_JOB_SECRET"])
            self.assertTrue(report["group"])

    def test_only_rank_0_has_the_listening_socket(self):
        found = reports("-np", "3", env=environment(KOLO_STORE_FD="17"))
        self.assertEqual(found[0]["listening"], [1, int(found[0]["env"]["MASTER_PORT"])])
        self.assertEqual(found[0]["sockets"], 1)
        for report in found[1:]:
            self.assertNotIn("KOLO_STORE_FD", report["env"])
            self.assertEqual(report["sockets"], 0)

    def test_secrets_and_ports_differ_from_job_to_job(self):
        first, second = reports("-np", "1")[0]["env"], reports("-np", "1")[0]["env"]
        self.assertNotEqual(first["KOLO_JOB_SECRET"], second["KOLO_JOB_SECRET"])

    def test_inside_another_job(self):
        found = reports("-np", "2", KOLORUN, "-np", "2")
        self.assertEqual([report["env"]["RANK"] for report in found], ["0", "0", "1", "1"])
        self.assertEqual(len({report["env"]["KOLO_JOB_SECRET"] for report in found}), 2)
        self.assertEqual(len({report["env"]["MASTER_PORT"] for report in found}), 2)
        for report in found:
            self.assertEqual(report["env"]["WORLD_SIZE"], "2")
            # Not the outer job's socket, though the outer rank 0 is a kolorun.
            self.assertEqual(report["sockets"], 1 if report["env"]["RANK"] == "0" else 0)
        for report in found[:2]:
            self.assertEqual(report["listening"], [1, int(report["env"]["MASTER_PORT"])])

    def test_started_without_standard_streams(self):
        with tempfile.NamedTemporaryFile() as result:
            script = f'"$0" -np 1 sh -c "echo fd=\\$KOLO_STORE_FD >{result.name}" <&- >&- 2>&-'
            code = os.spawnlpe(os.P_WAIT, "sh", "sh", "-c", script, KOLORUN, environment())
            self.assertEqual(code, 0)
            self.assertGreater(int(result.read().decode().strip().removeprefix("fd=")), 2)

    def test_only_rank_0_has_standard_input(self):
        code, out, _ = run("-np", "3", "sh", "-c", 'echo "$RANK:$(cat)"', feed="hello")
        self.assertEqual(code, 0)
        self.assertEqual(sorted(out.splitlines()), ["0:hello", "1:", "2:"])


class Binding(unittest.TestCase):
    def setUp(self):
        self.allowed = sorted(os.sched_getaffinity(0))

    def test_ranks_get_their_own_cores(self):
        if len(self.allowed) < 2:
            self.skipTest("one core")
        found = [set(report["cpus"]) for report in reports("-np", "2")]
        self.assertTrue(found[0] <= set(self.allowed) and found[1] <= set(self.allowed))
        # Two ranks on the two hardware threads of one core are not bound: that is fewer cores than ranks.
        if found[0] != set(self.allowed):
            self.assertFalse(found[0] & found[1])

    def test_one_rank_more_than_cores(self):
        if len(self.allowed) > 16:
            self.skipTest("too many cores to outnumber")
        for report in reports("-np", str(len(self.allowed) + 1)):
            self.assertEqual(report["cpus"], self.allowed)

    def test_ranks_that_share_cores_evenly(self):
        if len(self.allowed) > 16:
            self.skipTest("too many cores to outnumber")
        alone = {tuple(report["cpus"]) for report in reports("-np", str(len(self.allowed)))}
        found = [tuple(report["cpus"]) for report in reports("-np", str(2 * len(self.allowed)))]
        self.assertEqual(set(found), alone)
        self.assertEqual(found[0::2], found[1::2])

    def test_none_binds_nobody(self):
        for report in reports("-np", "2", "--bind", "none"):
            self.assertEqual(report["cpus"], self.allowed)
            self.assertEqual(report["env"]["KOLO_BIND"], "none")
        for report in reports("-np", "2", env=environment(KOLO_BIND="none")):
            self.assertEqual(report["cpus"], self.allowed)

    def test_option_wins_over_variable(self):
        for report in reports("-np", "2", "--bind=none", env=environment(KOLO_BIND="auto")):
            self.assertEqual(report["cpus"], self.allowed)


class ExitCodes(unittest.TestCase):
    def expect_one_line(self, err, pattern):
        self.expect_lines(err, pattern)

    def expect_lines(self, err, *patterns):
        self.assertRegex(err, "\\A" + "".join(f"kolorun: {pattern}\\n" for pattern in patterns) + "\\Z")

    def test_success(self):
        self.assertEqual(run("-np", "3", "true"), (0, "", ""))

    def test_code_of_the_rank_that_failed(self):
        code, _, err = run("-np", "3", "sh", "-c", 'if [ $RANK = 2 ]; then exit 3; fi; exec sleep 1000')
        self.assertEqual(code, 3)
        self.expect_one_line(err, r"rank 2 \(pid \d+\) exited with code 3; ending the other ranks")

    def test_last_rank_has_no_others(self):
        code, _, err = run("-np", "1", "sh", "-c", "exit 7")
        self.assertEqual(code, 7)
        self.expect_one_line(err, r"rank 0 \(pid \d+\) exited with code 7")

    def test_signal(self):
        code, _, err = run("-np", "2", "sh", "-c", 'if [ $RANK = 1 ]; then kill -9 $$; fi; exec sleep 1000')
        self.assertEqual(code, 128 + 9)
        self.expect_one_line(err, r"rank 1 \(pid \d+\) was killed by signal 9 \(Killed\); ending the other ranks")

    def test_rank_that_was_done_before(self):
        """It may be what the rank that failed has waited for."""
        for script, which in (('if [ $RANK = 1 ]; then exit 0; fi; wait_for 1; exit 3', "rank 1"),
                              ('if [ $RANK != 0 ]; then exit 0; fi; wait_for 1; wait_for 2; exit 3', "ranks 1-2")):
            with tempfile.TemporaryDirectory() as folder:
                gone = f'wait_for() {{ while kill -0 $(cat {folder}/$1) 2>&-; do :; done; }}; echo $$ >{folder}/$RANK; '
                started = f'while ! [ -s {folder}/0 -a -s {folder}/1 -a -s {folder}/2 ]; do :; done; '
                code, _, err = run("-np", "3", "sh", "-c", gone + started + script)
            self.assertEqual(code, 3)
            self.expect_lines(err, r"rank [02] \(pid \d+\) exited with code 3(; ending the other ranks)?",
                              f"before that, {which} exited with code 0; if (it|one of them) had not called kolo_finalize, "
                              "the others may have waited for it")

    def test_first_failure_counts(self):
        code, out, err = run("-np", "3", *python("""
import os, signal, sys
if os.environ["RANK"] == "1":
    sys.exit(5)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
signal.sigwait([signal.SIGTERM])
print("asked to end", flush=True)
sys.exit(9)
"""))
        self.assertEqual(code, 5)
        self.assertLessEqual(err.count("\n"), 1)

    def test_what_a_failed_rank_left_behind_is_ended(self):
        # The sleeper holds our end of the pipe: run() returns only once it is gone.
        code, _, _ = run("-np", "2", "sh", "-c", "sleep 1000 & exit 4")
        self.assertEqual(code, 4)

    def test_rank_that_will_not_end_is_killed(self):
        with tempfile.TemporaryDirectory() as folder:
            fifo = os.path.join(folder, "fifo")
            os.mkfifo(fifo)
            code, _, err = run("-np", "2", "sh", "-c",
                               f'if [ $RANK = 1 ]; then read line <{fifo}; exit 6; fi; '
                               f'trap "" TERM; echo >{fifo}; exec sleep 1000')
        self.assertEqual(code, 6)
        self.assertEqual(err.count("\n"), 1)

    def test_timeout(self):
        code, _, err = run("--timeout", "300ms", "-np", "2", "sleep", "1000")
        self.assertEqual(code, 124)
        self.expect_one_line(err, r"the job has not ended within 0\.3 s \(--timeout\); ending ranks 0-1")

    def test_timeout_with_one_rank_left(self):
        """It may not even run: whoever stopped it must learn its number."""
        code, _, err = run("--timeout", "3", "-np", "2", "sh", "-c", "if [ $RANK = 1 ]; then kill -STOP $$; fi")
        self.assertEqual(code, 124)
        self.expect_lines(err, r"the job has not ended within 3 s \(--timeout\); ending rank 1",
                          "before that, rank 0 exited with code 0; if it had not called kolo_finalize, the others may have "
                          "waited for it")

    def test_timeout_not_reached(self):
        self.assertEqual(run("--timeout", "1000", "-np", "2", "true"), (0, "", ""))

    def test_program_is_missing(self):
        code, _, err = run("-np", "3", "no-such-program")
        self.assertEqual(code, 127)
        self.expect_one_line(err, "cannot run 'no-such-program': No such file or directory")

    def test_program_may_not_be_run(self):
        code, _, err = run("-np", "2", "/etc/passwd")
        self.assertEqual(code, 126)
        self.expect_one_line(err, "cannot run '/etc/passwd': Permission denied")

    def test_parent_that_ignores_sigchld(self):
        code, _, _ = run("-np", "2", "sh", "-c", "exit 3",
                         preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        self.assertEqual(code, 3)


class Arguments(unittest.TestCase):
    def test_wrong_ones_are_explained(self):
        for arguments, text in (
                (["true"], "the number of ranks is missing: -np N"),
                ([], "the number of ranks is missing: -np N"),
                (["-np", "2"], "the program to run is missing"),
                (["-np", "2", "--"], "the program to run is missing"),
                (["-np"], "-np needs a value"),
                (["-np", "0", "true"], "the number of ranks is '0'; expected 1 to 4096"),
                (["-np", "4097", "true"], "the number of ranks is '4097'; expected 1 to 4096"),
                (["-np", "two", "true"], "the number of ranks is 'two'; expected 1 to 4096"),
                (["-np", "2", "--bind", "core", "true"], "--bind is 'core'; expected auto or none"),
                (["-np", "2", "--timeout", "0", "true"], "--timeout is '0'; expected seconds, or a time like 500ms"),
                (["-np", "2", "--timeout", "soon", "true"], "--timeout is 'soon'; expected seconds, or a time like 500ms"),
                (["-np", "2", "--frobnicate", "true"], "unknown option '--frobnicate'")):
            code, out, err = run(*arguments)
            self.assertEqual((code, out), (2, ""), arguments)
            self.assertEqual(err, f"kolorun: {text} (kolorun --help shows the usage)\n")

    def test_bad_variable(self):
        code, _, err = run("-np", "2", "true", env=environment(KOLO_BIND="cores"))
        self.assertEqual(code, 2)
        self.assertIn("KOLO_BIND is 'cores'; expected auto or none", err)

    def test_program_keeps_its_own_options(self):
        for before in ([], ["--"]):
            code, out, _ = run("-np", "1", *before, "echo", "-np", "--prefix", "--", "-h")
            self.assertEqual((code, out), (0, "-np --prefix -- -h\n"))

    def test_help_and_version(self):
        for flag in ("-h", "--help"):
            code, out, err = run(flag)
            self.assertEqual((code, err), (0, ""))
            self.assertIn("usage: kolorun -np N", out)
        code, out, err = run("--version")
        self.assertEqual((code, err), (0, ""))
        self.assertTrue(re.fullmatch(r"kolorun \d+\.\d+\.\d+\n", out))


if __name__ == "__main__":
    unittest.main()
