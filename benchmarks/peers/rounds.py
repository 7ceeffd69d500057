"""Programs that take turns. Absolute times drift by a factor of two and more within seconds, so all programs stay started
and measure some milliseconds each, one after another, in another order each round; meanwhile the others' ranks sleep
(benchmarks/perf/turns.h)."""
import json
import os
import platform
import select
import signal
import subprocess
import sys
import tempfile
import time

import peers

START_LIMIT_S = 60
TURN_LIMIT_S = 120


class JobFailed(Exception):
    """The program ended, or did not answer; the text says what it printed."""


class Job:
    """One program on its ranks, started and waiting for its turns."""

    def __init__(self, participant, ranks, max_bytes, budget_ms):
        self.name = participant.name
        self.folder = tempfile.TemporaryDirectory(prefix="kolo-turns-")
        prefix = os.path.join(self.folder.name, "fifo")
        # Open for both directions: so neither side ever waits for the other to open its end.
        self.requests = [self.make_fifo(f"{prefix}.{rank}") for rank in range(ranks)]
        self.answers = self.make_fifo(f"{prefix}.out")
        self.line = b""
        self.said = open(os.path.join(self.folder.name, "said"), "w+", encoding="utf-8", errors="replace")
        self.command = [*participant.command(ranks), "allreduce", *participant.options, "-b", "4", "-e", str(max_bytes),
                        "--turns", prefix, "--budget", str(budget_ms), "-n", "20000", "-w", "2000"]
        # No session of its own: the scheduler shares cores among sessions first.
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.said,
                                        stderr=subprocess.STDOUT, process_group=0)
        self.limit_s = START_LIMIT_S

    @staticmethod
    def make_fifo(path):
        os.mkfifo(path)
        return os.open(path, os.O_RDWR)

    def fail(self, what):
        self.kill()
        self.said.seek(0)
        raise JobFailed(f"{self.name}: {what}: {' '.join(self.command)}\n{self.said.read()[-2000:]}")

    def turn(self, operation, mode, size, place, in_flight=0, checks=0):
        """Measures one cell: -> its timing, as kolo-perf writes it in JSON."""
        request = f"{operation} {mode} {in_flight} {size} {place} {checks}\n".encode()
        for fifo in self.requests:
            os.write(fifo, request)
        deadline = time.monotonic() + TURN_LIMIT_S + self.limit_s
        while b"\n" not in self.line:
            if select.select([self.answers], [], [], 0.2)[0]:
                self.line += os.read(self.answers, 4096)
            elif self.process.poll() is not None:
                self.fail(f"ended with status {self.process.returncode}")
            elif time.monotonic() > deadline:
                self.fail("did not answer in time")
        self.limit_s = 0
        line, _, self.line = self.line.partition(b"\n")
        timing = json.loads(line)
        if timing["wrong"]:
            self.fail(f"{timing['wrong']} wrong elements in {request.decode().strip()}")
        return timing

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def close(self):
        for fifo in self.requests:
            os.write(fifo, b"end\n")
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
        for fifo in [*self.requests, self.answers]:
            os.close(fifo)
        self.said.close()
        self.folder.cleanup()


class Jobs:
    """Several jobs that take turns; who fails is reported, and out. For `with`: all end with it."""

    def __init__(self, participants, ranks, max_bytes, budget_ms):
        self.jobs = {}
        self.failed = []
        self.turn_count = 0
        self.what = (ranks, max_bytes, budget_ms)
        self.participants = participants

    def __enter__(self):
        """One after another: many of them spin while they start."""
        for participant in self.participants:
            self.jobs[participant.name] = Job(participant, *self.what)
            self.turn(participant.name, "allreduce", "isolated", 4, "in_place", checks=1)
        return self

    def __exit__(self, *_):
        for job in self.jobs.values():
            job.close()

    def turn(self, name, *cell, **options):
        """-> the timing; None when that program failed."""
        if name in self.failed:
            return None
        try:
            return self.jobs[name].turn(*cell, **options)
        except JobFailed as failure:
            print(failure, file=sys.stderr, flush=True)
            self.failed.append(name)
            return None

    def round(self, *cell, **options):
        """One turn of everybody for this cell, in another order each time: {name: timing}"""
        order = rotated(list(self.jobs), self.turn_count)
        self.turn_count += 1
        found = {name: self.turn(name, *cell, **options) for name in order}
        return {name: timing for name, timing in found.items() if timing is not None}


def rotated(everyone, turn):
    """Everybody begins once, in both directions."""
    shift = turn % len(everyone)
    order = everyone[shift:] + everyone[:shift]
    return order[::-1] if turn // len(everyone) % 2 == 1 else order


def machine():
    model = "unknown"
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass
    return {"cpu": model, "cores": peers.cores(), "kernel": platform.release()}


def commit():
    done = subprocess.run(["git", "-C", peers.HERE, "describe", "--always", "--dirty"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "unknown"
