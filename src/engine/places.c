/* places.c - see places.h. */
#include "engine/places.h"

#include "base/error.h"
#include "engine/card.h"
#include "engine/extent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One tensor in a list. */
typedef struct place {
    uint64_t input, output;
} place;

struct kolo_places {
    size_t tensors;     /* as they were written the last time; 0: not, or not all */
    kolo_piece *pieces; /* those; */
    place *list;        /* and in the heap; */
    size_t capacity;    /* there is room for so many */
    int refusals;       /* rounds to go until the heap is asked for room again */
    uint64_t serial;    /* of the last call; 0: may come with others */
    uint64_t version;
    uint64_t seen[KOLO_BOARD_RANKS_MAX]; /* per rank: the version that was read; 0: none */
    uintptr_t *rows;                     /* inputs as [rank][tensor], then outputs; */
    kolo_parts parts;                    /* made of them */
};

void kolo_places_destroy(kolo_places *places)
{
    if (places == NULL)
        return;
    kolo_parts_fini(&places->parts);
    free(places->pieces);
    free(places->rows);
    free(places);
}

void kolo_places_forget(kolo_places *places)
{
    if (places != NULL)
        memset(places->seen, 0, sizeof(places->seen));
}

/* ---- the own heap -------------------------------------------------------------------------------------- */

static bool is_in_heap(const kolo_board *board, uint64_t offset, int64_t count, size_t element_bytes)
{
    uint64_t bytes = (uint64_t)count * element_bytes;
    return offset <= board->heap_bytes && bytes <= board->heap_bytes - offset;
}

static uint64_t offset_of(const kolo_board *board, const void *address)
{
    return (uint64_t)((uintptr_t)address - board->heaps[board->rank]);
}

static bool holds(const kolo_board *board, kolo_collective collective, const kolo_piece *piece)
{
    size_t element_bytes = kolo_dtype_size(piece->type);
    kolo_extent extent =
        kolo_extent_of(collective, piece->count, board->size, board->rank, piece->input == piece->output);
    return is_in_heap(board, offset_of(board, piece->input), extent.input.count, element_bytes) &&
           is_in_heap(board, offset_of(board, piece->output), extent.output.count, element_bytes);
}

bool kolo_board_holds(const kolo_board *board, const kolo_operation *operation, const kolo_piece *pieces)
{
    for (size_t i = 0; i < operation->piece_count; i++)
        if (board->heap_bytes == 0 || (pieces[i].count > 0 && !holds(board, operation->collective, &pieces[i])))
            return false;
    return operation->piece_count > 0;
}

/* An executor works with one type at a time. */
static bool is_uniform(const kolo_operation *operation, const kolo_piece *pieces)
{
    int64_t total = 0;
    for (size_t i = 0; i < operation->piece_count; i++) {
        if (pieces[i].type != pieces[0].type)
            return false;
        total |= pieces[i].count;
    }
    return total > 0;
}

bool kolo_board_has_card(const kolo_board *board, const kolo_operation *operation, const kolo_piece *pieces,
                         uint32_t slot)
{
    return board->heap_bytes > 0 && slot < KOLO_BOARD_CARDS && !kolo_operation_scales_inputs(operation) &&
           is_uniform(operation, pieces);
}

/* ---- posting -------------------------------------------------------------------------------------------- */

/* Rounds between two questions to a heap that had no room: asking takes longer than going another way. */
enum { PATIENCE = 64 };

/* Room for so many places. The old ones are not needed any more. */
static bool reserve(const kolo_board *board, kolo_places *places, size_t tensors)
{
    if (tensors <= places->capacity)
        return true;
    if (places->refusals > 0) {
        places->refusals--;
        return false;
    }
    void *list;
    uintptr_t *rows = malloc(2 * tensors * (size_t)board->size * sizeof(*rows));
    kolo_piece *pieces = malloc(tensors * sizeof(*pieces));
    if (rows == NULL || pieces == NULL ||
        board->ops->heap_alloc(board->transport, tensors * sizeof(place), &list) != KOLO_OK) {
        kolo_error_clear();
        free(rows);
        free(pieces);
        places->refusals = PATIENCE;
        return false;
    }
    if (places->list != NULL)
        (void)board->ops->heap_free(board->transport, places->list);
    free(places->rows);
    free(places->pieces);
    places->list = list;
    places->rows = rows;
    places->pieces = pieces;
    places->capacity = tensors;
    places->tensors = 0;
    return true;
}

