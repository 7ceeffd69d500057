/* memory.h - kolo_alloc's memory: whole pages, tracked, so that finalize leaves nothing behind. */
#ifndef KOLO_API_MEMORY_H
#define KOLO_API_MEMORY_H

#include <kolo/types.h>
#include <pthread.h>

typedef struct kolo_allocation kolo_allocation;

typedef struct kolo_allocations {
    pthread_mutex_t lock;
    kolo_allocation *first;
} kolo_allocations;

void kolo_allocations_init(kolo_allocations *allocations);
/* Frees everything. */
void kolo_allocations_fini(kolo_allocations *allocations);
KOLO_NODISCARD kolo_status kolo_allocations_add(kolo_allocations *allocations, size_t bytes, void **memory);
/* KOLO_ERR_INVALID for memory that is not from here. */
KOLO_NODISCARD kolo_status kolo_allocations_remove(kolo_allocations *allocations, void *memory);

#endif
