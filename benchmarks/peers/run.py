#!/usr/bin/env python3
"""Kolo beside its peers: builds a driver for every peer that is installed, runs them and kolo-perf in turn, and writes
tables and plots.

    benchmarks/peers/run.py --build build/release --out benchmarks/results/today
    benchmarks/peers/run.py --build build/release --out /tmp/look --quick

All programs use the same harness: the same clock, buffers, barriers and statistics. memcpy is the floor: what copying
the same bytes takes with all ranks at it at once, in the same rounds. A run that was interrupted, or ended by --limit,
goes on where it stopped when it is started again with the same arguments: what was measured is in OUT/samples.json.
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peers  # noqa: E402
import report  # noqa: E402
import rounds  # noqa: E402

FLOOR = "memcpy"
EXIT_UNFINISHED = 3
# Sizes that one start of a program sweeps. Small ones together, as starting takes longer than measuring them; large ones
# alone, so that the programs' turns stay close in time.
SWEEP_ENDS = [4 << 10, 1 << 20, 16 << 20]
QUICK = {"rounds": 3, "max": 16 << 20, "factor": 16, "budget": 10}
FULL = {"rounds": 8, "max": 256 << 20, "factor": 4, "budget": 25}


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
    parser.add_argument("--mpi", action="append", default=[], metavar="NAME=PREFIX", help="one more MPI's prefix")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND",
                        help="one more program with kolo-perf's options; {ranks} in COMMAND becomes their number")
    parser.add_argument("--only", help="only the programs of these names, with commas")
    parser.add_argument("--ranks", default="2,4", help="numbers of ranks, with commas (2,4)")
    parser.add_argument("--mode", choices=["isolated", "b2b", "both"], default="both")
    parser.add_argument("--quick", action="store_true", help="a look: 3 rounds, fewer sizes, 10 ms each")
    parser.add_argument("--rounds", type=int, help="(8)")
    parser.add_argument("--min", type=parse_size, default=4, help="smallest size (4)")
    parser.add_argument("--max", type=parse_size, help="largest size (256M)")
    parser.add_argument("--factor", type=int, help="from size to size (4)")
    parser.add_argument("--budget", type=int, help="milliseconds of one size, place and round (25)")
    parser.add_argument("--limit", type=float, help=f"seconds; then stop, with exit status {EXIT_UNFINISHED}")
    parser.add_argument("--report-only", action="store_true", help="from what is in OUT already")
    parser.add_argument("--out", required=True, help="folder for report.md, report.json and the plots")
    options = parser.parse_args()
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.rounds < 1 or options.factor < 2 or options.budget < 1 or not 1 <= options.min <= options.max:
        parser.error("--rounds and --budget from 1, --factor from 2, --min from 1 and at most --max")
    try:
        options.rank_counts = [int(text) for text in options.ranks.split(",")]
    except ValueError:
        parser.error(f"--ranks {options.ranks}: expected numbers with commas")
    if min(options.rank_counts) < 1:
        parser.error(f"--ranks {options.ranks}: at least one rank")
    options.modes = ["isolated", "b2b"] if options.mode == "both" else [options.mode]
    return options, parser


def choose_participants(options, parser, build_folder):
    """-> (all-reduce programs, the program that measures the floor)."""
    try:
        chosen = [] if options.no_kolo else peers.kolo(options.build)
        found, missing = peers.installed(build_folder)
        chosen += found
        chosen += [peers.other_mpi(text, build_folder) for text in options.mpi]
        chosen += [peers.custom(text) for text in options.peer]
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    for line in missing:
        print(line, file=sys.stderr)
    if not chosen:
        parser.error("nothing to measure: no Kolo, no peer")
    floor = peers.Participant(FLOOR, chosen[0].command)
    if options.only:
        names = options.only.split(",")
        unknown = set(names) - {p.name for p in chosen}
        if unknown:
            parser.error(f"--only {','.join(sorted(unknown))}: there are {', '.join(p.name for p in chosen)}")
        chosen = [p for p in chosen if p.name in names]
    return chosen, floor


def sweeps(options):
    """The sizes, cut into sweeps: [(first, last)]."""
    sizes = [options.min]
    while sizes[-1] * options.factor <= options.max:
        sizes.append(sizes[-1] * options.factor)
    low = 0
    for end in [*SWEEP_ENDS, *(size for size in sizes if size > SWEEP_ENDS[-1])]:
        part = [size for size in sizes if low < size <= end]
        low = end
        if part:
            yield part[0], part[-1]


def library_digest(options):
    """What tells one build of Kolo from another, so that no table mixes two."""
    if options.no_kolo:
        return None
    for name in ("libkolo.so.1", "libkolo.so"):
        path = os.path.join(options.build, "lib", name)
        if os.path.exists(path):
            with open(path, "rb") as file:
                return hashlib.sha256(file.read()).hexdigest()[:16]
    return None


def commit():
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run(["git", "-C", here, "describe", "--always", "--dirty"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "unknown"


class Samples:
    """What was measured, on disk after every sweep. A sweep is known by (round, ranks, mode, first size)."""

    def __init__(self, options, participants):
        self.path = os.path.join(options.out, "samples.json")
        self.settings = {"programs": [p.name for p in participants], "kolo": [p.name for p in participants if p.is_kolo],
                         "factor": options.factor, "budget_ms": options.budget, "library": library_digest(options),
                         "machine": rounds.machine()}
        self.commit = commit()
        self.sweeps = {}
        self.failed = []  # [name, ranks]: not started again
        if os.path.exists(self.path):
            self.load()

    def load(self):
        with open(self.path, encoding="utf-8") as file:
            data = json.load(file)
        for key, value in self.settings.items():
            if data["settings"].get(key) != value:
                sys.exit(f"{self.path} was measured with {key} {data['settings'].get(key)}, not {value}: choose another "
                         "--out, or remove it")
        self.commit = data["commit"]
        self.failed = data["failed"]
        self.sweeps = {tuple(key): rows for key, rows in data["sweeps"]}

    def save(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump({"settings": self.settings, "commit": self.commit, "failed": self.failed,
                       "sweeps": list(self.sweeps.items())}, file)
        os.replace(self.path + ".new", self.path)


def measure_sweep(options, everyone, key, last, turn, samples):
    """Every program over one range of sizes, in this turn's order. -> {name: rows}"""
    round_index, ranks, mode, first = key
    arguments = ["--mode", mode, "-b", str(first), "-e", str(last), "-f", str(options.factor)]
    arguments += ["--budget", str(options.budget), "-n", "20000", "-w", "2000"]
    arguments += ["-c", "1" if round_index == 0 else "0"]  # checking large results takes longer than measuring them
    found = {}
    for participant in rounds.rotated(everyone, turn):
        if [participant.name, ranks] in samples.failed:
            continue
        operation = FLOOR if participant.name == FLOOR else "allreduce"
        rows = rounds.run_once(participant, ranks, [operation, *arguments])
        if rows is None:
            samples.failed.append([participant.name, ranks])
            continue
        found[participant.name] = [{"bytes": row["bytes"], **{place: report.kept(row[place]) for place in report.PLACES}}
                                   for row in rows]
    return found


