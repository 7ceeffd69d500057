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
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

enum { PAGE = 4096 };
enum { RING_LINES = 128, RING_UNITS_MAX = 1024, RING_UNITS_MIN = 256, RINGS_BYTES = 2 * 1024 * 1024 };

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

void shm_layout_make(int32_t ranks, size_t window_bytes, shm_layout *layout)
{
    shm_ring_size ring = {.lines = RING_LINES, .units = RING_UNITS_MAX};
    while (ring.units > RING_UNITS_MIN && (size_t)ranks * shm_ring_bytes(ring) > RINGS_BYTES)
        ring.units /= 2;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t flags_at = round_up(sizeof(shm_head), PAGE);
    size_t rings_at = flags_at + KOLO_TRANSPORT_FLAG_LINES * SHM_LINE;
    size_t window_at = round_up(rings_at + (size_t)ranks * shm_ring_bytes(ring), page);
    window_bytes = round_up(window_bytes, page);
    *layout = (shm_layout){.ranks = ranks,
                           .ring = ring,
                           .flags_at = flags_at,
                           .rings_at = rings_at,
                           .window_at = window_at,
                           .window_bytes = window_bytes,
                           .total = window_at + window_bytes};
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

/* Pages now rather than at the first access: an access must not fail, and should not wait. */
static kolo_status map(const kolo_transport_env *env, const shm_layout *layout, int fd, shm_head **head)
{
    void *base = mmap(NULL, layout->total, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return refuse(env, "mmap", layout->total);
    if (madvise(base, layout->total, MADV_POPULATE_WRITE) != 0)
        kolo_guard_log(env, KOLO_LOG_DEBUG, "shm: no populating (%s); the first accesses will be slow",
                       strerror(errno));
    *head = base;
    return KOLO_OK;
}

static kolo_status fill(const kolo_transport_env *env, const shm_layout *layout, int fd, shm_head **head)
{
    /* All ranks are here and ask at the same time, so each counts them all. Not the last half: the tensors need
     * room too. */
    uint64_t room = shm_room_bytes(), wanted = (uint64_t)layout->total * (uint64_t)layout->ranks;
    if (wanted > room / 2)
        return kolo_guard_refuse(env, KOLO_ERR_UNSUPPORTED,
                                 "%d ranks with %zu bytes of shared memory each are too much for %llu available bytes; "
                                 "less KOLO_SHM_WINDOW helps",
                                 (int)layout->ranks, layout->total, (unsigned long long)room);
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < layout->total) /* the kernel would send SIGXFSZ */
        return kolo_guard_refuse(env, KOLO_ERR_UNSUPPORTED,
                                 "no shared memory of %zu bytes: the limit of file sizes is %llu (ulimit -f)",
                                 layout->total, (unsigned long long)limit.rlim_cur);
    if (fchmod(fd, 0600) != 0)
        return refuse(env, "fchmod", layout->total);
    if (ftruncate(fd, (off_t)layout->total) != 0 || fallocate(fd, 0, 0, (off_t)layout->total) != 0)
        return refuse(env, "the memory cannot be had", layout->total);
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return refuse(env, "sealing", layout->total);
    kolo_status status = map(env, layout, fd, head);
    if (status != KOLO_OK)
        return status;
    if (getrandom((*head)->proof, SHM_PROOF_BYTES, 0) != SHM_PROOF_BYTES) {
        shm_segment_unmap(layout, *head);
        return refuse(env, "getrandom", layout->total);
    }
    return KOLO_OK;
}

kolo_status shm_segment_create(const kolo_transport_env *env, const shm_layout *layout, int *fd, shm_head **head)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    *fd = memfd_create("kolo", flags | MFD_NOEXEC_SEAL);
    if (*fd < 0 && errno == EINVAL)
        *fd = memfd_create("kolo", flags);
    if (*fd < 0)
        return refuse(env, "memfd_create", layout->total);
    kolo_status status = fill(env, layout, *fd, head);
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
    if ((size_t)info.st_size != layout->total)
        return "it has another size";
    return NULL;
}

kolo_status shm_segment_map(const kolo_transport_env *env, const shm_layout *layout, int32_t rank, int32_t pid, int fd,
                            const unsigned char proof[SHM_PROOF_BYTES], shm_head **head)
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
        status = map(env, layout, own_fd, head);
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
        munmap(head, layout->total);
}
