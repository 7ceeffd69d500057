/* address.c - the address that travels between ranks, and making the connections from it.
 *
 * Little-endian: u32 magic "KoSM", u16 version, u16 0, u32 rank, u32 ranks, u32 pid, u32 segment's fd, u32 bell's
 * fd, u64 address of the segment's head in its process, u64 window bytes, u64 bytes before the heap, u64 heap
 * bytes, 16 bytes proof, u64 FNV-1a of all before. */
#include "instance.h"

#include "base/codec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { VERSION = 2, ADDRESS_BYTES = 4 + 2 + 2 + 5 * 4 + 4 * 8 + SHM_PROOF_BYTES + 8 };
static const uint32_t magic = UINT32_C(0x4d536f4b);

typedef struct address {
    uint32_t rank, ranks, pid, memory_fd, bell_fd;
    uint64_t head, window_bytes, fixed, heap_bytes;
    unsigned char proof[SHM_PROOF_BYTES];
} address;

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t fnv1a(const unsigned char *bytes, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

kolo_status shm_address_make(kolo_transport *t)
{
    t->address = malloc(ADDRESS_BYTES);
    if (!t->address)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_MEMORY, "no memory for an address");
    kolo_writer w;
    kolo_writer_init(&w, t->address, ADDRESS_BYTES);
    kolo_write_u32(&w, magic);
    kolo_write_u16(&w, VERSION);
    kolo_write_u16(&w, 0);
    kolo_write_u32(&w, (uint32_t)t->guard.env.rank);
    kolo_write_u32(&w, (uint32_t)t->guard.env.size);
    kolo_write_u32(&w, (uint32_t)getpid());
    kolo_write_u32(&w, (uint32_t)t->memory_fd);
    kolo_write_u32(&w, (uint32_t)t->bell_read_fd);
    kolo_write_u64(&w, (uint64_t)(uintptr_t)t->head);
    kolo_write_u64(&w, t->layout.window_bytes);
    kolo_write_u64(&w, t->layout.fixed);
    kolo_write_u64(&w, t->layout.heap_bytes);
    kolo_write_raw(&w, t->head->proof, SHM_PROOF_BYTES);
    kolo_write_u64(&w, fnv1a(t->address, w.size));
    t->address_bytes = w.size;
    return KOLO_OK;
}

/* What is wrong with it, or NULL. */
static const char *decode(const kolo_bytes *bytes, const kolo_guard *guard, int32_t rank, address *a)
{
    kolo_reader r;
    kolo_reader_init(&r, bytes->data, bytes->size);
    if (kolo_read_u32(&r) != magic)
        return "it is not an address of this transport";
    if (kolo_read_u16(&r) != VERSION)
        return "it has another version; all ranks must run the same library";
    if (bytes->size != ADDRESS_BYTES)
        return "its length is wrong";
    uint16_t reserved = kolo_read_u16(&r);
    *a = (address){.rank = kolo_read_u32(&r)};
    a->ranks = kolo_read_u32(&r);
    a->pid = kolo_read_u32(&r);
    a->memory_fd = kolo_read_u32(&r);
    a->bell_fd = kolo_read_u32(&r);
    a->head = kolo_read_u64(&r);
    a->window_bytes = kolo_read_u64(&r);
    a->fixed = kolo_read_u64(&r);
    a->heap_bytes = kolo_read_u64(&r);
    memcpy(a->proof, kolo_read_raw(&r, SHM_PROOF_BYTES), SHM_PROOF_BYTES);
    uint64_t hash = kolo_read_u64(&r);
    if (!kolo_reader_done(&r) || reserved != 0 || hash != fnv1a(bytes->data, ADDRESS_BYTES - 8))
        return "its checksum is wrong";
    if (a->rank != (uint32_t)rank)
        return "it belongs to another rank";
    if (a->ranks != (uint32_t)guard->env.size)
        return "it belongs to a job of another size";
    if (a->pid == 0 || a->pid > INT32_MAX || a->memory_fd > INT32_MAX || a->bell_fd > INT32_MAX)
        return "its numbers make no sense";
    return NULL;
}

