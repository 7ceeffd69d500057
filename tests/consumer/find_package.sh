#!/bin/sh
# A program is built with find_package against the installed copy; a version that does not fit is refused.
. "$(dirname "$0")/lib.sh"
cp "$here/program.c" .
project() {
    cat >CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.16)
project(outside LANGUAGES C)
find_package(kolo $1 REQUIRED)
add_executable(program program.c)
target_link_libraries(program PRIVATE kolo::kolo)
END
}
project "$VERSION"
"$cmake" -S . -B build -DCMAKE_PREFIX_PATH="$prefix"
"$cmake" --build build
run_alone_and_with_kolorun build/program

project 99.0
if "$cmake" -S . -B refused -DCMAKE_PREFIX_PATH="$prefix" >refused.log 2>&1; then
    echo "find_package(kolo 99.0) was satisfied"
    exit 1
fi
grep -q "99.0" refused.log
