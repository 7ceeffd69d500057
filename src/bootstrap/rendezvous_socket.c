/* rendezvous_socket.c - the rendezvous's TCP, without a word of its protocol. */
#include "bootstrap/rendezvous_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

/* One address that swallows packets must not use up the time of the others that the name has. */
#define CONNECT_LIMIT_NS (5 * KOLO_NS_PER_S)

int64_t kolo_rv_deadline(int64_t timeout_ns)
{
    int64_t now = kolo_clock_now_ns();
    return timeout_ns <= 0 || timeout_ns > INT64_MAX - now ? KOLO_RV_FOREVER : now + timeout_ns;
}

int kolo_rv_poll_ms(int64_t deadline_ns, int64_t now_ns)
{
    if (deadline_ns == KOLO_RV_FOREVER)
        return -1;
    if (deadline_ns <= now_ns)
        return 0;
    int64_t ms = (deadline_ns - now_ns - 1) / KOLO_NS_PER_MS + 1;
    return ms > 3600000 ? 3600000 : (int)ms;
}

char *kolo_rv_duration(int64_t ns, char *text, size_t capacity)
{
    if (ns < KOLO_NS_PER_S)
        snprintf(text, capacity, "%.4g ms", (double)ns / (double)KOLO_NS_PER_MS);
    else
        snprintf(text, capacity, "%.10g s", (double)(ns / KOLO_NS_PER_MS) / 1000.0);
    return text;
}

static int32_t bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return -1;
    if (address.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &address, sizeof(in));
        return ntohs(in.sin_port);
    }
    if (address.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &address, sizeof(in6));
        return ntohs(in6.sin6_port);
    }
    return -1;
}

bool kolo_rv_listener_is_ours(int fd, int32_t port)
{
    int type = 0, listening = 0;
    socklen_t type_size = sizeof(type), listening_size = sizeof(listening);
    return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &listening_size) == 0 && listening != 0 &&
           bound_port(fd) == port;
}

