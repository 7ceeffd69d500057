/* burst.c - see burst.h. What a card tells of its burst is a word; 0: it is alone. */
#include "engine/burst.h"

#include "engine/state.h"

#include <string.h>

enum { SLOT_BITS = 24, COUNT_BITS = 16, COUNT_SHIFT = SLOT_BITS + COUNT_BITS };
#define NEXT       (UINT64_C(1) << SLOT_BITS) /* the word of the next member is so much more */
#define MASK(bits) ((UINT64_C(1) << (bits)) - 1)

_Static_assert((int)KOLO_SLOTS_MAX <= 1 << SLOT_BITS && (int)KOLO_BURST_MOST < 1 << COUNT_BITS, "a word holds them");

static uint64_t word_of_first(uint32_t slot, size_t count)
{
    return count > 1 ? (uint64_t)count << COUNT_SHIFT | slot : 0;
}

static size_t count_in(uint64_t word)
{
    return word == 0 ? 1 : (size_t)(word >> COUNT_SHIFT);
}

static bool is_first(uint64_t word)
{
    return (word >> SLOT_BITS & MASK(COUNT_BITS)) == 0;
}

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
    return a->pieces->type == b->pieces->type && a->operation.op == b->operation.op &&
           memcmp(&a->operation.postscale, &b->operation.postscale, sizeof(double)) == 0;
}

static size_t count_from(const kolo_engine *engine, const kolo_request *first)
{
    size_t count = 1;
    int64_t left = engine->options.fusion_bytes - bytes_of(first);
    for (const kolo_request *next = first->next_posted;
         next != NULL && count < KOLO_BURST_MOST && is_alike(first, next); next = next->next_posted, count++)
        if ((left -= bytes_of(next)) < 0)
            break;
    return count;
}

/* The tensors lie in the heap, which was looked at before. */
void kolo_burst_publish(kolo_engine *engine)
{
    kolo_request *request = engine->broken ? NULL : engine->posted.unwritten;
    engine->posted.news |= request != NULL;
    while (request != NULL) {
        size_t count = count_from(engine, request);
        uint64_t word = word_of_first(request->post.slot, count);
        for (; count > 0; count--, word += word > 0 ? NEXT : 0, request = request->next_posted) {
            request->post.burst = word;
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
        uint64_t word;
        if (rank == board->rank)
            continue;
        if (!kolo_board_read_burst(board, rank, post, &word))
            state = KOLO_BURST_OPEN;
        else if (word != post->burst)
            return KOLO_BURST_DIFFERS;
    }
    return state;
}

/* Who is missing has posted none of them, as a rule; so one more is looked at then, each time another. A member that the
 * root has decided about is not in the list any more. */
kolo_burst_state kolo_burst_look(const kolo_engine *engine, const kolo_request *first, bool thorough)
{
    uint64_t word = first->post.burst;
    size_t count = count_in(word), another = engine->posted.passes % count;
    kolo_burst_state state = is_first(word) ? KOLO_BURST_AGREED : KOLO_BURST_DIFFERS;
    const kolo_request *request = first;
    for (size_t i = 0; i < count && state != KOLO_BURST_DIFFERS; i++, word += NEXT, request = request->next_posted) {
        if (request == NULL || request->post.burst != word)
            return KOLO_BURST_DIFFERS;
        if (state == KOLO_BURST_AGREED)
            state = look_at(&engine->board, &request->post);
        else if ((thorough || i == another) && look_at(&engine->board, &request->post) == KOLO_BURST_DIFFERS)
            state = KOLO_BURST_DIFFERS;
    }
    return state;
}

size_t kolo_burst_count(const kolo_request *first)
{
    return count_in(first->post.burst);
}

kolo_request *kolo_burst_last(kolo_request *first)
{
    kolo_request *last = first;
    for (size_t i = count_in(first->post.burst); i > 1; i--)
        last = last->next_posted;
    return last;
}

void kolo_burst_dissolve(kolo_request *first)
{
    uint64_t word = first->post.burst;
    for (kolo_request *request = first; request != NULL && word != 0 && request->post.burst == word;
         request = request->next_posted, word += NEXT)
        request->post.burst = 0;
}
