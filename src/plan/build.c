/* build.c - what the algorithms share when they build schedules. */
#include "plan/build.h"

#include "base/error.h"

kolo_status kolo_plan_validate(const kolo_plan_spec *spec, int32_t *position)
{
    if (spec->size < 1 || spec->rank < 0 || spec->rank >= spec->size)
        return kolo_fail(KOLO_ERR_INVALID, "rank %d of %d ranks has no schedule", spec->rank, spec->size);
    /* Two messages of one pair for each rank must have room below KOLO_SCHEDULE_MESSAGES_MAX. */
    if ((uint32_t)spec->size >= KOLO_SCHEDULE_MESSAGES_MAX / 2)
        return kolo_fail(KOLO_ERR_UNSUPPORTED, "%d ranks are too many for a schedule; fewer than %u are possible",
                         spec->size, KOLO_SCHEDULE_MESSAGES_MAX / 2);
    if (spec->collective == KOLO_BROADCAST && (spec->root < 0 || spec->root >= spec->size))
        return kolo_fail(KOLO_ERR_INVALID, "the root %d is not one of the ranks 0 to %d", spec->root, spec->size - 1);
    if (spec->chunk_count < 1)
        return kolo_fail(KOLO_ERR_INVALID, "a chunk of %lld elements; it must have at least 1",
                         (long long)spec->chunk_count);
    if (spec->slice_offsets[0] != 0)
        return kolo_fail(KOLO_ERR_INVALID, "slice 0 begins at %lld; it must begin at 0",
                         (long long)spec->slice_offsets[0]);
    int32_t found = 0;
    for (int32_t i = 0; i < spec->size; i++) {
        if (spec->slice_offsets[i + 1] < spec->slice_offsets[i])
            return kolo_fail(KOLO_ERR_INVALID, "slice %d ends before it begins", i);
        if (spec->ring[i] < 0 || spec->ring[i] >= spec->size)
            return kolo_fail(KOLO_ERR_INVALID, "position %d of the ring holds rank %d of %d", i, spec->ring[i],
                             spec->size);
        if (spec->ring[i] == spec->rank) {
            *position = i;
            found++;
        }
    }
    if (found != 1)
        return kolo_fail(KOLO_ERR_INVALID, "rank %d is on the ring %d times; it must be there once", spec->rank, found);
    return KOLO_OK;
}

kolo_range kolo_plan_slice_of(const kolo_plan_spec *spec, int32_t rank)
{
    int64_t offset = spec->slice_offsets[rank];
    return (kolo_range){.offset = offset, .count = spec->slice_offsets[rank + 1] - offset};
}

int32_t kolo_plan_rank_at(const kolo_plan_spec *spec, int64_t position)
{
    int64_t turn = position % spec->size;
    return spec->ring[turn < 0 ? turn + spec->size : turn];
}

kolo_range kolo_plan_slice_at(const kolo_plan_spec *spec, int64_t position)
{
    return kolo_plan_slice_of(spec, kolo_plan_rank_at(spec, position));
}

int64_t kolo_plan_total(const kolo_plan_spec *spec)
{
    return spec->slice_offsets[spec->size];
}

int64_t kolo_plan_longest_slice(const kolo_plan_spec *spec)
{
    int64_t longest = 0;
    for (int32_t rank = 0; rank < spec->size; rank++) {
        int64_t count = spec->slice_offsets[rank + 1] - spec->slice_offsets[rank];
        longest = count > longest ? count : longest;
    }
    return longest;
}

int64_t kolo_plan_chunk(int64_t chunk_count, int64_t longest, int64_t steps_per_chunk)
{
    int64_t chunks_max = KOLO_PLAN_STEPS_MAX / (steps_per_chunk > 0 ? steps_per_chunk : 1);
    chunks_max = chunks_max < KOLO_PLAN_CHUNKS_MAX ? chunks_max : KOLO_PLAN_CHUNKS_MAX;
    int64_t least = chunks_max > 1 ? kolo_plan_chunks(longest, chunks_max) : longest;
    int64_t chunk = chunk_count > least ? chunk_count : least;
    chunk = chunk < longest ? chunk : longest;
    return chunk > 0 ? chunk : 1;
}

int64_t kolo_plan_chunks(int64_t count, int64_t chunk)
{
    return count / chunk + (count % chunk != 0);
}

kolo_range kolo_plan_chunk_of(kolo_range range, int64_t chunk, int64_t index)
{
    int64_t done = index * chunk;
    int64_t rest = range.count - done;
    return (kolo_range){.offset = range.offset + done, .count = rest < chunk ? rest : chunk};
}

