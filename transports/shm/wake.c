/* wake.c - sleeping, and waking those who sleep.
 *
 * A rank's bell is a pipe that its peers have opened. Whoever makes something for it (a frame, room, a flag) and
 * then finds its `sleeping` set clears that and rings. The sleeper sets it and then looks once more. Between the
 * two steps either side has a full fence, so at least one of them sees the other. Nobody rings for who is awake. */
#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BELL = SHM_MAX_RANKS, EVENTS = 16 }; /* in epoll's data: the bell, or a rank */

kolo_status shm_wake_open(kolo_transport *t)
{
    const kolo_transport_env *env = &t->guard.env;
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
        return kolo_guard_refuse(env, KOLO_ERR_SYSTEM, "pipe2: %s", strerror(errno));
    t->bell_read_fd = ends[0];
    t->bell_write_fd = ends[1]; /* never written: without it the other end would be hung up */
    t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = BELL};
    if (t->epoll_fd < 0 || epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->bell_read_fd, &event) != 0)
        return kolo_guard_refuse(env, KOLO_ERR_SYSTEM, "epoll: %s", strerror(errno));
    return KOLO_OK;
}

void shm_wake_close(kolo_transport *t)
{
    const int fds[] = {t->epoll_fd, t->bell_read_fd, t->bell_write_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* After a full fence. */
static void ring_if_asleep(shm_peer *peer, uint32_t what)
{
    if (!(atomic_load_explicit(&peer->head->sleeping, memory_order_relaxed) & what) ||
        atomic_exchange(&peer->head->sleeping, 0) == 0)
        return;
    while (write(peer->bell_fd, "", 1) < 0 && errno == EINTR) /* a full pipe wakes as well */
        continue;
}

void shm_wake(kolo_transport *t, shm_peer *peer, uint32_t what)
{
    if (t->in_progress) {
        peer->wake |= what;
        t->wake = true;
        return;
    }
    shm_full_fence();
    ring_if_asleep(peer, what);
}

void shm_wake_pending(kolo_transport *t)
{
    if (!t->wake)
        return;
    t->wake = false;
    shm_full_fence();
    for (int32_t r = 0; r < t->guard.env.size; r++) {
        shm_peer *peer = &t->peers[r];
        if (peer->wake != 0)
            ring_if_asleep(peer, peer->wake);
        peer->wake = 0;
    }
}

void shm_wake_all(kolo_transport *t)
{
    shm_full_fence();
    for (int32_t r = 0; r < t->guard.env.size; r++)
        if (t->peers[r].head)
            ring_if_asleep(&t->peers[r], SHM_FOR_NEWS);
}

/* Whether progress() would find something. */
static bool has_news(kolo_transport *t)
{
    if (t->done.first || t->pulls.first || t->dying > 0 || t->nonsense || shm_peers_changed(t))
        return true;
    for (int32_t r = 0; r < t->guard.env.size; r++) {
        shm_peer *peer = &t->peers[r];
        if (!peer->head || peer->over)
            continue;
        if (shm_reader_ready(&t->readers[r]) || (peer->backlog && shm_writer_refresh(&peer->out)) || peer->out.corrupt)
            return true;
    }
    return false;
}

kolo_status shm_arm(kolo_transport *t, bool *armed)
{
    shm_wake_pending(t);
    atomic_store(&t->head->sleeping, SHM_FOR_NEWS | (t->backlogs > 0 ? SHM_FOR_ROOM : 0u));
    shm_full_fence();
    *armed = t->armed = !has_news(t);
    if (!*armed)
        atomic_store_explicit(&t->head->sleeping, 0, memory_order_relaxed);
    return KOLO_OK;
}

static void silence(int fd)
{
    char bytes[256];
    while (read(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes))
        continue;
}

/* What the event fd has; also now and then without having slept: it tells of deaths. */
void shm_disarm(kolo_transport *t)
{
    struct epoll_event events[EVENTS];
    if (t->armed)
        atomic_store_explicit(&t->head->sleeping, 0, memory_order_relaxed);
    t->armed = false;
    int count = epoll_wait(t->epoll_fd, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 == BELL)
            silence(t->bell_read_fd);
        else
            shm_peer_died(t, &t->peers[events[i].data.u32]);
    }
    shm_peers_look(t);
}
