# kolo_module(name SOURCES ... LIBS ...): a part of the library, as a static library that tests can link too.
function(kolo_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_library(kolo_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(kolo_${name} PUBLIC ${ARG_LIBS} PRIVATE kolo_flags)
endfunction()

# kolo_program(name SOURCES ... LIBS ...): an installed program.
function(kolo_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE kolo_flags ${ARG_LIBS})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# kolo_test(name SOURCES ... LIBS ... [LABELS ...] [ARGS ...]): a cmocka program, run by ctest.
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
endfunction()
