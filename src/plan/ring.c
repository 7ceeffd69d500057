/* ring.c - the ring: every rank speaks to its successor and hears from its predecessor only.
 *
 * Reduce-scatter. Slice q starts at position q+1 with that rank's input, goes once round the ring, and every rank it
 * comes to adds its own input on the right; the last one is its owner, at position q:
 *
 *     ((x[q+1] op x[q+2]) op ...) op x[q]
 *
 * All N slices are on their way at once: in hop h position p passes on slice p-1-h, and gets slice p-2-h.
 *
 * All-gather. Finished slices go round: in hop h position p passes on slice p-h, and gets slice p-1-h.
 *
 * An all-reduce is one after the other. Slices are cut in chunks, and a chunk's next hop waits for nothing but that
 * chunk, so the wire works on one while the processor adds another. (Patarasuk and Yuan, "Bandwidth optimal all-reduce
 * algorithms for clusters of workstations", 2009.)
 *
 * Memory. A chunk arrives in one of a few slots of SCRATCH, and leaves it by the REDUCE that adds it to the own input.
 * The slot is then free for a later chunk: its RECV waits for a local REDUCE, never for a SEND, so no cycle of ranks
 * that wait for each other can close. The sum is parked in OUTPUT until it is sent on; but in SCRATCH, at a place of
 * its own, where OUTPUT must be left alone (a reduce-scatter writes only the own slice). */
#include "plan/build.h"

#include "base/error.h"

#include <stdlib.h>

/* Chunks that may be on their way in at one time; few, so that they stay in the cache until they are added. */
#define SLOTS 4

typedef struct ring {
    const kolo_plan_spec *spec;
    kolo_schedule *schedule;
    int32_t position, next, previous; /* next and previous are ranks */
    int64_t chunk;                    /* elements */
    int64_t chunks;                   /* of the longest slice */
    uint32_t *last;                   /* per position and chunk: the last step that used this piece of the result */
    uint32_t slot_freed[SLOTS];       /* the REDUCE that reads the slot's present chunk */
    uint32_t slots_used;
    uint32_t sent, received; /* messages so far; both ends count the same chunks in the same order */
} ring;

static int64_t chunks_at(const ring *r, int64_t position)
{
    return kolo_plan_chunks(kolo_plan_slice_at(r->spec, position).count, r->chunk);
}

static kolo_range chunk_at(const ring *r, int64_t position, int64_t index)
{
    return kolo_plan_chunk_of(kolo_plan_slice_at(r->spec, position), r->chunk, index);
}

static uint32_t *last_at(const ring *r, int64_t position, int64_t index)
{
    int64_t turn = (position % r->spec->size + r->spec->size) % r->spec->size;
    return &r->last[turn * r->chunks + index];
}

/* from: where element 0 of the slices' buffer would be. */
static void send_chunk(ring *r, int64_t slice, int64_t index, kolo_place from, uint32_t hop)
{
    kolo_range chunk = chunk_at(r, slice, index);
    uint32_t *last = last_at(r, slice, index);
    from.offset += chunk.offset;
    uint32_t send = kolo_build_send(r->schedule, from, chunk.count, r->next, r->sent++, hop);
    kolo_schedule_after(r->schedule, *last, send);
    *last = send;
}