kolo_range kolo_plan_part(const kolo_plan_spec *spec, int64_t chunk, int32_t rank, int64_t index)
{
    kolo_range slice = kolo_plan_slice_of(spec, rank), part = kolo_plan_chunk_of(slice, chunk, index);
    return part.count > 0 ? part : (kolo_range){.offset = slice.offset, .count = 0};
}

uint32_t kolo_build_send(kolo_schedule *schedule, kolo_place from, int64_t count, int32_t peer, uint32_t message,
                         uint32_t hop)
{
    return kolo_schedule_add(schedule, &(kolo_step){.kind = KOLO_STEP_SEND,
                                                    .a = (uint8_t)from.buffer,
                                                    .a_offset = from.offset,
                                                    .count = count,
                                                    .peer = peer,
                                                    .message = message,
                                                    .hop = hop});
}

uint32_t kolo_build_recv(kolo_schedule *schedule, kolo_place to, int64_t count, int32_t peer, uint32_t message,
                         uint32_t hop)
{
    return kolo_schedule_add(schedule, &(kolo_step){.kind = KOLO_STEP_RECV,
                                                    .dst = (uint8_t)to.buffer,
                                                    .dst_offset = to.offset,
                                                    .count = count,
                                                    .peer = peer,
                                                    .message = message,
                                                    .hop = hop});
}

uint32_t kolo_build_reduce(kolo_schedule *schedule, kolo_place to, kolo_place a, kolo_place b, int64_t count,
                           bool final, uint32_t hop)
{
    return kolo_schedule_add(schedule, &(kolo_step){.kind = KOLO_STEP_REDUCE,
                                                    .dst = (uint8_t)to.buffer,
                                                    .dst_offset = to.offset,
                                                    .a = (uint8_t)a.buffer,
                                                    .a_offset = a.offset,
                                                    .b = (uint8_t)b.buffer,
                                                    .b_offset = b.offset,
                                                    .count = count,
                                                    .final = final,
                                                    .peer = -1,
                                                    .hop = hop});
}

uint32_t kolo_build_copy(kolo_schedule *schedule, kolo_place to, kolo_place from, int64_t count, bool final)
{
    return kolo_schedule_add(schedule, &(kolo_step){.kind = KOLO_STEP_COPY,
                                                    .dst = (uint8_t)to.buffer,
                                                    .dst_offset = to.offset,
                                                    .a = (uint8_t)from.buffer,
                                                    .a_offset = from.offset,
                                                    .count = count,
                                                    .final = final,
                                                    .peer = -1});
}

void kolo_build_chained(kolo_schedule *schedule, kolo_step step)
{
    uint32_t index = kolo_schedule_add(schedule, &step);
    kolo_schedule_after(schedule, index > 0 ? index - 1 : KOLO_NO_STEP, index);
}

void kolo_build_notify(kolo_schedule *schedule, kolo_flag flag, int64_t value)
{
    kolo_build_chained(schedule,
                       (kolo_step){.kind = KOLO_STEP_NOTIFY, .message = (uint32_t)flag, .count = value, .peer = -1});
}

void kolo_build_wait(kolo_schedule *schedule, kolo_flag flag, int32_t peer, int64_t value)
{
    kolo_build_chained(schedule,
                       (kolo_step){.kind = KOLO_STEP_WAIT, .message = (uint32_t)flag, .count = value, .peer = peer});
}

kolo_status kolo_build_alone(const kolo_plan_spec *spec, kolo_schedule *schedule)
{
    int64_t total = kolo_plan_total(spec);
    bool adds = spec->collective == KOLO_ALLREDUCE || spec->collective == KOLO_REDUCE_SCATTER;
    if (total > 0 && spec->collective != KOLO_BROADCAST)
        kolo_build_copy(schedule, kolo_place_at(KOLO_BUFFER_OUTPUT, 0), kolo_place_at(KOLO_BUFFER_INPUT, 0), total,
                        adds);
    return kolo_schedule_seal(schedule);
}

double kolo_price_alone(int64_t bytes, const kolo_price_model *model)
{
    return model->step_ns + (double)bytes * model->copy_ns +
           kolo_price_spill(model, 2.0 * (double)bytes, (double)bytes);
}

double kolo_price_flights(double each, double chunks, double work_ns, const kolo_price_model *model)
{
    double seen_ns = model->flight_ns - work_ns / chunks;
    return each * model->flight_ns + (chunks - 1) * (seen_ns > 0 ? seen_ns : 0);
}
