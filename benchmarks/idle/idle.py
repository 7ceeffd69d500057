#!/usr/bin/env python3
"""What an idle Kolo job costs: starts `kolo-perf idle` on some ranks, and reads from /proc what its processes did.

    benchmarks/idle/idle.py --build BUILD [-np 2] [--seconds 10] [--json FILE]

Counts, per rank and thread: CPU time (schedstat, nanoseconds) and context switches. The ranks' main threads only sleep;
all else is Kolo's.
"""
import argparse
import json
import os
import subprocess
import sys
import time


def children_of(pid):
    """All descendants of pid: {pid: command name}."""
    parents = {}
    names = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                text = file.read()
        except OSError:
            continue  # it ended meanwhile
        name, _, rest = text[text.index("(") + 1:].rpartition(")")
        parents[int(entry)] = int(rest.split()[1])
        names[int(entry)] = name
    found = {}
    wave = [pid]
    while wave:
        wave = [child for child, parent in parents.items() if parent in wave]
        found.update((child, names[child]) for child in wave)
    return found


def read_thread(pid, thread):
    base = f"/proc/{pid}/task/{thread}"
    with open(f"{base}/schedstat", encoding="ascii") as file:
        cpu_ns = int(file.read().split()[0])
    switches = 0
    with open(f"{base}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if "ctxt_switches" in line:
                switches += int(line.split()[1])
    with open(f"{base}/comm", encoding="utf-8", errors="replace") as file:
        name = file.read().strip()
    return {"name": name, "cpu_ns": cpu_ns, "switches": switches}


def sample(pids):
    return {(pid, int(thread)): read_thread(pid, thread) for pid in pids for thread in os.listdir(f"/proc/{pid}/task")}


def measure(job, program, seconds):
    for line in job.stdout:
        if "idle: begin" in line:
            break
    else:
        sys.exit(f"the job ended before it was idle, with status {job.wait()}")
    pids = [pid for pid, name in children_of(job.pid).items() if name == os.path.basename(program)[:15]]
    before = sample(pids)
    time.sleep(seconds)
    after = sample(pids)
    threads = []
    for (pid, thread), end in after.items():
        start = before.get((pid, thread), {"cpu_ns": 0, "switches": 0})
        threads.append({"pid": pid, "thread": thread, "name": end["name"], "main": pid == thread,
                        "cpu_ms": (end["cpu_ns"] - start["cpu_ns"]) / 1e6,
                        "switches": end["switches"] - start["switches"]})
    return threads


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="build folder (with bin/kolorun and bin/kolo-perf)")
    parser.add_argument("-np", type=int, default=2, help="ranks (2)")
    parser.add_argument("--seconds", type=int, default=10, help="how long to watch (10)")
    parser.add_argument("--json", help="write the figures to this file, too")
    options = parser.parse_args()
    if options.np < 1 or options.seconds < 1:
        parser.error("-np and --seconds must be at least 1")
    launcher = os.path.join(options.build, "bin", "kolorun")
    program = os.path.join(options.build, "bin", "kolo-perf")
    for path in (launcher, program):
        if not os.path.exists(path):
            parser.error(f"{path} is missing: is it built?")
    command = [launcher, "-np", str(options.np), program, "idle", "-t", str(options.seconds + 2)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
        threads = measure(job, program, options.seconds)
        own_account = [line.strip() for line in job.stdout if "idle: end" in line]
        if job.wait() != 0:
            sys.exit(f"the job failed with status {job.returncode}")
    for thread in threads:
        print(f"pid {thread['pid']} thread {thread['thread']} {thread['name']:<16} cpu {thread['cpu_ms']:8.3f} ms  "
              f"switches {thread['switches']}")
    ours = [thread for thread in threads if not thread["main"]]
    summary = {"ranks": options.np, "seconds": options.seconds, "processes": len({t["pid"] for t in threads}),
               "cpu_percent": sum(t["cpu_ms"] for t in threads) / options.seconds / 10,
               "switches_per_s": sum(t["switches"] for t in ours) / options.seconds, "threads": threads}
    print(f"{summary['processes']} ranks over {options.seconds} s: {summary['cpu_percent']:.4f} % CPU, "
          f"{summary['switches_per_s']:.2f} context switches per second by Kolo's threads")
    for line in own_account:
        print(f"the job's own account: {line}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(summary, file, indent=1)
    if summary["processes"] != options.np:
        sys.exit(f"found {summary['processes']} processes of {options.np}")


if __name__ == "__main__":
    main()
