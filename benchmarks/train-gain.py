#!/usr/bin/env python3
"""What a training gains by its second rank: kolo-train with one rank on one core, with two ranks, and as two jobs that
know nothing of each other, in turns.

    benchmarks/train-gain.py --build build/release --out benchmarks/results/today [--rounds 8] [--torch PYTHON]

Two ranks wait for each other in every step, so whichever core is slower at the moment sets the pace; two jobs do not.
The row "no exchange" is what two ranks would reach if exchanging cost nothing: each step's time is the larger of the two
ranks' times of computing, as they were logged. With --torch, the name of a Python that has PyTorch, that does the same
work in the same rounds: alone, and on two cores by DistributedDataParallel over Gloo (peers/torch_ddp.py).
"""
import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "peers"))
import rounds  # noqa: E402

RATE = re.compile(r"samples_per_s=(\d+)")
WARM_STEPS = 20
ONE, TWO, FREE, JOBS = "1 rank", "2 ranks", "2 ranks, no exchange", "2 jobs"
TORCH_ONE, TORCH_TWO = "PyTorch, 1 process", "PyTorch DDP over Gloo, 2 processes"


class Trainer:
    def __init__(self, options):
        self.folder = tempfile.TemporaryDirectory(prefix="kolo-gain-")
        self.bin = os.path.join(options.build, "bin")
        self.batch = options.batch
        self.arguments = ["--epochs", str(options.epochs), "--batch", str(options.batch), "--threads", "1"]

    def start(self, name, prefix):
        command = [*prefix, os.path.join(self.bin, "kolo-train"), *self.arguments, "--log-times",
                   os.path.join(self.folder.name, name)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def bound(self, name, core):
        return self.start(name, ["taskset", "-c", str(core)])

    def pair(self):
        return self.start("two", [os.path.join(self.bin, "kolorun"), "-np", "2"])

    def steps(self, name, rank=0):
        """[(us, of that waiting)]"""
        with open(os.path.join(self.folder.name, f"{name}.{rank}"), encoding="ascii") as file:
            return [tuple(map(float, line.split()[2:])) for line in file][WARM_STEPS:]


def rate(job):
    said, _ = job.communicate()
    if job.returncode != 0:
        sys.exit(f"{' '.join(job.args)} ended with status {job.returncode}")
    return float(RATE.search(said)[1])


def entry(rate_, step_us):
    return {"samples_per_s": rate_, "step_us": step_us}


def two_ranks(trainer):
    found = rate(trainer.pair())
    ranks = [trainer.steps("two", r) for r in range(2)]
    steps = [step for step, _ in ranks[0]]
    slower = [max(step - waited for step, waited in both) for both in zip(*ranks)]
    return {TWO: entry(found, statistics.median(steps)),
            FREE: entry(2e6 * trainer.batch / statistics.fmean(slower), statistics.median(slower))}


def two_jobs(trainer, cores):
    jobs = [trainer.bound(f"job{i}", core) for i, core in enumerate(cores)]
    found = sum([rate(job) for job in jobs])
    return {JOBS: entry(found, statistics.median(s for i in range(2) for s, _ in trainer.steps(f"job{i}")))}


class Torch:
    """Processes bound to cores, over loopback: faster than unbound ones."""

    def __init__(self, options):
        self.command = [options.torch, os.path.join(HERE, "peers", "torch_ddp.py"), "--epochs", str(options.epochs),
                        "--batch", str(options.batch)]
        self.batch = options.batch

    def run(self, name, cores):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        said = [subprocess.Popen(["taskset", "-c", str(core), *self.command], stdout=subprocess.PIPE, text=True,
                                 env={**os.environ, "RANK": str(rank), "WORLD_SIZE": str(len(cores)),
                                      "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"})
                for rank, core in enumerate(cores)]
        found = [rate(job) if rank == 0 else job.wait() for rank, job in enumerate(said)][0]
        return {name: entry(found, 1e6 * self.batch * len(cores) / found)}


def one_round(trainer, torch, number, cores):
    core = cores[number % 2]
    turns = [lambda: {ONE: entry(rate(trainer.bound("one", core)), statistics.median(s for s, _ in trainer.steps("one")))},
             lambda: two_ranks(trainer), lambda: two_jobs(trainer, cores)]
    if torch is not None:
        turns += [lambda: torch.run(TORCH_ONE, [core]), lambda: torch.run(TORCH_TWO, cores)]
    found = {}
    for turn in rounds.rotated(turns, number):
        found.update(turn())
    return found


def table(found):
    lines = ["| | samples/s | of 1 rank | quartiles | median step, us |", "|---|---|---|---|---|"]
    for name in (ONE, TWO, FREE, JOBS, TORCH_ONE, TORCH_TWO):
        if any(name not in r for r in found):
            continue
        ratios = sorted(r[name]["samples_per_s"] / r[ONE]["samples_per_s"] for r in found)
        lower, upper = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        lines.append(f"| {name} | {statistics.median(r[name]['samples_per_s'] for r in found):.0f} | "
                     f"{statistics.median(ratios):.2f} | {lower:.2f} to {upper:.2f} | "
                     f"{statistics.median(r[name]['step_us'] for r in found):.0f} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--torch", metavar="PYTHON", help="that has PyTorch and NumPy: the same work there, too")
    parser.add_argument("--out", required=True, help="folder for train.md and train.json")
    parser.add_argument("--add", action="store_true", help="to the rounds that are in OUT already")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        parser.error("two cores are needed")
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, "train.json")
    found = []
    if options.add and os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            found = json.load(file)["rounds"]
    trainer, torch = Trainer(options), Torch(options) if options.torch else None
    for _ in range(options.rounds):
        found.append(one_round(trainer, torch, len(found), cores))
        print({name: round(value["samples_per_s"]) for name, value in found[-1].items()}, flush=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"machine": rounds.machine(), "batch": options.batch, "rounds": found}, file, indent=1)
        file.write("\n")
    machine = rounds.machine()
    lines = ["# kolo-train: what the second rank gains", "",
             f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}; Fashion-MNIST, batch {options.batch} "
             f"a rank, {len(found)} rounds of {options.epochs} epoch(s). Medians of the rounds; ratios are those of each round.",
             "", *table(found)]
    with open(os.path.join(options.out, "train.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
