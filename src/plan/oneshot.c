/* oneshot.c - everyone gets all inputs in ceil(log2 N) rounds, and sums them alone: the fewest messages, the most
 * bytes.
 *
 * The inputs travel by Bruck's all-gather (Bruck, Ho, Kipnis, Upfal, Weathersby, "Efficient algorithms for all-to-all
 * communications in multiport message-passing systems", 1997): after round k a rank holds the inputs of the 2^(k+1)
 * positions from its own on. They are added in the ring's order, slice by slice, so that the bits are the ring's.
 *
 * Memory. Slot j of SCRATCH is the whole input of position + j. The own input is copied to slot 0: the later rounds
 * send it together with the others', and in place it is overwritten while it is still needed. With two ranks neither is
 * the case.
 *
 * The all-gather of slices needs no slots: the same rounds, straight into OUTPUT. */
#include "plan/blocks.h"

#include "base/error.h"

#include <stdlib.h>

/* Bruck's: a rank's blocks double until all are there. */
static size_t make_rounds(int32_t size, kolo_round *rounds)
{
    size_t count = 0;
    for (int64_t skip = 1; skip < size; skip *= 2, count++) {
        int64_t missing = size - skip;
        rounds[count] = (kolo_round){.skip = (int32_t)skip, .count = (int32_t)(missing < skip ? missing : skip)};
    }
    return count;
}

typedef struct oneshot {
    const kolo_plan_spec *spec;
    kolo_schedule *schedule;
    int32_t position;
    int64_t total;
    uint32_t *arrived;   /* per slot: the step that fills it */
    uint32_t first_send; /* the one that reads INPUT */
} oneshot;

static void spread_inputs(oneshot *o)
{
    kolo_round rounds[KOLO_ROUNDS_MAX];
    size_t count = make_rounds(o->spec->size, rounds);
    kolo_place input = kolo_place_at(KOLO_BUFFER_INPUT, 0);
    kolo_place slots = kolo_place_at(KOLO_BUFFER_SCRATCH, 0);
    for (size_t i = 0; i < count; i++) {
        int32_t to = kolo_plan_rank_at(o->spec, (int64_t)o->position - rounds[i].skip);
        int32_t source = kolo_plan_rank_at(o->spec, (int64_t)o->position + rounds[i].skip);
        int64_t elements = rounds[i].count * o->total;
        uint32_t hop = (uint32_t)i;
        uint32_t send = kolo_build_send(o->schedule, i == 0 ? input : slots, elements, to, hop, hop);
        if (i == 0)
            o->first_send = send;
        else
            for (int32_t slot = 0; slot < rounds[i].count; slot++)
                if (slot == 0 || o->arrived[slot] != o->arrived[slot - 1])
                    kolo_schedule_after(o->schedule, o->arrived[slot], send);
        kolo_place landing = kolo_place_at(KOLO_BUFFER_SCRATCH, rounds[i].skip * o->total);
        uint32_t receive = kolo_build_recv(o->schedule, landing, elements, source, hop, hop);
        for (int32_t slot = 0; slot < rounds[i].count; slot++)
            o->arrived[rounds[i].skip + slot] = receive;
        if (i == 0 && count > 1)
            o->arrived[0] = kolo_build_copy(o->schedule, slots, input, o->total, false);
    }
}

/* Sums the slice of the rank at `owner`: ((x[owner+1] op x[owner+2]) op ...) op x[owner]. */
static void sum_slice(const oneshot *o, int64_t owner, uint32_t hop)
{
    int32_t size = o->spec->size;
    kolo_range slice = kolo_plan_slice_at(o->spec, owner);
    if (slice.count == 0)
        return;
    kolo_place sum = kolo_place_at(KOLO_BUFFER_OUTPUT, slice.offset);
    kolo_place left = sum;
    uint32_t before = KOLO_NO_STEP;
    for (int32_t term = 1; term <= size; term++) {
        int64_t slot = (owner + term - o->position + size) % size;
        bool is_copied = slot > 0 || size > 2;
        kolo_place right = is_copied ? kolo_place_at(KOLO_BUFFER_SCRATCH, slot * o->total + slice.offset)
                                     : kolo_place_at(KOLO_BUFFER_INPUT, slice.offset);
        if (term == 1) {
            left = right;
            before = o->arrived[slot];
            continue;
        }
        uint32_t reduce = kolo_build_reduce(o->schedule, sum, left, right, slice.count, term == size, hop);
        kolo_schedule_after(o->schedule, before, reduce);
        if (o->arrived[slot] != before)
            kolo_schedule_after(o->schedule, o->arrived[slot], reduce);
        if (term == 2) {
            /* In place, this is the first to overwrite INPUT: nobody may still read it. */
            kolo_schedule_after(o->schedule, o->first_send, reduce);
            kolo_schedule_after(o->schedule, o->arrived[0], reduce);
        }
        left = sum;
        before = reduce;
    }
}

