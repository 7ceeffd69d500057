/* postings.c - postings, messages that came before their receive, and how the two find each other. */
#include "instance.h"

#include <stdlib.h>

/* ---- lists -------------------------------------------------------------------------------------------- */

void shm_postings_push(shm_postings *list, shm_posting *posting)
{
    posting->next = NULL;
    if (!list->first)
        list->end = &list->first;
    *list->end = posting;
    list->end = &posting->next;
}

shm_posting *shm_postings_pop(shm_postings *list)
{
    shm_posting *posting = list->first;
    if (posting)
        list->first = posting->next;
    return posting;
}

static shm_posting *block_add(kolo_transport *t)
{
    shm_block *block = calloc(1, sizeof(*block));
    if (!block)
        return NULL;
    block->next = t->blocks;
    t->blocks = block;
    for (int i = 1; i < SHM_BLOCK_POSTINGS; i++)
        shm_postings_push(&t->free_postings, &block->postings[i]);
    return &block->postings[0];
}

shm_posting *shm_posting_take(kolo_transport *t, int32_t peer, uint64_t tag, size_t bytes, void *cookie)
{
    shm_posting *posting = shm_postings_pop(&t->free_postings);
    if (!posting)
        posting = block_add(t);
    if (!posting) {
        kolo_guard_refuse(&t->guard.env, KOLO_ERR_MEMORY, "no memory for a posting");
        return NULL;
    }
    *posting = (shm_posting){.cookie = cookie, .bytes = bytes, .tag = tag, .peer = peer};
    return posting;
}

void shm_posting_done(kolo_transport *t, shm_posting *posting, kolo_status status)
{
    posting->status = status;
    shm_postings_push(&t->done, posting);
    t->done_count++;
}

/* As many as there are now: what their upcalls add is for the next time. */
int shm_postings_report(kolo_transport *t)
{
    const kolo_transport_env *env = &t->guard.env;
    size_t count = t->done_count;
    for (size_t i = 0; i < count; i++) {
        shm_posting *posting = shm_postings_pop(&t->done);
        void *cookie = posting->cookie;
        kolo_status status = posting->status;
        t->done_count--;
        shm_postings_push(&t->free_postings, posting);
        env->on_complete(env->user, cookie, status);
    }
    return (int)count;
}

/* ---- finding ------------------------------------------------------------------------------------------- */

static size_t bucket(int32_t peer, uint64_t tag)
{
    uint64_t mixed = (tag ^ (uint64_t)peer << KOLO_TRANSPORT_TAG_BITS) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(mixed >> 54);
}
_Static_assert(SHM_BUCKETS == 1 << (64 - 54), "the hash chooses among all buckets");

void shm_posted_insert(kolo_transport *t, shm_posting *posting)
{
    shm_posting **head = &t->posted[bucket(posting->peer, posting->tag)];
    posting->next = *head;
    *head = posting;
}

shm_posting *shm_posted_remove(kolo_transport *t, int32_t peer, uint64_t tag)
{
    shm_posting **at = &t->posted[bucket(peer, tag)];
    while (*at && ((*at)->tag != tag || (*at)->peer != peer))
        at = &(*at)->next;
    shm_posting *posting = *at;
    if (posting)
        *at = posting->next;
    return posting;
}

shm_arrival *shm_arrival_insert(kolo_transport *t, int32_t peer, uint64_t tag, size_t bytes, size_t kept)
{
    shm_arrival *arrival = kept <= SIZE_MAX - sizeof(*arrival) ? malloc(sizeof(*arrival) + kept) : NULL;
    if (!arrival)
        return NULL;
    shm_arrival **head = &t->arrivals[bucket(peer, tag)];
    *arrival = (shm_arrival){.next = *head, .peer = peer, .tag = tag, .bytes = bytes};
    *head = arrival;
    return arrival;
}

shm_arrival *shm_arrival_remove(kolo_transport *t, int32_t peer, uint64_t tag)
{
    shm_arrival **at = &t->arrivals[bucket(peer, tag)];
    while (*at && ((*at)->tag != tag || (*at)->peer != peer))
        at = &(*at)->next;
    shm_arrival *arrival = *at;
    if (arrival)
        *at = arrival->next;
    return arrival;
}

