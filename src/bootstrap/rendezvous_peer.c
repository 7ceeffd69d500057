/* rendezvous_peer.c - a connection's bytes in and out, on the server. */
#include "bootstrap/rendezvous_peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

kolo_rv_peer *kolo_rv_peer_create(int fd, const char *address, int64_t drop_at_ns)
{
    kolo_rv_peer *peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        close(fd);
        return NULL;
    }
    peer->fd = fd;
    peer->drop_at_ns = drop_at_ns;
    snprintf(peer->address, sizeof(peer->address), "%s", address);
    return peer;
}

void kolo_rv_peer_close(kolo_rv_peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    peer->bulk_left = 0;
    peer->out_size = peer->out_sent = 0;
}

void kolo_rv_peer_destroy(kolo_rv_peer *peer)
{
    kolo_rv_peer_close(peer);
    free(peer->body);
    free(peer->blob_body);
    free(peer);
}

static bool kind_belongs(kolo_rv_peer_state state, kolo_rv_kind kind)
{
    switch (state) {
    case KOLO_RV_PEER_HELLO:
        return kind == KOLO_RV_HELLO;
    case KOLO_RV_PEER_JOIN:
        return kind == KOLO_RV_JOIN;
    case KOLO_RV_PEER_JOINED:
        return kind == KOLO_RV_GIVE || kind == KOLO_RV_LEAVE;
    case KOLO_RV_PEER_CLOSING:
        break;
    }
    return false;
}

/* Up to size bytes. > 0: so many; 0: nothing there now; -1: closed or broken. */
static ssize_t receive(kolo_rv_peer *peer, void *bytes, size_t size)
{
    for (;;) {
        ssize_t got = recv(peer->fd, bytes, size, 0);
        if (got > 0)
            return got;
        if (got < 0 && errno == EINTR)
            continue;
        return got < 0 && errno == EAGAIN ? 0 : -1;
    }
}

/* The header is complete: may this frame come here? Memory is asked for only now. */
static bool body_prepare(kolo_rv_peer *peer)
{
    uint32_t size;
    if (!kolo_rv_header_decode(peer->header, &peer->kind, &size) || !kind_belongs(peer->state, peer->kind))
        return false;
    peer->body_size = size;
    peer->body_got = 0;
    peer->body = malloc(size > 0 ? size : 1);
    return peer->body != NULL;
}

/* One helping only: who sends without an end must not keep the thread from the others. */
static kolo_rv_peer_event discard(kolo_rv_peer *peer)
{
    uint8_t waste[4096];
    return receive(peer, waste, sizeof(waste)) < 0 ? KOLO_RV_PEER_CLOSED : KOLO_RV_PEER_NOTHING;
}

kolo_rv_peer_event kolo_rv_peer_read(kolo_rv_peer *peer)
{
    if (peer->state == KOLO_RV_PEER_CLOSING)
        return discard(peer);
    while (peer->body == NULL || peer->body_got < peer->body_size) {
        bool in_header = peer->body == NULL;
        uint8_t *target = in_header ? peer->header + peer->header_got : peer->body + peer->body_got;
        size_t wanted = in_header ? sizeof(peer->header) - peer->header_got : peer->body_size - peer->body_got;
        ssize_t got = receive(peer, target, wanted);
        if (got <= 0)
            return got < 0 ? KOLO_RV_PEER_CLOSED : KOLO_RV_PEER_NOTHING;
        if (!in_header) {
            peer->body_got += (size_t)got;
            continue;
        }
        peer->header_got += (size_t)got;
        if (peer->header_got == sizeof(peer->header) && !body_prepare(peer))
            return KOLO_RV_PEER_GARBAGE;
    }
    return KOLO_RV_PEER_FRAME;
}

void kolo_rv_peer_next(kolo_rv_peer *peer)
{
    free(peer->body);
    peer->body = NULL;
    peer->header_got = peer->body_got = peer->body_size = 0;
}

bool kolo_rv_peer_queue(kolo_rv_peer *peer, const uint8_t *frame, size_t size)
{
    if (peer->out_sent == peer->out_size)
        peer->out_size = peer->out_sent = 0;
    if (size > sizeof(peer->out) - peer->out_size)
        return false;
    memcpy(peer->out + peer->out_size, frame, size);
    peer->out_size += size;
    return true;
}

bool kolo_rv_peer_has_output(const kolo_rv_peer *peer)
{
    return peer->bulk_left > 0 || peer->out_sent < peer->out_size;
}

bool kolo_rv_peer_write(kolo_rv_peer *peer)
{
    while (kolo_rv_peer_has_output(peer)) {
        bool bulk = peer->bulk_left > 0;
        const uint8_t *bytes = bulk ? peer->bulk : peer->out + peer->out_sent;
        size_t size = bulk ? peer->bulk_left : peer->out_size - peer->out_sent;
        ssize_t sent = send(peer->fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN;
        if (bulk) {
            peer->bulk += sent;
            peer->bulk_left -= (size_t)sent;
        } else {
            peer->out_sent += (size_t)sent;
        }
    }
    if (peer->state == KOLO_RV_PEER_CLOSING)
        (void)shutdown(peer->fd, SHUT_WR);
    return true;
}
