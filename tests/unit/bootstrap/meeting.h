/* meeting.h - for the rendezvous's tests: ranks as threads of this process, and clients that speak the protocol by
 * hand. */
#ifndef KOLO_TESTS_MEETING_H
#define KOLO_TESTS_MEETING_H

#include <pthread.h>
#include "base/clock.h"
#include "bootstrap/rendezvous.h"
#include "bootstrap/rendezvous_wire.h"

#define PATIENT_NS (60 * KOLO_NS_PER_S) /* a deadline that a passing test never reaches */

/* The message has this part. */
void expect_text(const char *message, const char *part);

/* A listening socket on 127.0.0.1 and a free port. */
int meeting_listen(int32_t *port);
/* A port that was free a moment ago. */
int32_t meeting_free_port(void);

/* One rank: joins, takes part in `rounds` exchanges of made-up blobs, leaves. */
typedef struct member {
    kolo_job job;
    kolo_rendezvous_options options;
    int rounds;
    size_t largest;         /* blobs have up to so many bytes */
    kolo_rendezvous *given; /* already open: start with the exchanges */
    /* Results. */
    kolo_status status; /* of the first failure */
    kolo_error error;
    bool correct; /* every exchange brought every rank's bytes */
    pthread_t thread;
} member;

void member_init(member *m, int32_t rank, int32_t size, int32_t port);
void member_start(member *m);
void member_join(member *m);
/* In the calling thread. */
kolo_status member_open(member *m);
kolo_status member_exchange(member *m, int round);

/* By hand, blocking; asserts that it works. Returns the socket. */
int raw_connect(int32_t port);
/* HELLO, CHALLENGE, JOIN, WELCOME. */
int raw_join(int32_t port, const char *secret, int32_t rank, int32_t size);
void raw_send(int fd, const void *bytes, size_t size);
/* Reads one frame; -1 at the end of the stream. The body goes to body[0 .. capacity-1]. */
int raw_receive(int fd, uint8_t *body, size_t capacity, size_t *size);
/* True once the other side has closed; whatever comes before that is thrown away. False if it still has not after 30 s.
 */
bool raw_is_closed_by_peer(int fd);

#endif
