/* peers.c - how a peer ends: its process dies, it says that it leaves, or it sends what makes no sense. */
#include "instance.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

kolo_status shm_peers_watch(kolo_transport *t, shm_peer *peer)
{
    if (peer->pid_fd < 0)
        return KOLO_OK;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)peer->rank};
    if (epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, peer->pid_fd, &event) != 0)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_SYSTEM, "epoll_ctl: %s", strerror(errno));
    return KOLO_OK;
}

bool shm_peer_alive(const shm_peer *peer)
{
    struct pollfd one = {.fd = peer->pid_fd, .events = POLLIN};
    return poll(&one, 1, 0) == 0; /* an fd of -1 is never ready */
}

static uint32_t state_of(const shm_peer *peer)
{
    return atomic_load_explicit(&peer->head->state, memory_order_acquire);
}

static void begin_dying(kolo_transport *t, shm_peer *peer)
{
    if (peer->dying || peer->over)
        return;
    peer->dying = true;
    t->dying++;
}

void shm_peer_died(kolo_transport *t, shm_peer *peer)
{
    /* It would be readable for ever. It stays open: shm_peer_alive asks it. */
    epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, peer->pid_fd, NULL);
    begin_dying(t, peer);
}

static bool has_left(const shm_peer *peer)
{
    return peer->head && !peer->dying && !peer->over && state_of(peer) >= SHM_CLOSED;
}

bool shm_peers_changed(kolo_transport *t)
{
    for (int32_t r = 0; r < t->guard.env.size; r++)
        if (has_left(&t->peers[r]))
            return true;
    return false;
}

void shm_peers_look(kolo_transport *t)
{
    for (int32_t r = 0; r < t->guard.env.size; r++)
        if (has_left(&t->peers[r]))
            begin_dying(t, &t->peers[r]);
}

static void bury(kolo_transport *t, shm_peer *peer, const char *why)
{
    const kolo_transport_env *env = &t->guard.env;
    if (peer->dying)
        t->dying--;
    peer->dying = false;
    peer->over = true;
    shm_arrivals_drop(t, peer->rank, false);
    for (int l = 0; l < SHM_LANES; l++)
        peer->lanes_in[l].arrival = NULL;
    shm_controls_free(peer);
    shm_postings_end(t, peer->rank, KOLO_ERR_PEER);
    if (why && !t->guard.closing)
        env->on_peer_lost(env->user, peer->rank, why);
}

int shm_peers_bury(kolo_transport *t)
{
    int count = 0;
    for (int32_t r = 0; r < t->guard.env.size; r++) {
        shm_peer *peer = &t->peers[r];
        if (!peer->head || peer->over)
            continue;
        bool nonsense = peer->out.corrupt;
        if (!nonsense && (!peer->dying || shm_reader_ready(&t->readers[r])))
            continue;
        uint32_t state = state_of(peer);
        bury(t, peer,
             nonsense                                      ? "it wrote what makes no sense into shared memory"
             : state == SHM_CLOSING || state == SHM_CLOSED ? NULL
             : state == SHM_GONE                           ? "it closed without waiting for the others"
                                                           : "its process has ended");
        count++;
    }
    t->nonsense = false;
    return count;
}