/* Receives a chunk, and adds the own input to it. parked: where a sum stays that travels on. */
static void receive_and_add(ring *r, int64_t slice, int64_t index, kolo_place parked, uint32_t hop)
{
    kolo_range chunk = chunk_at(r, slice, index);
    bool is_final = hop == (uint32_t)r->spec->size - 2;
    bool lands_parked = !is_final && parked.buffer == KOLO_BUFFER_SCRATCH;
    kolo_place own = kolo_place_at(KOLO_BUFFER_INPUT, chunk.offset);
    kolo_place sum = kolo_place_at(parked.buffer, parked.offset + chunk.offset);
    if (is_final)
        sum = kolo_place_at(KOLO_BUFFER_OUTPUT, chunk.offset);
    kolo_place landing = sum;
    uint32_t *slot_freed = NULL;
    if (!lands_parked) {
        uint32_t slot = r->slots_used++ % SLOTS;
        landing = kolo_place_at(KOLO_BUFFER_SCRATCH, slot * r->chunk);
        slot_freed = &r->slot_freed[slot];
    }

    int64_t landing_end = landing.offset + chunk.count;
    if (landing_end > r->schedule->scratch_count)
        r->schedule->scratch_count = landing_end;

    uint32_t receive = kolo_build_recv(r->schedule, landing, chunk.count, r->previous, r->received++, hop);
    uint32_t reduce = kolo_build_reduce(r->schedule, sum, landing, own, chunk.count, is_final, hop);
    kolo_schedule_after(r->schedule, receive, reduce);
    if (slot_freed) {
        kolo_schedule_after(r->schedule, *slot_freed, receive);
        *slot_freed = reduce;
    }
    *last_at(r, slice, index) = reduce;
}

static void reduce_scatter(ring *r, kolo_place parked)
{
    kolo_place input = kolo_place_at(KOLO_BUFFER_INPUT, 0);
    for (int32_t hop = 0; hop <= r->spec->size - 2; hop++) {
        int64_t outgoing = (int64_t)r->position - 1 - hop;
        int64_t incoming = (int64_t)r->position - 2 - hop;
        for (int64_t i = 0; i < r->chunks; i++) {
            if (i < chunks_at(r, outgoing))
                send_chunk(r, outgoing, i, hop == 0 ? input : parked, (uint32_t)hop);
            if (i < chunks_at(r, incoming))
                receive_and_add(r, incoming, i, parked, (uint32_t)hop);
        }
    }
}

static void receive_result(ring *r, int64_t slice, int64_t index, uint32_t hop)
{
    kolo_range chunk = chunk_at(r, slice, index);
    kolo_place result = kolo_place_at(KOLO_BUFFER_OUTPUT, chunk.offset);
    uint32_t receive = kolo_build_recv(r->schedule, result, chunk.count, r->previous, r->received++, hop);
    /* In an all-reduce a sum (or, in place, an input) left from here: its SEND must be over, and with it what it waited
     * for. */
    uint32_t *last = last_at(r, slice, index);
    kolo_schedule_after(r->schedule, *last, receive);
    *last = receive;
}

/* own: where the own slice is sent from; the others are sent from OUTPUT. */
static void all_gather(ring *r, kolo_buffer own, uint32_t first_hop)
{
    for (int32_t hop = 0; hop <= r->spec->size - 2; hop++) {
        int64_t outgoing = (int64_t)r->position - hop;
        int64_t incoming = (int64_t)r->position - 1 - hop;
        kolo_place from = kolo_place_at(hop == 0 ? own : KOLO_BUFFER_OUTPUT, 0);
        for (int64_t i = 0; i < r->chunks; i++) {
            if (i < chunks_at(r, outgoing))
                send_chunk(r, outgoing, i, from, first_hop + (uint32_t)hop);
            if (i < chunks_at(r, incoming))
                receive_result(r, incoming, i, first_hop + (uint32_t)hop);
        }
    }
}

/* Steps that one chunk of every slice costs a rank: SEND, RECV, REDUCE in each hop, then SEND, RECV. */
static int64_t steps_per_chunk(int32_t size)
{
    return 5 * ((int64_t)size - 1);
}

