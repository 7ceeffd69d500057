/* pull.c - large messages, read straight from their sender's memory (cross-memory attach): one copy, and none of
 * the sender's time. */
#include "instance.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PIECE_BYTES = 128 * 1024 }; /* between two looks at the rings */

static ssize_t read_peer(int32_t pid, void *to, uint64_t from, size_t bytes)
{
    struct iovec local = {.iov_base = to, .iov_len = bytes};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)from, .iov_len = bytes};
    return process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

bool shm_reads_peers(kolo_transport *t)
{
    return t->reads_peers;
}

static bool read_all(int32_t pid, unsigned char *to, uint64_t from, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        errno = EIO; /* of a read of nothing */
        ssize_t count = read_peer(pid, to + done, from + done, bytes - done);
        if (count <= 0)
            return false;
        done += (size_t)count;
    }
    return true;
}

/* What was read is the peer's if it had not taken its memory back by then, and lives: so it was no later process with its
 * number. */
kolo_status shm_read_peer(kolo_transport *t, int32_t rank, uintptr_t address, void *to, size_t bytes)
{
    const shm_peer *peer = &t->peers[rank];
    bool is_own = rank == t->guard.env.rank, is_read = read_all(is_own ? getpid() : peer->pid, to, address, bytes);
    int why = errno;
    shm_full_fence();
    if (!is_own && (atomic_load_explicit(&peer->head->epoch, memory_order_acquire) != peer->epoch ||
                    !shm_peer_alive(peer) || (!is_read && why == ESRCH)))
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_PEER, "rank %d has ended, or takes no part any more",
                                 (int)rank);
    if (!is_read)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_INVALID,
                                 "%zu bytes at %p of rank %d, process %d, cannot be read: %s", bytes, (void *)address,
                                 (int)rank, is_own ? (int)getpid() : (int)peer->pid, strerror(why));
    return KOLO_OK;
}

bool shm_pull_probe(int32_t pid, uint64_t address, const unsigned char proof[SHM_PROOF_BYTES])
{
    unsigned char found[SHM_PROOF_BYTES];
    return read_peer(pid, found, address, sizeof(found)) == sizeof(found) && memcmp(found, proof, sizeof(found)) == 0;
}

void shm_reply(kolo_transport *t, shm_posting *posting, shm_kind reply)
{
    shm_peer *peer = &t->peers[posting->peer];
    posting->reply = reply;
    shm_postings_push(&peer->replies, posting);
    shm_flush(t, peer);
}

void shm_pull_begin(kolo_transport *t, shm_posting *posting, const shm_announcement *announcement)
{
    posting->announced = *announcement;
    posting->moved = 0;
    posting->status = shm_judge_size(t, posting->peer, (size_t)announcement->bytes, posting->bytes);
    if (posting->status == KOLO_OK)
        shm_postings_push(&t->pulls, posting);
    else
        shm_reply(t, posting, SHM_PULLED); /* the sender is through with it */
}

/* All is read: is it what was announced? It is if the sender still had not taken its buffer back afterwards, and
 * lives (so that it was no later process with its number that we read). Else the message has never come. */
static void finish(kolo_transport *t, shm_posting *posting)
{
    const shm_peer *peer = &t->peers[posting->peer];
    shm_full_fence();
    uint64_t epoch = atomic_load_explicit(&peer->head->epoch, memory_order_acquire);
    if (epoch == posting->announced.epoch && shm_peer_alive(peer))
        shm_reply(t, posting, SHM_PULLED);
    else
        shm_posted_insert(t, posting);
}

/* One piece of the next one. */
int shm_pull(kolo_transport *t)
{
    shm_posting *posting = shm_postings_pop(&t->pulls);
    if (!posting)
        return 0;
    size_t left = posting->bytes - posting->moved, piece = left < PIECE_BYTES ? left : PIECE_BYTES;
    ssize_t count = read_peer(t->peers[posting->peer].pid, posting->buffer.to + posting->moved,
                              posting->announced.address + posting->moved, piece);
    if (count > 0)
        posting->moved += (size_t)count;
    if (posting->moved == posting->bytes)
        finish(t, posting);
    else if (count > 0)
        shm_postings_push(&t->pulls, posting);
    else if (errno == ESRCH)
        shm_posted_insert(t, posting); /* its end will be noticed */
    else
        shm_reply(t, posting, SHM_REFUSED);
    return 1;
}
