/* receive.c - what comes out of the rings: frames find their receive, or wait for it. */
#include "instance.h"

#include <stdlib.h>

/* In one progress(), from one peer: so that it ends. */
enum { FRAMES = 32, FRAME_BYTES = 64 * 1024 };

/* KEPT: the frame stays in the ring, for want of memory. */
typedef enum verdict { USED, KEPT, NONSENSE } verdict;

static void copy(void *to, const void *from, size_t bytes)
{
    if (bytes > 0)
        memcpy(to, from, bytes);
}

/* ---- control ------------------------------------------------------------------------------------------------- */

static verdict on_control_part(kolo_transport *t, shm_peer *peer, const shm_frame *frame)
{
    const kolo_transport_env *env = &t->guard.env;
    if (!peer->control) {
        if (frame->word > t->guard.control_max)
            return NONSENSE;
        peer->control = malloc((size_t)frame->word);
        if (!peer->control)
            return KEPT;
        peer->control_bytes = (size_t)frame->word;
        peer->control_filled = 0;
    }
    size_t left = peer->control_bytes - peer->control_filled;
    if (frame->word != peer->control_bytes || frame->bytes == 0 || frame->bytes > left)
        return NONSENSE;
    memcpy(peer->control + peer->control_filled, frame->payload, frame->bytes);
    peer->control_filled += frame->bytes;
    if (peer->control_filled == peer->control_bytes) {
        env->on_control(env->user, peer->rank, peer->control, peer->control_bytes);
        free(peer->control);
        peer->control = NULL;
    }
    return USED;
}

/* ---- whole messages -------------------------------------------------------------------------------------------- */

static verdict on_data(kolo_transport *t, const shm_peer *peer, const shm_frame *frame)
{
    shm_posting *posting = shm_posted_remove(t, peer->rank, frame->word);
    if (posting) {
        kolo_status status = shm_judge_size(t, peer->rank, frame->bytes, posting->bytes);
        if (status == KOLO_OK)
            copy(posting->buffer.to, frame->payload, frame->bytes);
        shm_posting_done(t, posting, status);
        return USED;
    }
    shm_arrival *arrival = shm_arrival_insert(t, peer->rank, frame->word, frame->bytes, frame->bytes);
    if (!arrival)
        return KEPT;
    copy(arrival->content, frame->payload, frame->bytes);
    arrival->filled = frame->bytes;
    return USED;
}

static verdict on_announce(kolo_transport *t, const shm_peer *peer, const shm_frame *frame)
{
    shm_announcement announcement;
    if (frame->bytes != sizeof(announcement))
        return NONSENSE;
    memcpy(&announcement, frame->payload, sizeof(announcement));
    shm_posting *posting = shm_posted_remove(t, peer->rank, frame->word);
    if (posting) {
        shm_pull_begin(t, posting, &announcement);
        return USED;
    }
    shm_arrival *arrival = shm_arrival_insert(t, peer->rank, frame->word, (size_t)announcement.bytes, 0);
    if (!arrival)
        return KEPT;
    arrival->is_announced = true;
    arrival->announced = announcement;
    return USED;
}

/* PULLED or REFUSED: a posting that was announced goes on. Those that were canceled are not there any more. */
static verdict on_reply(kolo_transport *t, shm_peer *peer, const shm_frame *frame)
{
    if (frame->word >= peer->announcements)
        return NONSENSE;
    shm_posting **at = &peer->announced.first;
    while (*at && (*at)->id != frame->word)
        at = &(*at)->next;
    shm_posting *posting = *at;
    if (!posting)
        return USED;
    *at = posting->next;
    if (!posting->next)
        peer->announced.end = at;
    if (frame->kind == SHM_PULLED) {
        shm_posting_done(t, posting, KOLO_OK);
        return USED;
    }
    posting->in_pieces = true;
    shm_postings_push(&peer->large, posting);
    shm_flush(t, peer);
    return USED;
}

/* ---- messages in pieces ----------------------------------------------------------------------------------- */

static verdict on_begin(kolo_transport *t, shm_peer *peer, const shm_frame *frame)
{
    shm_begin begin;
    if (frame->bytes != sizeof(begin))
        return NONSENSE;
    memcpy(&begin, frame->payload, sizeof(begin));
    if (begin.lane >= SHM_LANES || peer->lanes_in[begin.lane].active || begin.bytes == 0 || begin.bytes > PTRDIFF_MAX)
        return NONSENSE;
    size_t bytes = (size_t)begin.bytes;
    shm_lane_in *lane = &peer->lanes_in[begin.lane];
    shm_posting *posting = shm_posted_remove(t, peer->rank, frame->word);
    if (posting) {
        kolo_status status = shm_judge_size(t, peer->rank, bytes, posting->bytes);
        if (status != KOLO_OK)
            shm_posting_done(t, posting, status);
        *lane = (shm_lane_in){.active = true, .bytes = bytes, .posting = status == KOLO_OK ? posting : NULL};
        return USED;
    }
    shm_arrival *arrival = shm_arrival_insert(t, peer->rank, frame->word, bytes, bytes);
    if (!arrival)
        return KEPT;
    *lane = (shm_lane_in){.active = true, .bytes = bytes, .arrival = arrival};
    return USED;
}

