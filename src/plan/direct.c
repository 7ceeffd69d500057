/* direct.c - all ranks share memory: each copies its input into its window, everybody reads where it lies.
 *
 *     chunk c     copy in ─► COPIED ─► fold own part ─► REDUCED ─► copy out ─► DONE
 *     chunk c+1              copy in ─► COPIED ─► fold ...
 *
 * All-reduce: a rank folds its own slice in one pass over all windows, copies the result to its window, and the
 * other slices' results out of theirs. Reduce-scatter stops after the fold, all-gather has no fold. A window holds
 * DEPTH chunks in turn, so it stays in a core's own cache however large the tensor: memory sees each input read once
 * and each output written once.
 *
 * A slice that is empty, or shorter than others, has nothing in some chunks: no flag is told or waited for then.
 *
 * The one-shot variant copies whole inputs in, and everybody folds everything: one flight instead of two, more to read.
 *
 * A rank's steps are one chain: they share its core anyway. The stages of three chunks are interleaved, so that a rank
 * seldom waits. */
#include "plan/build.h"

#include "base/error.h"

/* Chunks in a window at the same time: being copied in, folded, copied out, and one of slack. */
enum { DEPTH = 4 };

/* A core's own cache, in hints of how long a chunk may be: they are 256 KiB, and servers' L2 has 512 KiB to 2 MiB. The
 * shortest chunks are a hint by SHORTEST. */
enum { CACHE_HINTS = 2, SHORTEST = 16, FEW_CHUNKS = 16 };

/* The most steps: for more, the tensor would be gigabytes and the windows tiny. */
#define STEPS_MAX (INT64_C(1) << 22)

typedef struct direct {
    const kolo_plan_spec *spec;
    kolo_schedule *schedule;
    int64_t chunk; /* elements of a slice, or of all where there are no slices */
    int64_t chunks;
    int64_t parts;  /* of one chunk that a window holds: all ranks', or the own one alone */
    int32_t writer; /* the only rank that writes to its window, so nobody waits for what it has read; -1 if all write */
} direct;

static void notify(direct *d, kolo_flag flag, int64_t value)
{
    kolo_build_notify(d->schedule, flag, value);
}

static void await(direct *d, kolo_flag flag, int32_t peer, int64_t value)
{
    kolo_build_wait(d->schedule, flag, peer, value);
}

static void copy(direct *d, kolo_place to, kolo_place from, int32_t peer, int64_t count)
{
    if (count > 0)
        kolo_build_chained(d->schedule, (kolo_step){.kind = KOLO_STEP_COPY,
                                                    .dst = (uint8_t)to.buffer,
                                                    .dst_offset = to.offset,
                                                    .a = (uint8_t)from.buffer,
                                                    .a_offset = from.offset,
                                                    .peer = peer,
                                                    .count = count});
}

static void fold(direct *d, kolo_place to, int64_t window_offset, kolo_range own)
{
    if (own.count > 0)
        kolo_build_chained(d->schedule, (kolo_step){.kind = KOLO_STEP_FOLD,
                                                    .dst = (uint8_t)to.buffer,
                                                    .dst_offset = to.offset,
                                                    .a = KOLO_BUFFER_WINDOW,
                                                    .a_offset = window_offset,
                                                    .b = KOLO_BUFFER_INPUT,
                                                    .b_offset = own.offset,
                                                    .final = true,
                                                    .count = own.count});
}

/* Where in a window a part of chunk c lies. Part k is what the window's rank adds to rank k's slice; its own is not
 * needed there: in that place is the reduced one. With one part, it is the only one. */
static kolo_place slot(const direct *d, int32_t k, int64_t c)
{
    return kolo_place_at(KOLO_BUFFER_WINDOW, (c % DEPTH * d->parts + (d->parts > 1 ? k : 0)) * d->chunk);
}

static kolo_place input_at(int64_t offset)
{
    return kolo_place_at(KOLO_BUFFER_INPUT, offset);
}

static kolo_place output_at(int64_t offset)
{
    return kolo_place_at(KOLO_BUFFER_OUTPUT, offset);
}

/* ---- the stages of one chunk ------------------------------------------------------------------------ */

/* In an all-reduce, who has seen a later chunk reduced and copied in by all knows that they have read the earlier ones.
 */
static bool needs_room_told(const direct *d)
{
    return d->spec->collective != KOLO_ALLREDUCE;
}

