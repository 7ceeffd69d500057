/* memory.c - page-aligned memory for tensors; huge pages where large. */
#include "api/memory.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_BYTES ((size_t)2 << 20)

struct kolo_allocation {
    kolo_allocation *next;
    void *memory;
    size_t bytes;
};

void kolo_allocations_init(kolo_allocations *allocations)
{
    pthread_mutex_init(&allocations->lock, NULL);
    allocations->first = NULL;
}

static void release(kolo_allocation *allocation)
{
    munmap(allocation->memory, allocation->bytes);
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

kolo_status kolo_allocations_add(kolo_allocations *allocations, size_t bytes, void **memory)
{
    size_t page = bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : (size_t)sysconf(_SC_PAGESIZE);
    if (bytes > SIZE_MAX - page)
        return kolo_fail(KOLO_ERR_MEMORY, "cannot allocate %zu bytes", bytes);
    size_t rounded = (bytes + page - 1) / page * page;
    kolo_allocation *allocation = malloc(sizeof(*allocation));
    if (allocation == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to track an allocation");
    void *mapped = mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
        int error = errno;
        free(allocation);
        return kolo_fail_errno(KOLO_ERR_MEMORY, error, "cannot allocate %zu bytes for tensors", bytes);
    }
    if (rounded >= HUGE_PAGE_BYTES)
        (void)madvise(mapped, rounded, MADV_HUGEPAGE); /* a wish; works without */
    *allocation = (kolo_allocation){.memory = mapped, .bytes = rounded};
    pthread_mutex_lock(&allocations->lock);
    allocation->next = allocations->first;
    allocations->first = allocation;
    pthread_mutex_unlock(&allocations->lock);
    *memory = mapped;
    return KOLO_OK;
}

kolo_status kolo_allocations_remove(kolo_allocations *allocations, void *memory)
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
    release(found);
    return KOLO_OK;
}
