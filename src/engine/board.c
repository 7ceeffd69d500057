/* board.c - see board.h. */
#include "engine/board.h"

#include "engine/card.h"
#include "reduce/reduce.h"

#include <string.h>

/* The flag lines of each rank that hold its counter, and whether its job is broken, which lies apart from what is written
 * often: the last ones, far from the runners'. */
enum { COUNTER_LINE = KOLO_TRANSPORT_FLAG_LINES - 1, BROKEN_LINE = COUNTER_LINE - 1, FLAGS_PER_LINE = 8 };

/* Many processors fetch lines in pairs. */
enum { PAIR_BYTES = 2 * KOLO_BOARD_LINE_BYTES };

_Static_assert((int)KOLO_PLAN_VALUE_RANKS == (int)KOLO_BOARD_RANKS_MAX, "what plans count on");

void kolo_board_share(kolo_board *board, int32_t rank, int32_t size, kolo_publisher *publisher,
                      const kolo_transport_ops *ops, kolo_transport *transport)
{
    size_t window = ops->window_bytes(transport) / PAIR_BYTES * PAIR_BYTES;
    size_t bytes = window / 2 / PAIR_BYTES * PAIR_BYTES;
    if (size > KOLO_BOARD_RANKS_MAX || bytes < (size_t)KOLO_BOARD_CARDS_BYTES + KOLO_BOARD_CELLS_LEAST)
        return;
    size_t lines = (bytes - KOLO_BOARD_CARDS_BYTES) / KOLO_BOARD_LINE_BYTES;
    *board = (kolo_board){.rank = rank,
                          .size = size,
                          .ops = ops,
                          .transport = transport,
                          .publisher = publisher,
                          .bytes = ops->window_bytes(transport) - (window - bytes),
                          .cell_lines = (uint32_t)((lines < UINT32_MAX ? lines : UINT32_MAX) / 4 * 2)}; /* even */
    board->heap_bytes = ops->heap != NULL ? ops->heap_bytes(transport) : 0;
    for (int32_t r = 0; r < size; r++) {
        board->parts[r] = (char *)ops->window(transport, r) + window - bytes;
        board->counters[r] = ops->flags(transport, r) + COUNTER_LINE * FLAGS_PER_LINE;
        board->broken[r] = ops->flags(transport, r) + BROKEN_LINE * FLAGS_PER_LINE;
        board->heaps[r] = board->heap_bytes > 0 ? (uintptr_t)ops->heap(transport, r) : 0;
        if (board->heaps[r] == 0)
            board->heap_bytes = 0;
    }
}

/* Behind the round, if that leaves it in one line; else in a line of its own, since whole lines are copied faster. */
static uint32_t payload_at(int64_t bytes)
{
    enum { ROUND_BYTES = sizeof(uint64_t) };
    return bytes <= KOLO_BOARD_LINE_BYTES - ROUND_BYTES ? ROUND_BYTES : KOLO_BOARD_LINE_BYTES;
}

/* How many cells of so many lines a slot gets in each half; 0: there is no room for them. None takes more than a part of
 * what is left, so that small tensors find room behind large ones. Short ones stay in the nearest cache; and the last ones
 * have so many tensors before them that the others' caches let go of each by themselves. */
static uint32_t cells_for(const kolo_board *board, uint32_t lines)
{
    enum { LEAST = 1, SHARE = 8, SHORT_LINES = 2048 / KOLO_BOARD_LINE_BYTES };
    uint32_t left = board->cell_lines - board->cell_lines_used, room = (left + SHARE - 1) / SHARE, count = LEAST;
    if (count * lines > room)
        return 0;
    if (lines > SHORT_LINES && board->cell_lines_used < left)
        while (2 * count * lines <= room && 2 * count * lines <= KOLO_BOARD_RING_LINES)
            count *= 2;
    return count;
}

/* Cells that have room for so many bytes and the round. Those longer than a line begin and end with a pair of lines, as many
 * processors fetch them: so the first line of the value comes with the round, and no neighbour's. A slot whose tensor outgrows
 * its cells leaves them for some twice as long: others cannot use them, since what lies there could pass for their round. */