/* Until everybody has read what is in chunk c's place: c-DEPTH, or for the first one, the schedule before. */
static void await_room(direct *d, int64_t c)
{
    if (c == 0)
        await(d, KOLO_FLAG_DONE, -1, 0);
    else if (c >= DEPTH && needs_room_told(d))
        await(d, KOLO_FLAG_DONE, -1, c - DEPTH + 1);
}

static void tell_room(direct *d, int64_t c)
{
    if (c + 1 == d->chunks || (needs_room_told(d) && d->spec->rank != d->writer))
        notify(d, KOLO_FLAG_DONE, c + 1);
}

static void share_own(direct *d, int64_t c)
{
    const kolo_plan_spec *spec = d->spec;
    kolo_range own = kolo_plan_part(d->spec, d->chunk, spec->rank, c);
    if (own.count == 0)
        return;
    copy(d, slot(d, spec->rank, c), input_at(own.offset), spec->rank, own.count);
    notify(d, KOLO_FLAG_COPIED, c + 1);
    copy(d, output_at(own.offset), input_at(own.offset), spec->rank, own.count);
}

static void copy_in(direct *d, int64_t c)
{
    const kolo_plan_spec *spec = d->spec;
    await_room(d, c);
    if (spec->collective == KOLO_ALLGATHER) {
        share_own(d, c);
        return;
    }
    int64_t copied = 0;
    /* The next rank's part first: everybody starts with another one. */
    for (int32_t i = 1; i < spec->size; i++) {
        int32_t rank = (spec->rank + i) % spec->size;
        kolo_range piece = kolo_plan_part(d->spec, d->chunk, rank, c);
        copy(d, slot(d, rank, c), input_at(piece.offset), spec->rank, piece.count);
        copied += piece.count;
    }
    if (copied > 0)
        notify(d, KOLO_FLAG_COPIED, c + 1);
}

static void fold_own(direct *d, int64_t c)
{
    const kolo_plan_spec *spec = d->spec;
    kolo_range own = kolo_plan_part(d->spec, d->chunk, spec->rank, c);
    if (spec->collective == KOLO_ALLGATHER || own.count == 0)
        return;
    kolo_place place = slot(d, spec->rank, c);
    await(d, KOLO_FLAG_COPIED, -1, c + 1);
    fold(d, output_at(own.offset), place.offset, own);
    if (spec->collective == KOLO_REDUCE_SCATTER)
        return;
    copy(d, place, output_at(own.offset), spec->rank, own.count);
    notify(d, KOLO_FLAG_REDUCED, c + 1);
}

static void copy_out(direct *d, int64_t c)
{
    const kolo_plan_spec *spec = d->spec;
    kolo_flag flag = spec->collective == KOLO_ALLGATHER ? KOLO_FLAG_COPIED : KOLO_FLAG_REDUCED;
    for (int32_t i = 1; i < spec->size && spec->collective != KOLO_REDUCE_SCATTER; i++) {
        int32_t rank = (spec->rank + i) % spec->size;
        kolo_range piece = kolo_plan_part(d->spec, d->chunk, rank, c);
        if (piece.count == 0)
            continue;
        await(d, flag, rank, c + 1);
        copy(d, output_at(piece.offset), slot(d, rank, c), rank, piece.count);
    }
    tell_room(d, c);
}

static void broadcast_chunk(direct *d, int64_t c)
{
    const kolo_plan_spec *spec = d->spec;
    kolo_range all = {.offset = 0, .count = kolo_plan_total(spec)};
    kolo_range piece = kolo_plan_chunk_of(all, d->chunk, c);
    kolo_place place = slot(d, 0, c);
    if (spec->rank == spec->root) {
        await_room(d, c);
        copy(d, place, output_at(piece.offset), spec->rank, piece.count);
        notify(d, KOLO_FLAG_COPIED, c + 1);
    } else {
        await(d, KOLO_FLAG_COPIED, spec->root, c + 1);
        copy(d, output_at(piece.offset), place, spec->root, piece.count);
    }
    tell_room(d, c);
}

/* ---- schedules ---------------------------------------------------------------------------------------- */

/* Steps that a chunk costs a rank, with all stages and flags. */
static int64_t steps_per_chunk(kolo_collective collective, int32_t size)
{
    int64_t ranks = size;
    return collective == KOLO_ALLREDUCE        ? 3 * ranks + 4
           : collective == KOLO_REDUCE_SCATTER ? ranks + 4
           : collective == KOLO_ALLGATHER      ? 2 * ranks + 3
                                               : 4;
}

