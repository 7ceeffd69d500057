"""Runs kolo-perf on real ranks: every operation, type and reduction at awkward sizes, with every result checked; its
table, its JSON, and what it says to bad arguments.

    test_perf.py --ranks N KOLORUN KOLO_PERF
"""
import argparse
import functools
import json
import math
import os
import subprocess
import sys
import tempfile
import unittest

TYPES = {"int8": 1, "uint8": 1, "int16": 2, "int32": 4, "int64": 8, "half": 2, "float": 4, "double": 8, "bfloat16": 2}
REDUCTIONS = ["sum", "prod", "min", "max", "avg"]
OPERATIONS = ["allreduce", "broadcast", "allgather", "reduce_scatter", "barrier"]
REDUCING = ["allreduce", "reduce_scatter"]
ALLREDUCES = ["allreduce", "grouped_allreduce", "prepared_allreduce", "prepared_group"]
PREPARED = "prepared_allreduce,prepared_group"
TIMING_KEYS = {"iterations", "time_us", "min_us", "p50_us", "p99_us", "algbw_gbs", "busbw_gbs", "wrong"}
ROW_KEYS = {"op", "bytes", "count", "dtype", "redop", "buffers", "mode", "out_of_place", "in_place"}

options = None


def bus_factor(op, ranks):
    others = (ranks - 1) / ranks
    if op in ALLREDUCES:
        return 2 * others
    return others if op in ("allgather", "reduce_scatter") else 1.0


def once(test):
    """What is the same for any number of ranks."""
    @functools.wraps(test)
    def among_two(self):
        if options.ranks != 2:
            self.skipTest("runs with 2 ranks")
        test(self)
    return among_two


