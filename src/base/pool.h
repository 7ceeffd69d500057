/* pool.h - blocks of one size, kept for reuse: for what is made and freed thousands of times a step. A static
 * initialiser is all it needs. Any thread; where two meet, one of them goes to malloc instead of waiting. */
#ifndef KOLO_BASE_POOL_H
#define KOLO_BASE_POOL_H

#include <stdatomic.h>
#include <stddef.h>

typedef struct kolo_pool {
    size_t block_bytes; /* at least a pointer's */
    size_t zero_bytes;  /* so many at its beginning are zeroed */
    size_t most;        /* blocks that are kept */
    _Atomic unsigned busy;
    void *first; /* of the kept ones; each begins with a pointer to the next */
    size_t count;
} kolo_pool;

/* At a cache line's beginning; NULL when out of memory. */
void *kolo_pool_take(kolo_pool *pool);
void kolo_pool_give(kolo_pool *pool, void *block);
/* Frees what is kept. */
void kolo_pool_empty(kolo_pool *pool);

#endif