/* Who reads a window should find it in its owner's cache, so for large tensors chunks are shorter, the more so the more
 * parts a window has. Where a slice would have only few of these, their flags cost more than that gains. */
static int64_t kept_in_cache(int64_t longest, int64_t hint, int64_t parts)
{
    int64_t chunk = hint;
    while (DEPTH * parts * chunk > CACHE_HINTS * hint && chunk > hint / SHORTEST)
        chunk /= 2;
    return longest >= FEW_CHUNKS * chunk ? chunk : hint;
}

/* The chunk to use for pieces of up to `longest`: by the hint, or what bounds the number of steps, where windows have room
 * for that; less than 1 where they have not. In elements or bytes. */
static int64_t chunk_for(int64_t longest, int64_t hint, int64_t window, int64_t parts, int64_t steps)
{
    int64_t room = window / (DEPTH * parts);
    int64_t least = kolo_plan_chunks(longest, KOLO_PLAN_STEPS_MAX / steps + 1);
    int64_t chunk = kept_in_cache(longest, hint, parts);
    chunk = chunk > least ? chunk : least;
    chunk = chunk < room ? chunk : room;
    return chunk < longest ? chunk : longest;
}

/* Chunks for pieces of up to `longest` elements (at least 1). */
static kolo_status size_chunks(direct *d, int64_t longest)
{
    const kolo_plan_spec *spec = d->spec;
    int64_t steps = steps_per_chunk(spec->collective, spec->size);
    d->chunk = chunk_for(longest, spec->chunk_count, spec->window_count, d->parts, steps);
    if (spec->window_count == 0)
        return kolo_fail(KOLO_ERR_UNSUPPORTED,
                         "the direct algorithms need memory that all ranks share, and there is none");
    if (d->chunk < 1 || kolo_plan_chunks(longest, d->chunk) > STEPS_MAX / steps)
        return kolo_fail(KOLO_ERR_UNSUPPORTED,
                         "shared windows of %lld elements are too small for %lld elements on %d ranks; raise "
                         "KOLO_SHM_WINDOW",
                         (long long)spec->window_count, (long long)kolo_plan_total(spec), spec->size);
    d->chunks = kolo_plan_chunks(longest, d->chunk);
    d->schedule->window_count = d->chunk * DEPTH * d->parts;
    for (int flag = 0; flag < KOLO_FLAG_COUNT; flag++)
        d->schedule->flag_total[flag] = (uint64_t)d->chunks;
    return KOLO_OK;
}

/* True where there is nothing to share: one rank, or no elements. */
static kolo_status begin(const kolo_plan_spec *spec, kolo_schedule *schedule, bool *is_alone)
{
    int32_t position;
    KOLO_TRY(kolo_plan_validate(spec, &position));
    *is_alone = spec->size == 1 || kolo_plan_total(spec) == 0;
    return *is_alone ? kolo_build_alone(spec, schedule) : KOLO_OK;
}

static kolo_status build_broadcast(direct *d)
{
    d->parts = 1;
    d->writer = d->spec->root;
    KOLO_TRY(size_chunks(d, kolo_plan_total(d->spec)));
    for (int64_t c = 0; c < d->chunks; c++)
        broadcast_chunk(d, c);
    return kolo_schedule_seal(d->schedule);
}

static kolo_status build(const kolo_plan_spec *spec, kolo_schedule *schedule)
{
    bool is_alone;
    direct d = {.spec = spec, .schedule = schedule, .writer = -1};
    KOLO_TRY(begin(spec, schedule, &is_alone));
    if (is_alone)
        return KOLO_OK;
    if (spec->collective == KOLO_BROADCAST)
        return build_broadcast(&d);
    d.parts = spec->collective == KOLO_ALLGATHER ? 1 : spec->size;
    KOLO_TRY(size_chunks(&d, kolo_plan_longest_slice(spec)));
    /* A reduce-scatter's chunk has been read when it is folded. */
    int64_t lag = spec->collective == KOLO_REDUCE_SCATTER ? 1 : 2;
    for (int64_t c = 0; c < d.chunks + lag; c++) {
        if (c < d.chunks)
            copy_in(&d, c);
        if (c >= 1 && c - 1 < d.chunks)
            fold_own(&d, c - 1);
        if (c >= lag)
            copy_out(&d, c - lag);
    }
    return kolo_schedule_seal(schedule);
}

