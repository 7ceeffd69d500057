/* heap.c - memory for tensors, out of the own segment's heap: which ranges are taken is known to the owner alone. */
#include "instance.h"

#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define HEAP_MAX      (INT64_C(1) << 40)
#define ADDRESSES_MAX (INT64_C(1) << 42) /* of all ranks' heaps, unless the user says otherwise */

kolo_status shm_heap_configure(const kolo_transport_env *env, const char *text, size_t *bytes)
{
    int64_t wanted;
    if (strcmp(text, "auto") == 0) {
        int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
        wanted = memory < ADDRESSES_MAX / env->size ? memory : ADDRESSES_MAX / env->size;
    } else if (!kolo_parse_size(text, &wanted) || wanted > HEAP_MAX) {
        return kolo_guard_refuse(env, KOLO_ERR_CONFIG, "KOLO_SHM_HEAP=%s is neither auto nor a size up to 1T, like 4G",
                                 text);
    }
    *bytes = (size_t)wanted;
    return KOLO_OK;
}

void shm_heap_open(kolo_transport *t)
{
    kolo_ranges_fini(&t->heap.ranges);
    kolo_ranges_init(&t->heap.ranges, t->layout.heap_bytes);
    t->heap.end = t->layout.heap_at;
    t->heap.page = (size_t)sysconf(_SC_PAGESIZE);
}

static size_t page_down(const kolo_transport *t, size_t offset)
{
    return offset / t->heap.page * t->heap.page;
}

static size_t page_up(const kolo_transport *t, size_t offset)
{
    return page_down(t, offset + t->heap.page - 1);
}

/* A forked child may keep the segment alive, but not its tensors. */
void shm_heap_close(kolo_transport *t)
{
    if (t->heap.ranges.count > 0)
        (void)fallocate(t->memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)t->layout.heap_at,
                        (off_t)(t->heap.end - t->layout.heap_at));
    kolo_ranges_fini(&t->heap.ranges);
}

void *shm_heap(kolo_transport *t, int32_t rank)
{
    if (!t->guard.connected || t->layout.heap_bytes == 0 || rank < 0 || rank >= t->guard.env.size)
        return NULL;
    shm_head *head = rank == t->guard.env.rank ? t->head : t->peers[rank].head;
    return (unsigned char *)head + t->layout.heap_at;
}

size_t shm_heap_bytes(kolo_transport *t)
{
    return t->layout.heap_bytes;
}

static kolo_status refuse(const kolo_transport *t, size_t bytes, const char *why)
{
    return kolo_guard_refuse(&t->guard.env, KOLO_ERR_MEMORY, "no shared memory for a tensor of %zu bytes: %s", bytes,
                             why);
}

/* The file reaches to the end of what is taken. */
static bool extend(kolo_transport *t, size_t end)
{
    struct rlimit limit;
    if (end <= t->heap.end)
        return true;
    errno = EFBIG;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < end) /* the kernel would send SIGXFSZ */
        return false;
    if (ftruncate(t->memory_fd, (off_t)end) != 0)
        return false;
    t->heap.end = end;
    return true;
}

/* Under the lock. Whether there is memory for every rank: as for the segments, all ranks ask at the same time, so each
 * counts them all. Asking takes as long as filling many pages; so a small part of what there was is not asked for again. */
static bool has_room(kolo_transport *t, size_t bytes)
{
    enum { PART = 16 };
    if (bytes > t->heap.room) {
        uint64_t room = shm_room_bytes("") / (uint64_t)t->guard.env.size;
        if (bytes > room)
            return false;
        t->heap.room = (size_t)(room - bytes) / PART;
        return true;
    }
    t->heap.room -= bytes;
    return true;
}

/* Small tensors share pages: a thousand of them on pages of their own would use a quarter of the caches' sets, and a
 * thousand entries of the TLB. */
static size_t unit_of(const kolo_transport *t, size_t bytes)
{
    return bytes >= SHM_HUGE_PAGE               ? SHM_HUGE_PAGE
           : bytes >= KOLO_TRANSPORT_HEAP_SMALL ? t->heap.page
                                                : KOLO_TRANSPORT_HEAP_LINE;
}

