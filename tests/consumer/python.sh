#!/bin/sh
# The installed Python package finds the installed library beside it.
. "$(dirname "$0")/lib.sh"
unset KOLO_LIBRARY LD_LIBRARY_PATH
export PYTHONPATH="$prefix/share/kolo/python" PYTHONDONTWRITEBYTECODE=1
run_alone_and_with_kolorun "$PYTHON" "$here/program.py"
