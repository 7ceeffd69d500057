/* rendezvous_rules.h - what the server decides: who may join, when an exchange is complete, and what ends the
 * rendezvous for everyone. The state behind rendezvous_server.h; the thread that drives it, and the sockets, are in
 * rendezvous_server.c. */
#ifndef KOLO_BOOTSTRAP_RENDEZVOUS_RULES_H
#define KOLO_BOOTSTRAP_RENDEZVOUS_RULES_H

#include "bootstrap/rendezvous_peer.h"
#include "bootstrap/rendezvous_server.h"

typedef struct kolo_rv_rules {
    int32_t size;
    char *secret, *host; /* owned */
    uint32_t pid;
    int64_t timeout_ns, handshake_ns;
    const kolo_log *log;

    kolo_rv_peer **ranks; /* by rank, not owned; NULL: has not come */
    kolo_bytes *blobs;    /* by rank; room to collect them */
    int32_t left;         /* ranks that said LEAVE */
    int32_t given;        /* ranks whose blob of this round is here */
    uint32_t round;
    int64_t round_end_ns; /* KOLO_RV_FOREVER before the first blob, and without a timeout */
    uint8_t *all;         /* the last complete exchange, on its way to everyone */
    bool failed;
    kolo_rv_failure failure;
    char hint[320]; /* the likely reason why a rank is missing: whom we sent away last; "" */
} kolo_rv_rules;

KOLO_NODISCARD kolo_status kolo_rv_rules_init(kolo_rv_rules *rules, const kolo_rv_server_options *options);
void kolo_rv_rules_fini(kolo_rv_rules *rules);

/* A whole frame has come from peer. Afterwards the peer may have output, be CLOSING or closed. */
void kolo_rv_rules_frame(kolo_rv_rules *rules, kolo_rv_peer *peer, int64_t now_ns);
/* Peer's connection broke, or brought garbage (why: "closed its connection", ...). It is closed now. */
void kolo_rv_rules_lost(kolo_rv_rules *rules, kolo_rv_peer *peer, const char *why);
/* Time has come to now. */
void kolo_rv_rules_tick(kolo_rv_rules *rules, int64_t now_ns);

#endif
