# What the scripts share. Sourced by them, with bash and `set -euo pipefail`; not run by itself.

KOLO_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The distribution's cmake and python3 (the one that has numpy) before others on the PATH.
PATH=/usr/bin:/bin:$PATH
JOBS=${JOBS:-$(nproc)}

# Progress goes to stderr: stdout belongs to the program that a script runs.
say() { printf '%s\n' "$*" >&2; }
die() {
    say "${0##*/}: $*"
    exit 1
}

# quietly LOG COMMAND...: its output goes to LOG, and is shown only if it fails.
quietly() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    if ! "$@" >"$log" 2>&1; then
        tail -n 80 "$log" >&2
        die "failed: $* (all of its output: $log)"
    fi
}

# build PRESET [TARGET...]: configures build/PRESET and builds the targets, or all.
build() {
    local preset=$1 dir=$KOLO_ROOT/build/$1 targets=()
    shift
    if (($#)); then targets=(--target "$@"); fi
    say "building $preset; the first time takes a minute or two (log: build/$preset/build.log)"
    if [[ -f $dir/CMakeCache.txt ]] && ! grep -q '^CMAKE_GENERATOR:INTERNAL=Ninja$' "$dir/CMakeCache.txt"; then
        rm -rf "$dir/CMakeCache.txt" "$dir/CMakeFiles" # made with another generator: CMake would refuse
    fi
    quietly "$dir/configure.log" cmake -S "$KOLO_ROOT" --preset "$preset"
    quietly "$dir/build.log" cmake --build "$dir" -j "$JOBS" "${targets[@]}"
}