static bool find_cells(kolo_board *board, int64_t bytes, kolo_cells *cells)
{
    uint32_t end = payload_at(bytes) + (uint32_t)bytes;
    uint32_t lines = (end + KOLO_BOARD_LINE_BYTES - 1) / KOLO_BOARD_LINE_BYTES;
    if (lines > 1)
        lines += lines % 2;
    if (lines <= cells->lines)
        return true;
    if (lines < 2u * cells->lines)
        lines = 2u * cells->lines < KOLO_BOARD_CELL_LINES_MAX ? 2u * cells->lines : KOLO_BOARD_CELL_LINES_MAX;
    uint32_t count = cells_for(board, lines);
    if (count == 0)
        return false;
    if (lines > 1)
        board->cell_lines_used += board->cell_lines_used % 2;
    *cells = (kolo_cells){
        .at = board->cell_lines_used, .lines = (uint16_t)lines, .count = (uint16_t)count, .half = board->cell_lines};
    board->cell_lines_used += lines * count;
    return true;
}

/* Tensors that are private now may lie in the heap the next time, so one of them is looked at each time; for a group,
 * that would take too long. */
kolo_way kolo_board_assign(kolo_board *board, const kolo_operation *operation, const kolo_piece *piece, kolo_ways ways,
                           kolo_cells *cells)
{
    if (board->size == 0)
        return KOLO_WAY_ORDER;
    if (operation->collective == KOLO_BARRIER)
        return find_cells(board, 0, cells) ? KOLO_WAY_VALUE : KOLO_WAY_ORDER;
    if (operation->piece_count > 1)
        return ways.has_card && !ways.has_private ? KOLO_WAY_PLACE : KOLO_WAY_ORDER;
    if (piece->count == 0)
        return KOLO_WAY_ORDER;
    int64_t element_bytes = (int64_t)kolo_dtype_size(piece->type);
    if (ways.by_value && operation->collective == KOLO_ALLREDUCE &&
        piece->count <= KOLO_BOARD_VALUE_BYTES / element_bytes &&
        find_cells(board, piece->count * element_bytes, cells))
        return KOLO_WAY_VALUE;
    return ways.has_card ? KOLO_WAY_PLACE : KOLO_WAY_ORDER;
}

/* ---- who has posted ---------------------------------------------------------------------------------- */

static char *cell_of(const kolo_board *board, int32_t rank, const kolo_post *post)
{
    return board->parts[rank] + KOLO_BOARD_CARDS_BYTES + (size_t)post->cell * KOLO_BOARD_LINE_BYTES;
}

static char *payload_of(const kolo_board *board, int32_t rank, const kolo_post *post, const kolo_piece *piece)
{
    return cell_of(board, rank, post) + payload_at(piece->count * (int64_t)kolo_dtype_size(piece->type));
}

/* Both begin with it. */
static uint64_t *round_of(const kolo_board *board, int32_t rank, const kolo_post *post)
{
    return post->way == KOLO_WAY_VALUE ? (uint64_t *)(void *)cell_of(board, rank, post)
                                       : &kolo_card_of(board, rank, post)->round;
}

/* In place of the round itself. */
#define REPORTED (UINT64_C(1) << 63)

static bool has_posted(const kolo_board *board, int32_t rank, const kolo_post *post)
{
    return __atomic_load_n(round_of(board, rank, post), __ATOMIC_ACQUIRE) == post->round;
}

bool kolo_board_is_complete(const kolo_board *board, const kolo_post *post)
{
    for (int32_t rank = 0; rank < board->size; rank++)
        if (rank != board->rank && !has_posted(board, rank, post))
            return false;
    return true;
}

void kolo_board_expect(const kolo_board *board, const kolo_post *post, uint32_t cell_lines)
{
    enum { MOST = 8 };
    uint32_t lines = cell_lines < MOST ? cell_lines : MOST;
    for (int32_t rank = 0; rank < board->size; rank++)
        if (rank != board->rank && !has_posted(board, rank, post))
            for (uint32_t line = 1; line < lines; line++)
                __builtin_prefetch(cell_of(board, rank, post) + (size_t)line * KOLO_BOARD_LINE_BYTES);
}

