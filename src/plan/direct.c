/* direct.c - all ranks share memory: each copies its input into its window, everybody reads where it lies.
 *
 *     chunk c     copy in ─► COPIED ─► fold own part ─► REDUCED ─► copy out ─► DONE
 *     chunk c+1              copy in ─► COPIED ─► fold ...
 *
 * All-reduce: a rank folds its own slice in one pass over all windows, puts the result in its window, and copies the
 * other slices' results out of theirs. Reduce-scatter stops after the fold, all-gather has no fold. A window holds
 * DEPTH chunks in turn, so it stays in the caches however large the tensor: memory sees each input read once and each
 * output written once.
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

static void fold(direct *d, kolo_place to, int64_t window_offset, kolo_range own, int32_t owner)
{
    if (own.count > 0)
        kolo_build_chained(d->schedule, (kolo_step){.kind = KOLO_STEP_FOLD,
                                                    .dst = (uint8_t)to.buffer,
                                                    .dst_offset = to.offset,
                                                    .a = KOLO_BUFFER_WINDOW,
                                                    .a_offset = window_offset,
                                                    .b = KOLO_BUFFER_INPUT,
                                                    .b_offset = own.offset,
                                                    .peer = owner,
                                                    .final = true,
                                                    .count = own.count});
}

/* Chunk c of rank's slice; empty beyond its end. */
static kolo_range part(const direct *d, int32_t rank, int64_t c)
{
    kolo_range slice = kolo_plan_slice_of(d->spec, rank);
    kolo_range chunk = kolo_plan_chunk_of(slice, d->chunk, c);
    return chunk.count > 0 ? chunk : (kolo_range){.offset = slice.offset, .count = 0};
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
    kolo_range own = part(d, spec->rank, c);
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
        kolo_range piece = part(d, rank, c);
        copy(d, slot(d, rank, c), input_at(piece.offset), spec->rank, piece.count);
        copied += piece.count;
    }
    if (copied > 0)
        notify(d, KOLO_FLAG_COPIED, c + 1);
}

static void fold_own(direct *d, int64_t c)
{
    const kolo_plan_spec *spec = d->spec;
    kolo_range own = part(d, spec->rank, c);
    if (spec->collective == KOLO_ALLGATHER || own.count == 0)
        return;
    kolo_place place = slot(d, spec->rank, c);
    await(d, KOLO_FLAG_COPIED, -1, c + 1);
    if (spec->collective == KOLO_REDUCE_SCATTER) {
        fold(d, output_at(own.offset), place.offset, own, spec->rank);
        return;
    }
    fold(d, place, place.offset, own, spec->rank);
    notify(d, KOLO_FLAG_REDUCED, c + 1);
    copy(d, output_at(own.offset), place, spec->rank, own.count);
}

static void copy_out(direct *d, int64_t c)
{
    const kolo_plan_spec *spec = d->spec;
    kolo_flag flag = spec->collective == KOLO_ALLGATHER ? KOLO_FLAG_COPIED : KOLO_FLAG_REDUCED;
    for (int32_t i = 1; i < spec->size && spec->collective != KOLO_REDUCE_SCATTER; i++) {
        int32_t rank = (spec->rank + i) % spec->size;
        kolo_range piece = part(d, rank, c);
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

/* Chunks for pieces of up to `longest` elements (at least 1), of which a rank does steps_per_chunk steps each. */
static kolo_status size_chunks(direct *d, int64_t longest, int64_t steps_per_chunk)
{
    const kolo_plan_spec *spec = d->spec;
    int64_t room = spec->window_count / (DEPTH * d->parts);
    int64_t least = kolo_plan_chunks(longest, KOLO_PLAN_STEPS_MAX / steps_per_chunk + 1);
    d->chunk = spec->chunk_count > least ? spec->chunk_count : least;
    d->chunk = d->chunk < room ? d->chunk : room;
    d->chunk = d->chunk < longest ? d->chunk : longest;
    if (spec->window_count == 0)
        return kolo_fail(KOLO_ERR_UNSUPPORTED,
                         "the direct algorithms need memory that all ranks share, and there is none");
    if (d->chunk < 1 || kolo_plan_chunks(longest, d->chunk) > STEPS_MAX / steps_per_chunk)
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
    KOLO_TRY(size_chunks(d, kolo_plan_total(d->spec), 4));
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
    KOLO_TRY(size_chunks(&d, kolo_plan_longest_slice(spec), 3 * (int64_t)spec->size + 4));
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
    for (int32_t owner = 0; owner < spec->size; owner++) {
        kolo_range slice = kolo_plan_slice_of(spec, owner);
        fold(&d, output_at(slice.offset), slice.offset, slice, owner);
    }
    notify(&d, KOLO_FLAG_DONE, 1);
    return kolo_schedule_seal(schedule);
}

/* ---- prices ------------------------------------------------------------------------------------------- */

/* Work per byte as the stages above do it; alpha per flight of a flag. */
static double price(kolo_collective collective, int32_t size, int64_t bytes, int64_t chunk_bytes,
                    const kolo_price_model *model)
{
    (void)chunk_bytes;
    if (size == 1)
        return kolo_price_alone(bytes, model);
    double all = (double)bytes, own = all / size, others = all - own;
    double steps = 5.0 + 2.0 * size;
    double flights = collective == KOLO_ALLREDUCE ? 2 : 1;
    double copied = collective == KOLO_ALLREDUCE        ? others + own + others
                    : collective == KOLO_REDUCE_SCATTER ? others
                    : collective == KOLO_ALLGATHER      ? own + all
                                                        : 2 * all;
    double folded = collective == KOLO_ALLREDUCE || collective == KOLO_REDUCE_SCATTER ? own * size : 0;
    return flights * model->alpha_ns + steps * KOLO_PRICE_STEP_NS + copied * model->copy_ns_per_byte +
           folded * model->gamma_ns_per_byte;
}

static double price_oneshot(kolo_collective collective, int32_t size, int64_t bytes, int64_t chunk_bytes,
                            const kolo_price_model *model)
{
    (void)collective;
    (void)chunk_bytes;
    if (size == 1)
        return kolo_price_alone(bytes, model);
    double all = (double)bytes;
    return model->alpha_ns + (4.0 + size) * KOLO_PRICE_STEP_NS + all * model->copy_ns_per_byte +
           all * size * model->gamma_ns_per_byte;
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
