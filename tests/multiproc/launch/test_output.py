"""kolorun --prefix: whole lines, the right rank before each, nothing lost."""
import os
import signal
import subprocess
import unittest

from support import KOLORUN, PATIENCE, environment, python, run, start


class Prefix(unittest.TestCase):
    def test_lines_are_whole_however_they_are_written(self):
        # Each rank writes 300 lines in pieces that end anywhere, so that the ranks' pieces meet in all ways.
        code, out, err = run("-np", "4", "--prefix", *python("""
import os
rank = int(os.environ["RANK"])
text = "".join(f"rank {rank} line {i} " + "x" * (i * 7 % 200) + "\\n" for i in range(300)).encode()
at = 0
while at < len(text):
    at += os.write(1, text[at:at + 1 + (at * 31 + rank) % 97])
"""))
        self.assertEqual((code, err), (0, ""))
        for rank in range(4):
            mine = [line for line in out.splitlines() if line.startswith(f"[{rank}] ")]
            self.assertEqual(mine, [f"[{rank}] rank {rank} line {i} " + "x" * (i * 7 % 200) for i in range(300)])
        self.assertEqual(len(out.splitlines()), 4 * 300)

    def test_streams_stay_apart(self):
        code, out, err = run("-np", "1", "-l", "sh", "-c", "echo good; echo bad >&2")
        self.assertEqual((code, out, err), (0, "[0] good\n", "[0] bad\n"))

    def test_last_line_without_newline_and_empty_lines(self):
        code, out, _ = run("-np", "1", "-l", "printf", "a\\n\\nb")
        self.assertEqual((code, out), (0, "[0] a\n[0] \n[0] b\n"))

    def test_last_words_of_a_rank_that_fails(self):
        code, out, err = run("-np", "1", "-l", "sh", "-c", "echo last; printf 'what went wrong' >&2; kill -9 $$")
        self.assertEqual(code, 137)
        self.assertEqual(out, "[0] last\n")
        self.assertRegex(err, r"\A\[0\] what went wrong\nkolorun: rank 0 \(pid \d+\) was killed by signal 9 \(Killed\)\n\Z")

    def test_more_than_pipes_hold_to_a_slow_reader(self):
        process = start("-np", "2", "-l", *python("import os; [os.write(1, b'y' * 1023 + b'\\n') for _ in range(4000)]"))
        first = os.read(process.stdout.fileno(), 1).decode()  # not readline(): that would keep more to itself
        self.assertIsNone(process.poll())  # the ranks wait for us, at the latest when 2 x 4 MB do not fit
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, err), (0, ""))
        lines = (first + out).splitlines()
        self.assertEqual(len(lines), 2 * 4000)
        self.assertEqual({len(line) for line in lines}, {4 + 1023})

    def test_line_without_end_is_cut(self):
        code, out, _ = run("-np", "1", "-l", "head", "-c", "3000000", "/dev/zero")
        self.assertEqual(code, 0)
        self.assertEqual(out.count("\0"), 3000000)
        self.assertTrue(all(line.startswith("[0] ") for line in out.splitlines()))

    def test_reader_has_gone(self):
        reading, writing = os.pipe()
        process = subprocess.Popen([KOLORUN, "-np", "2", "--prefix", "yes"], stdout=writing, stderr=subprocess.PIPE, text=True,
                                   env=environment())
        os.close(writing)
        os.read(reading, 10)
        os.close(reading)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 128 + signal.SIGPIPE)
        self.assertIn("was killed by signal 13 (Broken pipe)", err)

    def test_process_left_behind_does_not_hold_up_the_end(self):
        code, out, _ = run("-np", "1", "-l", "sh", "-c", "sleep 1000 & echo $!")
        self.assertEqual(code, 0)
        left = int(out.removeprefix("[0] "))
        os.kill(left, signal.SIGKILL)  # a success leaves it alone: it is still there

    def test_passed_on_unchanged_without_it(self):
        code, out, _ = run("-np", "1", "printf", "no newline")
        self.assertEqual((code, out), (0, "no newline"))


if __name__ == "__main__":
    unittest.main()
