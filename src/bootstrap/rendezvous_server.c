/* rendezvous_server.c - the thread that serves the rendezvous: poll, accept, read, write. What it all means is in
 * rendezvous_rules.c. */
#include "bootstrap/rendezvous_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "bootstrap/rendezvous_rules.h"
#include "bootstrap/rendezvous_socket.h"

/* How long to wait, after a failure, for the others to have read about it. */
#define FAILED_LINGER_NS (2 * KOLO_NS_PER_S)
/* How long the listener rests when the process has no descriptor left for another connection. */
#define ACCEPT_REST_NS   (100 * KOLO_NS_PER_MS)
/* Connections in their handshake at once, beyond one per rank; then the oldest one makes room. */
#define STRANGERS_MAX    64

enum { POLL_WAKE, POLL_LISTEN, POLL_PEERS };

struct kolo_rv_server {
    int listen_fd, wake_fd;
    pthread_t thread;
    _Atomic int64_t stop_at_ns; /* 0: serve on; else end by then at the latest, and earlier when all have left */

    /* The thread's own. */
    kolo_rv_rules rules;
    kolo_rv_peer **peers; /* open connections, and the closed ones of ranks that joined; in order of arrival */
    struct pollfd *polls; /* POLL_PEERS + capacity */
    size_t count, capacity;
    int64_t accept_at_ns; /* the listener rests until then */
    int64_t failed_end_ns;
};

/* ---- connections ---------------------------------------------------------------------------- */

static bool make_room(kolo_rv_server *server)
{
    if (server->count < server->capacity)
        return true;
    size_t capacity = server->capacity > 0 ? 2 * server->capacity : 16;
    kolo_rv_peer **peers = realloc(server->peers, capacity * sizeof(kolo_rv_peer *));
    if (peers == NULL)
        return false;
    server->peers = peers;
    struct pollfd *polls = realloc(server->polls, (POLL_PEERS + capacity) * sizeof(struct pollfd));
    if (polls == NULL)
        return false;
    server->polls = polls;
    server->capacity = capacity;
    return true;
}

static void drop_oldest_stranger(kolo_rv_server *server)
{
    size_t strangers = 0;
    kolo_rv_peer *oldest = NULL;
    for (size_t i = 0; i < server->count; i++) {
        kolo_rv_peer *peer = server->peers[i];
        if (peer->joined || peer->fd < 0)
            continue;
        strangers++;
        if (oldest == NULL)
            oldest = peer;
    }
    if (strangers >= (size_t)server->rules.size + STRANGERS_MAX)
        kolo_rv_rules_lost(&server->rules, oldest, "had to make room for newer ones");
}

