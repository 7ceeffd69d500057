#!/usr/bin/env bash
# Installs what is missing, builds, and trains on Fashion-MNIST with 2 ranks on this machine.
#
#   scripts/train.sh [-np N] [arguments of kolo-train]       e.g. scripts/train.sh -np 4 --epochs 3
#
#   -np N        the number of ranks, that is processes that share the work (default 2)
#   -h, --help   this text; builds nothing
#
# Everything else goes to kolo-train. Its own options, once it is built: build/release/bin/kolo-train --help
set -euo pipefail
source "$(dirname "$0")/lib.sh"

ranks=2
arguments=()
while (($#)); do
    case $1 in
    -np)
        (($# >= 2)) || die "-np needs a number of ranks"
        ranks=$2
        shift 2
        ;;
    -h | --help)
        sed -n '2,9s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *)
        arguments+=("$1")
        shift
        ;;
    esac
done
[[ $ranks =~ ^[1-9][0-9]*$ ]] || die "-np $ranks: the number of ranks must be a whole number from 1 on"

"$KOLO_ROOT/scripts/install-deps.sh" build data
build release kolorun kolo-train
exec "$KOLO_ROOT/build/release/bin/kolorun" -np "$ranks" "$KOLO_ROOT/build/release/bin/kolo-train" "${arguments[@]}"
