/* topo.h - where am I: allowed cores, what they share, which host this is; and from all ranks' answers, the job's
 * order.
 *
 * The only user of hwloc. Respects cgroups and affinity, and HWLOC_SYNTHETIC / HWLOC_XMLFILE for tests: with those,
 * hwloc describes another machine, and binding does nothing (unless HWLOC_THISSYSTEM=1). Nothing is ever bound
 * outside the allowed set.
 *
 * Threads: a kolo_topo does not change after create; everything but destroy may be called from any thread. */
#ifndef KOLO_TOPO_TOPO_H
#define KOLO_TOPO_TOPO_H

#include <kolo/types.h>
#include <stdbool.h>
#include "base/log.h"

typedef struct kolo_topo kolo_topo;

/* Looks at the machine. The allowed set is that of the calling process at this moment (its cgroup's, and the union of
 * its threads' affinities). log may be NULL; it must outlive the topo. KOLO_ERR_SYSTEM when hwloc fails,
 * KOLO_ERR_MEMORY; *topo is set only on success. */
KOLO_NODISCARD kolo_status kolo_topo_create(const kolo_log *log, kolo_topo **topo);
void kolo_topo_destroy(kolo_topo *topo);

/* What one rank tells the others; plain data of fixed size, exchanged as encoded bytes. */
enum { KOLO_HOST_ID_BYTES = 32, KOLO_PLACE_BYTES = 64 };
typedef struct kolo_place {
    /* Boot id, host name, pid and net namespaces: equal only within one host and container. */
    uint8_t host_id[KOLO_HOST_ID_BYTES];
    int32_t package, numa, cache, core; /* logical indices of the first allowed core; -1: unknown */
    int32_t allowed_cores;
} kolo_place;

void kolo_topo_place(const kolo_topo *topo, kolo_place *place);
/* The place of a process that is bound to cpus (a mask as in kolo_binding). "", or none of them allowed: the caller's
 * own place. */
void kolo_topo_place_at(const kolo_topo *topo, const char *cpus, kolo_place *place);

void kolo_place_encode(const kolo_place *place, uint8_t bytes[KOLO_PLACE_BYTES]);
/* KOLO_ERR_PROTOCOL: not a place (size, or values out of range). KOLO_ERR_VERSION: another version's. *place is set
 * only on success. */
KOLO_NODISCARD kolo_status kolo_place_decode(const uint8_t *bytes, size_t size, kolo_place *place);

/* The job's order from all ranks' places. Pure. Caller's arrays of `size` entries:
 *   ring[position] = rank   hosts in order of their lowest rank; within a host by package, NUMA node, cache, core, rank
 *   host[rank]              0 .. hosts-1, in order of lowest rank
 *   local_rank[rank]        position among the host's ranks in rank order
 *   local_size[rank]
 * Returns the number of hosts. */
int32_t kolo_place_order(const kolo_place *places, int32_t size, int32_t *ring, int32_t *host, int32_t *local_rank,
                         int32_t *local_size);

/* Which cores for whom, on this host. local_size ranks share the allowed cores, whole ones (all hardware threads of a
 * core together): rank i gets the i-th of local_size contiguous parts. Every part has at least floor(cores /
 * local_size) cores; within that, parts straddle as few packages, then NUMA nodes, then caches as possible, and are
 * as even as possible. More ranks than cores share them where each core gets as many, neighbours one core; else
 * nobody is bound. rank_cpus is the whole part. Within a
 * part of >= 2 cores the last one (of those near a network device, where hwloc knows) is the communication thread's;
 * in a part of one core comm_cpus = rank_cpus. Text masks are lists of the system's CPU numbers ("0-3,8"); "" = not
 * bound. Pure given topo: all ranks of a host that see the same allowed set compute the same division. */
enum { KOLO_CPUS_TEXT = 256 };
typedef struct kolo_binding {
    bool bound;
    char rank_cpus[KOLO_CPUS_TEXT];
    char comm_cpus[KOLO_CPUS_TEXT];
} kolo_binding;
void kolo_topo_binding(const kolo_topo *topo, int32_t local_rank, int32_t local_size, kolo_binding *binding);

/* Binds the calling thread to a list within the allowed set; "" leaves it as it is. KOLO_ERR_INVALID: no list, or
 * outside of the allowed set (nothing is changed); KOLO_ERR_SYSTEM: the system refuses. */
KOLO_NODISCARD kolo_status kolo_topo_bind_thread(const kolo_topo *topo, const char *cpus);

/* The NUMA nodes near cpus (a mask as in kolo_binding; "": all that is allowed), as a list of the system's numbers; "" where
 * that tells nothing: they are all that this process may use. Pure given topo. */
void kolo_topo_nodes(const kolo_topo *topo, const char *cpus, char nodes[KOLO_CPUS_TEXT]);

/* The pages of a mapping, those that are not there yet, shall come from such a list of nodes while these have memory, whoever
 * touches them first: of shared memory, processes that map it elsewhere, too. "" leaves it as it is. KOLO_ERR_INVALID: no
 * list, or outside of the allowed nodes; KOLO_ERR_SYSTEM: the system refuses. */
KOLO_NODISCARD kolo_status kolo_topo_bind_memory(const kolo_topo *topo, const char *nodes, const void *memory,
                                                 size_t bytes);

/* KOLO_ERR_CONFIG where KOLO_BIND has no meaning: it is "auto" or "none". */
KOLO_NODISCARD kolo_status kolo_topo_check_bind(const char *bind);

/* Whether this process had an affinity narrower than what its cgroup allows. Then somebody (kolorun, mpirun, taskset)
 * has bound it, and the allowed set is its own part already: kolo_topo_binding(topo, 0, 1, ...) finds the
 * communication core within. */
bool kolo_topo_is_restricted(const kolo_topo *topo);

/* Facts, for budgets and kolo-info. */
int32_t kolo_topo_allowed_cores(const kolo_topo *topo);
size_t kolo_topo_l2_bytes(const kolo_topo *topo); /* of one core; 0 if unknown */
size_t kolo_topo_l3_bytes(const kolo_topo *topo);
/* False when hwloc describes another machine (HWLOC_SYNTHETIC, HWLOC_XMLFILE): nothing real is bound then. */
bool kolo_topo_is_real(const kolo_topo *topo);
/* How many allowed cores a mask (as in kolo_binding) touches. */
int32_t kolo_topo_cores_in(const kolo_topo *topo, const char *cpus);

/* A drawing, one line each, through emit: packages, NUMA nodes, caches, cores (allowed ones marked), network devices
 * with link and state. */
void kolo_topo_draw(const kolo_topo *topo, void (*emit)(void *user, const char *line), void *user);

#endif
