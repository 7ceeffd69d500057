/* context.h - what is behind a kolo_context: a shell that outlives its job, so that a stale handle gets an error, not a
 * crash. */
#ifndef KOLO_API_CONTEXT_H
#define KOLO_API_CONTEXT_H

#include "api/again.h"
#include "api/memory.h"
#include "base/config.h"
#include "bootstrap/job.h"
#include "engine/driver.h"
#include "topo/topo.h"

#include <stdatomic.h>

/*     FREE ──kolo_init──► STARTING ──► LIVE ──kolo_finalize──► LEAVING ──► FREE (reused as late as possible)
 *                             └── failed ──► FREE                                                            */
typedef enum kolo_context_state {
    KOLO_CONTEXT_FREE,
    KOLO_CONTEXT_STARTING,
    KOLO_CONTEXT_LIVE,
    KOLO_CONTEXT_LEAVING
} kolo_context_state;

struct kolo_context {
    _Atomic uint32_t state;
    uint64_t process;     /* of kolo_init; a forked child's is another */
    uint64_t incarnation; /* of this shell and all others: no two have the same */
    kolo_config config;
    kolo_log log;
    kolo_job job;
    kolo_topo *topo;
    int32_t *ring;                                   /* ring[position] = rank */
    const kolo_algorithm *forced, *forced_broadcast; /* NULL: by price */
    kolo_price_model prices;                         /* the same on all ranks */
    bool prices_wanted;                              /* they are to be measured */
    int32_t local_rank, local_size;                  /* among the ranks of this host */
    bool one_host;                                   /* all ranks of the job seem to be here */
    bool readable_tensors;                           /* all ranks may read each other's memory */
    bool own_cores;                                  /* the launcher gave each rank of this host cores of its own */
    char comm_cpus[256];                             /* where the communication thread belongs; "" = anywhere */
    const kolo_transport_ops *ops;
    kolo_transport *transport;
    void *module; /* of a loaded transport */
    kolo_engine *engine;
    kolo_driver *driver;
    _Atomic uint32_t unnamed; /* operations without a name so far */
    kolo_allocations allocations;
    kolo_agains agains;
};

/* KOLO_OK when ctx is live in this process; else KOLO_ERR_STATE / KOLO_ERR_INVALID with the reason. */
KOLO_NODISCARD kolo_status kolo_context_check(const kolo_context *ctx);
/* The status of a request that is over, with its error as the thread's. */
kolo_status kolo_context_result(const kolo_request *request);
/* A number that differs between this process and its forked children. */
uint64_t kolo_process_number(void);

/* A shell in state STARTING, NULL if all are in use. */
kolo_context *kolo_context_take(void);

#endif