static kolo_status bell_open(const kolo_transport_env *env, shm_peer *peer, const address *a)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)a->pid, (int)a->bell_fd);
    /* For reading as well: so there is always a reader, and writing never raises SIGPIPE. */
    peer->bell_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (peer->bell_fd < 0)
        return kolo_guard_refuse(env, KOLO_ERR_UNSUPPORTED, "the bell of rank %d cannot be opened: %s: %s",
                                 (int)peer->rank, path, strerror(errno));
    return KOLO_OK;
}

/* The pidfd comes first: should the process die and its number go to another, then one of the next steps fails, or
 * the pidfd tells. */
static kolo_status connect_peer(kolo_transport *t, shm_peer *peer, const address *a)
{
    const kolo_transport_env *env = &t->guard.env;
    peer->pid = (int32_t)a->pid;
    if (peer->pid != getpid()) {
        peer->pid_fd = (int)syscall(SYS_pidfd_open, peer->pid, 0);
        if (peer->pid_fd < 0)
            return kolo_guard_refuse(env, KOLO_ERR_UNSUPPORTED,
                                     "rank %d, process %d, cannot be watched: pidfd_open: %s; is it on another host, "
                                     "or in another PID namespace?",
                                     (int)peer->rank, (int)peer->pid, strerror(errno));
    }
    kolo_status status =
        shm_segment_map(env, &t->layout, t->space, peer->rank, peer->pid, (int)a->memory_fd, a->proof, &peer->head);
    if (status == KOLO_OK)
        status = bell_open(env, peer, a);
    if (status == KOLO_OK)
        status = shm_peers_watch(t, peer);
    if (status != KOLO_OK)
        return status;
    peer->epoch = atomic_load_explicit(&peer->head->epoch, memory_order_acquire);
    shm_writer_init(&peer->out, shm_layout_ring(&t->layout, peer->head, env->rank), t->layout.ring);
    shm_ring *ring = shm_layout_ring(&t->layout, t->head, peer->rank);
    shm_reader_init(&t->readers[peer->rank], ring, t->layout.ring);
    bool attach = t->attach && shm_pull_probe(peer->pid, a->head, a->proof);
    if (t->attach && !attach)
        kolo_guard_log(env, KOLO_LOG_INFO,
                       "shm: the kernel does not let this rank read rank %d's memory: large messages go in pieces",
                       (int)peer->rank);
    atomic_store_explicit(&ring->attach, attach, memory_order_release);
    t->reads_peers = t->reads_peers && attach;
    return KOLO_OK;
}

kolo_status shm_connect(kolo_transport *t, const kolo_bytes *addresses)
{
    const kolo_transport_env *env = &t->guard.env;
    address a;
    uint64_t least_heap = UINT64_MAX; /* address space may be limited on some ranks */
    for (int32_t r = 0; r < env->size; r++) {
        const char *wrong = decode(&addresses[r], &t->guard, r, &a);
        if (wrong)
            return kolo_guard_refuse(env, KOLO_ERR_PROTOCOL, "the address of rank %d is damaged: %s", (int)r, wrong);
        if (a.window_bytes != t->layout.window_bytes || a.fixed != t->layout.fixed)
            return kolo_guard_refuse(env, KOLO_ERR_CONFIG,
                                     "the window of rank %d has %llu bytes, ours %zu; KOLO_SHM_WINDOW must be the same "
                                     "on all ranks",
                                     (int)r, (unsigned long long)a.window_bytes, t->layout.window_bytes);
        least_heap = a.heap_bytes < least_heap ? a.heap_bytes : least_heap;
    }
    t->layout.heap_bytes = (size_t)least_heap;
    t->reads_peers = true;
    for (int32_t r = 0; r < env->size; r++) {
        (void)decode(&addresses[r], &t->guard, r, &a);
        kolo_status status = r == env->rank ? KOLO_OK : connect_peer(t, &t->peers[r], &a);
        if (status != KOLO_OK) {
            shm_disconnect(t);
            return status;
        }
    }
    shm_heap_open(t);
    return KOLO_OK;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void shm_disconnect(kolo_transport *t)
{
    for (int32_t r = 0; t->peers && r < t->guard.env.size; r++) {
        shm_peer *peer = &t->peers[r];
        shm_segment_unmap(&t->layout, peer->head);
        peer->head = NULL;
        close_fd(&peer->bell_fd);
        close_fd(&peer->pid_fd); /* which takes it out of the epoll set */
    }
}
