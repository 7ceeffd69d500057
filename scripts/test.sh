#!/usr/bin/env bash
# Installs what is missing, builds, and runs all tests; ends with ctest's summary, and fails if anything failed.
#
#   scripts/test.sh                  release (everything), asan-ubsan and tsan (the shorter tests), and a build with Clang
#   scripts/test.sh --full           the sanitizers run everything too
#   scripts/test.sh --quick          release only
#   scripts/test.sh --preset NAME    that preset only; may be repeated ("clang" is one too)
#   scripts/test.sh --seeds N        so many seeds in the simulation tests (default: their own number)
set -euo pipefail
source "$(dirname "$0")/lib.sh"

presets=()
seeds=
# What the sanitizers leave out unless asked: long tests of real processes, whose code the others run too.
long='multiproc_(perf|train|launch)|multiproc_engine_(operations|bits|module|prices|.*_ucx)|unit_plan_algorithms'
# And TSan also what has one thread, and odd surroundings of the same threads.
single='unit_(plan|reduce|engine_([^d]|de))|^sim_|conformance_sim|multiproc_engine_odd_(sizes|limits|places|crowds)'
full=
while (($#)); do
    case $1 in
    --quick) presets=(release) ;;
    --full) full=1 ;;
    --preset | --seeds)
        (($# >= 2)) || die "$1 needs a value"
        if [[ $1 == --preset ]]; then presets+=("$2"); else seeds=$2; fi
        shift
        ;;
    -h | --help)
        sed -n '2,8s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) die "unknown argument '$1'; see --help" ;;
    esac
    shift
done
if ((${#presets[@]} == 0)); then presets=(clang asan-ubsan tsan release); fi
[[ -z $seeds || $seeds =~ ^[1-9][0-9]*$ ]] || die "--seeds $seeds: must be a whole number from 1 on"
if [[ -n $seeds ]]; then export SIM_SEEDS=$seeds; fi

passed=()
failed=()

# run_tests PRESET: one ctest run; its log stays in the build folder for the summary at the end.
run_tests() {
    local preset=$1 selection=()
    if [[ -z $full && $preset == asan-ubsan ]]; then selection=(-E "$long"); fi
    if [[ -z $full && $preset == tsan ]]; then selection=(-E "$long|$single"); fi
    say "testing $preset"
    # One more than there are cores: tests of real processes wait half of their time.
    if ctest --test-dir "$KOLO_ROOT/build/$preset" -j "$((JOBS + 1))" --output-on-failure --no-tests=error \
        --no-label-summary "${selection[@]}" 2>&1 | tee "$KOLO_ROOT/build/$preset/ctest.log"; then
        passed+=("$preset")
    else
        failed+=("$preset")
    fi
}

"$KOLO_ROOT/scripts/install-deps.sh" build data test
for preset in "${presets[@]}"; do
    build "$preset"
    if [[ $preset == clang ]]; then # other warnings than GCC's; the code is tested below
        say "clang: no warnings"
        continue
    fi
    run_tests "$preset"
done

# ctest's own words again, of each run, so that nobody has to scroll; what failed comes last.
for preset in "${passed[@]}" "${failed[@]}"; do
    printf '\n== %s\n' "$preset"
    if ! grep -A1000 'tests passed, .* tests\{0,1\} failed out of' "$KOLO_ROOT/build/$preset/ctest.log"; then
        tail -n 5 "$KOLO_ROOT/build/$preset/ctest.log" # it did not come that far
    fi
done
((${#failed[@]} == 0))
