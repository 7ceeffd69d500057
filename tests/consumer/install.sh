#!/bin/sh
# install.sh CMAKE BUILD WHERE MOVED: installs, then moves the whole tree, for what is installed must not know its prefix.
set -eu
rm -rf "$3" "$(dirname "$4")"
mkdir -p "$(dirname "$4")"
"$1" --install "$2" --prefix "$3"
mv "$3" "$4"
