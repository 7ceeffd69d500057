#!/usr/bin/env python3
"""Kolo beside its peers: builds a driver for every installed MPI, runs them and kolo-perf in turn, writes a table.

    benchmarks/peers/run.py --build build/release --ranks 2,4 --out benchmarks/results/today

Absolute times drift from minute to minute, so everything is measured in rounds, each round every program in turn, and
in another order each time; a ratio is the median of the rounds' ratios. All programs use the same harness: the same
clock, buffers and barriers. The floor is what memcpy of the same bytes takes with all ranks copying at once, in the
same rounds.
"""
import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peers  # noqa: E402
import report  # noqa: E402

FLOOR = "memcpy"
# Small operations need many iterations for a stable median; large ones take long enough. (up to bytes, iterations)
RANGES = [(16 << 10, 1000), (1 << 20, 100), (1 << 60, 10)]


def parse_size(text):
    scale = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 1)
    number = text[:-1] if scale > 1 else text
    if not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text}: expected a size such as 4, 64K or 16M")
    return int(number) * scale


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="Kolo's build folder (build/release)")
    parser.add_argument("--no-kolo", action="store_true", help="only the peers")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND",
                        help="one more program with kolo-perf's options; {ranks} in COMMAND becomes their number")
    parser.add_argument("--only", help="only the programs of these names, with commas")
    parser.add_argument("--ranks", default="2,4", help="numbers of ranks, with commas (2,4)")
    parser.add_argument("--mode", choices=["isolated", "b2b", "both"], default="isolated")
    parser.add_argument("--rounds", type=int, default=8, help="(8)")
    parser.add_argument("--min", type=parse_size, default=4, help="smallest size (4)")
    parser.add_argument("--max", type=parse_size, default=64 << 20, help="largest size (64M)")
    parser.add_argument("--factor", type=int, default=4, help="from size to size (4)")
    parser.add_argument("--effort", type=float, default=1.0, help="scales the iterations (1.0)")
    parser.add_argument("--async", dest="in_flight", type=int, default=0,
                        help="tensors in flight (0: one synchronous call)")
    parser.add_argument("--out", required=True, help="folder for report.md, report.json and the plots")
    options = parser.parse_args()
    if options.rounds < 1 or options.factor < 2 or options.min < 1 or options.min > options.max:
        parser.error("--rounds from 1, --factor from 2, --min from 1 and at most --max")
    try:
        options.rank_counts = [int(text) for text in options.ranks.split(",")]
    except ValueError:
        parser.error(f"--ranks {options.ranks}: expected numbers with commas")
    if min(options.rank_counts) < 1:
        parser.error(f"--ranks {options.ranks}: at least one rank")
    return options, parser


def choose_participants(options, parser, build_folder):
    """-> (all-reduce programs, the program that measures the floor)."""
    chosen = []
    try:
        if not options.no_kolo:
            chosen += peers.kolo(options.build)
        chosen += peers.installed_peers(build_folder)
        chosen += [peers.custom(text) for text in options.peer]
    except (FileNotFoundError, ValueError, subprocess.CalledProcessError) as error:
        parser.error(str(error))
    if not chosen:
        parser.error("nothing to measure: no Kolo, no peer")
    floor = peers.Participant(FLOOR, next((p for p in chosen if not p.is_kolo), chosen[0]).command)
    if options.only:
        names = options.only.split(",")
        unknown = set(names) - {p.name for p in chosen}
        if unknown:
            parser.error(f"--only {','.join(sorted(unknown))}: there are {', '.join(p.name for p in chosen)}")
        chosen = [p for p in chosen if p.name in names]
    return chosen, floor


def sweeps(options):
    """The sizes, cut into ranges of one iteration count each: [(first, last, iterations)]."""
    sizes = [options.min]
    while sizes[-1] * options.factor <= options.max:
        sizes.append(sizes[-1] * options.factor)
    low = 0
    for limit, iterations in RANGES:
        part = [size for size in sizes if low < size <= limit]
        low = limit
        if part:
            yield part[0], part[-1], max(1, round(iterations * options.effort))


def run_once(participant, operation, ranks, mode, sweep, options):
    """One program over one range of sizes. -> its JSON results; None when it failed (reported)."""
    first, last, iterations = sweep
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "result.json")
        command = [*participant.command(ranks), operation, *participant.options, "--json", path, "--mode", mode]
        command += ["-b", str(first), "-e", str(last), "-f", str(options.factor)]
        command += ["-n", str(iterations), "-w", str(max(2, iterations // 10)), "-c", "1"]
        if options.in_flight > 0 and operation == "allreduce":
            command += ["--async", str(options.in_flight)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              start_new_session=True) as job:
            try:
                output, _ = job.communicate(timeout=600)
            except subprocess.TimeoutExpired:
                os.killpg(job.pid, signal.SIGKILL)
                output, _ = job.communicate()
                output += "\nended after 600 s"
        if job.returncode != 0:
            line = " ".join(command)
            print(f"{participant.name}: failed with status {job.returncode}: {line}\n{output[-2000:]}", file=sys.stderr)
            return None
        with open(path, encoding="utf-8") as file:
            return json.load(file)["results"]


def measure(options, participants, floor, ranks, mode, samples, failed):
    """All rounds. samples[(ranks, mode, place, bytes)][name] = [row of round 0, ...]; a round lost is None."""
    everyone = [*participants, floor]
    for round_index in range(options.rounds):
        shift = round_index % len(everyone)
        order = everyone[shift:] + everyone[:shift]
        if round_index % 2 == 1:
            order.reverse()
        for sweep in sweeps(options):
            for participant in order:
                if (participant.name, ranks) in failed:
                    continue
                operation = FLOOR if participant is floor else "allreduce"
                rows = run_once(participant, operation, ranks, mode, sweep, options)
                if rows is None:
                    failed.add((participant.name, ranks))
                    continue
                for row in rows:
                    for place in ("in_place", "out_of_place"):
                        cell = samples.setdefault((ranks, mode, place, row["bytes"]), {})
                        cell.setdefault(participant.name, []).append(row[place])
        print(f"{ranks} ranks, {mode}: round {round_index + 1} of {options.rounds}", file=sys.stderr, flush=True)


def machine():
    model = "unknown"
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass
    return {"cpu": model, "cores": peers.cores(), "kernel": platform.release()}


def measure_all(options, participants, floor):
    samples = {}
    failed = set()
    for ranks in options.rank_counts:
        for mode in ["isolated", "b2b"] if options.mode == "both" else [options.mode]:
            measure(options, participants, floor, ranks, mode, samples, failed)
    return samples, failed


def main():
    options, parser = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="kolo-peers-") as build_folder:
        participants, floor = choose_participants(options, parser, build_folder)
        os.makedirs(options.out, exist_ok=True)
        samples, failed = measure_all(options, participants, floor)
    if not samples:
        sys.exit("every program failed")
    kolo_names = [p.name for p in participants if p.is_kolo]
    cells = report.summarise(samples, kolo_names, FLOOR)
    settings = {"rounds": options.rounds, "in_flight": options.in_flight, "machine": machine(),
                "failed": sorted(f"{name} on {ranks} ranks" for name, ranks in failed)}
    report.write(options.out, cells, [p.name for p in participants], kolo_names, FLOOR, settings)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