class PerfTest(unittest.TestCase):
    def run_perf(self, *arguments, expect=0):
        command = [options.kolorun, "-np", str(options.ranks), options.kolo_perf, *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=240)
        what = f"{' '.join(command)}\nstdout: {done.stdout[-3000:]}\nstderr: {done.stderr[-3000:]}"
        self.assertEqual(done.returncode, expect, what)
        return done

    def run_json(self, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "out.json")
            done = self.run_perf(*arguments, "--json", path)
            with open(path, encoding="utf-8") as file:
                return done, json.load(file)

    def check_row(self, row, tensors=1):
        self.assertEqual(set(row), ROW_KEYS)
        for place in ("out_of_place", "in_place"):
            timing = row[place]
            self.assertEqual(set(timing), TIMING_KEYS)
            self.assertEqual(timing["wrong"], 0, row)
            self.assertGreaterEqual(timing["min_us"], 0.0)
            self.assertLessEqual(timing["min_us"], timing["p50_us"])
            self.assertLessEqual(timing["p50_us"], timing["p99_us"])
            if row["mode"] == "isolated" and timing["p50_us"] > 0:
                expected = row["bytes"] * tensors / timing["p50_us"] / 1e3
                self.assertTrue(math.isclose(timing["algbw_gbs"], expected, rel_tol=0.05, abs_tol=1e-5), row)
            expected = timing["algbw_gbs"] * bus_factor(row["op"], options.ranks)
            self.assertTrue(math.isclose(timing["busbw_gbs"], expected, rel_tol=0.01, abs_tol=3e-6), row)

    def check_rows(self, result, sizes, tensors=1):
        """Every operation, type, reduction and size once, in a size's own rounding to whole elements."""
        self.assertEqual(set(result), {"ranks", "results"})
        self.assertEqual(result["ranks"], options.ranks)
        expected = [("barrier", "none", "none", 0)]
        for op in OPERATIONS[:-1]:
            for dtype, width in TYPES.items():
                for redop in REDUCTIONS if op in REDUCING else ["none"]:
                    expected += [(op, dtype, redop, size // width * width) for size in sizes]
        found = [(row["op"], row["dtype"], row["redop"], row["bytes"]) for row in result["results"]]
        self.assertEqual(sorted(found), sorted(expected))
        for row in result["results"]:
            self.check_row(row, tensors)
            if row["op"] != "barrier":
                self.assertEqual(row["count"] * TYPES[row["dtype"]], row["bytes"])

    def test_everything_at_small_sizes(self):
        """0 bytes, fewer elements than ranks, odd counts."""
        _, result = self.run_json("all", "-d", "all", "-o", "all", "-b", "0", "-e", "60", "-i", "12", "-n", "2",
                                  "-w", "1")
        self.check_rows(result, [0, 12, 24, 36, 48, 60])

    def test_everything_at_a_size_of_several_chunks(self):
        _, result = self.run_json("all", "-d", "all", "-o", "all", "-b", "131112", "-e", "131112", "-n", "1", "-w", "0")
        self.check_rows(result, [131112])

    def test_many_tensors_in_flight(self):
        _, result = self.run_json("all", "-d", "all", "-o", "sum,max", "-b", "8", "-e", "1000", "-f", "125", "-n", "2",
                                  "--async", "7", "-c", "2")
        self.assertEqual(len(result["results"]), 1 + 2 * (2 * 2 * 9 + 2 * 9))
        for row in result["results"]:
            self.check_row(row, tensors=7)

    def test_grouped_all_reduce(self):
        _, result = self.run_json("grouped_allreduce", "-d", "all", "-o", "sum,avg", "-b", "8", "-e", "1000", "-f", "125",
                                  "-n", "2", "--async", "7", "-c", "2")
        self.assertEqual(len(result["results"]), 2 * 2 * 9)
        for row in result["results"]:
            self.check_row(row, tensors=7)

    def test_prepared_all_reduces(self):
        """One after another under the same names: every size, type and reduction, out of place and in place."""
        for in_flight in [[], ["--async", "1"], ["--async", "50"]]:
            for buffers in ["private", "kolo"]:
                with self.subTest(in_flight=in_flight, buffers=buffers):
                    _, result = self.run_json(PREPARED, "-d", "all", "-o", "sum,avg", "-b", "0", "-e", "1000", "-i", "500",
                                              "-n", "3", "-w", "1", "-c", "2", "--buffers", buffers, *in_flight)
                    found = [(row["op"], row["bytes"]) for row in result["results"] if row["dtype"] == "float"]
                    self.assertEqual(found, [(op, size) for op in PREPARED.split(",") for _ in range(2)
                                             for size in (0, 500, 1000)])
                    for row in result["results"]:
                        self.check_row(row, tensors=int((in_flight or [1])[-1]))

    def test_prepared_all_reduces_beside_others(self):
        """Back to back, up to sizes of several chunks."""
        _, result = self.run_json(",".join(ALLREDUCES), "-b", "8", "-e", "512K", "-f", "256", "-n", "5", "--async", "3",
                                  "--mode", "b2b", "-c", "2")
        self.assertEqual([row["op"] for row in result["results"]], [op for op in ALLREDUCES for _ in range(3)])
        for row in result["results"]:
            self.check_row(row, tensors=3)

    @once
    def test_too_many_for_one_prepared_group(self):
        done = self.run_perf("prepared_group", "-b", "4", "-e", "4", "-n", "1", "--async", "5000", expect=1)
        self.assertIn("prepared_group: args.tensors is 5000; 1 to 4096", done.stderr)

    def test_kolo_memory_back_to_back(self):
        for mode in ("b2b", "loop"):
            _, result = self.run_json("all", "-b", "4", "-e", "256K", "-f", "16", "-n", "10", "--buffers", "kolo",
                                      "--mode", mode)
            for row in result["results"]:
                self.check_row(row)
                self.assertEqual((row["buffers"], row["mode"]), ("kolo", mode))

    def test_large_all_reduce(self):
        _, result = self.run_json("allreduce", "-b", "4M", "-e", "4M", "-n", "2", "-w", "1", "-d", "float,bfloat16")
        self.assertEqual([row["bytes"] for row in result["results"]], [4 << 20] * 2)
        for row in result["results"]:
            self.check_row(row)

    def test_every_root(self):
        for root in range(options.ranks):
            _, result = self.run_json("broadcast", "-b", "4", "-e", "4K", "-f", "32", "-n", "1", "-r", str(root))
            for row in result["results"]:
                self.check_row(row)

    @once
    def test_table_has_the_columns_of_nccl_tests(self):
        done = self.run_perf("allreduce", "-b", "4", "-e", "64", "-f", "4", "-n", "3", "-w", "1", "-c", "1", "-d",
                             "float", "-o", "sum")
        rows = [line.split() for line in done.stdout.splitlines() if not line.lstrip().startswith("#")]
        self.assertEqual([row[0] for row in rows], ["4", "16", "64"], "one line a size, printed by one rank")
        for row in rows:
            self.assertEqual(len(row), 17)
            self.assertEqual(row[1:5], [str(int(row[0]) // 4), "float", "sum", "-1"])
            self.assertEqual((row[8], row[12]), ("0", "0"))
            self.assertEqual((float(row[5]), float(row[9])), (float(row[13]), float(row[15])), "the median")
        header = next(line.split() for line in done.stdout.splitlines() if "redop" in line)
        columns = "size count type redop root time algbw busbw #wrong time algbw busbw #wrong"
        self.assertEqual(header[1:14], columns.split())

    @once
    def test_without_check(self):
        done, result = self.run_json("allreduce", "-b", "8", "-e", "8", "-n", "1", "-c", "0")
        self.assertIsNone(result["results"][0]["in_place"]["wrong"])
        self.assertIn("N/A", done.stdout)

    @once
    def test_budget_bounds_the_iterations(self):
        _, result = self.run_json("allreduce", "-b", "4", "-e", "4", "-n", "20", "-w", "3", "--budget", "1000")
        self.assertEqual(result["results"][0]["in_place"]["iterations"], 20, "as many as -n, where there is time for it")
        _, result = self.run_json("allreduce", "-b", "1M", "-e", "1M", "-n", "100000", "--budget", "1")
        self.assertGreaterEqual(result["results"][0]["in_place"]["iterations"], 3)
        self.assertLess(result["results"][0]["in_place"]["iterations"], 100000)

    def take_turns(self, requests, expect):
        """-> (the answers, what was said on stderr)"""
        with tempfile.TemporaryDirectory() as folder:
            prefix = os.path.join(folder, "fifo")
            names = [f"{prefix}.{rank}" for rank in range(options.ranks)]
            for name in [*names, prefix + ".out"]:
                os.mkfifo(name)
            ends = [os.open(name, os.O_RDWR) for name in [*names, prefix + ".out"]]
            for end in ends[:-1]:
                os.write(end, "".join(requests).encode())
            done = self.run_perf("allreduce", "-b", "4", "-e", "64K", "-n", "3", "-w", "1", "--turns", prefix, expect=expect)
            os.set_blocking(ends[-1], False)
            answers = os.read(ends[-1], 1 << 16).decode().splitlines() if expect == 0 else []
            for end in ends:
                os.close(end)
            return [json.loads(answer) for answer in answers], done.stderr

    def test_turns(self):
        answers, _ = self.take_turns(["allreduce isolated 0 4 in_place 1\n", "allreduce b2b 0 65536 out_of_place 1\n",
                                      "allreduce isolated 7 1000 in_place 2\n", "memcpy isolated 0 4096 in_place 1\n",
                                      "grouped_allreduce isolated 3 64 in_place 1\n",
                                      "prepared_allreduce b2b 0 8 in_place 1\n",
                                      "prepared_group isolated 3 64 out_of_place 1\n", "barrier b2b 0 0 in_place 0\n",
                                      "end\n"], 0)
        self.assertEqual([answer["wrong"] for answer in answers], [0] * 7 + [None])
        for answer in answers:
            self.assertEqual((set(answer), answer["iterations"]), (TIMING_KEYS, 3))

    @once
    def test_turns_with_bad_requests(self):
        for request in ["nonsense\n", "allreduce isolated 0 1000000 in_place 1\n", "idle isolated 0 4 in_place 1\n"]:
            with self.subTest(request=request):
                _, said = self.take_turns([request], 2)
                self.assertIn(request.strip(), said)

    @once
    def test_memcpy_and_idle(self):
        self.run_json("memcpy", "-b", "64", "-e", "64K", "-f", "32", "-n", "2")
        done = self.run_perf("idle", "-t", "1")
        self.assertIn("idle: end cpu_us=", done.stdout)

    def test_bad_arguments(self):
        for arguments, message in [
            ([], "which operation"),
            (["alltoall"], "alltoall"),
            (["allreduce", "-b", "5X"], "-b 5X"),
            (["allreduce", "-b", "8", "-e", "4"], "-b 8 is more than -e 4"),
            (["allreduce", "--bogus"], "--bogus"),
            (["allreduce", "-b", "4", "-e", "4", "-r", str(options.ranks)], f"-r {options.ranks}:"),
            (["allreduce", "-b", "4", "-e", "4", "--json", "/nonexistent/file"], "/nonexistent/file"),
            (["allreduce", "-b", "4", "-e", "4", "--turns", "/nonexistent/fifo"], "/nonexistent/fifo.0"),
            (["allreduce", "--budget", "-1"], "--budget -1"),
        ]:
            with self.subTest(arguments=arguments):
                done = self.run_perf(*arguments, expect=2)
                said = [line for line in done.stderr.splitlines() if "kolo-perf: " in line and message in line]
                self.assertEqual(len(said), 1, done.stderr)

    @once
    def test_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full here")
        done = self.run_perf("allreduce", "-b", "4", "-e", "4", "-n", "1", "--json", "/dev/full", expect=2)
        self.assertIn("No space left", done.stderr)

    @once
    def test_help(self):
        done = self.run_perf("--help")
        self.assertEqual(done.stdout.count("Usage: kolorun -np N kolo-perf"), 1)

    @once
    def test_version(self):
        self.assertRegex(self.run_perf("--version").stdout, r"\Akolo-perf \d+\.\d+\.\d+\n\Z")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, required=True)
    parser.add_argument("kolorun")
    parser.add_argument("kolo_perf")
    options, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
