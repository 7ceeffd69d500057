#!/usr/bin/env python3
"""Kolo beside its peers: builds a driver for every peer that is installed, runs them and kolo-perf in turn, and writes
tables and plots.

    benchmarks/peers/run.py --build build/release --out benchmarks/results/today
    benchmarks/peers/run.py --build build/release --out /tmp/look --quick

All programs use the same harness: the same clock, buffers, barriers and statistics. memcpy is the floor: what copying
the same bytes takes with all ranks at it at once, in the same rounds. Above 16 MiB programs are started anew for each
turn, and there are half as many rounds. A run that was interrupted, or ended by --limit,
goes on where it stopped when it is started again with the same arguments: what was measured is in OUT/samples.json.
"""
import argparse
import hashlib
import itertools
import json
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peers  # noqa: E402
import report  # noqa: E402
import rounds  # noqa: E402

FLOOR = "memcpy"
EXIT_UNFINISHED = 3
RESIDENT_BYTES = 16 << 20  # all programs' buffers up to here fit into memory together
QUICK = {"rounds": 8, "max": 16 << 20, "factor": 16, "budget": 5}
FULL = {"rounds": 16, "max": 256 << 20, "factor": 4, "budget": 10}


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
    parser.add_argument("--quick", action="store_true", help="a look: 8 rounds, fewer sizes, 5 ms each")
    parser.add_argument("--rounds", type=int, help="(16)")
    parser.add_argument("--min", type=parse_size, default=4, help="smallest size (4)")
    parser.add_argument("--max", type=parse_size, help="largest size (256M)")
    parser.add_argument("--factor", type=int, help="from size to size (4)")
    parser.add_argument("--budget", type=int, help="milliseconds of one size, place and round (10)")
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
    if options.only:
        names = options.only.split(",")
        unknown = set(names) - {p.name for p in chosen}
        if unknown:
            parser.error(f"--only {','.join(sorted(unknown))}: there are {', '.join(p.name for p in chosen)}")
        chosen = [p for p in chosen if p.name in names]
    return chosen


def size_groups(options):
    """The sizes that are measured together: up to RESIDENT_BYTES all, above each for itself."""
    sizes = [options.min]
    while sizes[-1] * options.factor <= options.max:
        sizes.append(sizes[-1] * options.factor)
    small = [size for size in sizes if size <= RESIDENT_BYTES]
    return ([small] if small else []) + [[size] for size in sizes if size > RESIDENT_BYTES]


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


class Samples:
    """What was measured, on disk after every round of a group of sizes, which is known by (ranks, first size, round).
    rounds[key] = [[mode, place, bytes, {program: figures}], ...]"""

    def __init__(self, options, participants):
        self.path = os.path.join(options.out, "samples.json")
        self.settings = {"programs": [p.name for p in participants], "kolo": [p.name for p in participants if p.is_kolo],
                         "factor": options.factor, "budget_ms": options.budget, "library": library_digest(options),
                         "machine": rounds.machine()}
        self.commit = rounds.commit()
        self.rounds = {}
        self.failed = []  # [program, ranks]: not started again
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
        self.rounds = {tuple(key): cells for key, cells in data["rounds"]}

    def save(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump({"settings": self.settings, "commit": self.commit, "failed": self.failed,
                       "rounds": list(self.rounds.items())}, file)
        os.replace(self.path + ".new", self.path)


class TimeUp(Exception):
    pass


class Measurement:
    """All rounds that are still to be measured."""

    def __init__(self, options, participants, samples):
        self.options = options
        self.participants = participants
        self.samples = samples
        self.begin = time.monotonic()

    def able(self, ranks):
        return [p for p in self.participants if p.fits(ranks) and [p.name, ranks] not in self.samples.failed]

    def jobs(self, participants, ranks, sizes):
        return rounds.Jobs(participants, ranks, sizes[-1], self.options.budget)

    def one_round(self, jobs, key, sizes, with_floor):
        """Checks results in the first round only, and not the largest: that takes much longer than measuring."""
        ranks, smallest, round_index = key
        checks = int(round_index == 0 and smallest <= RESIDENT_BYTES)
        some = next(iter(jobs.jobs))
        cells = []
        for size, mode, place in itertools.product(sizes, self.options.modes, report.PLACES):
            found = jobs.round("allreduce", mode, size, place, checks=checks)
            floor = jobs.turn(some, FLOOR, mode, size, place) if with_floor else None
            found.update({} if floor is None else {FLOOR: floor})
            cells.append([mode, place, size, {name: report.kept(timing) for name, timing in found.items()}])
        self.samples.failed += [[name, ranks] for name in jobs.failed if [name, ranks] not in self.samples.failed]
        return cells

    def keep(self, key, cells):
        known = self.samples.rounds.setdefault(key, [])
        for cell in cells:
            same = next((old for old in known if old[:3] == cell[:3]), None)
            if same is None:
                known.append(cell)
            else:
                same[3].update(cell[3])

    def finish_round(self, key):
        self.samples.save()
        ranks, size, round_index = key
        print(f"{time.monotonic() - self.begin:4.0f} s: {ranks} ranks, from {report.human(size)}, round {round_index + 1}",
              file=sys.stderr, flush=True)

    def check_time(self):
        if self.options.limit is not None and time.monotonic() - self.begin > self.options.limit:
            raise TimeUp

    def resident(self, ranks, sizes, keys):
        """All programs stay started, and take turns for every cell."""
        with self.jobs(self.able(ranks), ranks, sizes) as jobs:
            for key in keys:
                self.check_time()
                self.keep(key, self.one_round(jobs, key, sizes, True))
                self.finish_round(key)

    def one_by_one(self, ranks, sizes, keys):
        """Only one program's buffers fit into memory: each is started for its turn."""
        for key in keys:
            order = rounds.rotated(self.able(ranks), key[2])
            first = order[0]
            for participant in order:
                if any(participant.name in cell[3] for cell in self.samples.rounds.get(key, [])):
                    continue
                self.check_time()
                with self.jobs([participant], ranks, sizes) as jobs:
                    self.keep(key, self.one_round(jobs, key, sizes, participant is first))
                self.samples.save()
            self.finish_round(key)

    def run(self):
        for ranks in self.options.rank_counts:
            for sizes in size_groups(self.options):
                large = sizes[0] > RESIDENT_BYTES
                count = max(1, self.options.rounds // 2) if large else self.options.rounds
                keys = [(ranks, sizes[0], index) for index in range(count)]
                if large:
                    self.one_by_one(ranks, sizes, keys)
                elif any(key not in self.samples.rounds for key in keys):
                    self.resident(ranks, sizes, [key for key in keys if key not in self.samples.rounds])


def main():
    options, parser = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="kolo-peers-") as build_folder:
        participants = choose_participants(options, parser, build_folder)
        os.makedirs(options.out, exist_ok=True)
        samples = Samples(options, participants)
        finished = True
        if not options.report_only:
            try:
                Measurement(options, participants, samples).run()
            except TimeUp:
                finished = False
    if not samples.rounds:
        sys.exit("nothing was measured")
    report.write(options.out, samples, FLOOR)
    if not finished:
        print("not finished: started again with the same arguments it goes on", file=sys.stderr)
        sys.exit(EXIT_UNFINISHED)
    if samples.failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