/* A listening socket on one address, or -1 with errno. */
static int listen_on(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);
    if (fd < 0)
        return -1;
    int on = 1, off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (info->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* The first address of node (NULL: all of this host's) that can be listened on; -1 with errno, or with *resolve_error
 * set. */
static int listen_at(const char *node, int32_t port, int flags, int *resolve_error)
{
    char service[16];
    snprintf(service, sizeof(service), "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | flags}, *list = NULL;
    *resolve_error = getaddrinfo(node, service, &hints, &list);
    if (*resolve_error != 0)
        return -1;
    /* IPv6 first: its wildcard socket takes IPv4 as well. */
    int fd = -1, error = EADDRNOTAVAIL;
    static const int families[] = {AF_INET6, AF_INET};
    for (size_t pass = 0; pass < 2; pass++) {
        for (const struct addrinfo *info = list; info != NULL && fd < 0; info = info->ai_next) {
            /* Where one family's port is taken the other's won't do: clients would try both, and meet the other
             * program. */
            if (info->ai_family != families[pass] || error == EADDRINUSE)
                continue;
            fd = listen_on(info);
            if (fd < 0)
                error = errno;
        }
    }
    freeaddrinfo(list);
    errno = error;
    return fd;
}

kolo_status kolo_rv_listen(const kolo_job *job, int inherited, int *fd)
{
    if (kolo_rv_listener_is_ours(inherited, job->master_port)) {
        int flags = fcntl(inherited, F_GETFL);
        if (flags >= 0 && fcntl(inherited, F_SETFL, flags | O_NONBLOCK) == 0 &&
            fcntl(inherited, F_SETFD, FD_CLOEXEC) == 0) {
            *fd = inherited;
            return KOLO_OK;
        }
    }
    const char *addr = job->master_addr;
    int unresolved = 0;
    int found = listen_at(addr, job->master_port, strcmp(addr, "localhost") == 0 ? 0 : AI_NUMERICHOST, &unresolved);
    /* A name; or an address that isn't one of this host's, because something forwards from there (a service's address).
     */
    if (found < 0 && (unresolved != 0 || errno == EADDRNOTAVAIL))
        found = listen_at(NULL, job->master_port, 0, &unresolved);
    if (found >= 0) {
        *fd = found;
        return KOLO_OK;
    }
    if (unresolved != 0)
        return kolo_fail(KOLO_ERR_BOOTSTRAP, "rank 0 can't listen on port %d: %s", job->master_port,
                         gai_strerror(unresolved));
    if (errno == EADDRINUSE)
        return kolo_fail_errno(KOLO_ERR_BOOTSTRAP, EADDRINUSE,
                               "port %d on %s is taken by another program; set MASTER_PORT to a free one",
                               job->master_port, addr);
    return kolo_fail_errno(KOLO_ERR_BOOTSTRAP, errno, "rank 0 can't listen on port %d of %s", job->master_port, addr);
}

/* 0, or the errno of a connection that was not made before the deadline. */
static int connect_one(int fd, const struct addrinfo *info, int64_t deadline_ns)
{
    if (connect(fd, info->ai_addr, info->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS && errno != EINTR)
        return errno;
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        int count = poll(&ready, 1, kolo_rv_poll_ms(deadline_ns, kolo_clock_now_ns()));
        if (count > 0)
            break;
        if (count == 0 && kolo_clock_now_ns() >= deadline_ns)
            return ETIMEDOUT;
        if (count < 0 && errno != EINTR)
            return errno;
    }
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

/* Within one host a connection to a port of the ephemeral range, on which nobody listens yet, may meet itself
 * (simultaneous open). */
static bool is_own_echo(int fd)
{
    struct sockaddr_storage here = {0}, there = {0};
    socklen_t here_size = sizeof(here), there_size = sizeof(there);
    return getsockname(fd, (struct sockaddr *)&here, &here_size) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &there_size) == 0 && here_size == there_size &&
           memcmp(&here, &there, here_size) == 0;
}

bool kolo_rv_connect(const char *addr, int32_t port, int64_t deadline_ns, int *fd, const char **why)
{
    char service[16];
    snprintf(service, sizeof(service), "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int unresolved = getaddrinfo(addr, service, &hints, &list);
    if (unresolved != 0) {
        *why = gai_strerror(unresolved);
        return false;
    }
    int error = ECONNREFUSED;
    bool connected = false;
    for (const struct addrinfo *info = list; info != NULL && !connected; info = info->ai_next) {
        int attempt = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);
        if (attempt < 0) {
            error = errno;
            continue;
        }
        int64_t limit = kolo_rv_deadline(CONNECT_LIMIT_NS);
        error = connect_one(attempt, info, limit < deadline_ns ? limit : deadline_ns);
        if (error == 0 && is_own_echo(attempt))
            error = ECONNREFUSED;
        connected = error == 0;
        if (connected) {
            int on = 1;
            (void)setsockopt(attempt, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            *fd = attempt;
        } else {
            close(attempt);
        }
    }
    freeaddrinfo(list);
    if (!connected)
        *why = strerrordesc_np(error);
    return connected;
}

/* Waits until fd is ready for `events`. KOLO_RV_IO_OK also for a broken connection: the next call on it says how. */
static kolo_rv_io wait_ready(int fd, short events, int64_t deadline_ns)
{
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = events};
        int count = poll(&ready, 1, kolo_rv_poll_ms(deadline_ns, kolo_clock_now_ns()));
        if (count > 0)
            return KOLO_RV_IO_OK;
        if (count < 0 && errno != EINTR)
            return KOLO_RV_IO_ERROR;
        if (count == 0 && kolo_clock_now_ns() >= deadline_ns)
            return KOLO_RV_IO_TIMEOUT;
    }
}

kolo_rv_io kolo_rv_send(int fd, const void *bytes, size_t size, int64_t deadline_ns)
{
    const char *rest = bytes;
    while (size > 0) {
        ssize_t sent = send(fd, rest, size, MSG_NOSIGNAL);
        if (sent >= 0) {
            rest += sent;
            size -= (size_t)sent;
        } else if (errno == EAGAIN) {
            kolo_rv_io waited = wait_ready(fd, POLLOUT, deadline_ns);
            if (waited != KOLO_RV_IO_OK)
                return waited;
        } else if (errno != EINTR) {
            return errno == EPIPE || errno == ECONNRESET ? KOLO_RV_IO_CLOSED : KOLO_RV_IO_ERROR;
        }
    }
    return KOLO_RV_IO_OK;
}

kolo_rv_io kolo_rv_recv(int fd, void *bytes, size_t size, int64_t deadline_ns)
{
    char *rest = bytes;
    while (size > 0) {
        ssize_t got = recv(fd, rest, size, 0);
        if (got > 0) {
            rest += got;
            size -= (size_t)got;
        } else if (got == 0) {
            return KOLO_RV_IO_CLOSED;
        } else if (errno == EAGAIN) {
            kolo_rv_io waited = wait_ready(fd, POLLIN, deadline_ns);
            if (waited != KOLO_RV_IO_OK)
                return waited;
        } else if (errno != EINTR) {
            return errno == ECONNRESET ? KOLO_RV_IO_CLOSED : KOLO_RV_IO_ERROR;
        }
    }
    return KOLO_RV_IO_OK;
}
