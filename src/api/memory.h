/* memory.h - kolo_alloc's memory: whole pages, tracked, so that finalize leaves nothing behind. From the transport's
 * heap, which the peers of this host have mapped too; where there is none, or no room in it, private pages. */
#ifndef KOLO_API_MEMORY_H
#define KOLO_API_MEMORY_H

#include "base/log.h"

#include <kolo/transport.h>
#include <pthread.h>
#include <stdatomic.h>

typedef struct kolo_allocation kolo_allocation;

typedef struct kolo_allocations {
    pthread_mutex_t lock;
    kolo_allocation *first;
    const kolo_transport_ops *ops; /* whose heap; NULL: private pages only */
    kolo_transport *transport;
    const kolo_log *log;
    atomic_bool private_logged; /* that shared memory was asked for, and could not be had */
} kolo_allocations;

void kolo_allocations_init(kolo_allocations *allocations);
/* Before the first one. */
void kolo_allocations_share(kolo_allocations *allocations, const kolo_transport_ops *ops, kolo_transport *transport,
                            const kolo_log *log);
/* Frees everything; after the transport is gone, and its heap with it. */
void kolo_allocations_fini(kolo_allocations *allocations);
KOLO_NODISCARD kolo_status kolo_allocations_add(kolo_allocations *allocations, size_t bytes, void **memory);
/* KOLO_ERR_INVALID for memory that is not from here. broken: the job is, and a late peer may still store to shared
 * memory; so that is not given to anybody else. */
KOLO_NODISCARD kolo_status kolo_allocations_remove(kolo_allocations *allocations, void *memory, bool broken);

#endif
