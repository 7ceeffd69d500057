/* circulant.c - reduce-scatter and all-reduce in ceil(log2 N) rounds for any N, with N-1 blocks sent in each phase.
 *
 * Jesper Larsson Traeff, "Optimal, Non-pipelined Reduce-scatter and Allreduce Algorithms", 2024. The number of blocks
 * that a rank still works on is halved in each round, rounded up: s' -> s = ceil(s'/2). It sends its blocks [s, s') to
 * position + s, for which they are the blocks [0, s'-s); it gets the same from position - s, and adds them on the
 * right:
 *
 *     R[i] = R[i] op T[i],  i < s'-s
 *
 * After the last round R[0], the own slice, holds every input. The all-gather goes through the same rounds backwards.
 *
 * Memory. R is INPUT until a block is first added to, then OUTPUT; or SCRATCH where OUTPUT must be left alone (a
 * reduce-scatter writes only the own slice). Only the blocks [0, floor(N/2)) are ever added to, all of them in the
 * first round. T is SCRATCH, new room in each round, so that all receives can be posted at once: N-1 blocks in all. */
#include "plan/blocks.h"

#include "base/error.h"

/* In the order of the reduce-scatter. skip: s; count: s'-s. */
static size_t make_rounds(int32_t size, kolo_round *rounds)
{
    size_t count = 0;
    for (int32_t blocks = size; blocks > 1; count++) {
        int32_t skip = blocks - blocks / 2;
        rounds[count] = (kolo_round){.skip = skip, .count = blocks - skip};
        blocks = skip;
    }
    return count;
}

/* Sends R's blocks [first, end), which are all in `from`. */
static void send_blocks(const kolo_blocks *blocks, int64_t first, int64_t end, kolo_place from, int32_t to,
                        uint32_t hop)
{
    kolo_stretch out = {.end = first};
    while (kolo_blocks_next(blocks, end, &out)) {
        kolo_place place = kolo_place_at(from.buffer, from.offset + out.range.offset);
        uint32_t send = kolo_build_send(blocks->schedule, place, out.range.count, to, 2 * out.message, hop);
        kolo_blocks_wait(blocks, &out, send);
        kolo_blocks_used(blocks, &out, send);
    }
}

/* Receives blocks that are [first, end) here, and adds them to R, which moves to `sum` with that. */
static void receive_blocks(const kolo_blocks *blocks, int64_t first, int64_t end, kolo_place r, kolo_place sum,
                           int32_t source, uint32_t hop)
{
    bool is_final = hop + 1 == (uint32_t)kolo_price_rounds(blocks->spec->size);
    kolo_stretch in = {.end = first};
    while (kolo_blocks_next(blocks, end, &in)) {
        kolo_place landing = kolo_place_at(KOLO_BUFFER_SCRATCH, blocks->schedule->scratch_count);
        blocks->schedule->scratch_count += in.range.count;
        uint32_t receive = kolo_build_recv(blocks->schedule, landing, in.range.count, source, 2 * in.message, hop);
        kolo_place to = kolo_place_at(sum.buffer, sum.offset + in.range.offset);
        kolo_place a = kolo_place_at(r.buffer, r.offset + in.range.offset);
        uint32_t reduce = kolo_build_reduce(blocks->schedule, to, a, landing, in.range.count, is_final, hop);
        kolo_schedule_after(blocks->schedule, receive, reduce);
        kolo_blocks_wait(blocks, &in, reduce);
        kolo_blocks_used(blocks, &in, reduce);
    }
}

