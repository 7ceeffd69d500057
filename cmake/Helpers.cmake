# kolo_module(name SOURCES ... LIBS ...): a part of the library, as a static library that tests can link too.
function(kolo_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_library(kolo_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(kolo_${name} PUBLIC ${ARG_LIBS} PRIVATE kolo_flags)
  target_compile_options(kolo_${name} PRIVATE ${KOLO_WHOLE_COMPILE})
endfunction()

# kolo_program(name SOURCES ... LIBS ...): an installed program. It finds the library beside itself, wherever that is.
function(kolo_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE kolo_flags ${ARG_LIBS})
  file(RELATIVE_PATH lib_from_bin /prefix/${CMAKE_INSTALL_BINDIR} /prefix/${CMAKE_INSTALL_LIBDIR})
  set_target_properties(${name} PROPERTIES INSTALL_RPATH "$ORIGIN/${lib_from_bin}")
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# kolo_test_environment(name): the sanitizers' settings for a test, whoever made it with add_test. Suppressions are for
# third-party code only; each says why. Goes into a property of its own, so ENVIRONMENT stays free for the test.
function(kolo_test_environment name)
  if(NOT KOLO_SANITIZE)
    return()
  endif()
  set(support ${PROJECT_SOURCE_DIR}/tests/support)
  # intercept_tls_get_addr: GCC's runtime before 14 takes thread-local memory that happens to begin 16 bytes into a page for
  # that of a glibc before 2.19, and the leak check then crashes (github.com/google/sanitizers/issues/1322).
  set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT_MODIFICATION
    "ASAN_OPTIONS=set:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:intercept_tls_get_addr=0"
    "LSAN_OPTIONS=set:suppressions=${support}/lsan.supp:print_suppressions=0"
    "UBSAN_OPTIONS=set:print_stacktrace=1"
    "TSAN_OPTIONS=set:suppressions=${support}/tsan.supp:second_deadlock_stack=1")
  if(KOLO_SANITIZE STREQUAL "thread")
    # libucs patches madvise and others as it is loaded. libc calls madvise at the very end of a thread, where TSan has already
    # forgotten the thread, and crashes in UCX's hook.
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT_MODIFICATION "UCX_MEM_EVENTS=set:no")
  endif()
endfunction()

# kolo_test(name SOURCES ... LIBS ... [LABELS ...] [ARGS ...] [TIMEOUT seconds]): a cmocka program, run by ctest.
function(kolo_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBS;LABELS;ARGS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE kolo_flags ${ARG_LIBS} PkgConfig::CMOCKA)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR})
  add_test(NAME ${name} COMMAND ${name} ${ARG_ARGS})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  kolo_test_environment(${name})
endfunction()
