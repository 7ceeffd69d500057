/* blocks.c - runs of slices that follow each other on the ring, and the all-gather in rounds. */
#include "plan/blocks.h"

#include "base/error.h"

#include <stdlib.h>

kolo_status kolo_blocks_init(kolo_blocks *blocks, const kolo_plan_spec *spec, int32_t position, kolo_schedule *schedule)
{
    *blocks = (kolo_blocks){.spec = spec, .schedule = schedule, .position = position};
    blocks->last = reallocarray(NULL, (size_t)spec->size, sizeof(uint32_t));
    if (!blocks->last)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to plan for %d ranks", spec->size);
    for (int32_t block = 0; block < spec->size; block++)
        blocks->last[block] = KOLO_NO_STEP;
    return KOLO_OK;
}

void kolo_blocks_fini(kolo_blocks *blocks)
{
    free(blocks->last);
    blocks->last = NULL;
}

static kolo_range block_range(const kolo_blocks *blocks, int64_t block)
{
    return kolo_plan_slice_at(blocks->spec, blocks->position + block);
}

bool kolo_blocks_next(const kolo_blocks *blocks, int64_t end, kolo_stretch *stretch)
{
    int64_t first = stretch->end;
    while (first < end && block_range(blocks, first).count == 0)
        first++;
    if (first >= end)
        return false;
    kolo_range range = block_range(blocks, first);
    int64_t next = first + 1;
    for (; next < end; next++) {
        kolo_range more = block_range(blocks, next);
        if (more.count > 0 && more.offset != range.offset + range.count)
            break;
        range.count += more.count;
    }
    uint32_t position = (uint32_t)((blocks->position + first) % blocks->spec->size);
    *stretch = (kolo_stretch){.first = first, .end = next, .range = range, .message = position};
    return true;
}

void kolo_blocks_wait(const kolo_blocks *blocks, const kolo_stretch *stretch, uint32_t step)
{
    uint32_t waited = KOLO_NO_STEP; /* neighbours often have the same one */
    for (int64_t block = stretch->first; block < stretch->end; block++) {
        if (blocks->last[block] != waited)
            kolo_schedule_after(blocks->schedule, blocks->last[block], step);
        waited = blocks->last[block];
    }
}

void kolo_blocks_used(const kolo_blocks *blocks, const kolo_stretch *stretch, uint32_t step)
{
    for (int64_t block = stretch->first; block < stretch->end; block++)
        blocks->last[block] = step;
}

static void gather_round(const kolo_blocks *blocks, kolo_round round, kolo_buffer from, uint32_t hop)
{
    int32_t to = kolo_plan_rank_at(blocks->spec, (int64_t)blocks->position - round.skip);
    int32_t source = kolo_plan_rank_at(blocks->spec, (int64_t)blocks->position + round.skip);
    kolo_stretch out = {.end = 0};
    while (kolo_blocks_next(blocks, round.count, &out)) {
        uint32_t send = kolo_build_send(blocks->schedule, kolo_place_at(from, out.range.offset), out.range.count, to,
                                        2 * out.message + 1, hop);
        /* INPUT was never written: nothing to wait for. */
        if (from == KOLO_BUFFER_OUTPUT)
            kolo_blocks_wait(blocks, &out, send);
    }
    kolo_stretch in = {.end = round.skip};
    while (kolo_blocks_next(blocks, round.skip + round.count, &in)) {
        kolo_place place = kolo_place_at(KOLO_BUFFER_OUTPUT, in.range.offset);
        uint32_t receive = kolo_build_recv(blocks->schedule, place, in.range.count, source, 2 * in.message + 1, hop);
        kolo_blocks_wait(blocks, &in, receive);
        kolo_blocks_used(blocks, &in, receive);
    }
}

void kolo_blocks_gather(const kolo_blocks *blocks, const kolo_round *rounds, size_t count, kolo_buffer own,
                        uint32_t first_hop)
{
    for (size_t i = 0; i < count; i++)
        gather_round(blocks, rounds[i], i == 0 ? own : KOLO_BUFFER_OUTPUT, first_hop + (uint32_t)i);
}

kolo_status kolo_blocks_build_allgather(const kolo_plan_spec *spec, int32_t position, const kolo_round *rounds,
                                        size_t count, kolo_schedule *schedule)
{
    kolo_blocks blocks;
    KOLO_TRY(kolo_blocks_init(&blocks, spec, position, schedule));
    kolo_range own = kolo_plan_slice_at(spec, position);
    if (own.count > 0)
        blocks.last[0] = kolo_build_copy(schedule, kolo_place_at(KOLO_BUFFER_OUTPUT, own.offset),
                                         kolo_place_at(KOLO_BUFFER_INPUT, own.offset), own.count, false);
    kolo_blocks_gather(&blocks, rounds, count, KOLO_BUFFER_INPUT, 0);
    kolo_blocks_fini(&blocks);
    return kolo_schedule_seal(schedule);
}

/* Blocks that do not lie in one piece in memory are two messages; on most ranks, and most rounds, they do. */
double kolo_blocks_price_rounds(const kolo_round *rounds, size_t count, double block_bytes,
                                const kolo_price_model *model)
{
    double ns = 0;
    for (size_t i = 0; i < count; i++)
        ns += kolo_price_message(model, rounds[i].count * block_bytes) + 2 * model->step_ns;
    return ns;
}

double kolo_blocks_price_allgather(int32_t size, const kolo_round *rounds, size_t count, double bytes,
                                   const kolo_price_model *model)
{
    double slice = bytes / size;
    return kolo_blocks_price_rounds(rounds, count, slice, model) + slice * model->copy_ns + model->step_ns;
}
