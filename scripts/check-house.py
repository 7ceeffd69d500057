#!/usr/bin/python3
"""The house's rules, checked: check-house.py [ROOT]. One line a violation, exit status 1 if there is any.

The rules are the tables below. What a file may include is the picture in docs/ARCHITECTURE.md.
"""
import re
import sys
from os.path import normpath
from pathlib import Path

# ---- the picture: folder -> (folders whose headers it may include, installed headers it may include) ----------------

HOST = {"kolo/kolo.h", "kolo/types.h"}
MODULE = {"kolo/transport.h", "kolo/types.h"}
MAY_INCLUDE = {
    "src/base": (set(), HOST | MODULE),
    "src/plan": ({"base"}, HOST | MODULE),
    "src/reduce": ({"base"}, HOST | MODULE),
    "src/topo": ({"base"}, HOST | MODULE),
    "src/bootstrap": ({"base"}, HOST | MODULE),
    "src/engine": ({"base", "plan", "reduce", "topo"}, HOST | MODULE),
    "src/fit": ({"base", "plan", "reduce", "engine"}, HOST | MODULE),
    "src/api": ({"base", "plan", "reduce", "topo", "bootstrap", "engine", "fit", "shm"}, HOST | MODULE),  # shm: built in
    "src/launch": ({"base", "topo"}, HOST),
    "src/info": ({"base", "topo", "plan", "reduce", "bootstrap", "fit"}, HOST | MODULE),
    "src/trainer": (set(), HOST),
    "transports": ({"base"}, MODULE),
    "benchmarks/kernels": ({"base", "reduce"}, HOST),
    "benchmarks": (set(), HOST),
    "plugins": (set(), HOST),
    "include/kolo": (set(), HOST | MODULE),
}
LAYERS = {path.split("/")[1] for path in MAY_INCLUDE if path.startswith("src/")}

# Third-party headers and the only folders that know them.
ONLY_IN = {
    r"hwloc": ("src/topo",),
    r"uc[pstm]/": ("transports/ucx",),
    r"sodium": ("src/bootstrap",),
    r"zlib": ("src/trainer",),
    r"(cblas|openblas)": ("src/trainer", "benchmarks"),
    r"mpi\.h": ("benchmarks",),
}

# ---- calls that the library never makes ------------------------------------------------------------------------------

LIBRARY = ("src/base", "src/plan", "src/reduce", "src/topo", "src/bootstrap", "src/engine", "src/fit", "src/api", "transports")
FORBIDDEN = (
    "printf vprintf puts putchar perror exit _exit _Exit quick_exit abort signal sigaction sigprocmask raise system popen "
    "fork vfork setenv unsetenv putenv atexit err errx warn warnx "
    "sprintf vsprintf strcat strtok gets atoi atol rand srand"
).split()
# call -> the one file of the library that may make it
ONLY_HERE = {
    "fprintf": "src/base/log.c", "vfprintf": "src/base/log.c", "fputs": "src/base/log.c", "dprintf": "src/base/log.c",
    "clock_gettime": "src/base/clock.c", "gettimeofday": "src/base/clock.c", "time": "src/base/clock.c",
}
# Here time and randomness are handed in, so that a run can be repeated; only the driver of the engine knows a clock and a thread.
REPEATABLE = ("src/plan", "src/reduce", "src/engine", "transports/sim")
REAL_TIME_IN = "src/engine/driver"  # driver.c, driver_thread.c, driver_token.c
UNREPEATABLE = "kolo_clock_now_ns getrandom getentropy random drand48 pthread_create poll ppoll epoll_wait select".split()
NO_SLEEP_IN = ("tests",)
SLEEPS = "sleep usleep nanosleep clock_nanosleep".split()

# ---- the shape of files ----------------------------------------------------------------------------------------------

MAX_LINES = 450
MAX_COLUMNS = 130
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
FOLDERS = ("include", "src", "transports", "plugins", "benchmarks", "tests", "scripts", "cmake", "docs")
CODE = {".c", ".h", ".cc", ".py", ".sh", ".cmake"}
TEXT = CODE | {".md", ".txt", ".in", ".toml", ".json"}

COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
ONLY_LOOKS = re.compile(r"[^,]*,\s*NULL\s*,")  # sigaction(number, NULL, &current)
CALL = re.compile(r"(?<![\w.>])(\w+)[ \t]*\(")


def blank(text):
    """The text without comments and strings, line for line."""
    return COMMENT_OR_STRING.sub(lambda found: "\n" * found.group().count("\n") or " ", text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def home_of(path):
    """The entry of MAY_INCLUDE that a file belongs to, or None (tests)."""
    return next((folder for folder in MAY_INCLUDE if path.startswith(folder + "/")), None)


def check_includes(path, text):
    home = home_of(path)
    for found in INCLUDE.finditer(text):
        header, where = found.group(2), line_of(text, found.start())
        for pattern, owners in ONLY_IN.items():
            if re.match(pattern, header) and home and not path.startswith(owners):
                yield where, f"<{header}> belongs to {' and '.join(owners)} alone"
        if home is None:
            continue
        if ".." in header.split("/"):
            if not normpath(Path(path).parent / header).startswith(home + "/"):
                yield where, f'"{header}" leads out of {home}: against the picture'
            continue
        layers, installed = MAY_INCLUDE[home]
        top = header.split("/")[0]
        if top == "kolo":
            if header not in installed:
                yield where, f"{home} must not include <{header}>"
        elif found.group(1) == '"' and "/" in header:
            own = home.split("/")[-1]
            if home == "transports":
                allowed = top in layers or path.split("/")[1] in header.split("/")[:-1]
            else:
                allowed = top == own or top in layers or (top not in LAYERS and home in ("benchmarks", "plugins"))
            if not allowed:
                yield where, f'{home} must not include "{header}": against the picture'


def check_calls(path, text):
    library = path.startswith(tuple(folder + "/" for folder in LIBRARY))
    tests = path.startswith(tuple(folder + "/" for folder in NO_SLEEP_IN))
    repeatable = path.startswith(tuple(folder + "/" for folder in REPEATABLE)) and not path.startswith(REAL_TIME_IN)
    if not library and not tests:
        return
    code = blank(text)
    for found in CALL.finditer(code):
        name, where = found.group(1), line_of(code, found.start())
        if name in ("sigaction", "sigprocmask") and ONLY_LOOKS.match(code, found.end()):
            continue
        if library and name in FORBIDDEN:
            yield where, f"{name}(): the library does not do that"
        if library and path != ONLY_HERE.get(name, path):
            yield where, f"{name}(): only {ONLY_HERE[name]} does that"
        if repeatable and name in UNREPEATABLE + SLEEPS:
            yield where, f"{name}(): not repeatable; only {REAL_TIME_IN}*.c does that here"
        if tests and name in SLEEPS:
            yield where, f"{name}(): tests wait for conditions, they do not sleep"


def check_shape(path, text):
    lines = text.split("\n")
    suffix = Path(path).suffix
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            yield number, "unfinished; finish it, or leave it out"
        if "\t" in line:
            yield number, "tab"
        if line != line.rstrip():
            yield number, "space at the end of the line"
        if suffix in CODE and len(line) > MAX_COLUMNS:
            yield number, f"{len(line)} columns; {MAX_COLUMNS} at most"
    if suffix in CODE and len(lines) - 1 > MAX_LINES:
        yield len(lines) - 1, f"{len(lines) - 1} lines; {MAX_LINES} at most: it is about more than one thing"
    if suffix in (".c", ".h") and not text.startswith(("/*", "//")):
        yield 1, "starts without a comment that says what the file is about"
    if text and not text.endswith("\n"):
        yield len(lines), "no newline at the end"


def files_of(root):
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts:
                yield path
    yield from sorted(path for path in root.iterdir() if path.is_file() and path.suffix in TEXT)


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    count, violations = 0, 0
    for file in files_of(root):
        count += 1
        path, text = file.relative_to(root).as_posix(), file.read_text(encoding="utf-8")
        checks = [check_shape]
        if file.suffix in (".c", ".h", ".cc"):
            checks += [check_includes, check_calls]
        for check in checks:
            for line, message in check(path, text):
                print(f"{path}:{line}: {message}")
                violations += 1
    if count == 0:
        sys.exit(f"check-house: no files under {root}")
    print(f"check-house: {count} files, {violations} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