static verdict on_part(kolo_transport *t, shm_peer *peer, const shm_frame *frame)
{
    shm_lane_in *lane = frame->word < SHM_LANES ? &peer->lanes_in[frame->word] : NULL;
    if (!lane || !lane->active || frame->bytes == 0 || frame->bytes > lane->bytes - lane->filled)
        return NONSENSE;
    if (lane->posting)
        memcpy(lane->posting->buffer.to + lane->filled, frame->payload, frame->bytes);
    else if (lane->arrival)
        memcpy(lane->arrival->content + lane->filled, frame->payload, frame->bytes);
    lane->filled += frame->bytes;
    if (lane->arrival)
        lane->arrival->filled = lane->filled;
    if (lane->filled == lane->bytes) {
        if (lane->posting)
            shm_posting_done(t, lane->posting, KOLO_OK);
        *lane = (shm_lane_in){0};
    }
    return USED;
}

/* The sender has canceled: as if the message had never begun. */
static verdict on_abort(kolo_transport *t, shm_peer *peer, const shm_frame *frame)
{
    shm_lane_in *lane = frame->word < SHM_LANES ? &peer->lanes_in[frame->word] : NULL;
    if (!lane || !lane->active)
        return NONSENSE;
    if (lane->posting)
        shm_posted_insert(t, lane->posting);
    if (lane->arrival)
        free(shm_arrival_remove(t, peer->rank, lane->arrival->tag));
    *lane = (shm_lane_in){0};
    return USED;
}

/* ---- all ------------------------------------------------------------------------------------------------------- */

static verdict on_frame(kolo_transport *t, shm_peer *peer, const shm_frame *frame)
{
    const kolo_transport_env *env = &t->guard.env;
    switch (frame->kind) {
    case SHM_CONTROL:
        env->on_control(env->user, peer->rank, frame->payload, frame->bytes);
        return USED;
    case SHM_CONTROL_PART:
        return on_control_part(t, peer, frame);
    case SHM_DATA:
        return on_data(t, peer, frame);
    case SHM_DATA_BEGIN:
        return on_begin(t, peer, frame);
    case SHM_DATA_PART:
        return on_part(t, peer, frame);
    case SHM_DATA_ABORT:
        return on_abort(t, peer, frame);
    case SHM_ANNOUNCE:
        return on_announce(t, peer, frame);
    case SHM_PULLED:
    case SHM_REFUSED:
        return on_reply(t, peer, frame);
    default:
        return NONSENSE;
    }
}

static int receive_from(kolo_transport *t, shm_peer *peer, shm_reader *reader)
{
    int count = 0;
    size_t bytes = 0;
    while (count < FRAMES && bytes < FRAME_BYTES && !peer->over && shm_reader_ready(reader)) {
        shm_frame frame;
        verdict judged = shm_reader_read(reader, &frame) ? on_frame(t, peer, &frame) : NONSENSE;
        if (judged == KEPT)
            break;
        if (judged == NONSENSE) {
            peer->out.corrupt = t->nonsense = true;
            break;
        }
        count++;
        bytes += frame.bytes;
        if (shm_reader_release(reader))
            shm_wake(t, peer, SHM_FOR_ROOM);
    }
    return count;
}

int shm_receive(kolo_transport *t)
{
    int count = 0;
    for (int32_t r = 0; r < t->guard.env.size; r++)
        if (t->readers[r].ring && shm_reader_ready(&t->readers[r]))
            count += receive_from(t, &t->peers[r], &t->readers[r]);
    return count;
}

/* ---- receives ------------------------------------------------------------------------------------------------- */

/* The message of arrival, which is in no table any more, goes to posting. */
static void meet(kolo_transport *t, shm_posting *posting, shm_arrival *arrival)
{
    if (arrival->is_announced) {
        shm_pull_begin(t, posting, &arrival->announced);
        free(arrival);
        return;
    }
    kolo_status status = shm_judge_size(t, posting->peer, arrival->bytes, posting->bytes);
    if (status == KOLO_OK)
        copy(posting->buffer.to, arrival->own ? arrival->own->buffer.from : arrival->content,
             arrival->own ? arrival->bytes : arrival->filled);
    if (arrival->own)
        shm_posting_done(t, arrival->own, KOLO_OK);
    bool more = !arrival->own && arrival->filled < arrival->bytes;
    for (int l = 0; more && l < SHM_LANES; l++) {
        shm_lane_in *lane = &t->peers[posting->peer].lanes_in[l];
        if (lane->arrival == arrival) {
            lane->arrival = NULL;
            lane->posting = status == KOLO_OK ? posting : NULL;
        }
    }
    if (!more || status != KOLO_OK)
        shm_posting_done(t, posting, status);
    free(arrival);
}

kolo_status shm_recv(kolo_transport *t, int32_t rank, uint64_t tag, void *buffer, size_t bytes, void *cookie)
{
    kolo_status status = kolo_guard_data(&t->guard, rank, tag, buffer, bytes);
    if (status != KOLO_OK)
        return status;
    shm_posting *posting = shm_posting_take(t, rank, tag, bytes, cookie);
    if (!posting)
        return KOLO_ERR_MEMORY;
    posting->buffer.to = buffer;
    shm_arrival *arrival = shm_arrival_remove(t, rank, tag);
    if (arrival)
        meet(t, posting, arrival);
    else if (t->peers[rank].over)
        shm_posting_done(t, posting, KOLO_ERR_PEER);
    else
        shm_posted_insert(t, posting);
    return KOLO_OK;
}
