/* topo.h - where am I: allowed cores, what they share, which host this is; and from all ranks' answers, the job's order.
 *
 * The only user of hwloc. Respects cgroups and affinity, and HWLOC_SYNTHETIC / HWLOC_XMLFILE for tests. Nothing is ever bound
 * outside the allowed set. */
#ifndef KOLO_TOPO_TOPO_H
#define KOLO_TOPO_TOPO_H

#include <kolo/types.h>
#include <stdbool.h>
#include "base/log.h"

typedef struct kolo_topo kolo_topo;

/* Looks at the machine. The allowed set is that of the calling process at this moment. */
KOLO_NODISCARD kolo_status kolo_topo_create(const kolo_log *log, kolo_topo **topo);
void kolo_topo_destroy(kolo_topo *topo);

/* What one rank tells the others; plain data of fixed size, exchanged as encoded bytes. */
enum { KOLO_HOST_ID_BYTES = 32, KOLO_PLACE_BYTES = 64 };
typedef struct kolo_place {
    uint8_t host_id[KOLO_HOST_ID_BYTES]; /* boot id, host name, pid/ipc/net namespaces: equal only within one host and container */
    int32_t package, numa, cache, core;  /* logical indices of the first allowed core; -1: unknown */
    int32_t allowed_cores;
} kolo_place;

void kolo_topo_place(const kolo_topo *topo, kolo_place *place);
void kolo_place_encode(const kolo_place *place, uint8_t bytes[KOLO_PLACE_BYTES]);
KOLO_NODISCARD kolo_status kolo_place_decode(const uint8_t *bytes, size_t size, kolo_place *place);

/* The job's order from all ranks' places. Pure. Caller's arrays of `size` entries:
 *   ring[position] = rank   hosts in order of their lowest rank; within a host by package, NUMA node, cache, core, rank
 *   host[rank]              0 .. hosts-1, in order of lowest rank
 *   local_rank[rank]        position among the host's ranks in rank order
 *   local_size[rank]
 * Returns the number of hosts. */
int32_t kolo_place_order(const kolo_place *places, int32_t size, int32_t *ring, int32_t *host, int32_t *local_rank, int32_t *local_size);

/* Which cores for whom, on this host. local_size ranks share the allowed cores: rank i gets a contiguous, near part; when
 * there are more ranks than cores nobody is bound. Within a rank's part of >= 2 cores the last one (nearest to a network device where
 * hwloc knows) is the communication thread's. Text masks are hwloc list format ("0-3,8"); "" = not bound. Pure given topo. */
typedef struct kolo_binding {
    bool bound;
    char rank_cpus[256];
    char comm_cpus[256];
} kolo_binding;
void kolo_topo_binding(const kolo_topo *topo, int32_t local_rank, int32_t local_size, kolo_binding *binding);
/* Binds the calling thread to a list within the allowed set. KOLO_ERR_INVALID outside of it. */
KOLO_NODISCARD kolo_status kolo_topo_bind_thread(const kolo_topo *topo, const char *cpus);

/* Facts, for budgets and kolo-info. */
int32_t kolo_topo_allowed_cores(const kolo_topo *topo);
size_t kolo_topo_l2_bytes(const kolo_topo *topo); /* of one core; 0 if unknown */
size_t kolo_topo_l3_bytes(const kolo_topo *topo);

/* A drawing, one line each, through emit: packages, NUMA nodes, caches, cores (allowed ones marked), network devices with link and state. */
void kolo_topo_draw(const kolo_topo *topo, void (*emit)(void *user, const char *line), void *user);

#endif
