"""The programs that are compared: how each is built, and started at its best settings. All of them are kolo-perf's
harness around one library or another, so they take the same options and write the same JSON."""
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
PERF = os.path.join(HERE, "..", "perf")
HARNESS = ["kinds", "options", "stats", "reference", "buffers", "measure", "table", "json", "turns", "harness"]

# Each has sizes at which it is the fastest of the three.
OPEN_MPI = {
    # Its own shared memory, with single copies through cross-memory attach.
    "openmpi": ["--mca", "pml", "ob1", "--mca", "btl", "vader,self"],
    # The same, and collectives that are made for shared memory; it does not choose them by itself. They never yield: on
    # too few cores they take ten times as long as the others.
    "openmpi-sm": ["--mca", "pml", "ob1", "--mca", "btl", "vader,self", "--mca", "coll_sm_priority", "90"],
    # Without the last two it refuses UCX where there is no InfiniBand.
    "openmpi-ucx": ["--mca", "pml", "ucx", "--mca", "pml_ucx_tls", "any", "--mca", "pml_ucx_devices", "any"],
}


class Participant:
    """name; command(ranks): what to put before kolo-perf's arguments; options: further arguments of its own; crowds: also
    worth a run with more ranks than cores."""

    def __init__(self, name, command, options=(), is_kolo=False, crowds=True):
        self.name = name
        self.command = command
        self.options = list(options)
        self.is_kolo = is_kolo
        self.crowds = crowds

    def fits(self, ranks):
        return self.crowds or ranks <= cores()


def cores():
    return len(os.sched_getaffinity(0))


def build(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise ValueError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}")


def harness_objects(folder):
    """The harness, compiled once for all drivers: the objects' paths."""
    objects = []
    for name in HARNESS:
        objects.append(os.path.join(folder, name + ".o"))
        build(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-c", os.path.join(PERF, name + ".c"), "-o", objects[-1]])
    return objects


def build_mpi_driver(name, compiler, folder, objects):
    driver = os.path.join(folder, name + "_driver")
    build([compiler, "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-o", driver, os.path.join(HERE, "mpi_driver.c"), *objects])
    return driver


def build_limits(folder):
    program = os.path.join(folder, "limits")
    build(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-o", program, os.path.join(HERE, "limits.c")])
    return program


def open_mpi_command(launcher, driver, settings):
    def command(ranks):
        placed = ["--bind-to", "core"]
        if ranks > cores():
            placed = ["--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]
        return [launcher, "--allow-run-as-root", "-np", str(ranks), *placed, *settings, driver]
    return command


def hydra_command(launcher, driver):
    """MPICH's launcher. MPICH knows no yielding, so on too few cores it can only be left to the scheduler."""
    def command(ranks):
        placed = ["-bind-to", "core" if ranks <= cores() else "none"]
        return [launcher, "-np", str(ranks), *placed, driver]
    return command


def find_open_mpi(folder, objects):
    compiler, launcher = shutil.which("mpicc.openmpi"), shutil.which("mpirun.openmpi")
    if not compiler or not launcher:
        return []
    driver = build_mpi_driver("openmpi", compiler, folder, objects)
    return [Participant(name, open_mpi_command(launcher, driver, settings), crowds=name != "openmpi-sm")
            for name, settings in OPEN_MPI.items()]


def find_mpich(folder, objects):
    compiler, launcher = shutil.which("mpicc.mpich"), shutil.which("mpirun.mpich")
    if not compiler or not launcher:
        return []
    return [Participant("mpich", hydra_command(launcher, build_mpi_driver("mpich", compiler, folder, objects)))]


def find_gloo(folder, objects):
    compiler = shutil.which("c++")
    if not compiler or not os.path.exists("/usr/include/gloo/allreduce.h"):
        return []
    driver = os.path.join(folder, "gloo_driver")
    build([compiler, "-std=c++17", "-O2", "-o", driver, os.path.join(HERE, "gloo_driver.cc"), *objects, "-lgloo",
           "-lpthread"])
    return [Participant("gloo", lambda ranks: [driver, str(ranks)])]


# What Debian has, each beside the others: Open MPI stays what mpicc and mpirun mean.
PEERS = [("Open MPI", find_open_mpi, "openmpi-bin libopenmpi-dev"),
         ("MPICH", find_mpich, "mpich libmpich-dev"),
         ("Gloo", find_gloo, "libgloo-dev g++")]


def installed(folder):
    """Builds a driver for every peer that is installed: -> ([Participant], [a line on each that is not])."""
    os.makedirs(folder, exist_ok=True)
    objects = harness_objects(folder)
    found, missing = [], []
    for name, find, packages in PEERS:
        participants = find(folder, objects)
        found += participants
        if not participants:
            missing.append(f"{name} is not installed, and left out (to have it: apt-get install {packages})")
    return found, missing


def kolo(build_folder):
    """Kolo with the program's own memory, and with kolo_alloc's."""
    launcher = os.path.join(build_folder, "bin", "kolorun")
    program = os.path.join(build_folder, "bin", "kolo-perf")
    for path in (launcher, program):
        if not os.path.exists(path):
            raise FileNotFoundError(f"{path} is missing: is it built? (or give --no-kolo)")

    def command(ranks):
        return [launcher, "-np", str(ranks), program]
    return [Participant("kolo", command, ["--buffers", "private"], is_kolo=True),
            Participant("kolo-alloc", command, ["--buffers", "kolo"], is_kolo=True)]


def other_mpi(text, folder):
    """NAME=PREFIX: one more MPI, with mpicc and mpirun under PREFIX/bin."""
    name, separator, prefix = text.partition("=")
    compiler, launcher = (os.path.join(prefix, "bin", tool) for tool in ("mpicc", "mpirun"))
    if not separator or not name or not os.path.exists(compiler) or not os.path.exists(launcher):
        raise ValueError(f"--mpi {text}: expected NAME=PREFIX, with PREFIX/bin/mpicc and PREFIX/bin/mpirun")
    driver = build_mpi_driver(name, compiler, folder, harness_objects(folder))
    version = subprocess.run([launcher, "--version"], stdout=subprocess.PIPE, text=True).stdout
    if "Open MPI" in version or "OpenRTE" in version:
        return Participant(name, open_mpi_command(launcher, driver, []))
    return Participant(name, hydra_command(launcher, driver))


def custom(text):
    """NAME=COMMAND, with {ranks} in it: any other program with kolo-perf's options."""
    name, separator, line = text.partition("=")
    if not separator or not name or not line.strip():
        raise ValueError(f"--peer {text}: expected NAME=COMMAND")
    return Participant(name, lambda ranks: line.format(ranks=ranks).split())
