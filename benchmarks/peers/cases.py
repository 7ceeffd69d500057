#!/usr/bin/env python3
"""The cases beside the sweep, Kolo and the MPIs in turn: the latency of 8 bytes in flights of a cache line; many small
tensors in flight against one large; more ranks than cores; ranks beside a process that takes their core.

    benchmarks/peers/cases.py --build build/release --out benchmarks/results/today
"""
import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peers  # noqa: E402
import report  # noqa: E402
import rounds  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
HOG_BUDGET_MS = 100  # many of the scheduler's time slices
IN_FLIGHT = [(1000, KIB, MIB), (100, 64 * KIB, 6400 * KIB)]  # (tensors, bytes of each, bytes of the one)
WAYS = {"flight": "allreduce", "group": "grouped_allreduce", "prep. flight": "prepared_allreduce",
        "prep. group": "prepared_group"}  # a column's operation
PREPARED = "prep.: requests made before (kolo_prepare; MPI_Allreduce_init in MPI 4, else as without)."


class Table:
    """Figures by row and column, one a round; a ratio's median is that of the rounds' ratios."""

    def __init__(self, key="time_us"):
        self.key = key
        self.rows = {}

    def add(self, column, found):
        for name, timing in found.items():
            self.rows.setdefault(name, {}).setdefault(column, []).append(timing[self.key])

    def median(self, row, column):
        values = self.rows[row].get(column)
        return statistics.median(values) if values else None

    def ratio(self, row, above, below):
        columns = self.rows[row]
        return report.quartiles_of([a / b for a, b in zip(columns.get(above, []), columns.get(below, []))])

    def text(self, row, column):
        value = self.median(row, column)
        return "" if value is None else report.digits(value)


def latency(options, programs, limits):
    """8 bytes in place, back to back: as one call; submitted and then waited for; prepared, and started and waited for."""
    table, flights = Table(), []
    with rounds.Jobs(programs, 2, MIB, options.budget) as jobs:
        for _ in range(options.rounds):
            flights.append(measured_limits(limits)["flight_ns"] / 1e3)
            table.add("sync", jobs.round("allreduce", "b2b", 8, "in_place"))
            table.add("async", {n: t for n, t in jobs.round("allreduce", "b2b", 8, "in_place", in_flight=1).items()})
            table.add("prepared", jobs.round("prepared_allreduce", "b2b", 8, "in_place"))
    flight = statistics.median(flights)
    rows = []
    for name in table.rows:
        in_flights = {column: report.ratio_text(report.quartiles_of([a / b for a, b in zip(table.rows[name][column], flights)]))
                      for column in ("sync", "prepared")}
        rows.append([name, table.text(name, "sync"), in_flights["sync"], table.text(name, "async"),
                     report.digits(table.median(name, "async") - table.median(name, "sync")),
                     table.text(name, "prepared"), in_flights["prepared"]])
    return ["## 8 bytes, 2 ranks, back to back (us)", "", f"A cache line's flight, one way: {flight * 1e3:.0f} ns. "
            f"{PREPARED}", "",
            *report.markdown(["", "one call", "in flights", "submit, wait", "more", "prep.: start, wait", "in flights"],
                             rows), ""]


def many(options, programs):
    """Tensors in flight, or in one group, and both prepared, against one tensor of as many bytes."""
    lines = ["## Many tensors", "", "flight: all submitted, then waited for; group: one call, of an MPI one call after "
             f"another. {PREPARED} An MPI's prepared group is its group.", ""]
    with rounds.Jobs(programs, 2, 8 * MIB, options.budget) as jobs:
        for tensors, each, whole in IN_FLIGHT:
            table = Table()
            for _ in range(options.rounds):
                table.add("one", jobs.round("allreduce", "isolated", whole, "in_place"))
                for way, operation in WAYS.items():
                    table.add(way, jobs.round(operation, "isolated", each, "in_place", in_flight=tensors))
            rows = [[name, *(table.text(name, column) for column in ("one", *WAYS)),
                     *(report.ratio_text(table.ratio(name, way, "one")) for way in WAYS)] for name in table.rows]
            heading = ["", f"one of {report.human(whole)}", *WAYS, *(f"{way} / one" for way in WAYS)]
            lines += [f"## {tensors} tensors of {report.human(each)}, 2 ranks (us)", "",
                      *report.markdown(heading, rows), ""]
    return lines


