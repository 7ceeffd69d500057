/* memory.c - see memory.h. */
#include "api/memory.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_BYTES ((size_t)2 << 20)

struct kolo_allocation {
    kolo_allocation *next;
    void *memory;
    enum { HEAP, MALLOC, MAPPED } origin;
    size_t bytes; /* MAPPED: so many */
};

void kolo_allocations_init(kolo_allocations *allocations)
{
    pthread_mutex_init(&allocations->lock, NULL);
    allocations->first = NULL;
    allocations->ops = NULL;
}

void kolo_allocations_share(kolo_allocations *allocations, const kolo_transport_ops *ops, kolo_transport *transport,
                            const kolo_log *log)
{
    allocations->ops = ops->heap_alloc != NULL && ops->heap_bytes(transport) > 0 ? ops : NULL;
    allocations->transport = transport;
    allocations->log = log;
    atomic_init(&allocations->private_logged, false);
}

static void release(kolo_allocation *allocation)
{
    if (allocation->origin == MAPPED)
        munmap(allocation->memory, allocation->bytes);
    if (allocation->origin == MALLOC)
        free(allocation->memory);
    free(allocation);
}

void kolo_allocations_fini(kolo_allocations *allocations)
{
    while (allocations->first != NULL) {
        kolo_allocation *next = allocations->first->next;
        release(allocations->first);
        allocations->first = next;
    }
    pthread_mutex_destroy(&allocations->lock);
}

static kolo_status no_memory(size_t bytes)
{
    return kolo_fail_errno(
        KOLO_ERR_MEMORY, errno,
        "cannot allocate %zu bytes for tensors; free some (kolo_free), or allow more (ulimit -v, overcommit)", bytes);
}

/* Private, and too small for pages of its own. */
static kolo_status make(size_t bytes, kolo_allocation *allocation)
{
    size_t rounded = (bytes + KOLO_TRANSPORT_HEAP_LINE - 1) / KOLO_TRANSPORT_HEAP_LINE * KOLO_TRANSPORT_HEAP_LINE;
    void *memory = aligned_alloc(KOLO_TRANSPORT_HEAP_LINE, rounded);
    if (memory == NULL)
        return no_memory(bytes);
    *allocation = (kolo_allocation){.memory = memset(memory, 0, rounded), .origin = MALLOC};
    return KOLO_OK;
}

/* Private pages; huge ones where large. */
static kolo_status map(size_t bytes, kolo_allocation *allocation)
{
    if (bytes < KOLO_TRANSPORT_HEAP_SMALL)
        return make(bytes, allocation);
    size_t page = bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : (size_t)sysconf(_SC_PAGESIZE);
    if (bytes > SIZE_MAX - page)
        return kolo_fail(KOLO_ERR_MEMORY, "cannot allocate %zu bytes: more than an address space holds", bytes);
    size_t rounded = (bytes + page - 1) / page * page;
    void *mapped = mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        return no_memory(bytes);
    if (rounded >= HUGE_PAGE_BYTES)
        (void)madvise(mapped, rounded, MADV_HUGEPAGE); /* a wish; works without */
    *allocation = (kolo_allocation){.memory = mapped, .origin = MAPPED, .bytes = rounded};
    return KOLO_OK;
}

static bool share(kolo_allocations *allocations, size_t bytes, kolo_allocation *allocation)
{
    if (allocations->ops == NULL)
        return false;
    *allocation = (kolo_allocation){0};
    if (allocations->ops->heap_alloc(allocations->transport, bytes, &allocation->memory) == KOLO_OK)
        return true;
    if (!atomic_exchange(&allocations->private_logged, true))
        kolo_log_write(allocations->log, KOLO_LOG_DEBUG, "kolo_alloc: private memory, which is copied: %s",
                       kolo_error_current()->message);
    kolo_error_clear();
    return false;
}

kolo_status kolo_allocations_add(kolo_allocations *allocations, size_t bytes, void **memory)
{
    kolo_allocation *allocation = malloc(sizeof(*allocation));
    if (allocation == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to track an allocation");
    kolo_status status = share(allocations, bytes, allocation) ? KOLO_OK : map(bytes, allocation);
    if (status != KOLO_OK) {
        free(allocation);
        return status;
    }
    *memory = allocation->memory;
    pthread_mutex_lock(&allocations->lock);
    allocation->next = allocations->first;
    allocations->first = allocation;
    pthread_mutex_unlock(&allocations->lock);
    return KOLO_OK;
}

kolo_status kolo_allocations_remove(kolo_allocations *allocations, void *memory, bool broken)
{
    pthread_mutex_lock(&allocations->lock);
    kolo_allocation **at = &allocations->first;
    while (*at != NULL && (*at)->memory != memory)
        at = &(*at)->next;
    kolo_allocation *found = *at;
    if (found != NULL)
        *at = found->next;
    pthread_mutex_unlock(&allocations->lock);
    if (found == NULL)
        return kolo_fail(KOLO_ERR_INVALID, "%p is not memory of this context's kolo_alloc, or was freed before",
                         memory);
    kolo_status status = KOLO_OK;
    if (found->origin == HEAP && !broken)
        status = allocations->ops->heap_free(allocations->transport, memory);
    release(found);
    return status;
}
