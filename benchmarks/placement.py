#!/usr/bin/env python3
"""What binding (of ranks, their communication threads and, on several NUMA nodes, their shared memory) is worth: the
same jobs with `kolorun --bind auto` and `--bind none` in turns, alone, beside a process that spins on the first core, and
beside one that spins wherever the system puts it.

    benchmarks/placement.py --build build/release --out benchmarks/results/today [--rounds 8]

The ratio is the time without binding over the time with it: above 1 binding pays.
"""
import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers"))
import peers  # noqa: E402
import report  # noqa: E402
import rounds  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
SIZES = [8, 64 * KIB, MIB, 16 * MIB]
ALONE, FIRST_CORE, ANYWHERE = "alone", "a hog on the first core", "a hog anywhere"
HOG_BUDGET_MS = 100  # many of the scheduler's time slices
RATE = re.compile(r"samples_per_s=(\d+)")


@contextlib.contextmanager
def hog(place):
    """Runs while the block does."""
    if place == ALONE:
        yield
        return
    bound = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if place == FIRST_CORE else []
    process = subprocess.Popen([*bound, sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def participants(build):
    launcher, program = (os.path.join(build, "bin", name) for name in ("kolorun", "kolo-perf"))

    def start(bind):
        return lambda ranks: [launcher, "-np", str(ranks), "--bind", bind, program]
    return [peers.Participant(bind, start(bind), ["--buffers", "kolo"]) for bind in ("auto", "none")]


def operations(options, ranks, place, table):
    budget = options.budget if place == ALONE else HOG_BUDGET_MS
    with rounds.Jobs(participants(options.build), ranks, max(SIZES), budget) as jobs:
        for _ in range(options.rounds):
            for size in SIZES:
                with hog(place):
                    found = jobs.round("allreduce", "b2b", size, "in_place")
                if len(found) < 2:
                    sys.exit("a job failed")
                for bind, timing in found.items():
                    table.setdefault((ranks, place, report.human(size)), {}).setdefault(bind, []).append(timing["time_us"])


def training_us(options, bind):
    """Of one sample."""
    launcher, program = (os.path.join(options.build, "bin", name) for name in ("kolorun", "kolo-train"))
    done = subprocess.run([launcher, "-np", "2", "--bind", bind, program, "--epochs", "1", "--threads", "1"],
                          stdout=subprocess.PIPE, text=True, check=True)
    return 1e6 / float(RATE.search(done.stdout)[1])


def trainings(options, place, table):
    for turn in range(options.trainings):
        for bind in rounds.rotated(["auto", "none"], turn):
            with hog(place):
                table.setdefault((2, place, "kolo-train, a sample"), {}).setdefault(bind, []).append(training_us(options, bind))


def rows_of(table):
    for (ranks, place, what), times in table.items():
        ratio = report.quartiles_of([none / auto for none, auto in zip(times["none"], times["auto"])])
        yield [str(ranks), place, what, *(report.digits(statistics.median(times[b])) for b in ("auto", "none")),
               report.ratio_text(ratio)]


def write(options, table):
    machine = rounds.machine()
    lines = ["# With binding and without", "",
             f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}; Kolo {rounds.commit()}. Sums of floats in "
             f"place from kolo_alloc, back to back, medians over {options.rounds} rounds, of the training over "
             f"{options.trainings}; more ranks than cores are bound where they share them evenly.", "",
             *report.markdown(["ranks", "beside", "tensor", "bound, us", "not bound, us", "not bound / bound (quartiles)"],
                              rows_of(table))]
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, "placement.json"), "w", encoding="utf-8") as file:
        json.dump([{"ranks": r, "beside": p, "what": w, **times} for (r, p, w), times in table.items()], file, indent=1)
        file.write("\n")
    with open(os.path.join(options.out, "placement.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    print("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--trainings", type=int, default=4)
    parser.add_argument("--budget", type=int, default=20, help="milliseconds of a turn without a hog (20)")
    parser.add_argument("--out", required=True, help="folder for placement.md and placement.json")
    options = parser.parse_args()
    table = {}
    for place in (ALONE, FIRST_CORE, ANYWHERE):
        for ranks in (2, 2 * peers.cores()):
            operations(options, ranks, place, table)
        trainings(options, place, table)
    write(options, table)


if __name__ == "__main__":
    main()