void shm_arrivals_drop(kolo_transport *t, int32_t peer, bool own_only)
{
    for (size_t b = 0; b < SHM_BUCKETS; b++) {
        for (shm_arrival **at = &t->arrivals[b]; *at;) {
            shm_arrival *arrival = *at;
            if ((peer >= 0 && arrival->peer != peer) || (own_only && !arrival->own)) {
                at = &arrival->next;
                continue;
            }
            *at = arrival->next;
            free(arrival);
        }
    }
}

kolo_status shm_judge_size(kolo_transport *t, int32_t peer, size_t sent, size_t expected)
{
    if (sent == expected)
        return KOLO_OK;
    return kolo_guard_refuse(&t->guard.env, KOLO_ERR_TRANSPORT, "rank %d sent %zu bytes where %zu were expected",
                             (int)peer, sent, expected);
}

/* ---- giving up ------------------------------------------------------------------------------------------- */

static void end_list(kolo_transport *t, shm_postings *list, kolo_status status)
{
    for (shm_posting *posting; (posting = shm_postings_pop(list)) != NULL;)
        shm_posting_done(t, posting, status);
}

/* Those of one peer out of a list of all peers'. */
static void end_matching(kolo_transport *t, shm_posting **at, int32_t peer, kolo_status status)
{
    while (*at) {
        shm_posting *posting = *at;
        if (peer >= 0 && posting->peer != peer) {
            at = &posting->next;
            continue;
        }
        *at = posting->next;
        shm_posting_done(t, posting, status);
    }
}

static void end_lanes(kolo_transport *t, shm_peer *peer, kolo_status status)
{
    for (int l = 0; l < SHM_LANES; l++) {
        shm_lane_out *out = &peer->lanes_out[l];
        shm_lane_in *in = &peer->lanes_in[l];
        if (out->posting) {
            shm_posting_done(t, out->posting, status);
            *out = (shm_lane_out){.abort = true};
        }
        if (in->posting)
            shm_posting_done(t, in->posting, status);
        in->posting = NULL; /* the rest is dropped */
    }
}

static void end_replies(kolo_transport *t, shm_peer *peer, kolo_status status)
{
    for (shm_posting *posting; (posting = shm_postings_pop(&peer->replies)) != NULL;) {
        /* The sender would wait for it, but the caller must not: if there is no room, so be it. */
        if (!peer->over)
            (void)shm_put(t, peer, SHM_PULLED, posting->announced.id, NULL, 0);
        shm_posting_done(t, posting, status);
    }
}

/* Messages to itself that were sent and not yet received. */
static void end_own(kolo_transport *t, kolo_status status)
{
    for (size_t b = 0; b < SHM_BUCKETS; b++)
        for (shm_arrival *arrival = t->arrivals[b]; arrival; arrival = arrival->next)
            if (arrival->own)
                shm_posting_done(t, arrival->own, status);
    shm_arrivals_drop(t, -1, true);
}

void shm_postings_end(kolo_transport *t, int32_t peer, kolo_status status)
{
    for (size_t b = 0; b < SHM_BUCKETS; b++)
        end_matching(t, &t->posted[b], peer, status);
    /* Pulls that are given up: their sender gets its buffer back. */
    shm_postings pulls = t->pulls;
    t->pulls.first = NULL;
    for (shm_posting *posting; (posting = shm_postings_pop(&pulls)) != NULL;) {
        bool ends = peer < 0 || posting->peer == peer;
        shm_postings_push(ends ? &t->peers[posting->peer].replies : &t->pulls, posting);
    }
    for (int32_t r = 0; r < t->guard.env.size; r++) {
        if ((peer >= 0 && r != peer) || r == t->guard.env.rank)
            continue;
        shm_peer *p = &t->peers[r];
        end_list(t, &p->small, status);
        end_list(t, &p->large, status);
        end_list(t, &p->announced, status);
        end_lanes(t, p, status);
        end_replies(t, p, status);
        shm_flush(t, p);
    }
    if (peer < 0)
        end_own(t, status);
}

void shm_postings_free(kolo_transport *t)
{
    shm_arrivals_drop(t, -1, false);
    while (t->blocks) {
        shm_block *block = t->blocks;
        t->blocks = block->next;
        free(block);
    }
}