static void describe_address(const struct sockaddr_storage *address, socklen_t size, char *text, size_t capacity)
{
    char host[56], port[8];
    if (getnameinfo((const struct sockaddr *)address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(text, capacity, "an unknown address");
    else
        snprintf(text, capacity, "%s port %s", host, port);
}

static void accept_all(kolo_rv_server *server, int64_t now_ns)
{
    for (;;) {
        struct sockaddr_storage address = {0};
        socklen_t size = sizeof(address);
        int fd = accept4(server->listen_fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                snprintf(server->rules.hint, sizeof(server->rules.hint),
                         "rank 0 could not take all connections (%s); raise its limit (ulimit -n)",
                         strerrordesc_np(errno));
                if (server->accept_at_ns == 0) /* the first time: maybe nobody can be told but by the log */
                    kolo_log_write(server->rules.log, KOLO_LOG_WARN, "rendezvous: %s", server->rules.hint);
                server->accept_at_ns = now_ns + ACCEPT_REST_NS;
            } else if (errno == EINTR || errno == ECONNABORTED) {
                continue;
            }
            return;
        }
        int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        char text[72];
        describe_address(&address, size, text, sizeof(text));
        if (!make_room(server)) {
            close(fd);
            return;
        }
        drop_oldest_stranger(server);
        kolo_rv_peer *peer = kolo_rv_peer_create(fd, text, now_ns + server->rules.handshake_ns);
        if (peer != NULL)
            server->peers[server->count++] = peer;
    }
}

static void read_peer(kolo_rv_server *server, kolo_rv_peer *peer, int64_t now_ns)
{
    while (peer->fd >= 0) {
        switch (kolo_rv_peer_read(peer)) {
        case KOLO_RV_PEER_FRAME:
            kolo_rv_rules_frame(&server->rules, peer, now_ns);
            kolo_rv_peer_next(peer);
            break;
        case KOLO_RV_PEER_CLOSED:
            kolo_rv_rules_lost(&server->rules, peer, "closed its connection");
            return;
        case KOLO_RV_PEER_GARBAGE:
            kolo_rv_rules_lost(&server->rules, peer, "sent bytes that are not the rendezvous's protocol");
            return;
        case KOLO_RV_PEER_NOTHING:
            return;
        }
    }
}

/* After what was read: output is tried at once, time limits are looked at, and who is gone and never joined is
 * forgotten. */
static void tend_peers(kolo_rv_server *server, int64_t now_ns)
{
    kolo_rv_rules_tick(&server->rules, now_ns);
    for (size_t i = 0; i < server->count; i++) {
        kolo_rv_peer *peer = server->peers[i];
        if (peer->fd >= 0 && kolo_rv_peer_has_output(peer) && !kolo_rv_peer_write(peer))
            kolo_rv_rules_lost(&server->rules, peer, "closed its connection");
        if (peer->fd >= 0 && now_ns >= peer->drop_at_ns)
            kolo_rv_rules_lost(&server->rules, peer, "took too long over its handshake");
    }
    size_t kept = 0;
    for (size_t i = 0; i < server->count; i++) {
        kolo_rv_peer *peer = server->peers[i];
        if (peer->fd >= 0 || peer->joined)
            server->peers[kept++] = peer;
        else
            kolo_rv_peer_destroy(peer);
    }
    server->count = kept;
}

/* ---- the thread ----------------------------------------------------------------------------- */

/* True when the thread may end; else *end_ns is when it must. */
static bool may_end(kolo_rv_server *server, int64_t now_ns, int64_t *end_ns)
{
    *end_ns = KOLO_RV_FOREVER;
    int64_t stop_at = atomic_load(&server->stop_at_ns);
    if (stop_at == 0)
        return false;
    if (server->rules.failed && server->failed_end_ns == 0)
        server->failed_end_ns = now_ns + FAILED_LINGER_NS;
    *end_ns = server->failed_end_ns != 0 && server->failed_end_ns < stop_at ? server->failed_end_ns : stop_at;
    if (now_ns >= *end_ns)
        return true;
    for (size_t i = 0; i < server->count; i++) {
        const kolo_rv_peer *peer = server->peers[i];
        if (peer->fd >= 0 && (peer->state == KOLO_RV_PEER_JOINED || peer->state == KOLO_RV_PEER_CLOSING))
            return false;
    }
    return true;
}

static int prepare_poll(kolo_rv_server *server, int64_t end_ns, int64_t now_ns)
{
    int64_t next = end_ns < server->rules.round_end_ns ? end_ns : server->rules.round_end_ns;
    bool resting = now_ns < server->accept_at_ns;
    if (resting && server->accept_at_ns < next)
        next = server->accept_at_ns;
    server->polls[POLL_WAKE] = (struct pollfd){.fd = server->wake_fd, .events = POLLIN};
    server->polls[POLL_LISTEN] = (struct pollfd){.fd = resting ? -1 : server->listen_fd, .events = POLLIN};
    for (size_t i = 0; i < server->count; i++) {
        const kolo_rv_peer *peer = server->peers[i];
        short events = kolo_rv_peer_has_output(peer) ? POLLIN | POLLOUT : POLLIN;
        server->polls[POLL_PEERS + i] = (struct pollfd){.fd = peer->fd, .events = events};
        if (peer->fd >= 0 && peer->drop_at_ns < next)
            next = peer->drop_at_ns;
    }
    return kolo_rv_poll_ms(next, now_ns);
}

static void *serve(void *user)
{
    kolo_rv_server *server = user;
    int64_t now = kolo_clock_now_ns(), end;
    while (!may_end(server, now, &end)) {
        int timeout_ms = prepare_poll(server, end, now);
        size_t polled = server->count;
        int ready = poll(server->polls, POLL_PEERS + polled, timeout_ms);
        now = kolo_clock_now_ns();
        if (ready > 0) {
            uint64_t wakes;
            if (server->polls[POLL_WAKE].revents != 0)
                (void)!read(server->wake_fd, &wakes, sizeof(wakes));
            for (size_t i = 0; i < polled; i++) {
                if ((server->polls[POLL_PEERS + i].revents & ~POLLOUT) != 0)
                    read_peer(server, server->peers[i], now);
            }
            if (server->polls[POLL_LISTEN].revents != 0)
                accept_all(server, now);
        }
        tend_peers(server, now);
    }
    return NULL;
}

/* ---- start and end -------------------------------------------------------------------------- */

static void server_free(kolo_rv_server *server, bool with_listener)
{
    for (size_t i = 0; i < server->count; i++)
        kolo_rv_peer_destroy(server->peers[i]);
    kolo_rv_rules_fini(&server->rules);
    free(server->peers);
    free(server->polls);
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    if (with_listener)
        close(server->listen_fd);
    free(server);
}

/* The host program's signals are none of this thread's business. */
static int start_thread(kolo_rv_server *server)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int error = pthread_create(&server->thread, NULL, serve, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        (void)pthread_setname_np(server->thread, "kolo-rendezvous");
    return error;
}

kolo_status kolo_rv_server_create(const kolo_rv_server_options *options, kolo_rv_server **server)
{
    kolo_rv_server *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for the rendezvous");
    made->listen_fd = options->listen_fd;
    made->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_init(&made->stop_at_ns, 0);
    kolo_status status = kolo_rv_rules_init(&made->rules, options);
    if (status == KOLO_OK && made->wake_fd < 0)
        status = kolo_fail_errno(KOLO_ERR_SYSTEM, errno, "rank 0 can't make an eventfd for the rendezvous");
    if (status == KOLO_OK && !make_room(made))
        status = kolo_fail(KOLO_ERR_MEMORY, "no memory for the rendezvous");
    if (status == KOLO_OK) {
        int error = start_thread(made);
        if (error != 0)
            status = kolo_fail_errno(KOLO_ERR_SYSTEM, error, "rank 0 can't start the rendezvous's thread");
    }
    if (status != KOLO_OK) {
        server_free(made, false);
        return status;
    }
    *server = made;
    return KOLO_OK;
}

void kolo_rv_server_destroy(kolo_rv_server *server, int64_t linger_ns)
{
    if (server == NULL)
        return;
    atomic_store(&server->stop_at_ns, kolo_rv_deadline(linger_ns));
    (void)!write(server->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    pthread_join(server->thread, NULL);
    server_free(server, true);
}
