/* pool.c - a stack of blocks behind a try-lock. */
#include "base/pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What is kept would hide accesses to freed memory from the sanitizer. */
#if defined(__SANITIZE_ADDRESS__)
#define KEEPS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPS false
#endif
#endif
#ifndef KEEPS
#define KEEPS true
#endif

static void *make(const kolo_pool *pool)
{
    enum { LINE = 64 };
    return aligned_alloc(LINE, (pool->block_bytes + LINE - 1) / LINE * LINE);
}

static bool enter(kolo_pool *pool)
{
    return atomic_exchange_explicit(&pool->busy, 1, memory_order_acquire) == 0;
}

static void leave(kolo_pool *pool)
{
    atomic_store_explicit(&pool->busy, 0, memory_order_release);
}

void *kolo_pool_take(kolo_pool *pool)
{
    void **block = NULL;
    if (enter(pool)) {
        if ((block = pool->first) != NULL) {
            pool->first = *block;
            pool->count--;
        }
        leave(pool);
    }
    if (block == NULL)
        block = make(pool);
    /* By a call, since the length is not known here: in its place compilers make a string instruction of more than a few
     * lines, which takes longer to begin than this takes. */
    return block != NULL ? memset(block, 0, pool->zero_bytes) : NULL;
}

void kolo_pool_give(kolo_pool *pool, void *block)
{
    if (block != NULL && enter(pool)) {
        if (KEEPS && pool->count < pool->most) {
            *(void **)block = pool->first;
            pool->first = block;
            pool->count++;
            block = NULL;
        }
        leave(pool);
    }
    free(block);
}

void kolo_pool_empty(kolo_pool *pool)
{
    if (!enter(pool))
        return; /* the process ends while a thread is here: what is kept, is kept */
    while (pool->first != NULL) {
        void *block = pool->first;
        pool->first = *(void **)block;
        free(block);
    }
    pool->count = 0;
    leave(pool);
}
