/* send.c - what goes into the peers' rings: at once where there is room, else later, control first. */
#include "instance.h"

#include <stdlib.h>

enum { RENDEZVOUS_BYTES = 32 * 1024, FLUSH_FRAMES = 64 };

bool shm_put(kolo_transport *t, shm_peer *peer, shm_kind kind, uint64_t word, const void *bytes, size_t size)
{
    void *place = shm_writer_reserve(&peer->out, size);
    if (!place) {
        t->nonsense |= peer->out.corrupt;
        return false;
    }
    if (size > 0)
        memcpy(place, bytes, size);
    shm_writer_publish(&peer->out, (uint32_t)kind, word, size);
    shm_wake(t, peer, SHM_FOR_NEWS);
    return true;
}

static void set_backlog(kolo_transport *t, shm_peer *peer, bool backlog)
{
    if (peer->backlog == backlog)
        return;
    peer->backlog = backlog;
    t->backlogs = backlog ? t->backlogs + 1 : t->backlogs - 1;
}

/* ---- control --------------------------------------------------------------------------------------------- */

kolo_status shm_send_control(kolo_transport *t, int32_t rank, const void *bytes, size_t size)
{
    kolo_status status = kolo_guard_control(&t->guard, rank, bytes, size);
    if (status != KOLO_OK)
        return status;
    shm_peer *peer = &t->peers[rank];
    if (peer->over)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_PEER, "rank %d is gone", (int)rank);
    if (!peer->controls && size <= shm_ring_frame_max(t->layout.ring) && shm_put(t, peer, SHM_CONTROL, 0, bytes, size))
        return KOLO_OK;
    shm_cell *cell = malloc(sizeof(*cell) + size);
    if (!cell)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_MEMORY, "no memory for a control message of %zu bytes", size);
    *cell = (shm_cell){.size = size};
    if (size > 0)
        memcpy(cell->bytes, bytes, size);
    if (!peer->controls)
        peer->controls_end = &peer->controls;
    *peer->controls_end = cell;
    peer->controls_end = &cell->next;
    shm_flush(t, peer);
    return KOLO_OK;
}

static bool put_control(kolo_transport *t, shm_peer *peer)
{
    shm_cell *cell = peer->controls;
    size_t most = shm_ring_frame_max(t->layout.ring), left = cell->size - cell->sent;
    size_t piece = left < most ? left : most;
    bool put = cell->size <= most ? shm_put(t, peer, SHM_CONTROL, 0, cell->bytes, cell->size)
                                  : shm_put(t, peer, SHM_CONTROL_PART, cell->size, cell->bytes + cell->sent, piece);
    if (!put)
        return false;
    cell->sent += piece;
    if (cell->sent == cell->size) {
        peer->controls = cell->next;
        free(cell);
    }
    return true;
}

void shm_controls_free(shm_peer *peer)
{
    while (peer->controls) {
        shm_cell *cell = peer->controls;
        peer->controls = cell->next;
        free(cell);
    }
}

/* ---- data ------------------------------------------------------------------------------------------------- */

static bool in_one_frame(const kolo_transport *t, const shm_posting *posting)
{
    return posting->bytes <= shm_ring_frame_max(t->layout.ring);
}

static bool may_announce(const shm_peer *peer, const shm_posting *posting)
{
    return posting->bytes >= RENDEZVOUS_BYTES && !posting->in_pieces &&
           atomic_load_explicit(&peer->out.ring->attach, memory_order_relaxed) != 0;
}

/* A message that fits a frame, or the announcement of one that does not. */
static bool put_small(kolo_transport *t, shm_peer *peer, shm_posting *posting)
{
    if (!may_announce(peer, posting)) {
        if (!shm_put(t, peer, SHM_DATA, posting->tag, posting->buffer.from, posting->bytes))
            return false;
        shm_posting_done(t, posting, KOLO_OK);
        return true;
    }
    posting->id = peer->announcements;
    const shm_announcement announcement = {
        .bytes = posting->bytes,
        .address = (uint64_t)(uintptr_t)posting->buffer.from,
        .id = posting->id,
        .epoch = atomic_load_explicit(&t->head->epoch, memory_order_relaxed),
    };
    if (!shm_put(t, peer, SHM_ANNOUNCE, posting->tag, &announcement, sizeof(announcement)))
        return false;
    peer->announcements++;
    shm_postings_push(&peer->announced, posting);
    return true;
}

static kolo_status send_to_self(kolo_transport *t, shm_posting *send)
{
    shm_posting *recv = shm_posted_remove(t, send->peer, send->tag);
    if (!recv) {
        shm_arrival *arrival = shm_arrival_insert(t, send->peer, send->tag, send->bytes, 0);
        if (!arrival) {
            shm_postings_push(&t->free_postings, send);
            return kolo_guard_refuse(&t->guard.env, KOLO_ERR_MEMORY, "no memory for a message");
        }
        arrival->own = send;
        return KOLO_OK;
    }
    kolo_status status = shm_judge_size(t, send->peer, send->bytes, recv->bytes);
    if (status == KOLO_OK && send->bytes > 0)
        memcpy(recv->buffer.to, send->buffer.from, send->bytes);
    shm_posting_done(t, recv, status);
    shm_posting_done(t, send, KOLO_OK);
    return KOLO_OK;
}