/* Under the lock. *bytes are rounded up. */
static kolo_status take(kolo_transport *t, size_t *bytes, size_t *offset)
{
    if (!has_room(t, *bytes))
        return refuse(t, *bytes, "there is not so much memory available for every rank");
    size_t asked = *bytes;
    if (!kolo_ranges_take(&t->heap.ranges, unit_of(t, asked), bytes, offset))
        return refuse(t, asked, "there is no such room left; more KOLO_SHM_HEAP helps");
    if (!extend(t, t->layout.heap_at + page_up(t, *offset + *bytes))) {
        int error = errno;
        kolo_ranges_give(&t->heap.ranges, *offset);
        return refuse(t, asked, error == EFBIG ? "the limit of file sizes is too low (ulimit -f)" : strerror(error));
    }
    return KOLO_OK;
}

/* The pages that only the range touches. */
static bool own_pages(const kolo_transport *t, size_t offset, size_t bytes, size_t *first, size_t *end)
{
    size_t free_begin, free_end;
    kolo_ranges_around(&t->heap.ranges, offset, &free_begin, &free_end);
    *first = page_down(t, offset);
    *end = page_up(t, offset + bytes);
    if (*first < free_begin)
        *first += t->heap.page;
    if (*end > free_end)
        *end -= t->heap.page;
    return *first < *end;
}

/* Under the lock: nobody may take the range before it is empty. unused: it never had anything else in it, and may have no
 * memory that could be cleared. */
static void give(kolo_transport *t, size_t offset, size_t bytes, bool unused)
{
    unsigned char *heap = (unsigned char *)t->head + t->layout.heap_at;
    size_t first, end;
    bool has_pages = own_pages(t, offset, bytes, &first, &end);
    bool emptied = has_pages && fallocate(t->memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                          (off_t)(t->layout.heap_at + first), (off_t)(end - first)) == 0;
    if (has_pages)
        (void)madvise(heap + first, end - first, MADV_DONTDUMP);
    if (!emptied)
        first = end = offset + bytes;
    if (!unused && first > offset)
        memset(heap + offset, 0, first - offset);
    if (!unused && end < offset + bytes)
        memset(heap + end, 0, offset + bytes - end);
    kolo_ranges_give(&t->heap.ranges, offset);
}

kolo_status shm_heap_alloc(kolo_transport *t, size_t bytes, void **memory)
{
    if (!t->guard.connected)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_STATE, "the transport is not connected yet");
    if (bytes == 0)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_INVALID, "a tensor of 0 bytes needs no memory");
    size_t offset, rounded = bytes;
    pthread_mutex_lock(&t->heap.lock);
    kolo_status status = take(t, &rounded, &offset);
    pthread_mutex_unlock(&t->heap.lock);
    if (status != KOLO_OK)
        return status;
    unsigned char *heap = (unsigned char *)t->head + t->layout.heap_at;
    size_t first = page_down(t, offset), filled = page_up(t, offset + rounded) - first;
    if (!shm_pages_fill(t->memory_fd, t->head, t->layout.heap_at + first, filled)) {
        status = refuse(t, bytes, strerror(errno));
        pthread_mutex_lock(&t->heap.lock);
        give(t, offset, rounded, true);
        pthread_mutex_unlock(&t->heap.lock);
        return status;
    }
    (void)madvise(heap + first, filled, MADV_DODUMP);
    *memory = heap + offset;
    return KOLO_OK;
}

kolo_status shm_heap_free(kolo_transport *t, void *memory)
{
    uintptr_t heap = (uintptr_t)t->head + t->layout.heap_at, at = (uintptr_t)memory;
    size_t bytes = 0;
    pthread_mutex_lock(&t->heap.lock);
    if (at >= heap && (bytes = kolo_ranges_at(&t->heap.ranges, at - heap)) > 0)
        give(t, at - heap, bytes, false);
    pthread_mutex_unlock(&t->heap.lock);
    if (bytes == 0)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_INVALID, "%p is not memory of this heap, or was freed before",
                                 memory);
    return KOLO_OK;
}
