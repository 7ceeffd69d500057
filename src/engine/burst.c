/* burst.c - see burst.h. */
#include "engine/burst.h"

#include "base/rng.h"
#include "engine/state.h"

/* ---- posting -------------------------------------------------------------------------------------------- */

bool kolo_burst_takes(const kolo_engine *engine, const kolo_request *request)
{
    return request->operation.collective == KOLO_ALLREDUCE && request->operation.piece_count == 1 &&
           engine->options.fusion_bytes > 0;
}

static int64_t bytes_of(const kolo_request *request)
{
    return request->pieces->count * (int64_t)kolo_dtype_size(request->pieces->type);
}

/* One executor can do both. */
static bool is_alike(const kolo_request *a, const kolo_request *b)
{
    return a->pieces->type == b->pieces->type && kolo_operation_is_alike(&a->operation, &b->operation);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    kolo_rng rng = {.state = hash + value};
    return kolo_rng_next(&rng);
}

static uint64_t hash_with(uint64_t hash, const kolo_post *post)
{
    return mix(mix(hash, post->slot), post->round);
}

/* How many go together from here on, and their hash. */
static uint32_t gather(const kolo_engine *engine, const kolo_request *first, uint64_t *hash)
{
    uint32_t count = 1;
    int64_t left = engine->options.fusion_bytes - bytes_of(first);
    *hash = hash_with(0, &first->post);
    for (const kolo_request *next = first->next_posted;
         next != NULL && count < KOLO_BURST_MOST && is_alike(first, next) && (left -= bytes_of(next)) >= 0;
         next = next->next_posted, count++)
        *hash = hash_with(*hash, &next->post);
    if (count == 1)
        *hash = 0;
    else if (*hash == 0)
        *hash = 1;
    return count;
}

/* The tensors lie in the heap, which was looked at before. */
void kolo_burst_publish(kolo_engine *engine)
{
    kolo_request *request = engine->broken ? NULL : engine->posted.unwritten;
    engine->posted.news |= request != NULL;
    while (request != NULL) {
        uint64_t hash;
        uint32_t count = gather(engine, request, &hash);
        for (uint32_t i = 0; i < count; i++, request = request->next_posted) {
            request->post.burst = hash;
            request->burst_index = i;
            request->burst_count = count;
            request->burst_looks = 0;
            (void)kolo_board_write_place(&engine->board, &request->post, &request->operation, request->pieces, 0, NULL);
        }
    }
    engine->posted.unwritten = NULL;
}

/* ---- looking -------------------------------------------------------------------------------------------- */

/* Of one member, on all other ranks. */
static kolo_burst_state look_at(const kolo_board *board, const kolo_post *post)
{
    kolo_burst_state state = KOLO_BURST_AGREED;
    for (int32_t rank = 0; rank < board->size; rank++) {
        uint64_t hash;
        if (rank == board->rank)
            continue;
        if (!kolo_board_read_burst(board, rank, post, &hash))
            state = KOLO_BURST_OPEN;
        else if (hash != post->burst)
            return KOLO_BURST_DIFFERS;
    }
    return state;
}

static bool is_member(const kolo_request *request, const kolo_request *first, uint32_t index)
{
    return request != NULL && request->post.burst == first->post.burst && request->burst_index == index;
}

/* Who is missing has posted none of them, as a rule; so one more is looked at then, each time another. A member that the
 * root has decided about is not in the list any more. */
kolo_burst_state kolo_burst_look(const kolo_engine *engine, kolo_request *first, bool thorough)
{
    uint32_t another = thorough ? 0 : first->burst_looks++ % first->burst_count;
    kolo_burst_state state = KOLO_BURST_AGREED;
    const kolo_request *request = first;
    for (uint32_t i = 0; i < first->burst_count; i++, request = request->next_posted) {
        if (!is_member(request, first, i))
            return KOLO_BURST_DIFFERS;
        if (state == KOLO_BURST_OPEN && !thorough && i != another)
            continue;
        kolo_burst_state seen = look_at(&engine->board, &request->post);
        if (seen == KOLO_BURST_DIFFERS)
            return seen;
        if (seen == KOLO_BURST_OPEN)
            state = seen;
    }
    return state;
}

kolo_request *kolo_burst_last(kolo_request *first)
{
    kolo_request *last = first;
    for (uint32_t i = 1; first->post.burst != 0 && i < first->burst_count; i++)
        last = last->next_posted;
    return last;
}

void kolo_burst_dissolve(kolo_request *first)
{
    uint64_t hash = first->post.burst;
    for (kolo_request *request = first; request != NULL && request->post.burst == hash; request = request->next_posted)
        request->post.burst = 0;
}