def crowded(options, programs, limits):
    """Twice as many ranks as cores."""
    ranks = 2 * peers.cores()
    sizes = [8, 64 * KIB, MIB]
    tables = {key: Table(key) for key in ("p50_us", "p99_us")}
    yields = []
    with rounds.Jobs([p for p in programs if p.fits(ranks)], ranks, MIB, options.budget) as jobs:
        for _ in range(options.rounds):
            yields.append(measured_limits(limits)["yield_ns"] / 1e3)
            for size in sizes:
                found = jobs.round("allreduce", "isolated", size, "in_place")
                for table in tables.values():
                    table.add(size, found)
    rows = []
    for name in tables["p50_us"].rows:
        ratio = report.quartiles_of([a / b for a, b in zip(tables["p50_us"].rows[name].get(8, []), yields)])
        rows.append([name, report.ratio_text(ratio),
                     *(f"{tables['p50_us'].text(name, size)} ({tables['p99_us'].text(name, size)})" for size in sizes)])
    return [f"## {ranks} ranks on {peers.cores()} cores (us)", "",
            f"Median (p99). Handing a core over by sched_yield: {statistics.median(yields):.2f} us.", "",
            *report.markdown(["", "8 B in hand-overs", *map(report.human, sizes)], rows), ""]


@contextlib.contextmanager
def hog():
    """A process that spins on the first core; stopped until it is let run."""
    process = subprocess.Popen(["taskset", "-c", str(min(os.sched_getaffinity(0))), sys.executable, "-c",
                                "while True: pass"])
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def beside_a_hog(options, programs):
    """2 ranks, of which one shares its core with a process that never sleeps."""
    sizes = [8, 64 * KIB, MIB]
    table = Table()
    with hog() as process, rounds.Jobs(programs, 2, MIB, HOG_BUDGET_MS) as jobs:
        for _ in range(options.rounds):
            for size in sizes:
                table.add((size, "alone"), jobs.round("allreduce", "loop", size, "in_place"))
                os.kill(process.pid, signal.SIGCONT)
                table.add((size, "hog"), jobs.round("allreduce", "loop", size, "in_place"))
                os.kill(process.pid, signal.SIGSTOP)
    rows = [[name, *(cell for size in sizes for cell in (
        table.text(name, (size, "alone")), table.text(name, (size, "hog")),
        report.ratio_text(table.ratio(name, (size, "hog"), (size, "alone")))))] for name in table.rows]
    heading = [""] + [text for size in sizes for text in (report.human(size), "with hog", "ratio")]
    return ["## 2 ranks, one beside a process that spins on its core (us, mean)", "",
            "Of a loop that rewrites its inputs beyond 4 KiB, too: half of a core allows 2.", "",
            *report.markdown(heading, rows), ""]


def measured_limits(program):
    done = subprocess.run([program], stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


CASES = ["latency", "many", "crowded", "hog"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="Kolo's build folder (build/release)")
    parser.add_argument("--only", help="only the programs of these names, with commas")
    parser.add_argument("--cases", default=",".join(CASES), help=f"with commas ({','.join(CASES)})")
    parser.add_argument("--rounds", type=int, default=16, help="(16)")
    parser.add_argument("--budget", type=int, default=10, help="milliseconds of a turn (10)")
    parser.add_argument("--out", help="folder for cases.md")
    options = parser.parse_args()
    options.cases = options.cases.split(",")
    if options.rounds < 1 or options.budget < 1 or not set(options.cases) <= set(CASES):
        parser.error(f"--rounds and --budget from 1, --cases among {', '.join(CASES)}")
    return options, parser


def run_case(case, options, programs, limits):
    if case == "latency":
        return latency(options, programs, limits)
    if case == "many":
        return many(options, programs)
    if case == "crowded":
        return crowded(options, programs, limits)
    return beside_a_hog(options, programs)


def main():
    options, parser = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="kolo-peers-") as folder:
        try:
            found, missing = peers.installed(folder)
            programs = peers.kolo(options.build) + [p for p in found if p.name != "gloo"]  # one call at a time, no more
            limits = peers.build_limits(folder)
        except (FileNotFoundError, ValueError) as error:
            parser.error(str(error))
        for line in missing:
            print(line, file=sys.stderr)
        if options.only:
            programs = [p for p in programs if p.name in options.only.split(",")]
        host = rounds.machine()
        lines = ["# Latency, many tensors, few cores", "",
                 f"{host['cpu']}, {host['cores']} cores, Linux {host['kernel']}; Kolo {rounds.commit()}. Sum of floats in "
                 f"place, medians over {options.rounds} rounds.", ""]
        for case in options.cases:
            lines += run_case(case, options, programs, limits)
    text = "\n".join(lines)
    if options.out:
        os.makedirs(options.out, exist_ok=True)
        with open(os.path.join(options.out, "cases.md"), "w", encoding="utf-8") as file:
            file.write(text)
    print(text)


if __name__ == "__main__":
    main()
