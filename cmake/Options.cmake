# What the presets choose, and the flags that hold everywhere.
option(KOLO_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(KOLO_BENCHMARKS "Build the benchmarks that are not installed (kolo-perf is, and always built)" ${PROJECT_IS_TOP_LEVEL})
option(KOLO_WERROR "Warnings are errors" ON)
set(KOLO_SANITIZE "" CACHE STRING "Sanitizers: 'address,undefined' or 'thread'")
option(KOLO_COVERAGE "Instrument for gcov" OFF)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # POSIX and Linux interfaces: _GNU_SOURCE
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

add_library(kolo_flags INTERFACE)
target_compile_definitions(kolo_flags INTERFACE _GNU_SOURCE)
# Floating-point contraction would make bits depend on the instruction set.
target_compile_options(kolo_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -ffp-contract=off)
if(KOLO_WERROR)
  target_compile_options(kolo_flags INTERFACE -Werror)
endif()
if(KOLO_SANITIZE)
  target_compile_options(kolo_flags INTERFACE -fsanitize=${KOLO_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(kolo_flags INTERFACE -fsanitize=${KOLO_SANITIZE})
endif()
if(KOLO_COVERAGE)
  target_compile_options(kolo_flags INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(kolo_flags INTERFACE --coverage)
endif()
target_include_directories(kolo_flags INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)

# The library is optimised as one: its calls cross small modules, and a small operation takes as long as they do. Whatever
# else links the same objects (tests, programs, modules) takes their machine code as it is.
set(KOLO_WHOLE_COMPILE "")
set(KOLO_WHOLE_LINK "")
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" AND NOT KOLO_SANITIZE)
  set(KOLO_WHOLE_COMPILE -flto=auto -ffat-lto-objects)
  set(KOLO_WHOLE_LINK -flto=auto)
  add_link_options(-fno-lto)
endif()