static kolo_status build_sum(const kolo_plan_spec *spec, int32_t position, kolo_schedule *schedule)
{
    oneshot o = {.spec = spec, .schedule = schedule, .position = position, .total = kolo_plan_total(spec)};
    int64_t elements;
    if (__builtin_mul_overflow(o.total, (int64_t)spec->size, &elements))
        return kolo_fail(KOLO_ERR_UNSUPPORTED, "%d inputs of %lld elements are too many for the one-shot algorithm",
                         spec->size, (long long)o.total);
    if (o.total == 0)
        return kolo_schedule_seal(schedule);
    o.arrived = reallocarray(NULL, (size_t)spec->size, sizeof(uint32_t));
    if (!o.arrived)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to plan for %d ranks", spec->size);
    for (int32_t slot = 0; slot < spec->size; slot++)
        o.arrived[slot] = KOLO_NO_STEP;
    schedule->scratch_count = elements;
    spread_inputs(&o);
    uint32_t hop = (uint32_t)kolo_price_rounds(spec->size);
    if (spec->collective == KOLO_REDUCE_SCATTER)
        sum_slice(&o, position, hop);
    else
        for (int32_t owner = 0; owner < spec->size; owner++)
            sum_slice(&o, owner, hop);
    free(o.arrived);
    return kolo_schedule_seal(schedule);
}

static kolo_status build(const kolo_plan_spec *spec, kolo_schedule *schedule)
{
    int32_t position;
    KOLO_TRY(kolo_plan_validate(spec, &position));
    if (spec->size == 1)
        return kolo_build_alone(spec, schedule);
    if (spec->collective != KOLO_ALLGATHER)
        return build_sum(spec, position, schedule);
    kolo_round rounds[KOLO_ROUNDS_MAX];
    size_t count = make_rounds(spec->size, rounds);
    return kolo_blocks_build_allgather(spec, position, rounds, count, schedule);
}

static double price(const kolo_plan_work *work, const kolo_price_model *model)
{
    int32_t size = work->size;
    double bytes = (double)work->bytes;
    if (size == 1)
        return kolo_price_alone(work->bytes, model);
    kolo_round rounds[KOLO_ROUNDS_MAX];
    size_t count = make_rounds(size, rounds);
    if (work->collective == KOLO_ALLGATHER)
        return kolo_blocks_price_allgather(size, rounds, count, bytes, model);
    double others = size - 1;
    double summed = work->collective == KOLO_ALLREDUCE ? bytes : bytes / size;
    double slices = work->collective == KOLO_ALLREDUCE ? size : 1;
    double copied = size > 2 ? bytes : 0;
    return kolo_blocks_price_rounds(rounds, count, bytes, model) + copied * model->copy_ns +
           others * (summed * model->reduce_ns + slices * model->step_ns) +
           kolo_price_spill(model, 2 * others * bytes, (others + 1) * bytes);
}

const kolo_algorithm kolo_algorithm_oneshot = {
    .name = "oneshot",
    .collectives = KOLO_COLLECTIVE_BIT(KOLO_ALLREDUCE) | KOLO_COLLECTIVE_BIT(KOLO_REDUCE_SCATTER) |
                   KOLO_COLLECTIVE_BIT(KOLO_ALLGATHER),
    .association = KOLO_ASSOCIATION_RING,
    .build = build,
    .price = price,
};
