/* broadcast.c - from the root to everyone, in chunks that are passed on as soon as they are there: down a binomial
 * tree, or along a chain.
 *
 * Places are counted on the ring from the root, so that neighbours on the ring are neighbours in both. In the tree, the
 * parent of a place is that place without its lowest set bit; children are served from the largest subtree down, and a
 * subtree is a stretch of the ring. The tree is short and sends the whole tensor up to ceil(log2 N) times from one
 * rank; the chain is long and sends it once. Everything happens in OUTPUT. */
#include "plan/build.h"

#include "base/error.h"

static uint32_t receive_chunk(kolo_schedule *schedule, kolo_range chunk, int32_t parent, uint32_t message, uint32_t hop)
{
    return kolo_build_recv(schedule, kolo_place_at(KOLO_BUFFER_OUTPUT, chunk.offset), chunk.count, parent, message,
                           hop);
}

/* before: the RECV of that chunk, or KOLO_NO_STEP at the root. */
static void send_chunk(kolo_schedule *schedule, kolo_range chunk, int32_t child, uint32_t message, uint32_t hop,
                       uint32_t before)
{
    uint32_t send =
        kolo_build_send(schedule, kolo_place_at(KOLO_BUFFER_OUTPUT, chunk.offset), chunk.count, child, message, hop);
    kolo_schedule_after(schedule, before, send);
}

/* Where the rank is on the ring, and where it is counted from the root. */
static kolo_status locate(const kolo_plan_spec *spec, int64_t *root_position, int32_t *place)
{
    int32_t position;
    KOLO_TRY(kolo_plan_validate(spec, &position));
    int32_t found = 0;
    while (found < spec->size - 1 && spec->ring[found] != spec->root)
        found++;
    *root_position = found;
    *place = (position - found + spec->size) % spec->size;
    return KOLO_OK;
}

/* The round in which a message over that distance, a power of two, is sent: the longest in round 0. */
static uint32_t level_of(int32_t levels, int32_t distance)
{
    return (uint32_t)(levels - 1 - __builtin_ctz((uint32_t)distance));
}

static kolo_status build_binomial(const kolo_plan_spec *spec, kolo_schedule *schedule)
{
    int64_t root_position;
    int32_t place;
    KOLO_TRY(locate(spec, &root_position, &place));
    int32_t levels = kolo_price_rounds(spec->size);
    int32_t up = place > 0 ? place & -place : 1 << levels; /* to the parent; all distances to children are smaller */
    kolo_range all = {.offset = 0, .count = kolo_plan_total(spec)};
    int64_t chunk = kolo_plan_chunk(spec->chunk_count, all.count, levels + 1);
    int64_t chunks = kolo_plan_chunks(all.count, chunk);
    for (int64_t i = 0; i < chunks; i++) {
        kolo_range piece = kolo_plan_chunk_of(all, chunk, i);
        uint32_t message = (uint32_t)i, received = KOLO_NO_STEP;
        if (place > 0) {
            int32_t parent = kolo_plan_rank_at(spec, root_position + place - up);
            received = receive_chunk(schedule, piece, parent, message, level_of(levels, up));
        }
        for (int32_t down = up / 2; down > 0; down /= 2) {
            if (place + down >= spec->size)
                continue;
            int32_t child = kolo_plan_rank_at(spec, root_position + place + down);
            send_chunk(schedule, piece, child, message, level_of(levels, down), received);
        }
    }
    return kolo_schedule_seal(schedule);
}

static kolo_status build_chain(const kolo_plan_spec *spec, kolo_schedule *schedule)
{
    int64_t root_position;
    int32_t place;
    KOLO_TRY(locate(spec, &root_position, &place));
    kolo_range all = {.offset = 0, .count = kolo_plan_total(spec)};
    int64_t chunk = kolo_plan_chunk(spec->chunk_count, all.count, 2);
    int64_t chunks = kolo_plan_chunks(all.count, chunk);
    for (int64_t i = 0; i < chunks; i++) {
        kolo_range piece = kolo_plan_chunk_of(all, chunk, i);
        uint32_t message = (uint32_t)i, received = KOLO_NO_STEP;
        if (place > 0) {
            int32_t parent = kolo_plan_rank_at(spec, root_position + place - 1);
            received = receive_chunk(schedule, piece, parent, message, (uint32_t)place - 1);
        }
        if (place + 1 < spec->size) {
            int32_t child = kolo_plan_rank_at(spec, root_position + place + 1);
            send_chunk(schedule, piece, child, message, (uint32_t)place, received);
        }
    }
    return kolo_schedule_seal(schedule);
}

/* So many messages of a chunk one after another, before the last of them at its full time: those that follow each other
 * closely cost their bytes. */
static double price_chunks(int64_t bytes, int64_t chunk, double copies, const kolo_price_model *model)
{
    double latency_ns = kolo_price_message(model, 0);
    double each_ns = kolo_price_message(model, (double)(bytes < chunk ? bytes : chunk)) - latency_ns;
    double chunks = bytes > chunk ? (double)bytes / (double)chunk : 1;
    return chunks * copies * (each_ns + model->step_ns);
}

/* The root's wire is never idle; behind it, the last chunk still has to go down the tree. */
static double price_binomial(const kolo_plan_work *work, const kolo_price_model *model)
{
    if (work->size == 1)
        return model->step_ns;
    double levels = kolo_price_rounds(work->size);
    int64_t chunk = kolo_plan_chunk(work->chunk_bytes, work->bytes, (int64_t)levels + 1);
    return levels * kolo_price_message(model, 0) + price_chunks(work->bytes, chunk, levels, model);
}

/* The first chunk goes the whole way; the others come right behind it. */
static double price_chain(const kolo_plan_work *work, const kolo_price_model *model)
{
    if (work->size == 1)
        return model->step_ns;
    int64_t chunk = kolo_plan_chunk(work->chunk_bytes, work->bytes, 2);
    int64_t first = work->bytes < chunk ? work->bytes : chunk;
    double hops = work->size - 1;
    return hops * kolo_price_message(model, 0) + price_chunks(work->bytes, chunk, 1, model) +
           (hops - 1) * price_chunks(first, chunk, 1, model);
}

const kolo_algorithm kolo_algorithm_binomial = {
    .name = "binomial",
    .collectives = KOLO_COLLECTIVE_BIT(KOLO_BROADCAST),
    .association = KOLO_ASSOCIATION_NONE,
    .build = build_binomial,
    .price = price_binomial,
};

const kolo_algorithm kolo_algorithm_chain = {
    .name = "chain",
    .collectives = KOLO_COLLECTIVE_BIT(KOLO_BROADCAST),
    .association = KOLO_ASSOCIATION_NONE,
    .build = build_chain,
    .price = price_chain,
};
