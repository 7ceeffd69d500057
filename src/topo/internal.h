/* internal.h - what the files of src/topo share: the loaded topology and its allowed cores in order. */
#ifndef KOLO_TOPO_INTERNAL_H
#define KOLO_TOPO_INTERNAL_H

#include <hwloc.h>
#include "topo/topo.h"

typedef struct kolo_topo_core {
    hwloc_bitmap_t cpus;               /* its hardware threads, those that are allowed */
    int32_t package, numa, cache, core; /* logical indices in the whole machine, -1: unknown; outermost cache */
    bool near_network;                 /* shares more than the machine with a network device */
} kolo_topo_core;

struct kolo_topo {
    hwloc_topology_t hwloc; /* with disallowed parts, so that indices mean the same to every process */
    const kolo_log *log;
    bool real; /* this machine, not a described one */
    bool restricted;
    hwloc_bitmap_t allowed;
    kolo_topo_core *cores; /* in hwloc's logical order: neighbours are near */
    int32_t core_count;
    size_t l2_bytes, l3_bytes;
    uint8_t host_id[KOLO_HOST_ID_BYTES];
};

/* What counts as a core: hwloc's cores, or CPUs, as some virtual machines tell of nothing else. */
hwloc_obj_type_t kolo_topo_core_type(const kolo_topo *topo);

/* "0-3,8", CPUs or NUMA nodes, to a bitmap within `within`. False, and *set unchanged, when it is no such list, is empty,
 * or leaves `within`. */
bool kolo_topo_parse_list(const char *text, hwloc_const_bitmap_t within, hwloc_bitmap_t set);

/* host.c: identifies this host, see kolo_place. */
void kolo_topo_host_id(const kolo_log *log, uint8_t host_id[KOLO_HOST_ID_BYTES]);

/* divide.c: cuts `count` cores into `parts` (1 <= parts <= count); part i is cuts[i] .. cuts[i+1]-1, cuts has parts+1
 * entries. crossing_cost[i]: what it costs a part to hold both core i-1 and core i (0: nothing). False when out of
 * memory. */
bool kolo_topo_divide(const int64_t *crossing_cost, int32_t count, int32_t parts, int32_t *cuts);

#endif
