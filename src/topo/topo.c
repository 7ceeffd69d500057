/* topo.c - loads what hwloc knows of this machine, and lists the cores that this process may use. */
#include "topo/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "topo/netdev.h"

/* ---- loading -------------------------------------------------------------------------------- */

static kolo_status load(hwloc_topology_t *hwloc)
{
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0)
        return kolo_fail_errno(KOLO_ERR_SYSTEM, errno, "hwloc_topology_init failed");

    /* Most of these would start GPU drivers inside the host's process; pci is libpciaccess, which leaks, and tells
     * nothing that hwloc does not read from /sys without it. Not all are installed everywhere: failure means absence.
     */
    static const char *const unwanted[] = {"gl", "opencl", "cuda", "nvml", "rsmi", "levelzero", "pci"};
    for (size_t i = 0; i < sizeof(unwanted) / sizeof(*unwanted); i++)
        (void)hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, unwanted[i]);

    /* Disallowed parts stay in, so that a core's logical index means the same in all processes of the host. Discovery
     * must not move the host's threads about. Of devices only what the kernel calls them: their place is known
     * without the PCI functions behind them, and to read the configuration of each of those takes longer than all
     * else (most of a virtual machine's kolo_init, and all ranks of a host queue for it). */
    unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED | HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING;
    if (hwloc_topology_set_flags(topology, flags) != 0 ||
        hwloc_topology_set_type_filter(topology, HWLOC_OBJ_OS_DEVICE, HWLOC_TYPE_FILTER_KEEP_IMPORTANT) != 0 ||
        hwloc_topology_load(topology) != 0) {
        int error = errno;
        hwloc_topology_destroy(topology);
        return kolo_fail_errno(KOLO_ERR_SYSTEM, error,
                               "hwloc cannot read this machine's topology; does `lstopo` work here?");
    }
    *hwloc = topology;
    return KOLO_OK;
}

/* hwloc falls back to the real machine when it is asked for another one that it can't read. */
static void warn_if_description_ignored(const kolo_topo *topo)
{
    static const char *const variables[] = {"HWLOC_XMLFILE", "HWLOC_SYNTHETIC"};
    const char *thissystem = getenv("HWLOC_THISSYSTEM");
    if (!topo->real || (thissystem && *thissystem && strcmp(thissystem, "0") != 0))
        return;
    for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
        const char *value = getenv(variables[i]);
        if (value && *value)
            kolo_log_write(topo->log, KOLO_LOG_WARN, "hwloc cannot use %s=%s; looking at the real machine instead",
                           variables[i], value);
    }
}

/* hwloc's allowed set (cgroups), less what the process' affinity excludes. */
static kolo_status find_allowed(kolo_topo *topo)
{
    hwloc_const_bitmap_t permitted = hwloc_topology_get_allowed_cpuset(topo->hwloc);
    topo->allowed = hwloc_bitmap_dup(permitted);
    hwloc_bitmap_t bound = hwloc_bitmap_alloc();
    if (!topo->allowed || !bound) {
        hwloc_bitmap_free(bound);
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for the set of allowed CPUs");
    }
    /* Of the whole process: an OpenMP runtime may have bound the one thread that asks. */
    if (topo->real && hwloc_get_cpubind(topo->hwloc, bound, HWLOC_CPUBIND_PROCESS) != 0 &&
        hwloc_get_cpubind(topo->hwloc, bound, HWLOC_CPUBIND_THREAD) != 0) {
        kolo_log_write(topo->log, KOLO_LOG_WARN,
                       "the CPU affinity of this process cannot be read (%s); taken for unrestricted", strerror(errno));
        hwloc_bitmap_fill(bound);
    }
    if (topo->real && hwloc_bitmap_intersects(permitted, bound)) {
        topo->restricted = !hwloc_bitmap_isincluded(permitted, bound);
        hwloc_bitmap_and(topo->allowed, permitted, bound);
    }
    hwloc_bitmap_free(bound);
    return KOLO_OK;
}

