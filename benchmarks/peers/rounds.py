"""Runs programs in turn. Absolute times drift from minute to minute, by a factor of two and more, so everything is
measured in rounds, each with every program in turn, and in another order each time."""
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile

import peers

RUN_LIMIT_S = 300


def run_once(participant, ranks, arguments):
    """One run of one program. -> its JSON results; None when it failed (reported)."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "result.json")
        command = [*participant.command(ranks), *arguments, *participant.options, "--json", path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              start_new_session=True) as job:
            try:
                output, _ = job.communicate(timeout=RUN_LIMIT_S)
            except BaseException as error:  # an interrupted benchmark must not leave spinning ranks behind, either
                os.killpg(job.pid, signal.SIGKILL)
                output, _ = job.communicate()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                output += f"\nended after {RUN_LIMIT_S} s"
        if job.returncode != 0:
            line = " ".join(command)
            print(f"{participant.name}: failed with status {job.returncode}: {line}\n{output[-2000:]}", file=sys.stderr)
            return None
        with open(path, encoding="utf-8") as file:
            return json.load(file)["results"]


def rotated(everyone, turn):
    """Another order each turn, in which nobody always follows the same neighbour."""
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