static bool is_same(const kolo_piece *a, const kolo_piece *b)
{
    return a->input == b->input && a->output == b->output && a->count == b->count && a->type == b->type;
}

/* One tensor's place. False: it does not lie in the heap. What has not changed is not written: the others have it in
 * their caches. */
static bool update(const kolo_board *board, const kolo_piece *piece, place *to, bool *changed)
{
    place now = {0};
    if (piece->count > 0 && !holds(board, KOLO_ALLREDUCE, piece))
        return false;
    if (piece->count > 0)
        now = (place){.input = offset_of(board, piece->input), .output = offset_of(board, piece->output)};
    if (now.input != to->input || now.output != to->output) {
        *to = now;
        *changed = true;
    }
    return true;
}

static bool write_list(const kolo_board *board, const kolo_operation *operation, const kolo_piece *pieces,
                       uint64_t serial, kolo_places **given)
{
    if (*given == NULL && (*given = calloc(1, sizeof(**given))) == NULL)
        return false;
    kolo_places *places = *given;
    size_t tensors = operation->piece_count;
    if (serial != 0 && serial == places->serial && places->tensors == tensors)
        return true;
    bool is_new = places->tensors != tensors, changed = is_new;
    if ((is_new && !kolo_board_holds(board, operation, pieces)) || !reserve(board, places, tensors))
        return false;
    places->tensors = 0;
    for (size_t i = 0; i < tensors; i++) {
        if (!is_new && is_same(&pieces[i], &places->pieces[i]))
            continue;
        if (!update(board, &pieces[i], &places->list[i], &changed))
            return false;
        places->pieces[i] = pieces[i];
    }
    places->tensors = tensors;
    places->serial = serial;
    if (is_new)
        kolo_places_forget(places);
    if (changed)
        places->version++;
    return true;
}

/* What its card says is there: now others may look. */
static void tell(const kolo_board *board, const kolo_post *post, kolo_card *own)
{
    own->burst = post->burst;
    uint64_t *counter = board->counters[board->rank];
    __atomic_store_n(&own->round, post->round, __ATOMIC_RELEASE);
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELEASE);
}

void kolo_board_write_card(const kolo_board *board, const kolo_post *post, const kolo_piece *piece)
{
    kolo_card *own = kolo_card_of(board, board->rank, post);
    own->input = offset_of(board, piece->input);
    own->output = offset_of(board, piece->output);
    tell(board, post, own);
}

bool kolo_board_write_place(const kolo_board *board, const kolo_post *post, const kolo_operation *operation,
                            const kolo_piece *pieces, uint64_t serial, kolo_places **places)
{
    if (operation->piece_count == 1) {
        if (!kolo_board_holds(board, operation, pieces))
            return false;
        kolo_board_write_card(board, post, pieces);
        return true;
    }
    if (!write_list(board, operation, pieces, serial, places))
        return false;
    kolo_card *own = kolo_card_of(board, board->rank, post);
    own->list = offset_of(board, (*places)->list);
    own->version = (*places)->version;
    tell(board, post, own);
    return true;
}

/* ---- reading -------------------------------------------------------------------------------------------- */

static kolo_status refuse(int32_t rank)
{
    kolo_status status =
        kolo_fail(KOLO_ERR_PROTOCOL, "rank %d posted a tensor that would lie outside of its heap", rank);
    snprintf(kolo_error_current()->ranks, sizeof(kolo_error_current()->ranks), "%d", rank);
    return status;
}

kolo_status kolo_board_read_place(const kolo_board *board, const kolo_post *post, const kolo_operation *operation,
                                  const kolo_piece *piece, uintptr_t *inputs, uintptr_t *outputs, size_t stride)
{
    size_t element_bytes = kolo_dtype_size(piece->type);
    for (int32_t rank = 0; rank < board->size; rank++) {
        const kolo_card *theirs = kolo_card_of(board, rank, post);
        uint64_t input = __atomic_load_n(&theirs->input, __ATOMIC_RELAXED);
        uint64_t output = __atomic_load_n(&theirs->output, __ATOMIC_RELAXED);
        kolo_extent extent = kolo_extent_of(operation->collective, piece->count, board->size, rank, input == output);
        if (!is_in_heap(board, input, extent.input.count, element_bytes) ||
            !is_in_heap(board, output, extent.output.count, element_bytes))
            return refuse(rank);
        inputs[(size_t)rank * stride] = board->heaps[rank] + input - (uintptr_t)extent.input.offset * element_bytes;
        outputs[(size_t)rank * stride] = board->heaps[rank] + output - (uintptr_t)extent.output.offset * element_bytes;
    }
    return KOLO_OK;
}

