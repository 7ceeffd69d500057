/* attach.c - an all-reduce in which ranks read each other's private tensors through the transport (transport.h:
 * read_peer): no window, and one copy less.
 *
 *     COPIED ─► chunk c    read others' inputs, fold own part ─► REDUCED ─► read others' parts ─► DONE
 *               chunk c+1                                       read others' inputs, fold ...
 *
 * Each rank says where its tensor lies (COPIED), and waits at the end until nobody reads it any more (DONE).
 *
 * In place, an element of another's slice is overwritten after its owner has told that it is reduced, so has read it. And
 * the own slice is read by others once it is told.
 *
 * A chunk, with what was read for it, should stay in the core's own cache: so it is the shorter, the more ranks there
 * are. */
#include "plan/build.h"

#include "base/error.h"

/* What a core's own cache holds, in hints of how long a chunk may be; the shortest chunks are a hint by SHORTEST (as in
 * direct.c). */
enum { CACHE_HINTS = 2, SHORTEST = 16 };

typedef struct attach {
    const kolo_plan_spec *spec;
    kolo_schedule *schedule;
    int64_t chunk, chunks;
} attach;

/* Steps that a chunk costs a rank. */
static int64_t steps_per_chunk(int32_t size)
{
    return 2 + 2 * ((int64_t)size - 1);
}

/* The chunk for slices of up to `longest` (at least 1): by the hint, or what bounds the number of steps. A piece is read
 * from memory and written there, beside what comes from the others. In elements or bytes. */
static int64_t chunk_for(int32_t size, int64_t longest, int64_t hint)
{
    int64_t chunk = hint, least = kolo_plan_chunks(longest, KOLO_PLAN_STEPS_MAX / steps_per_chunk(size) + 1);
    while (2 * size * chunk > CACHE_HINTS * hint && chunk > hint / SHORTEST && chunk > 1)
        chunk /= 2;
    chunk = chunk > least ? chunk : least;
    return chunk < longest ? chunk : longest;
}

static void add(const attach *a, kolo_step_kind kind, kolo_buffer from, int32_t peer, kolo_range range)
{
    if (range.count > 0)
        kolo_build_chained(a->schedule, (kolo_step){.kind = (uint8_t)kind,
                                                    .dst = KOLO_BUFFER_OUTPUT,
                                                    .a = (uint8_t)from,
                                                    .b = KOLO_BUFFER_INPUT,
                                                    .peer = peer,
                                                    .final = kind == KOLO_STEP_FOLD,
                                                    .dst_offset = range.offset,
                                                    .a_offset = range.offset,
                                                    .b_offset = range.offset,
                                                    .count = range.count});
}

static void fold_own(const attach *a, int64_t c)
{
    kolo_range own = kolo_plan_part(a->spec, a->chunk, a->spec->rank, c);
    add(a, KOLO_STEP_FOLD, KOLO_BUFFER_PEER_INPUT, 0, own);
    if (own.count > 0)
        kolo_build_notify(a->schedule, KOLO_FLAG_REDUCED, c + 1);
}

/* The next rank's first: everybody starts with another one. */
static void fetch_others(const attach *a, int64_t c)
{
    const kolo_plan_spec *spec = a->spec;
    for (int32_t i = 1; i < spec->size; i++) {
        int32_t rank = (spec->rank + i) % spec->size;
        kolo_range piece = kolo_plan_part(a->spec, a->chunk, rank, c);
        if (piece.count > 0)
            kolo_build_wait(a->schedule, KOLO_FLAG_REDUCED, rank, c + 1);
        add(a, KOLO_STEP_COPY, KOLO_BUFFER_PEER_OUTPUT, rank, piece);
    }
}

static kolo_status build(const kolo_plan_spec *spec, kolo_schedule *schedule)
{
    int32_t position;
    KOLO_TRY(kolo_plan_validate(spec, &position));
    if (spec->size == 1 || kolo_plan_total(spec) == 0)
        return kolo_build_alone(spec, schedule);
    if (!spec->readable_tensors)
        return kolo_fail(KOLO_ERR_UNSUPPORTED, "the attach algorithm needs ranks that may read each other's memory");
    attach a = {.spec = spec, .schedule = schedule};
    int64_t longest = kolo_plan_longest_slice(spec);
    a.chunk = chunk_for(spec->size, longest, spec->chunk_count);
    a.chunks = kolo_plan_chunks(longest, a.chunk);
    schedule->scratch_count = (spec->size - 1) * a.chunk;
    schedule->flag_total[KOLO_FLAG_COPIED] = schedule->flag_total[KOLO_FLAG_DONE] = 1;
    schedule->flag_total[KOLO_FLAG_REDUCED] = (uint64_t)a.chunks;
    kolo_build_wait(schedule, KOLO_FLAG_DONE, -1, 0);
    kolo_build_notify(schedule, KOLO_FLAG_COPIED, 1);
    kolo_build_wait(schedule, KOLO_FLAG_COPIED, -1, 1);
    for (int64_t c = 0; c <= a.chunks; c++) {
        if (c < a.chunks)
            fold_own(&a, c);
        if (c > 0)
            fetch_others(&a, c - 1);
    }
    kolo_build_notify(schedule, KOLO_FLAG_DONE, 1);
    kolo_build_wait(schedule, KOLO_FLAG_DONE, -1, 1);
    return kolo_schedule_seal(schedule);
}

/* All wait for COPIED at the beginning and DONE at the end; and for each chunk's REDUCED, while the next one is worked on. */
static double price(const kolo_plan_work *work, const kolo_price_model *model)
{
    if (work->size == 1)
        return kolo_price_alone(work->bytes, model);
    double all = (double)work->bytes, others = all - all / work->size;
    int64_t longest = (work->bytes + work->size - 1) / work->size;
    int64_t chunk = longest > 0 ? chunk_for(work->size, longest, work->chunk_bytes) : 1;
    double chunks = (double)kolo_plan_chunks(longest, chunk);
    double bytes_ns = others * (2 * model->attach_ns + model->reduce_ns);
    return bytes_ns + (5 + chunks * (double)steps_per_chunk(work->size)) * model->step_ns +
           kolo_price_flights(3, chunks, bytes_ns, model) + kolo_price_spill(model, 2 * all, all);
}

const kolo_algorithm kolo_algorithm_attach = {
    .name = "attach",
    .collectives = KOLO_COLLECTIVE_BIT(KOLO_ALLREDUCE),
    .association = KOLO_ASSOCIATION_DIRECT,
    .reads_tensors = true,
    .build = build,
    .price = price,
};