/* parked: where R is once it was added to. */
static void reduce_scatter(const kolo_blocks *blocks, const kolo_round *rounds, size_t count, kolo_place parked)
{
    kolo_place input = kolo_place_at(KOLO_BUFFER_INPUT, 0);
    kolo_place output = kolo_place_at(KOLO_BUFFER_OUTPUT, 0);
    int64_t added = 0; /* blocks [0, added) have left INPUT */
    for (size_t i = 0; i < count; i++) {
        int32_t skip = rounds[i].skip;
        int32_t to = kolo_plan_rank_at(blocks->spec, (int64_t)blocks->position + skip);
        int32_t source = kolo_plan_rank_at(blocks->spec, (int64_t)blocks->position - skip);
        /* Of the blocks [skip, end) those from `added` on are still in INPUT, at the sender as well as, in its own
         * numbers, here. */
        int64_t end = skip + rounds[i].count;
        int64_t split = added < skip ? skip : added < end ? added : end;
        send_blocks(blocks, skip, split, parked, to, (uint32_t)i);
        send_blocks(blocks, split, end, input, to, (uint32_t)i);
        kolo_place r = added > 0 ? parked : input;
        kolo_place sum = i + 1 == count ? output : parked;
        receive_blocks(blocks, 0, split - skip, r, sum, source, (uint32_t)i);
        receive_blocks(blocks, split - skip, rounds[i].count, r, sum, source, (uint32_t)i);
        added = added > rounds[i].count ? added : rounds[i].count;
    }
}

static kolo_status build_sum(const kolo_plan_spec *spec, int32_t position, const kolo_round *rounds, size_t count,
                             kolo_schedule *schedule)
{
    kolo_blocks blocks;
    KOLO_TRY(kolo_blocks_init(&blocks, spec, position, schedule));
    if (spec->collective == KOLO_REDUCE_SCATTER) {
        schedule->scratch_count = count > 1 ? kolo_plan_total(spec) : 0;
        reduce_scatter(&blocks, rounds, count, kolo_place_at(KOLO_BUFFER_SCRATCH, 0));
    } else {
        kolo_round backwards[KOLO_ROUNDS_MAX];
        for (size_t i = 0; i < count; i++)
            backwards[i] = rounds[count - 1 - i];
        reduce_scatter(&blocks, rounds, count, kolo_place_at(KOLO_BUFFER_OUTPUT, 0));
        kolo_blocks_gather(&blocks, backwards, count, KOLO_BUFFER_OUTPUT, (uint32_t)count);
    }
    kolo_blocks_fini(&blocks);
    return kolo_schedule_seal(schedule);
}

static kolo_status build(const kolo_plan_spec *spec, kolo_schedule *schedule)
{
    int32_t position;
    KOLO_TRY(kolo_plan_validate(spec, &position));
    if (spec->size == 1)
        return kolo_build_alone(spec, schedule);
    kolo_round rounds[KOLO_ROUNDS_MAX];
    size_t count = make_rounds(spec->size, rounds);
    if (spec->collective != KOLO_ALLGATHER)
        return build_sum(spec, position, rounds, count, schedule);
    for (size_t i = 0; i < count / 2; i++) {
        kolo_round swapped = rounds[i];
        rounds[i] = rounds[count - 1 - i];
        rounds[count - 1 - i] = swapped;
    }
    return kolo_blocks_build_allgather(spec, position, rounds, count, schedule);
}

static double price(const kolo_plan_work *work, const kolo_price_model *model)
{
    int32_t size = work->size;
    double bytes = (double)work->bytes, slice = bytes / size;
    if (size == 1)
        return kolo_price_alone(work->bytes, model);
    kolo_round rounds[KOLO_ROUNDS_MAX];
    size_t count = make_rounds(size, rounds);
    if (work->collective == KOLO_ALLGATHER)
        return kolo_blocks_price_allgather(size, rounds, count, bytes, model);
    double gather_ns = kolo_blocks_price_rounds(rounds, count, slice, model);
    double reduce_scatter_ns = gather_ns + (size - 1) * slice * model->reduce_ns + (double)count * model->step_ns;
    return work->collective == KOLO_ALLREDUCE ? reduce_scatter_ns + gather_ns : reduce_scatter_ns;
}

const kolo_algorithm kolo_algorithm_circulant = {
    .name = "circulant",
    .collectives = KOLO_COLLECTIVE_BIT(KOLO_ALLREDUCE) | KOLO_COLLECTIVE_BIT(KOLO_REDUCE_SCATTER) |
                   KOLO_COLLECTIVE_BIT(KOLO_ALLGATHER),
    .association = KOLO_ASSOCIATION_CIRCULANT,
    .build = build,
    .price = price,
};
