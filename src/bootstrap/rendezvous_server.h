/* rendezvous_server.h - rank 0's side of the rendezvous: one thread that serves all ranks, itself included, over
 * poll(2).
 *
 * A connection's way, on the server:
 *
 *     accept -> HELLO? -> JOIN? -> JOINED -> (GIVE, ALL)* -> LEAVE -> gone
 *                 |         |         |
 *                 |         +---------+-> CLOSING: FAIL is written, input thrown away until the other side closes
 *                 +-> gone: garbage, or nothing within the handshake's time
 *
 * A connection that has not proved the secret can do no harm to the job: it is dropped. One that has, and then closes
 * without LEAVE or sends what does not decode, ends the rendezvous for everyone, by name. */
#ifndef KOLO_BOOTSTRAP_RENDEZVOUS_SERVER_H
#define KOLO_BOOTSTRAP_RENDEZVOUS_SERVER_H

#include "base/log.h"

typedef struct kolo_rv_server kolo_rv_server;

typedef struct kolo_rv_server_options {
    int listen_fd;        /* non-blocking; owned by the server from a successful create on */
    int32_t size;         /* ranks */
    const char *secret;   /* copied */
    int64_t timeout_ns;   /* of an exchange, from the first rank's blob on; 0: none */
    int64_t handshake_ns; /* a connection that has not joined by then is dropped; 0: 5 s */
    const char *host;     /* of this process, the only one that may join as rank 0 */
    uint32_t pid;
    const kolo_log *log; /* outlives the server; may be NULL */
} kolo_rv_server_options;

/* Starts the thread. */
KOLO_NODISCARD kolo_status kolo_rv_server_create(const kolo_rv_server_options *options, kolo_rv_server **server);

/* Serves on until all ranks that came have left, at most linger_ns (0: as long as it takes; after a failure 2 s at
 * most); then ends the thread and frees everything. NULL is ignored. */
void kolo_rv_server_destroy(kolo_rv_server *server, int64_t linger_ns);

#endif