kolo_status shm_send(kolo_transport *t, int32_t rank, uint64_t tag, const void *buffer, size_t bytes, void *cookie)
{
    kolo_status status = kolo_guard_data(&t->guard, rank, tag, buffer, bytes);
    if (status != KOLO_OK)
        return status;
    shm_posting *posting = shm_posting_take(t, rank, tag, bytes, cookie);
    if (!posting)
        return KOLO_ERR_MEMORY;
    posting->buffer.from = buffer;
    if (rank == t->guard.env.rank)
        return send_to_self(t, posting);
    shm_peer *peer = &t->peers[rank];
    if (peer->over) {
        shm_posting_done(t, posting, KOLO_ERR_PEER);
        return KOLO_OK;
    }
    bool small = in_one_frame(t, posting) || may_announce(peer, posting);
    if (small && !peer->backlog && put_small(t, peer, posting))
        return KOLO_OK;
    shm_postings_push(small ? &peer->small : &peer->large, posting);
    shm_flush(t, peer);
    return KOLO_OK;
}

/* ---- what waits for room ------------------------------------------------------------------------------------- */

static bool put_reply(kolo_transport *t, shm_peer *peer)
{
    shm_posting *posting = peer->replies.first;
    if (!shm_put(t, peer, posting->reply, posting->announced.id, NULL, 0))
        return false;
    shm_postings_pop(&peer->replies);
    if (posting->reply == SHM_REFUSED)
        shm_posted_insert(t, posting); /* its pieces will come */
    else
        shm_posting_done(t, posting, posting->status);
    return true;
}

static bool put_next_small(kolo_transport *t, shm_peer *peer)
{
    shm_posting *posting = shm_postings_pop(&peer->small);
    if (put_small(t, peer, posting))
        return true;
    posting->next = peer->small.first; /* back to where it was */
    if (!posting->next)
        peer->small.end = &posting->next;
    peer->small.first = posting;
    return false;
}

static bool put_begin(kolo_transport *t, shm_peer *peer, uint32_t lane)
{
    shm_posting *posting = peer->large.first;
    const shm_begin begin = {.bytes = posting->bytes, .lane = lane};
    if (!shm_put(t, peer, SHM_DATA_BEGIN, posting->tag, &begin, sizeof(begin)))
        return false;
    peer->lanes_out[lane].posting = shm_postings_pop(&peer->large);
    return true;
}

static bool put_part(kolo_transport *t, shm_peer *peer, uint32_t lane)
{
    shm_posting *posting = peer->lanes_out[lane].posting;
    size_t most = shm_ring_frame_max(t->layout.ring), left = posting->bytes - posting->moved;
    size_t piece = left < most ? left : most;
    if (!shm_put(t, peer, SHM_DATA_PART, lane, posting->buffer.from + posting->moved, piece))
        return false;
    posting->moved += piece;
    if (posting->moved == posting->bytes) {
        peer->lanes_out[lane].posting = NULL;
        shm_posting_done(t, posting, KOLO_OK);
    }
    return true;
}

static bool lanes_wait(const shm_peer *peer)
{
    bool wait = peer->large.first != NULL;
    for (int l = 0; l < SHM_LANES; l++)
        wait |= peer->lanes_out[l].posting || peer->lanes_out[l].abort;
    return wait;
}

/* A frame of the next lane that has one; a free lane takes the next message. */
static bool put_next_lane(kolo_transport *t, shm_peer *peer)
{
    for (uint32_t i = 0; i < SHM_LANES; i++) {
        uint32_t l = (peer->lane_next + i) % SHM_LANES;
        shm_lane_out *lane = &peer->lanes_out[l];
        bool put;
        if (lane->abort)
            put = shm_put(t, peer, SHM_DATA_ABORT, l, NULL, 0), lane->abort = !put;
        else if (lane->posting)
            put = put_part(t, peer, l);
        else if (peer->large.first)
            put = put_begin(t, peer, l);
        else
            continue;
        if (put)
            peer->lane_next = l + 1;
        return put;
    }
    return false;
}

/* One frame; false: no room, or nothing left. */
static bool put_next(kolo_transport *t, shm_peer *peer)
{
    if (peer->replies.first)
        return put_reply(t, peer);
    if (peer->controls)
        return put_control(t, peer);
    bool lanes = lanes_wait(peer);
    peer->turn = !peer->turn;
    if (peer->small.first && (peer->turn || !lanes))
        return put_next_small(t, peer);
    return lanes && put_next_lane(t, peer);
}

int shm_flush(kolo_transport *t, shm_peer *peer)
{
    int count = 0;
    if (peer->over) {
        for (int l = 0; l < SHM_LANES; l++)
            peer->lanes_out[l].abort = false;
        set_backlog(t, peer, false);
        return 0;
    }
    while (count < FLUSH_FRAMES && put_next(t, peer))
        count++;
    set_backlog(t, peer, peer->replies.first || peer->controls || peer->small.first || lanes_wait(peer));
    return count;
}
