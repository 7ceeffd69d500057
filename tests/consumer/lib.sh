# Sourced by the tests of this folder: HERE PREFIX WORK CMAKE are their arguments.
set -eu
here=$1 prefix=$2 work=$3 cmake=$4
rm -rf "$work"
mkdir -p "$work"
cd "$work"
unset RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE MASTER_ADDR MASTER_PORT
PKG_CONFIG_PATH=$prefix/$LIBDIR/pkgconfig
export PKG_CONFIG_PATH

# expect OUTPUT COMMAND...: runs it, and wants exactly that on its standard output, in any order of lines.
expect() {
    wanted=$1
    shift
    "$@" >output || { echo "exit status $? of: $*"; exit 1; }
    if [ "$(sort output)" != "$wanted" ]; then
        echo "wanted:"; echo "$wanted"
        echo "got:"; sort output
        exit 1
    fi
}

# run_alone_and_with_kolorun PROGRAM...: as a job of one rank, and of two.
run_alone_and_with_kolorun() {
    expect "rank 0 of 1: average 1" "$@"
    expect "rank 0 of 2: average 1.5
rank 1 of 2: average 1.5" "$prefix/bin/kolorun" -np 2 "$@"
}
