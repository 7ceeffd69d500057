#!/bin/sh
# A project that has Kolo's tree inside uses the target that the installed package has. Its program is compiled, not linked:
# the library is that of the other tests.
. "$(dirname "$0")/lib.sh"
cp "$here/program.c" .
cat >CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.25)
project(outside LANGUAGES C)
add_subdirectory($here/../.. kolo)
add_executable(program program.c)
target_link_libraries(program PRIVATE kolo::kolo)
END
"$cmake" -G Ninja -S . -B build
"$cmake" --build build --target CMakeFiles/program.dir/program.c.o
