#!/bin/sh
# A program is built with pkg-config against the installed copy.
. "$(dirname "$0")/lib.sh"
[ "$(pkg-config --modversion kolo)" = "$VERSION" ] || { echo "kolo.pc names another version than $VERSION"; exit 1; }
# shellcheck disable=SC2046
"$CC" -std=c11 -Wall -Werror "$here/program.c" $(pkg-config --cflags --libs kolo) -o program
run_alone_and_with_kolorun env LD_LIBRARY_PATH="$prefix/$LIBDIR" ./program