static kolo_status build_oneshot(const kolo_plan_spec *spec, kolo_schedule *schedule)
{
    bool is_alone;
    direct d = {.spec = spec, .schedule = schedule, .writer = -1};
    KOLO_TRY(begin(spec, schedule, &is_alone));
    if (is_alone)
        return KOLO_OK;
    int64_t total = kolo_plan_total(spec);
    if (total > spec->window_count)
        return build(spec, schedule); /* more than a window holds: the other way has the same order of sums */
    schedule->window_count = total;
    for (int flag = 0; flag < KOLO_FLAG_COUNT; flag++)
        schedule->flag_total[flag] = 1;
    await(&d, KOLO_FLAG_DONE, -1, 0);
    copy(&d, kolo_place_at(KOLO_BUFFER_WINDOW, 0), input_at(0), spec->rank, total);
    notify(&d, KOLO_FLAG_COPIED, 1);
    await(&d, KOLO_FLAG_COPIED, -1, 1);
    fold(&d, output_at(0), 0, (kolo_range){.offset = 0, .count = total});
    notify(&d, KOLO_FLAG_DONE, 1);
    return kolo_schedule_seal(schedule);
}

/* ---- prices ------------------------------------------------------------------------------------------- */

static double price(const kolo_plan_work *work, const kolo_price_model *model)
{
    if (work->size == 1)
        return kolo_price_alone(work->bytes, model);
    double all = (double)work->bytes, own = all / work->size, others = all - own;
    bool is_cut = work->collective != KOLO_BROADCAST;
    bool is_whole = work->collective == KOLO_ALLGATHER || work->collective == KOLO_BROADCAST;
    int64_t longest = is_cut ? (work->bytes + work->size - 1) / work->size : work->bytes;
    int64_t chunk = chunk_for(longest, work->chunk_bytes, work->window_bytes, is_whole ? 1 : work->size,
                              steps_per_chunk(work->collective, work->size));
    double chunks = chunk > 0 ? (double)kolo_plan_chunks(longest, chunk) : 1;
    double bytes_ns = 0, each_flight = 1;
    switch (work->collective) {
    case KOLO_ALLREDUCE:
        bytes_ns = others * (model->write_ns + model->fold_ns + model->read_ns) + own * model->write_ns;
        each_flight = 2;
        break;
    case KOLO_REDUCE_SCATTER:
        bytes_ns = others * (model->write_ns + model->fold_ns);
        break;
    case KOLO_ALLGATHER:
        bytes_ns = own * (model->write_ns + model->copy_ns) + others * model->read_ns;
        break;
    default: /* the root writes a chunk while the others read the one before */
        bytes_ns = all * (model->write_ns > model->read_ns ? model->write_ns : model->read_ns) +
                   (chunk > 0 ? (double)chunk : 0) * model->read_ns;
    }
    return bytes_ns + chunks * (double)steps_per_chunk(work->collective, work->size) * model->step_ns +
           kolo_price_flights(each_flight, chunks, bytes_ns, model) + kolo_price_spill(model, 2 * all, all);
}

static double price_oneshot(const kolo_plan_work *work, const kolo_price_model *model)
{
    double all = (double)work->bytes;
    if (work->size == 1 || work->bytes > work->window_bytes)
        return price(work, model); /* and so it is built */
    return model->flight_ns + 6 * model->step_ns + all * (model->write_ns + (work->size - 1) * model->fold_ns) +
           kolo_price_spill(model, 4 * all, 2 * all);
}

const kolo_algorithm kolo_algorithm_direct = {
    .name = "direct",
    .collectives = KOLO_COLLECTIVE_BIT(KOLO_ALLREDUCE) | KOLO_COLLECTIVE_BIT(KOLO_REDUCE_SCATTER) |
                   KOLO_COLLECTIVE_BIT(KOLO_ALLGATHER) | KOLO_COLLECTIVE_BIT(KOLO_BROADCAST),
    .association = KOLO_ASSOCIATION_DIRECT,
    .build = build,
    .price = price,
};

const kolo_algorithm kolo_algorithm_direct_oneshot = {
    .name = "direct_oneshot",
    .collectives = KOLO_COLLECTIVE_BIT(KOLO_ALLREDUCE),
    .association = KOLO_ASSOCIATION_DIRECT,
    .build = build_oneshot,
    .price = price_oneshot,
};
