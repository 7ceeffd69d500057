#!/usr/bin/env bash
# Installs the Debian packages that Kolo needs, those that are missing; a second run needs no network.
#
#   scripts/install-deps.sh [build] [data] [test] [bench]     default: build data test
set -euo pipefail
source "$(dirname "$0")/lib.sh"

packages_of() {
    case $1 in
    build) echo build-essential cmake ninja-build pkg-config libucx-dev libhwloc-dev libopenblas-pthread-dev zlib1g-dev \
        libsodium-dev uthash-dev libcmocka-dev ;;
    data) echo dataset-fashion-mnist ;;
    test) echo clang python3 python3-numpy binutils ;;
    bench) echo openmpi-bin libopenmpi-dev python3 ;; # the peer that the benchmarks compare with
    *) die "unknown group '$1'; there are: build data test bench" ;;
    esac
}

is_installed() {
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# As root, or through sudo without asking for a password where nobody could answer.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif [[ -t 0 ]]; then
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

# A mirror may be out for a moment.
retry() {
    local attempt
    for attempt in 1 2 3; do
        if "$@"; then return 0; fi
        say "attempt $attempt of 3 failed: $*"
    done
    return 1
}

missing=()
for group in "${@:-build data test}"; do
    for word in $group; do
        list=$(packages_of "$word")
        for package in $list; do
            if ! is_installed "$package"; then missing+=("$package"); fi
        done
    done
done
if ((${#missing[@]} == 0)); then exit 0; fi

command -v apt-get >/dev/null || die "no apt-get here; please install the counterparts of: ${missing[*]}"
if ((EUID != 0)) && ! command -v sudo >/dev/null; then
    die "neither root nor sudo; please have these packages installed: ${missing[*]}"
fi
export DEBIAN_FRONTEND=noninteractive
say "installing: ${missing[*]}"
retry as_root apt-get -o Acquire::Retries=3 update -q >&2 || die "apt-get update failed; is the network there?"
retry as_root apt-get -o Acquire::Retries=3 install -q -y --no-install-recommends "${missing[@]}" >&2 ||
    die "apt-get could not install: ${missing[*]}"
