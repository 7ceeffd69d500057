# What `cmake --install` puts where. Programs are installed by kolo_program(); everything finds the rest by relative
# paths, so an installed tree can be moved.
include(CMakePackageConfigHelpers)

if(NOT TARGET kolo)
  return()
endif()

set(KOLO_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/kolo)
file(RELATIVE_PATH KOLO_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)

# The ABI's major version names the file that programs ask for at run time (KOLO_ABI_MAJOR in kolo.h).
set_target_properties(kolo PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 1)

configure_file(cmake/kolo.pc.in kolo.pc @ONLY)
configure_package_config_file(cmake/koloConfig.cmake.in koloConfig.cmake INSTALL_DESTINATION ${KOLO_CMAKE_DIR})
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(koloConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS kolo EXPORT koloTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS kolo_transport_ucx_module LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/kolo)
install(EXPORT koloTargets NAMESPACE kolo:: DESTINATION ${KOLO_CMAKE_DIR})
install(FILES ${PROJECT_BINARY_DIR}/koloConfig.cmake ${PROJECT_BINARY_DIR}/koloConfigVersion.cmake DESTINATION ${KOLO_CMAKE_DIR})
install(FILES ${PROJECT_BINARY_DIR}/kolo.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(DIRECTORY include/kolo DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY plugins/python/kolo DESTINATION ${CMAKE_INSTALL_DATADIR}/kolo/python FILES_MATCHING PATTERN "*.py")
# The README, and what it links to.
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
install(DIRECTORY benchmarks/results DESTINATION ${CMAKE_INSTALL_DOCDIR}/benchmarks
  FILES_MATCHING PATTERN "*.md" PATTERN "*.svg" PATTERN "*.txt")
