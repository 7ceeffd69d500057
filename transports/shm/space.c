/* space.c - addresses for the segments of all ranks. Taken at once and before any is mapped: so either all can be, or
 * the heap is made smaller. */
#include "segment.h"

#include <errno.h>
#include <sys/mman.h>

enum { LEAST_HEAP = 64 * 1024 * 1024 };

/* Under a limit of address space a heap may have half of what is left: the program needs some too. */
static void *reserve(size_t bytes, bool leave_half)
{
    size_t asked = leave_half ? 2 * bytes : bytes + SHM_HUGE_PAGE;
    unsigned char *all = mmap(NULL, asked, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        return NULL;
    size_t before = (SHM_HUGE_PAGE - (uintptr_t)all % SHM_HUGE_PAGE) % SHM_HUGE_PAGE;
    if (before > 0)
        munmap(all, before);
    munmap(all + before + bytes, asked - before - bytes);
    return all + before;
}

kolo_status shm_space_reserve(const kolo_transport_env *env, shm_layout *layout, void **space)
{
    size_t wanted = layout->heap_bytes, heap = wanted;
    while (!(*space = reserve((size_t)layout->ranks * layout->stride, heap > 0))) {
        if (heap == 0)
            return kolo_guard_refuse(env, KOLO_ERR_UNSUPPORTED, "no addresses for %d ranks' shared memory: mmap: %s",
                                     (int)layout->ranks, strerror(errno));
        heap = heap / 2 >= LEAST_HEAP ? heap / 2 : 0;
        shm_layout_make(layout->ranks, layout->window_bytes, heap, layout);
    }
    if (layout->heap_bytes < wanted)
        kolo_guard_log(env, KOLO_LOG_INFO,
                       "shm: address space is limited (ulimit -v): the heap gets %zu bytes a rank, not %zu",
                       layout->heap_bytes, wanted);
    return KOLO_OK;
}

void shm_space_release(const shm_layout *layout, void *space)
{
    if (space)
        munmap(space, (size_t)layout->ranks * layout->stride);
}