/* ---- cores ---------------------------------------------------------------------------------- */

hwloc_obj_type_t kolo_topo_core_type(const kolo_topo *topo)
{
    return hwloc_get_nbobjs_by_type(topo->hwloc, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
}

static int32_t index_of(hwloc_obj_t object)
{
    return object ? (int32_t)object->logical_index : -1;
}

/* The cache that most cores share: caches above it join nothing that the NUMA node does not join already. */
static hwloc_obj_t outermost_cache(hwloc_obj_t object)
{
    hwloc_obj_t cache = NULL;
    for (; object; object = object->parent)
        if (hwloc_obj_type_is_dcache(object->type))
            cache = object;
    return cache;
}

static hwloc_obj_t nearest_numa(const kolo_topo *topo, hwloc_obj_t object)
{
    int node = object->nodeset ? hwloc_bitmap_first(object->nodeset) : -1;
    return node < 0 ? NULL : hwloc_get_numanode_obj_by_os_index(topo->hwloc, (unsigned)node);
}

static kolo_status list_cores(kolo_topo *topo)
{
    hwloc_obj_type_t type = kolo_topo_core_type(topo);
    int total = hwloc_get_nbobjs_by_type(topo->hwloc, type);
    topo->cores = total > 0 ? calloc((size_t)total, sizeof(*topo->cores)) : NULL;
    if (total > 0 && !topo->cores)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a list of %d cores", total);
    for (int i = 0; i < total; i++) {
        hwloc_obj_t object = hwloc_get_obj_by_type(topo->hwloc, type, (unsigned)i);
        if (!hwloc_bitmap_intersects(object->cpuset, topo->allowed))
            continue;
        kolo_topo_core *core = &topo->cores[topo->core_count];
        core->cpus = hwloc_bitmap_alloc();
        if (!core->cpus)
            return kolo_fail(KOLO_ERR_MEMORY, "no memory for a list of %d cores", total);
        topo->core_count++;
        hwloc_bitmap_and(core->cpus, object->cpuset, topo->allowed);
        core->package = index_of(hwloc_get_ancestor_obj_by_type(topo->hwloc, HWLOC_OBJ_PACKAGE, object));
        core->numa = index_of(nearest_numa(topo, object));
        core->cache = index_of(outermost_cache(object));
        core->core = index_of(object);
        if (topo->core_count == 1) {
            hwloc_obj_t l2 = hwloc_get_ancestor_obj_by_type(topo->hwloc, HWLOC_OBJ_L2CACHE, object);
            hwloc_obj_t l3 = hwloc_get_ancestor_obj_by_type(topo->hwloc, HWLOC_OBJ_L3CACHE, object);
            topo->l2_bytes = l2 ? (size_t)l2->attr->cache.size : 0;
            topo->l3_bytes = l3 ? (size_t)l3->attr->cache.size : 0;
        }
    }
    if (topo->core_count == 0)
        return kolo_fail(KOLO_ERR_SYSTEM,
                         "hwloc finds no CPU that this process may use; see `lstopo` and /proc/self/status");
    return KOLO_OK;
}

/* A device that hangs on the whole machine is near to everybody, so it says nothing. */
static void mark_near_network(kolo_topo *topo)
{
    hwloc_const_bitmap_t machine = hwloc_get_root_obj(topo->hwloc)->cpuset;
    for (hwloc_obj_t device = NULL; (device = hwloc_get_next_osdev(topo->hwloc, device));) {
        hwloc_obj_osdev_type_t type = device->attr->osdev.type;
        if (type != HWLOC_OBJ_OSDEV_NETWORK && type != HWLOC_OBJ_OSDEV_OPENFABRICS)
            continue;
        kolo_netdev netdev;
        if (topo->real && device->name && kolo_netdev_read(device->name, &netdev) && strcmp(netdev.state, "down") == 0)
            continue;
        hwloc_obj_t home = hwloc_get_non_io_ancestor_obj(topo->hwloc, device);
        if (!home || !home->cpuset || hwloc_bitmap_isequal(home->cpuset, machine))
            continue;
        for (int32_t i = 0; i < topo->core_count; i++)
            if (hwloc_bitmap_isincluded(topo->cores[i].cpus, home->cpuset))
                topo->cores[i].near_network = true;
    }
}

/* ---- the object ----------------------------------------------------------------------------- */

static kolo_status fill(kolo_topo *topo)
{
    KOLO_TRY(load(&topo->hwloc));
    topo->real = hwloc_topology_is_thissystem(topo->hwloc) != 0;
    warn_if_description_ignored(topo);
    KOLO_TRY(find_allowed(topo));
    KOLO_TRY(list_cores(topo));
    mark_near_network(topo);
    kolo_topo_host_id(topo->log, topo->host_id);
    return KOLO_OK;
}

kolo_status kolo_topo_create(const kolo_log *log, kolo_topo **result)
{
    kolo_topo *topo = calloc(1, sizeof(*topo));
    if (!topo)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for the topology");
    topo->log = log;
    kolo_status status = fill(topo);
    if (status != KOLO_OK) {
        kolo_topo_destroy(topo);
        return status;
    }
    *result = topo;
    return KOLO_OK;
}

void kolo_topo_destroy(kolo_topo *topo)
{
    if (!topo)
        return;
    for (int32_t i = 0; i < topo->core_count; i++)
        hwloc_bitmap_free(topo->cores[i].cpus);
    free(topo->cores);
    hwloc_bitmap_free(topo->allowed);
    if (topo->hwloc)
        hwloc_topology_destroy(topo->hwloc);
    free(topo);
}

/* ---- facts ---------------------------------------------------------------------------------- */

static void place_of_core(const kolo_topo *topo, const kolo_topo_core *core, int32_t cores, kolo_place *place)
{
    *place = (kolo_place){.package = core->package, .numa = core->numa, .cache = core->cache, .core = core->core,
                          .allowed_cores = cores};
    memcpy(place->host_id, topo->host_id, KOLO_HOST_ID_BYTES);
}

void kolo_topo_place(const kolo_topo *topo, kolo_place *place)
{
    place_of_core(topo, &topo->cores[0], topo->core_count, place);
}

void kolo_topo_place_at(const kolo_topo *topo, const char *cpus, kolo_place *place)
{
    kolo_topo_place(topo, place);
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (set && kolo_topo_parse_list(cpus, topo->allowed, set)) {
        for (int32_t i = 0; i < topo->core_count; i++) {
            if (!hwloc_bitmap_intersects(topo->cores[i].cpus, set))
                continue;
            place_of_core(topo, &topo->cores[i], kolo_topo_cores_in(topo, cpus), place);
            break;
        }
    }
    hwloc_bitmap_free(set);
}

int32_t kolo_topo_cores_in(const kolo_topo *topo, const char *cpus)
{
    int32_t cores = 0;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (set && kolo_topo_parse_list(cpus, topo->allowed, set))
        for (int32_t i = 0; i < topo->core_count; i++)
            cores += hwloc_bitmap_intersects(topo->cores[i].cpus, set) ? 1 : 0;
    hwloc_bitmap_free(set);
    return cores;
}

bool kolo_topo_is_restricted(const kolo_topo *topo)
{
    return topo->restricted;
}

bool kolo_topo_is_real(const kolo_topo *topo)
{
    return topo->real;
}

int32_t kolo_topo_allowed_cores(const kolo_topo *topo)
{
    return topo->core_count;
}

size_t kolo_topo_l2_bytes(const kolo_topo *topo)
{
    return topo->l2_bytes;
}

size_t kolo_topo_l3_bytes(const kolo_topo *topo)
{
    return topo->l3_bytes;
}
