/* shared.c - all ranks' tensors lie in memory that everybody sees: no window, no copy in, no copy out.
 *
 *     all-reduce      fold own slice of all inputs ─► own slice of all outputs ─► DONE ─► until all are done
 *     reduce-scatter  the same, into the own output alone
 *     all-gather      copy each rank's input
 *     broadcast       copy the root's output
 *
 * The engine starts it when all tensors are ready, so there is nothing to wait for until the end: then each rank waits
 * until nobody touches its tensors any more. Memory sees each input read once and each output written once.
 *
 * In place nothing changes: an element is read and written by one rank alone, the owner of its slice, first read, then
 * written; and in an all-gather, what others read is not written at all.
 *
 * Chunks let the engine look after other things in between; nobody waits for one. */
#include "plan/build.h"

#include "base/error.h"

/* Appends `step` for each chunk of the range: all its buffers are at the same place. steps_per_chunk: see
 * kolo_plan_chunk. */
static void add_chunks(const kolo_plan_spec *spec, kolo_schedule *schedule, kolo_range range, int64_t steps_per_chunk,
                       kolo_step step)
{
    int64_t chunk = kolo_plan_chunk(spec->chunk_count, range.count, steps_per_chunk);
    for (int64_t c = 0; c < kolo_plan_chunks(range.count, chunk); c++) {
        kolo_range piece = kolo_plan_chunk_of(range, chunk, c);
        step.dst_offset = step.a_offset = step.b_offset = piece.offset;
        step.count = piece.count;
        kolo_build_chained(schedule, step);
    }
}

static void fold_own(const kolo_plan_spec *spec, kolo_schedule *schedule, kolo_buffer to)
{
    kolo_step fold = {
        .kind = KOLO_STEP_FOLD, .dst = (uint8_t)to, .a = KOLO_BUFFER_PEER_INPUT, .b = KOLO_BUFFER_INPUT, .final = true};
    add_chunks(spec, schedule, kolo_plan_slice_of(spec, spec->rank), 1, fold);
}

/* The next rank's first: everybody starts with another one. */
static void copy_all(const kolo_plan_spec *spec, kolo_schedule *schedule)
{
    for (int32_t i = 1; i <= spec->size; i++) {
        int32_t rank = (spec->rank + i) % spec->size;
        uint8_t from = rank == spec->rank ? KOLO_BUFFER_INPUT : KOLO_BUFFER_PEER_INPUT;
        kolo_step copy = {.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .a = from, .peer = rank};
        add_chunks(spec, schedule, kolo_plan_slice_of(spec, rank), spec->size, copy);
    }
}

static void copy_root(const kolo_plan_spec *spec, kolo_schedule *schedule)
{
    kolo_range all = {.offset = 0, .count = kolo_plan_total(spec)};
    kolo_step copy = {
        .kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .a = KOLO_BUFFER_PEER_OUTPUT, .peer = spec->root};
    if (spec->rank != spec->root)
        add_chunks(spec, schedule, all, 1, copy);
}

static kolo_status build(const kolo_plan_spec *spec, kolo_schedule *schedule)
{
    int32_t position;
    KOLO_TRY(kolo_plan_validate(spec, &position));
    if (spec->size == 1 || kolo_plan_total(spec) == 0)
        return kolo_build_alone(spec, schedule);
    if (!spec->shared_tensors)
        return kolo_fail(KOLO_ERR_UNSUPPORTED,
                         "the shared algorithm needs all ranks' tensors in memory that everybody sees");
    switch (spec->collective) {
    case KOLO_ALLGATHER:
        copy_all(spec, schedule);
        break;
    case KOLO_BROADCAST:
        copy_root(spec, schedule);
        break;
    default:
        fold_own(spec, schedule, spec->collective == KOLO_ALLREDUCE ? KOLO_BUFFER_PEER_OUTPUT : KOLO_BUFFER_OUTPUT);
    }
    schedule->flag_total[KOLO_FLAG_DONE] = 1;
    kolo_build_notify(schedule, KOLO_FLAG_DONE, 1);
    kolo_build_wait(schedule, KOLO_FLAG_DONE, -1, 1);
    return kolo_schedule_seal(schedule);
}

/* One flight, of DONE. A rank reads its part of all inputs, which their owners have just written, and writes it to all
 * outputs, which their owners have read; or it copies what the others have written. */
static double price(const kolo_plan_work *work, const kolo_price_model *model)
{
    if (work->size == 1)
        return kolo_price_alone(work->bytes, model);
    bool is_allreduce = work->collective == KOLO_ALLREDUCE,
         adds = is_allreduce || work->collective == KOLO_REDUCE_SCATTER;
    double all = (double)work->bytes, own = all / work->size, others = all - own;
    int64_t longest = work->collective == KOLO_BROADCAST ? work->bytes : (work->bytes + work->size - 1) / work->size;
    int64_t chunk = kolo_plan_chunk(work->chunk_bytes, longest, work->collective == KOLO_ALLGATHER ? work->size : 1);
    double chunks = (double)kolo_plan_chunks(longest, chunk) * (work->collective == KOLO_ALLGATHER ? work->size : 1);
    double written_ns = is_allreduce ? others * model->write_ns : 0;
    double read_ns = adds                                 ? others * model->fold_ns
                     : work->collective == KOLO_BROADCAST ? all * model->read_ns
                                                          : others * model->read_ns + own * model->copy_ns;
    return model->flight_ns + (2 + chunks) * model->step_ns + read_ns + written_ns +
           kolo_price_spill(model, 2 * all, all);
}

const kolo_algorithm kolo_algorithm_shared = {
    .name = "shared",
    .collectives = KOLO_COLLECTIVE_BIT(KOLO_ALLREDUCE) | KOLO_COLLECTIVE_BIT(KOLO_REDUCE_SCATTER) |
                   KOLO_COLLECTIVE_BIT(KOLO_ALLGATHER) | KOLO_COLLECTIVE_BIT(KOLO_BROADCAST),
    .association = KOLO_ASSOCIATION_DIRECT,
    .shared_tensors = true,
    .build = build,
    .price = price,
};