static kolo_status start(ring *r, const kolo_plan_spec *spec, int32_t position, kolo_schedule *schedule)
{
    int64_t longest = kolo_plan_longest_slice(spec);
    int64_t chunk = kolo_plan_chunk(spec->chunk_count, longest, steps_per_chunk(spec->size));
    *r = (ring){.spec = spec,
                .schedule = schedule,
                .position = position,
                .next = kolo_plan_rank_at(spec, (int64_t)position + 1),
                .previous = kolo_plan_rank_at(spec, (int64_t)position - 1),
                .chunk = chunk,
                .chunks = kolo_plan_chunks(longest, chunk)};
    size_t pieces = (size_t)(spec->size * r->chunks);
    r->last = reallocarray(NULL, pieces > 0 ? pieces : 1, sizeof(uint32_t));
    if (!r->last)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to plan a ring of %d ranks", spec->size);
    for (size_t piece = 0; piece < pieces; piece++)
        r->last[piece] = KOLO_NO_STEP;
    for (size_t slot = 0; slot < SLOTS; slot++)
        r->slot_freed[slot] = KOLO_NO_STEP;
    return KOLO_OK;
}

static kolo_status build(const kolo_plan_spec *spec, kolo_schedule *schedule)
{
    int32_t position;
    KOLO_TRY(kolo_plan_validate(spec, &position));
    if (spec->size == 1)
        return kolo_build_alone(spec, schedule);
    ring r;
    KOLO_TRY(start(&r, spec, position, schedule));
    kolo_range own = kolo_plan_slice_at(spec, position);

    switch (spec->collective) {
    case KOLO_ALLREDUCE:
        reduce_scatter(&r, kolo_place_at(KOLO_BUFFER_OUTPUT, 0));
        all_gather(&r, KOLO_BUFFER_OUTPUT, (uint32_t)spec->size - 1);
        break;
    case KOLO_REDUCE_SCATTER:
        reduce_scatter(&r, kolo_place_at(KOLO_BUFFER_SCRATCH, SLOTS * r.chunk)); /* behind the slots */
        break;
    default: /* all-gather */
        if (own.count > 0)
            kolo_build_copy(schedule, kolo_place_at(KOLO_BUFFER_OUTPUT, own.offset),
                            kolo_place_at(KOLO_BUFFER_INPUT, own.offset), own.count, false);
        all_gather(&r, KOLO_BUFFER_INPUT, 0);
    }
    free(r.last);
    return kolo_schedule_seal(schedule);
}

/* Each hop brings and sends a slice in chunks: the first takes a message's time, the others follow it closely, at what
 * their bytes and steps cost. */
static double price(const kolo_plan_work *work, const kolo_price_model *model)
{
    if (work->size == 1)
        return kolo_price_alone(work->bytes, model);
    int64_t longest = work->bytes > 0 ? (work->bytes - 1) / work->size + 1 : 0;
    int64_t chunk = kolo_plan_chunk(work->chunk_bytes, longest, steps_per_chunk(work->size));
    double chunks = (double)kolo_plan_chunks(longest, chunk), slice = (double)longest, hops = work->size - 1;
    double first_ns = kolo_price_message(model, chunks > 1 ? (double)chunk : slice);
    double latency_ns = kolo_price_message(model, 0);
    double rest = chunks > 1 ? slice / (double)chunk - 1 : 0;
    double gathering_hop = first_ns + rest * (first_ns - latency_ns) + chunks * 2 * model->step_ns;
    double reducing_hop = gathering_hop + slice * model->reduce_ns + chunks * model->step_ns;
    if (work->collective == KOLO_ALLREDUCE)
        return hops * (reducing_hop + gathering_hop);
    if (work->collective == KOLO_REDUCE_SCATTER)
        return hops * reducing_hop;
    return hops * gathering_hop + slice * model->copy_ns;
}

const kolo_algorithm kolo_algorithm_ring = {
    .name = "ring",
    .collectives = KOLO_COLLECTIVE_BIT(KOLO_ALLREDUCE) | KOLO_COLLECTIVE_BIT(KOLO_REDUCE_SCATTER) |
                   KOLO_COLLECTIVE_BIT(KOLO_ALLGATHER),
    .association = KOLO_ASSOCIATION_RING,
    .build = build,
    .price = price,
};
