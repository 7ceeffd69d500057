"""The programs that are compared: how each is built, and started at its best settings. All of them are kolo-perf's
harness around one library or another, so they take the same options and write the same JSON."""
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
HARNESS = ["kinds", "options", "stats", "reference", "buffers", "measure", "table", "json", "harness"]

OPEN_MPI = {
    # Its own shared memory, with single copies through cross-memory attach.
    "openmpi": ["--mca", "pml", "ob1", "--mca", "btl", "vader,self"],
    # Without the last two it refuses UCX where there is no InfiniBand.
    "openmpi-ucx": ["--mca", "pml", "ucx", "--mca", "pml_ucx_tls", "any", "--mca", "pml_ucx_devices", "any"],
}


class Participant:
    """name; command(ranks): what to put before kolo-perf's arguments; options: further arguments of its own."""

    def __init__(self, name, command, options=(), is_kolo=False):
        self.name = name
        self.command = command
        self.options = list(options)
        self.is_kolo = is_kolo


def cores():
    return len(os.sched_getaffinity(0))


def build_driver(compiler, folder):
    """Builds mpi_driver.c with that MPI's compiler; answers its path."""
    os.makedirs(folder, exist_ok=True)
    driver = os.path.join(folder, "mpi_driver." + os.path.basename(compiler))
    sources = [os.path.join(HERE, "mpi_driver.c")]
    sources += [os.path.join(HERE, "..", "perf", name + ".c") for name in HARNESS]
    subprocess.run([compiler, "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-o", driver, *sources], check=True)
    return driver


def open_mpi_command(launcher, driver, settings):
    def command(ranks):
        placed = ["--bind-to", "core"]
        if ranks > cores():
            placed = ["--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]
        return [launcher, "--allow-run-as-root", "-np", str(ranks), *placed, *settings, driver]
    return command


def mpich_command(launcher, driver):
    def command(ranks):
        placed = ["-bind-to", "core"] if ranks <= cores() else ["-bind-to", "none"]
        return [launcher, "-np", str(ranks), *placed, driver]
    return command


def installed_peers(folder):
    """Builds a driver for every MPI that is installed: [Participant]."""
    found = []
    compiler = shutil.which("mpicc.openmpi")
    launcher = shutil.which("mpirun.openmpi")
    if compiler and launcher:
        driver = build_driver(compiler, folder)
        found += [Participant(name, open_mpi_command(launcher, driver, settings))
                  for name, settings in OPEN_MPI.items()]
    compiler = shutil.which("mpicc.mpich")
    launcher = shutil.which("mpirun.mpich")
    if compiler and launcher:
        found.append(Participant("mpich", mpich_command(launcher, build_driver(compiler, folder))))
    return found


def kolo(build):
    """Kolo with the program's own memory, and with kolo_alloc's."""
    launcher = os.path.join(build, "bin", "kolorun")
    program = os.path.join(build, "bin", "kolo-perf")
    for path in (launcher, program):
        if not os.path.exists(path):
            raise FileNotFoundError(f"{path} is missing: is it built? (or give --no-kolo)")

    def command(ranks):
        return [launcher, "-np", str(ranks), program]
    return [Participant("kolo", command, ["--buffers", "private"], is_kolo=True),
            Participant("kolo-alloc", command, ["--buffers", "kolo"], is_kolo=True)]


def custom(text):
    """NAME=COMMAND, with {ranks} in it: any other program with kolo-perf's options."""
    name, separator, line = text.partition("=")
    if not separator or not name or not line.strip():
        raise ValueError(f"--peer {text}: expected NAME=COMMAND")
    return Participant(name, lambda ranks: line.format(ranks=ranks).split())