bool kolo_board_read_burst(const kolo_board *board, int32_t rank, const kolo_post *post, uint64_t *burst)
{
    const kolo_card *theirs = kolo_card_of(board, rank, post);
    if (__atomic_load_n(&theirs->round, __ATOMIC_ACQUIRE) != post->round)
        return false;
    *burst = __atomic_load_n(&theirs->burst, __ATOMIC_RELAXED);
    return true;
}

/* The list of one rank, which may write there at any time if it is broken: each place is read once, and checked. */
static kolo_status read_list(const kolo_board *board, int32_t rank, uint64_t at, const kolo_piece *pieces,
                             const kolo_places *places)
{
    if (at % sizeof(uint64_t) != 0 || !is_in_heap(board, at, (int64_t)places->tensors, sizeof(place)))
        return refuse(rank);
    const place *list = (const place *)(board->heaps[rank] + (uintptr_t)at);
    size_t element_bytes = kolo_dtype_size(pieces->type);
    uintptr_t *inputs = places->rows + (size_t)rank * places->tensors;
    uintptr_t *outputs = inputs + (size_t)board->size * places->tensors;
    for (size_t i = 0; i < places->tensors; i++) {
        uint64_t input = __atomic_load_n(&list[i].input, __ATOMIC_RELAXED);
        uint64_t output = __atomic_load_n(&list[i].output, __ATOMIC_RELAXED);
        if (!is_in_heap(board, input, pieces[i].count, element_bytes) ||
            !is_in_heap(board, output, pieces[i].count, element_bytes))
            return refuse(rank);
        inputs[i] = board->heaps[rank] + (uintptr_t)input;
        outputs[i] = board->heaps[rank] + (uintptr_t)output;
    }
    return KOLO_OK;
}

static kolo_status list_parts(const kolo_board *board, const kolo_piece *pieces, kolo_places *places)
{
    kolo_parts *parts = &places->parts;
    size_t ranks = (size_t)board->size;
    KOLO_TRY(kolo_parts_begin(parts, places->tensors, board->size, false));
    for (size_t i = 0; i < places->tensors; i++)
        kolo_parts_set(parts, i, pieces[i].count);
    KOLO_TRY(kolo_parts_cut(parts));
    kolo_rows rows = {.inputs = places->rows,
                      .outputs = places->rows + ranks * places->tensors,
                      .count = ranks,
                      .own = (size_t)board->rank};
    return kolo_parts_list(parts, rows, kolo_dtype_size(pieces->type));
}

kolo_status kolo_board_read_places(const kolo_board *board, const kolo_post *post, const kolo_piece *pieces,
                                   kolo_places *places, const kolo_parts **parts)
{
    bool moved = false;
    for (int32_t rank = 0; rank < board->size; rank++) {
        const kolo_card *theirs = kolo_card_of(board, rank, post);
        uint64_t version = __atomic_load_n(&theirs->version, __ATOMIC_RELAXED);
        if (version == 0)
            return refuse(rank);
        if (version == places->seen[rank])
            continue;
        KOLO_TRY(read_list(board, rank, __atomic_load_n(&theirs->list, __ATOMIC_RELAXED), pieces, places));
        places->seen[rank] = version;
        moved = true;
    }
    *parts = &places->parts;
    return moved ? list_parts(board, pieces, places) : KOLO_OK;
}

void kolo_board_read_flags(const kolo_board *board, const kolo_post *post, uint64_t **flags)
{
    for (int32_t rank = 0; rank < board->size; rank++)
        flags[rank] = kolo_card_flags(board, rank, post);
}

uint64_t kolo_board_places(const kolo_board *board)
{
    uint64_t sum = 0;
    for (int32_t rank = 0; rank < board->size; rank++)
        sum += __atomic_load_n(board->counters[rank], __ATOMIC_ACQUIRE);
    return sum;
}
