"""What these tests share: starting ranks with kolorun or, where ranks must outlive each other, one by one."""
import os
import signal
import socket
import subprocess
import threading
import unittest
from pathlib import Path

KOLORUN = os.environ["KOLORUN"]
PROGRAMS = Path(os.environ["ENGINE_PROGRAMS"])
TRANSPORT = os.environ.get("ENGINE_TRANSPORT", "auto")  # what the ranks use where a test does not choose one
SANITIZED = os.environ.get("ENGINE_SANITIZED", "") != ""
THREADS_WATCHED = os.environ.get("ENGINE_SANITIZED") == "thread"  # where many ranks on few cores take minutes
PATIENCE = 150  # seconds; only a hanging test sees the end of it

# The variables of a job that this test itself may be running in.
JOB = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def thinned(cases):
    """All of them; under a sanitizer, where each takes ten times as long, every third one, and the last."""
    return cases[::-3][::-1] if SANITIZED else cases


def environment(variables):
    env = {name: value for name, value in os.environ.items() if name not in JOB and not name.startswith("KOLO_")}
    env["KOLO_TRANSPORT"] = TRANSPORT
    env.update({name: str(value) for name, value in variables.items()})
    return env


def program(name):
    return str(PROGRAMS / f"engine_{name}")


def run(ranks, name, *args, around=(), before=(), **variables):
    """Under kolorun, to the end: exit code, [(rank, line)] of stdout, stderr. A job that hangs ends with code 124.
    around, before: commands that start kolorun, or each rank."""
    start = [*around, KOLORUN, "-np", str(ranks), "--prefix", "--timeout", str(PATIENCE), *before, program(name),
             *map(str, args)]
    done = subprocess.run(start, capture_output=True, text=True, env=environment(variables), check=False)
    lines = [line[1:].split("] ", 1) for line in done.stdout.splitlines()]
    return done.returncode, [(int(rank), text) for rank, text in lines], done.stderr


class Rank:
    """One rank, started without kolorun. It is reaped as soon as it ends, so that it does not seem to live on."""

    def __init__(self, number, size, port, name, *args, before=(), **variables):
        job = {"RANK": number, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        self.process = subprocess.Popen([*before, program(name), *map(str, args)], text=True, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment({**job, **variables}))
        self.lines, self.errors = [], []
        self.readers = [threading.Thread(target=self._read, args=pair)
                        for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        self.began = threading.Event()  # it has printed a line, or ended
        for reader in self.readers:
            reader.start()
        self.reaper = threading.Thread(target=self.process.wait)
        self.reaper.start()

    def _read(self, stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))
            self.began.set()
        self.began.set()
        stream.close()

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)

    def end(self, patience=PATIENCE):
        """The exit code; None for a rank that hangs, which is killed."""
        self.reaper.join(patience)
        hangs = self.reaper.is_alive()
        if hangs:
            self.kill()
        self.reaper.join()
        for reader in self.readers:
            reader.join()
        return None if hangs else self.process.returncode

    def told(self, start):
        """The rest of the first line of stdout that starts so."""
        return next((line[len(start):] for line in self.lines if line.startswith(start)), "")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class EngineCase(unittest.TestCase):
    def passes(self, ranks, name, *args, **variables):
        """All ranks must end well; returns their lines."""
        return self.passes_saying(ranks, name, *args, **variables)[0]

    def passes_saying(self, ranks, name, *args, **variables):
        """The same, and what they wrote to stderr."""
        code, lines, errors = run(ranks, name, *args, **variables)
        self.assertEqual(code, 0, f"{ranks} ranks of {name} {args} with {variables}: {errors}")
        return lines, errors
