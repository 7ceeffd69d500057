/* segment.c - see segment.h. */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

enum { PAGE = 4096 };
enum { RING_LINES = 128, RING_UNITS_MAX = 1024, RING_UNITS_MIN = 256, RINGS_BYTES = 2 * 1024 * 1024 };

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

void shm_layout_make(int32_t ranks, size_t window_bytes, size_t heap_bytes, shm_layout *layout)
{
    shm_ring_size ring = {.lines = RING_LINES, .units = RING_UNITS_MAX};
    while (ring.units > RING_UNITS_MIN && (size_t)ranks * shm_ring_bytes(ring) > RINGS_BYTES)
        ring.units /= 2;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t flags_at = round_up(sizeof(shm_head), PAGE);
    size_t rings_at = flags_at + KOLO_TRANSPORT_FLAG_LINES * SHM_LINE;
    size_t window_at = round_up(rings_at + (size_t)ranks * shm_ring_bytes(ring), page);
    window_bytes = round_up(window_bytes, page);
    heap_bytes = round_up(heap_bytes, SHM_HUGE_PAGE);
    size_t fixed = window_at + window_bytes, heap_at = round_up(fixed, SHM_HUGE_PAGE);
    *layout = (shm_layout){.ranks = ranks,
                           .ring = ring,
                           .flags_at = flags_at,
                           .rings_at = rings_at,
                           .window_at = window_at,
                           .window_bytes = window_bytes,
                           .fixed = fixed,
                           .heap_at = heap_at,
                           .heap_bytes = heap_bytes,
                           .stride = heap_at + heap_bytes};
}

void *shm_layout_ring(const shm_layout *layout, void *base, int32_t writer)
{
    return (unsigned char *)base + layout->rings_at + (size_t)writer * shm_ring_bytes(layout->ring);
}

static kolo_status refuse(const kolo_transport_env *env, const char *what, size_t bytes)
{
    return kolo_guard_refuse(env, KOLO_ERR_UNSUPPORTED, "no shared memory of %zu bytes: %s: %s", bytes, what,
                             strerror(errno));
}

/* Without pages. A core dump holds no peer's memory, and of the own heap what is in use. */
static kolo_status map(const kolo_transport_env *env, const shm_layout *layout, void *space, int32_t rank, int fd,
                       shm_head **head)
{
    unsigned char *place = (unsigned char *)space + (size_t)rank * layout->stride;
    size_t bytes = layout->heap_bytes > 0 ? layout->heap_at + layout->heap_bytes : layout->fixed;
    void *base = mmap(place, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    if (base == MAP_FAILED)
        return refuse(env, "mmap", bytes);
    size_t kept = rank == env->rank ? layout->heap_at : 0;
    if (kept < bytes)
        (void)madvise(place + kept, bytes - kept, MADV_DONTDUMP);
    if (layout->heap_bytes > 0)
        (void)madvise(place + layout->heap_at, layout->heap_bytes, MADV_HUGEPAGE);
    *head = base;
    return KOLO_OK;
}

static void fill(const kolo_transport_env *env, const shm_layout *layout, int fd, shm_head *head)
{
    if (!shm_pages_fill(fd, head, 0, layout->fixed))
        kolo_guard_log(env, KOLO_LOG_DEBUG, "shm: no populating (%s); the first accesses will be slow",
                       strerror(errno));
}

/* The pages of the own segment, but for the heap's; all of it is placed before. */
static kolo_status furnish(const kolo_transport_env *env, const shm_layout *layout, int fd, shm_head *head)
{
    if (env->place)
        env->place(env->user, head, layout->heap_bytes > 0 ? layout->stride : layout->fixed);
    if (fallocate(fd, 0, 0, (off_t)layout->fixed) != 0)
        return refuse(env, "the memory cannot be had", layout->fixed);
    fill(env, layout, fd, head);
    if (getrandom(head->proof, SHM_PROOF_BYTES, 0) != SHM_PROOF_BYTES)
        return refuse(env, "getrandom", layout->fixed);
    return KOLO_OK;
}

static kolo_status build(const kolo_transport_env *env, const shm_layout *layout, void *space, int fd, shm_head **head)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < layout->fixed) /* the kernel would send SIGXFSZ */
        return kolo_guard_refuse(env, KOLO_ERR_UNSUPPORTED,
                                 "no shared memory of %zu bytes: the limit of file sizes is %llu (ulimit -f)",
                                 layout->fixed, (unsigned long long)limit.rlim_cur);
    if (fchmod(fd, 0600) != 0)
        return refuse(env, "fchmod", layout->fixed);
    if (ftruncate(fd, (off_t)layout->fixed) != 0)
        return refuse(env, "the memory cannot be had", layout->fixed);
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        return refuse(env, "sealing", layout->fixed);
    kolo_status status = map(env, layout, space, env->rank, fd, head);
    if (status == KOLO_OK && (status = furnish(env, layout, fd, *head)) != KOLO_OK) {
        shm_segment_unmap(layout, *head);
        *head = NULL;
    }
    return status;
}

kolo_status shm_segment_create(const kolo_transport_env *env, const shm_layout *layout, void *space, int *fd,
                               shm_head **head)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    *fd = memfd_create("kolo", flags | MFD_NOEXEC_SEAL);
    if (*fd < 0 && errno == EINVAL)
        *fd = memfd_create("kolo", flags);
    if (*fd < 0)
        return refuse(env, "memfd_create", layout->fixed);
    kolo_status status = build(env, layout, space, *fd, head);
    if (status != KOLO_OK) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

/* What is wrong with an fd as that segment, or NULL. */
static const char *check(int fd, const shm_layout *layout)
{
    struct stat info;
    int seals = fcntl(fd, F_GET_SEALS);
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || seals < 0 || !(seals & F_SEAL_SHRINK))
        return "what is there is no such segment; is it on another host, or in another PID namespace?";
    if ((size_t)info.st_size < layout->fixed)
        return "it is too small";
    return NULL;
}

kolo_status shm_segment_map(const kolo_transport_env *env, const shm_layout *layout, void *space, int32_t rank,
                            int32_t pid, int fd, const unsigned char proof[SHM_PROOF_BYTES], shm_head **head)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
    int own_fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* whatever it may be */
    if (own_fd < 0)
        return kolo_guard_refuse(
            env, KOLO_ERR_UNSUPPORTED,
            "the memory of rank %d cannot be mapped: %s: %s; is it on another host, in another PID "
            "namespace, or another user's?",
            (int)rank, path, strerror(errno));
    const char *wrong = check(own_fd, layout);
    kolo_status status = KOLO_OK;
    if (wrong)
        status = kolo_guard_refuse(env, KOLO_ERR_UNSUPPORTED, "the memory of rank %d cannot be mapped: %s: %s",
                                   (int)rank, path, wrong);
    else
        status = map(env, layout, space, rank, own_fd, head);
    if (status == KOLO_OK)
        fill(env, layout, own_fd, *head);
    close(own_fd);
    if (status == KOLO_OK && memcmp((*head)->proof, proof, SHM_PROOF_BYTES) != 0) {
        shm_segment_unmap(layout, *head);
        *head = NULL;
        status = kolo_guard_refuse(env, KOLO_ERR_UNSUPPORTED,
                                   "the memory of rank %d cannot be mapped: %s is another segment; is it on another "
                                   "host?",
                                   (int)rank, path);
    }
    return status;
}

void shm_segment_unmap(const shm_layout *layout, shm_head *head)
{
    if (head)
        (void)mmap(head, layout->stride, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}
