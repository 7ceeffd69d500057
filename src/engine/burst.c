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

/* The tensors lie in the heap, which was looked at before. Answers the last one. */
static kolo_request *write_cards(const kolo_engine *engine, kolo_request *first, uint32_t count, uint64_t hash)
{
    kolo_request *request = first, *last = first;
    for (uint32_t i = 0; i < count; i++, request = request->next_posted) {
        last = request;
        request->post.burst = hash;
        kolo_board_write_card(&engine->board, &request->post, request->pieces);
    }
    return last;
}

void kolo_burst_publish(kolo_engine *engine)
{
    kolo_request *first = engine->broken ? NULL : engine->posted.unwritten;
    engine->posted.news |= first != NULL;
    while (first != NULL) {
        uint64_t hash;
        first->burst_count = gather(engine, first, &hash);
        first->burst_last = write_cards(engine, first, first->burst_count, hash);
        first->burst_looked = first;
        first = first->burst_last->next_posted;
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

/* Who has written the last card has written all of them. Who is missing has written none, as a rule; so another one is looked
 * at then, in turns. */
kolo_burst_state kolo_burst_look(const kolo_engine *engine, kolo_request *first, bool thorough)
{
    const kolo_board *board = &engine->board;
    kolo_request *last = first->burst_last, *one = thorough ? first : first->burst_looked;
    kolo_burst_state state = look_at(board, &last->post);
    if (state != KOLO_BURST_OPEN)
        return state;
    if (!thorough)
        first->burst_looked = one != last ? one->next_posted : first;
    do {
        if (look_at(board, &one->post) == KOLO_BURST_DIFFERS)
            return KOLO_BURST_DIFFERS;
    } while (thorough && one != last && (one = one->next_posted) != NULL);
    return KOLO_BURST_OPEN;
}

kolo_request *kolo_burst_last(kolo_request *first)
{
    return first->post.burst != 0 ? first->burst_last : first;
}

void kolo_burst_dissolve(kolo_request *first)
{
    uint64_t hash = first->post.burst;
    for (kolo_request *request = first; request != NULL && request->post.burst == hash; request = request->next_posted)
        request->post.burst = 0;
}