def measure(options, participants, floor, samples):
    """Whatever is not measured yet; False when the time was up before the end."""
    begin = time.monotonic()
    turn = 0
    for round_index in range(options.rounds):
        for ranks in options.rank_counts:
            for mode in options.modes:
                for first, last in sweeps(options):
                    key = (round_index, ranks, mode, first)
                    turn += 1
                    if key in samples.sweeps:
                        continue
                    if options.limit is not None and time.monotonic() - begin > options.limit:
                        return False
                    samples.sweeps[key] = measure_sweep(options, [*participants, floor], key, last, turn, samples)
                    samples.save()
        print(f"round {round_index + 1} of {options.rounds}: {time.monotonic() - begin:.0f} s", file=sys.stderr,
              flush=True)
    return True


def main():
    options, parser = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="kolo-peers-") as build_folder:
        participants, floor = choose_participants(options, parser, build_folder)
        os.makedirs(options.out, exist_ok=True)
        samples = Samples(options, participants)
        finished = options.report_only or measure(options, participants, floor, samples)
    if not any(samples.sweeps.values()):
        sys.exit("nothing was measured")
    report.write(options.out, samples, FLOOR)
    if not finished:
        print(f"not finished: start it again with the same arguments to go on ({len(samples.sweeps)} sweeps are done)",
              file=sys.stderr)
        sys.exit(EXIT_UNFINISHED)
    if samples.failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
