/* rendezvous_peer.h - one connection on the server: assembles frames from what arrives, and sends what is queued. Never
 * blocks, decides nothing. */
#ifndef KOLO_BOOTSTRAP_RENDEZVOUS_PEER_H
#define KOLO_BOOTSTRAP_RENDEZVOUS_PEER_H

#include "bootstrap/rendezvous_wire.h"

typedef enum kolo_rv_peer_state {
    KOLO_RV_PEER_HELLO,  /* HELLO is expected */
    KOLO_RV_PEER_JOIN,   /* JOIN is expected */
    KOLO_RV_PEER_JOINED, /* GIVE or LEAVE */
    KOLO_RV_PEER_CLOSING /* input is thrown away; it closes when the other side does */
} kolo_rv_peer_state;

typedef struct kolo_rv_peer {
    int fd; /* -1: closed */
    kolo_rv_peer_state state;
    char address[72];
    int64_t drop_at_ns; /* KOLO_RV_FOREVER once joined */
    kolo_rv_nonces nonces;
    kolo_rv_join join; /* valid once JOIN has come */
    bool proved;       /* the join came from someone who knows the secret */
    bool joined;       /* is, or was, the connection of rank join.rank */
    bool given;        /* its blob of the current exchange is here */
    kolo_bytes blob;   /* points into blob_body */
    uint8_t *blob_body;

    /* The frame that is being received. */
    uint8_t header[KOLO_RV_HEADER_BYTES];
    size_t header_got;
    kolo_rv_kind kind;
    uint8_t *body;
    size_t body_size, body_got;

    /* What is being sent: first the rest of the shared ALL frame, then own small frames. */
    const uint8_t *bulk;
    size_t bulk_left;
    uint8_t out[2 * KOLO_RV_SMALL_MAX];
    size_t out_size, out_sent;
} kolo_rv_peer;

/* Takes fd. NULL when out of memory; then fd is closed. */
kolo_rv_peer *kolo_rv_peer_create(int fd, const char *address, int64_t drop_at_ns);
void kolo_rv_peer_destroy(kolo_rv_peer *peer);
void kolo_rv_peer_close(kolo_rv_peer *peer);

typedef enum kolo_rv_peer_event {
    KOLO_RV_PEER_NOTHING, /* no whole frame yet */
    KOLO_RV_PEER_FRAME,   /* kind, body and body_size are valid until kolo_rv_peer_next */
    KOLO_RV_PEER_CLOSED,
    KOLO_RV_PEER_GARBAGE /* not a frame, or none that belongs here in this state */
} kolo_rv_peer_event;

/* Reads until there is a frame, or nothing more to read. */
kolo_rv_peer_event kolo_rv_peer_read(kolo_rv_peer *peer);
/* Forgets the frame, and is ready for the next one. */
void kolo_rv_peer_next(kolo_rv_peer *peer);

/* Queues a copy of a small frame. False where there is no room: the peer does not read what it is sent. */
KOLO_NODISCARD bool kolo_rv_peer_queue(kolo_rv_peer *peer, const uint8_t *frame, size_t size);
/* Sends what the socket takes. False: the connection is broken. */
KOLO_NODISCARD bool kolo_rv_peer_write(kolo_rv_peer *peer);
bool kolo_rv_peer_has_output(const kolo_rv_peer *peer);

#endif
