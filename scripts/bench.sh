#!/usr/bin/env bash
# Installs what is missing, builds release, and measures Kolo beside its peers on this machine.
#
#   scripts/bench.sh [arguments of benchmarks/peers/run.py]      see scripts/bench.sh --help
set -euo pipefail
source "$(dirname "$0")/lib.sh"

"$KOLO_ROOT/scripts/install-deps.sh" build bench
build release kolorun kolo-perf
cd "$KOLO_ROOT"
exec python3 benchmarks/peers/run.py "$@"
