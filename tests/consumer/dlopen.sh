#!/bin/sh
# A program that loads the library at run time.
. "$(dirname "$0")/lib.sh"
"$CC" -std=gnu11 -Wall -Werror "$here/plugin_host.c" -I"$prefix/include" -ldl -o plugin_host
run_alone_and_with_kolorun ./plugin_host "$prefix/$LIBDIR/libkolo.so"
