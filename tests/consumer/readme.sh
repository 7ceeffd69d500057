#!/bin/sh
# The example of the README compiles with the command that the README gives, and works.
. "$(dirname "$0")/lib.sh"
docs=$prefix/share/doc/kolo
for link in $(grep -o ']([^):#]*)' "$docs/README.md" | tr -d ']()'); do
    [ -e "$docs/$link" ] || { echo "the installed README.md links to $link, which is not there"; exit 1; }
done
# The first block of C in the installed README.
awk '/^```c$/ {on = 1; next} on && /^```$/ {exit} on' "$docs/README.md" >example.c
[ -s example.c ] || { echo "README.md has no block of C"; exit 1; }
calls=$(grep -o '\bkolo_[a-z_]*(' example.c | sort -u | wc -l)
[ "$calls" -eq 9 ] || { echo "the README's example of nine calls has $calls"; exit 1; }
# shellcheck disable=SC2046
"$CC" -Wall -Wextra -Werror example.c $(pkg-config --cflags --libs kolo) -o example
export LD_LIBRARY_PATH="$prefix/$LIBDIR"
expect "y = 2.00 x + 1.00" ./example
expect "y = 2.00 x + 1.00" "$prefix/bin/kolorun" -np 2 ./example
expect "y = 2.00 x + 1.00" "$prefix/bin/kolorun" -np 3 ./example
