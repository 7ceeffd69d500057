/* memory.c - which NUMA nodes belong to which cores, and memory that belongs there. */
#include "topo/internal.h"

#include <errno.h>
#include "base/error.h"

/* The nodes near cpus, of those that this process may use. False: no memory, or no such list. */
static bool near_nodes(const kolo_topo *topo, const char *cpus, hwloc_bitmap_t nodes)
{
    hwloc_bitmap_t set = hwloc_bitmap_dup(topo->allowed);
    bool ok = set && (!*cpus || kolo_topo_parse_list(cpus, topo->allowed, set)) &&
              hwloc_cpuset_to_nodeset(topo->hwloc, set, nodes) == 0 &&
              hwloc_bitmap_and(nodes, nodes, hwloc_topology_get_allowed_nodeset(topo->hwloc)) == 0;
    hwloc_bitmap_free(set);
    return ok;
}

void kolo_topo_nodes(const kolo_topo *topo, const char *cpus, char nodes[KOLO_CPUS_TEXT])
{
    hwloc_bitmap_t near = hwloc_bitmap_alloc();
    bool narrow = near && near_nodes(topo, cpus, near) && !hwloc_bitmap_iszero(near) &&
                  !hwloc_bitmap_isequal(near, hwloc_topology_get_allowed_nodeset(topo->hwloc));
    int length = narrow ? hwloc_bitmap_list_snprintf(nodes, KOLO_CPUS_TEXT, near) : 0;
    if (length <= 0 || length >= KOLO_CPUS_TEXT)
        nodes[0] = '\0';
    hwloc_bitmap_free(near);
}

/* Not strictly: that is the kernel's preference for these nodes, where it has several of them (Linux 5.15), or for the
 * first. A strict one kills processes when a node is full, while there is memory on the next. */
static kolo_status prefer(const kolo_topo *topo, hwloc_const_bitmap_t set, const char *nodes, const void *memory,
                          size_t bytes)
{
    if (!topo->real) {
        kolo_log_write(topo->log, KOLO_LOG_DEBUG,
                       "no memory bound to NUMA nodes %s: hwloc describes another machine than this one", nodes);
        return KOLO_OK;
    }
    if (hwloc_set_area_membind(topo->hwloc, memory, bytes, set, HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_BYNODESET) != 0)
        return kolo_fail_errno(KOLO_ERR_SYSTEM, errno, "%zu bytes cannot be bound to NUMA nodes %s", bytes, nodes);
    kolo_log_write(topo->log, KOLO_LOG_DEBUG, "%zu bytes of memory bound to NUMA nodes %s", bytes, nodes);
    return KOLO_OK;
}

kolo_status kolo_topo_bind_memory(const kolo_topo *topo, const char *nodes, const void *memory, size_t bytes)
{
    if (!*nodes)
        return KOLO_OK;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (!set)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a set of NUMA nodes");
    kolo_status status;
    if (kolo_topo_parse_list(nodes, hwloc_topology_get_allowed_nodeset(topo->hwloc), set))
        status = prefer(topo, set, nodes, memory, bytes);
    else
        status = kolo_fail(KOLO_ERR_INVALID, "'%s' is no list of NUMA nodes within the allowed ones", nodes);
    hwloc_bitmap_free(set);
    return status;
}
