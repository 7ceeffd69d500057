/* machines.h - the machines that topology tests look at: synthetic ones, and exported ones in data/. */
#ifndef KOLO_TESTS_TOPO_MACHINES_H
#define KOLO_TESTS_TOPO_MACHINES_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include "topo/topo.h"

typedef struct machine {
    const char *name;
    const char *variable; /* HWLOC_SYNTHETIC or HWLOC_XMLFILE */
    const char *value;
    int32_t cores; /* allowed ones */
} machine;

static const machine machines[] = {
    {"one core", "HWLOC_SYNTHETIC", "core:1 pu:1", 1},
    {"hardware threads", "HWLOC_SYNTHETIC", "pack:2 core:4 pu:2", 8},
    {"NUMA in packages", "HWLOC_SYNTHETIC", "pack:2 numa:2 l3:1 core:4 pu:1", 16},
    {"NUMA without packages", "HWLOC_SYNTHETIC", "numa:4 core:2 pu:1", 8},
    {"no cores, CPUs only", "HWLOC_SYNTHETIC", "pu:4", 4},
    {"odd counts", "HWLOC_SYNTHETIC", "pack:3 l3:1 core:5 pu:2", 15},
    {"caches in a package", "HWLOC_SYNTHETIC", "pack:1 l3:4 l2:3 core:1 pu:1", 12},
    {"threads numbered across cores", "HWLOC_SYNTHETIC", "pack:2 core:3 pu:2(indexes=0,6,1,7,2,8,3,9,4,10,5,11)", 6},
    {"a virtual machine", "HWLOC_XMLFILE", TOPO_DATA "/virtual-machine.xml", 2},
    {"CPUs missing", "HWLOC_XMLFILE", TOPO_DATA "/restricted.xml", 9},
    {"a control group, split cores", "HWLOC_XMLFILE", TOPO_DATA "/allowed-part.xml", 4},
    {"a network device at package 0", "HWLOC_XMLFILE", TOPO_DATA "/network-package0.xml", 8},
};
enum { MACHINE_COUNT = sizeof(machines) / sizeof(*machines) };

/* What hwloc describes; fails the test if it can't be loaded. */
static inline kolo_topo *load_machine(const char *variable, const char *value)
{
    unsetenv("HWLOC_SYNTHETIC");
    unsetenv("HWLOC_XMLFILE");
    unsetenv("HWLOC_THISSYSTEM");
    if (variable)
        assert_int_equal(setenv(variable, value, 1), 0);
    kolo_topo *topo = NULL;
    assert_int_equal(kolo_topo_create(NULL, &topo), KOLO_OK);
    return topo;
}

#endif
