/* rendezvous_socket.h - TCP for the rendezvous: listening, connecting, and sending and receiving under a deadline.
 *
 * Every socket is non-blocking and close-on-exec, and none raises SIGPIPE. A deadline is a point on
 * kolo_clock_now_ns(); KOLO_RV_FOREVER is none. */
#ifndef KOLO_BOOTSTRAP_RENDEZVOUS_SOCKET_H
#define KOLO_BOOTSTRAP_RENDEZVOUS_SOCKET_H

#include <stdbool.h>
#include "bootstrap/job.h"

#define KOLO_RV_FOREVER INT64_MAX

typedef enum kolo_rv_io {
    KOLO_RV_IO_OK,
    KOLO_RV_IO_CLOSED,
    KOLO_RV_IO_TIMEOUT,
    KOLO_RV_IO_ERROR /* errno */
} kolo_rv_io;

/* now + timeout_ns without overflow; timeout_ns 0: KOLO_RV_FOREVER. */
int64_t kolo_rv_deadline(int64_t timeout_ns);
/* What poll() wants: milliseconds until deadline, rounded up; -1 for none. */
int kolo_rv_poll_ms(int64_t deadline_ns, int64_t now_ns);
/* "60 s", "200 ms", "1.5 s". Returns text. */
char *kolo_rv_duration(int64_t ns, char *text, size_t capacity);

/* True when fd is a listening TCP socket on port: the one that kolorun left for rank 0, and not something else that has
 * got its number since. */
bool kolo_rv_listener_is_ours(int fd, int32_t port);

/* The socket that rank 0 listens on: `inherited` where kolo_rv_listener_is_ours says so (then owned by the caller of
 * this), else a new one on job's master_port. A numeric address or "localhost" is bound as it is; any other name stands
 * for all of this host's addresses, because a host's own name often resolves to a loopback address which other hosts
 * can't reach. KOLO_ERR_BOOTSTRAP; the error's sys_errno is EADDRINUSE where the port is taken. */
KOLO_NODISCARD kolo_status kolo_rv_listen(const kolo_job *job, int inherited, int *fd);

/* One attempt to connect to any address of addr. On failure *why is a short reason, valid until the thread's next call.
 */
KOLO_NODISCARD bool kolo_rv_connect(const char *addr, int32_t port, int64_t deadline_ns, int *fd, const char **why);

/* All bytes, or the reason why not. */
KOLO_NODISCARD kolo_rv_io kolo_rv_send(int fd, const void *bytes, size_t size, int64_t deadline_ns);
KOLO_NODISCARD kolo_rv_io kolo_rv_recv(int fd, void *bytes, size_t size, int64_t deadline_ns);

#endif
