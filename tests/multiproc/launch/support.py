"""What kolorun's tests share: starting it, and rank programs in Python."""
import os
import subprocess
import sys

KOLORUN = os.environ["KOLORUN"]
PATIENCE = 120  # seconds; only a hanging test sees the end of it

# The variables of a job that this test itself may be running in.
JOB = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "KOLO_JOB_SECRET", "KOLO_STORE_FD",
       "KOLO_BIND")


def environment(**extra):
    env = {name: value for name, value in os.environ.items() if name not in JOB}
    env.update(extra)
    return env


def python(code):
    """A rank program. Without site: it starts faster."""
    return [sys.executable, "-S", "-c", code]


def start(*arguments, **options):
    options.setdefault("env", environment())
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen([KOLORUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def run(*arguments, feed=None, **options):
    """Runs to the end: exit code, stdout, stderr."""
    if feed is not None:
        options["stdin"] = subprocess.PIPE
    process = start(*arguments, **options)
    out, err = process.communicate(input=feed, timeout=PATIENCE)
    return process.returncode, out, err


def lines_until(stream, wanted, count):
    """Reads lines until `count` of them are `wanted`; so the ranks are known to have come so far."""
    seen = []
    while seen.count(wanted) < count:
        line = stream.readline()
        if not line:
            raise AssertionError(f"end of output before {count} x {wanted!r}: {seen}")
        seen.append(line.rstrip("\n"))
    return seen