uint64_t kolo_board_posted(const kolo_board *board, const kolo_post *post)
{
    uint64_t mask = 0;
    for (int32_t rank = 0; rank < board->size; rank++)
        mask |= (uint64_t)has_posted(board, rank, post) << rank;
    return mask;
}

uint64_t kolo_board_arrived(const kolo_board *board, const kolo_post *post)
{
    uint64_t mask = 0;
    for (int32_t rank = 0; rank < board->size; rank++) {
        uint64_t round = __atomic_load_n(round_of(board, rank, post), __ATOMIC_ACQUIRE);
        mask |= (uint64_t)((round & ~REPORTED) == post->round) << rank;
    }
    return mask;
}

void kolo_board_tell_report(const kolo_board *board, const kolo_post *post)
{
    __atomic_store_n(round_of(board, board->rank, post), post->round | REPORTED, __ATOMIC_RELEASE);
}

/* ---- broken jobs --------------------------------------------------------------------------------------- */

void kolo_board_break(const kolo_board *board)
{
    if (board->size == 0)
        return;
    __atomic_store_n(board->broken[board->rank], 1, __ATOMIC_RELEASE);
    __sync_synchronize(); /* before whatever the program stores next */
}

/* What was loaded before was loaded before what is loaded next. */
static void load_fence(void)
{
#ifdef __SANITIZE_THREAD__
    __sync_synchronize(); /* which is all that GCC has beside TSan */
#else
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

bool kolo_board_is_sound(const kolo_board *board)
{
    load_fence();
    uint64_t broken = 0;
    for (int32_t rank = 0; rank < board->size; rank++)
        broken |= __atomic_load_n(board->broken[rank], __ATOMIC_RELAXED);
    return broken == 0;
}

/* ---- by value ---------------------------------------------------------------------------------------- */

static void write_payload(const kolo_board *board, const kolo_post *post, const kolo_operation *operation,
                          const kolo_piece *piece)
{
    void *payload = payload_of(board, board->rank, post, piece);
    size_t bytes = (size_t)piece->count * kolo_dtype_size(piece->type);
    if (kolo_operation_scales_inputs(operation))
        kolo_reduce_scale(piece->type, operation->prescale, payload, piece->input, (size_t)piece->count);
    else if (bytes <= KOLO_BOARD_LINE_BYTES)
        memcpy(payload, piece->input, bytes);
    else
        kolo_publish(board->publisher, payload, piece->input, bytes);
}

void kolo_board_write_value(const kolo_board *board, const kolo_post *post, const kolo_operation *operation,
                            const kolo_piece *piece)
{
    if (piece != NULL)
        write_payload(board, post, operation, piece);
    __atomic_store_n(round_of(board, board->rank, post), post->round, __ATOMIC_RELEASE);
}

/* What a rank adds: what it has posted. The own input is as good, and nearer, unless it was scaled for posting. */
static const void *operand_of(const kolo_board *board, int32_t rank, const kolo_post *post,
                              const kolo_operation *operation, const kolo_piece *piece)
{
    bool is_own = rank == board->rank && !kolo_operation_scales_inputs(operation);
    return is_own ? piece->input : payload_of(board, rank, post, piece);
}

/* In the order of ranks, as the algorithms on windows add, so that the bits are theirs. */
void kolo_board_read_value(const kolo_board *board, const kolo_post *post, const kolo_operation *operation,
                           const kolo_piece *piece)
{
    if (piece == NULL)
        return;
    const kolo_reduction reduction = {.type = piece->type,
                                      .op = operation->op,
                                      .final = true,
                                      .size = board->size,
                                      .postscale = operation->postscale};
    void *dst = piece->output;
    const void *inputs[KOLO_BOARD_RANKS_MAX];
    for (int32_t rank = 0; rank < board->size; rank++)
        inputs[rank] = operand_of(board, rank, post, operation, piece);
    kolo_reduce_fold(&reduction, &dst, 1, inputs, (size_t)board->size, (size_t)piece->count);
}
