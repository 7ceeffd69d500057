/* test_board.c - the board of several ranks in this process: bounds, parities, and places that cannot be. */
#include "unit/engine/made.h"

#include "base/error.h"
#include "engine/board.h"
#include "plan/slice.h"

#include <stdlib.h>
#include <string.h>

enum {
    RANKS = KOLO_BOARD_RANKS_MAX,
    HEAP_BYTES = 64 * 1024,
    WINDOW_BYTES = 2 * (KOLO_BOARD_CARDS_BYTES + KOLO_BOARD_CELLS_LEAST)
};

/* ---- a host with memory that all ranks see ----------------------------------------------------------------------- */

typedef struct world {
    size_t window_bytes, heap_bytes;
    int32_t without_heap; /* -1: all have one */
    char *windows[RANKS + 1], *heaps[RANKS + 1];
    uint64_t *flags[RANKS + 1];
    kolo_board boards[RANKS + 1];
} world;

static world *world_of(kolo_transport *transport)
{
    return (world *)(void *)transport;
}

static void *fake_window(kolo_transport *transport, int32_t rank)
{
    return world_of(transport)->windows[rank];
}

static size_t fake_window_bytes(kolo_transport *transport)
{
    return world_of(transport)->window_bytes;
}

static uint64_t *fake_flags(kolo_transport *transport, int32_t rank)
{
    return world_of(transport)->flags[rank];
}

static void *fake_heap(kolo_transport *transport, int32_t rank)
{
    const world *w = world_of(transport);
    return rank != w->without_heap ? w->heaps[rank] : NULL;
}

static size_t fake_heap_bytes(kolo_transport *transport)
{
    return world_of(transport)->heap_bytes;
}

static const kolo_transport_ops fake_ops = {.window = fake_window,
                                            .window_bytes = fake_window_bytes,
                                            .flags = fake_flags,
                                            .heap = fake_heap,
                                            .heap_bytes = fake_heap_bytes};

static char *zeroed(size_t bytes)
{
    char *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    assert_non_null(memory);
    return memset(memory, 0, bytes);
}

/* ring: rank order turned by one, so that positions are not ranks. */
static void world_share(world *w, int32_t size)
{
    static int32_t ring[RANKS + 1];
    for (int32_t r = 0; r < size; r++)
        ring[r] = (r + 1) % size;
    memset(w->boards, 0, sizeof(w->boards));
    for (int32_t r = 0; r < size; r++)
        kolo_board_share(&w->boards[r], r, size, ring, &fake_ops, (kolo_transport *)(void *)w);
}

static void world_init(world *w, int32_t size)
{
    *w = (world){.window_bytes = WINDOW_BYTES, .heap_bytes = HEAP_BYTES, .without_heap = -1};
    for (int32_t r = 0; r < size; r++) {
        w->windows[r] = zeroed(WINDOW_BYTES);
        w->heaps[r] = zeroed(HEAP_BYTES);
        w->flags[r] = (uint64_t *)(void *)zeroed(KOLO_TRANSPORT_FLAG_LINES * 64);
    }
    world_share(w, size);
}

static void world_fini(world *w)
{
    for (int32_t r = 0; r <= RANKS; r++) {
        free(w->windows[r]);
        free(w->heaps[r]);
        free(w->flags[r]);
    }
}

static const kolo_operation sum = {.prescale = 1, .postscale = 1, .piece_count = 1};

/* ---- which way --------------------------------------------------------------------------------------------------- */

/* With a cell of its own, whatever was assigned before. */
static kolo_way way_of(world *w, kolo_collective collective, kolo_dtype_id type, int64_t count, uint32_t slot)
{
    kolo_operation operation = sum;
    kolo_piece piece = {.count = count, .type = type};
    kolo_cell cell = {0};
    operation.collective = collective;
    operation.piece_count = collective == KOLO_BARRIER ? 0 : 1;
    w->boards[0].cell_lines_used = 0;
    return kolo_board_assign(&w->boards[0], &operation, &piece, slot, true, &cell);
}

static void way__changes_at_the_bytes_of_a_cell(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    w.boards[0].cell_lines = 8 * KOLO_BOARD_CELL_LINES_MAX;
    for (kolo_dtype_id type = 0; type < KOLO_DTYPE_COUNT; type++) {
        int64_t most = KOLO_BOARD_VALUE_BYTES / (int64_t)kolo_dtype_size(type);
        assert_int_equal(way_of(&w, KOLO_ALLREDUCE, type, 0, 0), KOLO_WAY_ORDER);
        assert_int_equal(way_of(&w, KOLO_ALLREDUCE, type, 1, 0), KOLO_WAY_VALUE);
        assert_int_equal(way_of(&w, KOLO_ALLREDUCE, type, most, 0), KOLO_WAY_VALUE);
        assert_int_equal(way_of(&w, KOLO_ALLREDUCE, type, most + 1, 0), KOLO_WAY_PLACE);
    }
    assert_int_equal(way_of(&w, KOLO_ALLREDUCE, KOLO_DTYPE_FLOAT64, INT64_MAX / 8, 0), KOLO_WAY_PLACE);
    assert_int_equal(way_of(&w, KOLO_BROADCAST, KOLO_DTYPE_FLOAT32, 1, 0), KOLO_WAY_PLACE);
    assert_int_equal(way_of(&w, KOLO_ALLGATHER, KOLO_DTYPE_FLOAT32, 1, 0), KOLO_WAY_PLACE);
    assert_int_equal(way_of(&w, KOLO_REDUCE_SCATTER, KOLO_DTYPE_FLOAT32, 1, 0), KOLO_WAY_PLACE);
    assert_int_equal(way_of(&w, KOLO_BARRIER, KOLO_DTYPE_FLOAT32, 0, 0), KOLO_WAY_VALUE);
    world_fini(&w);
}

static void way__changes_at_the_number_of_cards(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    for (uint32_t slot = 0; slot < 5000; slot += 455) {
        assert_int_equal(way_of(&w, KOLO_BARRIER, KOLO_DTYPE_FLOAT32, 0, slot), KOLO_WAY_VALUE);
        assert_int_equal(way_of(&w, KOLO_ALLREDUCE, KOLO_DTYPE_FLOAT32, 50000, slot),
                         slot < 4096 ? KOLO_WAY_PLACE : KOLO_WAY_ORDER);
    }
    world_fini(&w);
}

static void way__of_groups_and_of_scaled_inputs_is_not_by_place(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    kolo_operation operation = sum;
    kolo_cell cell = {0};
    kolo_piece small = {.count = 10, .type = KOLO_DTYPE_FLOAT32}, large = {.count = 50000, .type = KOLO_DTYPE_FLOAT32};
    operation.prescale = 0.5;
    assert_int_equal(kolo_board_assign(&w.boards[0], &operation, &small, 0, true, &cell), KOLO_WAY_VALUE);
    assert_int_equal(kolo_board_assign(&w.boards[0], &operation, &large, 0, true, &cell), KOLO_WAY_ORDER);
    operation = sum;
    operation.postscale = 0.5;
    assert_int_equal(kolo_board_assign(&w.boards[0], &operation, &large, 0, true, &cell), KOLO_WAY_PLACE);
    operation.piece_count = 2;
    assert_int_equal(kolo_board_assign(&w.boards[0], &operation, &small, 0, true, &cell), KOLO_WAY_ORDER);
    world_fini(&w);
}

static void board__stays_out_of_use_where_something_lacks(void **state)
{
    (void)state;
    world w;
    world_init(&w, RANKS + 1);
    assert_int_equal(w.boards[0].size, 0); /* too many ranks */
    assert_int_equal(way_of(&w, KOLO_BARRIER, KOLO_DTYPE_FLOAT32, 0, 0), KOLO_WAY_ORDER);
    world_share(&w, RANKS);
    assert_int_equal(w.boards[RANKS - 1].size, RANKS);
    w.window_bytes -= 2 * KOLO_BOARD_CARD_BYTES;
    world_share(&w, RANKS);
    assert_int_equal(w.boards[0].size, 0);
    assert_int_equal(way_of(&w, KOLO_ALLREDUCE, KOLO_DTYPE_FLOAT32, 50000, 0), KOLO_WAY_ORDER);
    w.window_bytes += 2 * KOLO_BOARD_CARD_BYTES;
    for (w.without_heap = 0; w.without_heap < 3; w.without_heap++) {
        world_share(&w, 3);
        assert_int_equal(way_of(&w, KOLO_ALLREDUCE, KOLO_DTYPE_FLOAT32, 10, 0), KOLO_WAY_VALUE);
        assert_int_equal(way_of(&w, KOLO_ALLREDUCE, KOLO_DTYPE_FLOAT32, 50000, 0), KOLO_WAY_ORDER);
    }
    world_fini(&w);
}

/* ---- by value ---------------------------------------------------------------------------------------------------- */

static float input_of(int32_t rank, uint64_t round, int64_t index)
{
    return (float)(rank * 1000 + (int64_t)round * 10 + index % 7);
}

/* All ranks post the round, the last one after nobody was complete; then all read. */
static void exchange(world *w, int32_t size, uint32_t cell, uint64_t round, int64_t count)
{
    enum { MOST = 4152 / sizeof(float) };
    float input[MOST], output[MOST];
    kolo_post post = {.way = KOLO_WAY_VALUE, .cell = cell, .round = round};
    kolo_piece piece = {.input = input, .output = output, .count = count, .type = KOLO_DTYPE_FLOAT32};
    for (int32_t r = 0; r < size; r++) {
        for (int32_t other = 0; other < size; other++)
            assert_int_equal(kolo_board_posted(&w->boards[other], &post), (1u << r) - 1);
        for (int64_t i = 0; i < count; i++)
            input[i] = input_of(r, round, i);
        assert_int_equal(kolo_board_is_complete(&w->boards[0], &post), false);
        kolo_board_write_value(&w->boards[r], &post, &sum, &piece);
    }
    for (int32_t r = 0; r < size; r++) {
        assert_true(kolo_board_is_complete(&w->boards[r], &post));
        kolo_board_read_value(&w->boards[r], &post, &sum, &piece);
        for (int64_t i = 0; i < count; i++) {
            float wanted = 0;
            for (int32_t k = 0; k < size; k++)
                wanted += input_of(k, round, i);
            assert_true(output[i] <= wanted && output[i] >= wanted);
        }
    }
}

static void value__of_any_cell_round_and_size_arrives(void **state)
{
    (void)state;
    for (int32_t size = 2; size <= RANKS; size += size < 4 ? 1 : 5) {
        world w;
        world_init(&w, size);
        for (uint64_t round = 2; round < 8; round++) /* both parities, again and again */
            for (uint32_t cell = 0; cell < 660; cell += 66)
                exchange(&w, size, cell, round, round % 3 == 0 ? 1 : round % 3 == 1 ? 1038 : size - 1);
        world_fini(&w);
    }
}

/* Of one parity only the last round is there, and others not yet. */
static void round__is_not_taken_for_another(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    float data[4] = {0};
    kolo_piece piece = {.input = data, .output = data, .count = 4, .type = KOLO_DTYPE_FLOAT32};
    kolo_post post = {.way = KOLO_WAY_VALUE, .slot = 255, .cell = 255, .round = 7}, other = post;
    kolo_board_write_value(&w.boards[1], &post, &sum, &piece);
    assert_true(kolo_board_is_complete(&w.boards[0], &post));
    for (other.round = 1; other.round < 20; other.round++) /* 0 is what cells begin with, and nobody posts it */
        assert_int_equal(kolo_board_posted(&w.boards[0], &other), other.round == 7 ? 2 : 0);
    other = (kolo_post){.way = KOLO_WAY_VALUE, .slot = 255, .cell = 254, .round = 7};
    assert_int_equal(kolo_board_posted(&w.boards[0], &other), 0);
    other = (kolo_post){.way = KOLO_WAY_PLACE, .slot = 255, .round = 7};
    assert_int_equal(kolo_board_posted(&w.boards[0], &other), 0);
    world_fini(&w);
}

static void report__arrives_and_is_no_post(void **state)
{
    (void)state;
    world w;
    world_init(&w, 3);
    for (kolo_way way = KOLO_WAY_VALUE; way <= KOLO_WAY_PLACE; way++) {
        kolo_post post = {.way = way, .slot = 9, .cell = 9, .round = 5};
        assert_int_equal(kolo_board_arrived(&w.boards[0], &post), 0);
        kolo_board_tell_report(&w.boards[2], &post);
        for (int32_t r = 0; r < 3; r++) {
            assert_int_equal(kolo_board_arrived(&w.boards[r], &post), 4);
            assert_int_equal(kolo_board_posted(&w.boards[r], &post), 0);
        }
        post.round += 2;
        assert_int_equal(kolo_board_arrived(&w.boards[0], &post), 0);
    }
    world_fini(&w);
}

/* ---- by place ---------------------------------------------------------------------------------------------------- */

static bool post_at(world *w, int32_t rank, kolo_collective collective, size_t input, size_t output, int64_t count)
{
    kolo_operation operation = sum;
    operation.collective = collective;
    kolo_post post = {.way = KOLO_WAY_PLACE, .slot = 3, .round = 2};
    kolo_piece piece = {.input = (void *)((uintptr_t)w->heaps[rank] + input),
                        .output = (void *)((uintptr_t)w->heaps[rank] + output),
                        .count = count,
                        .type = KOLO_DTYPE_FLOAT32};
    return kolo_board_write_place(&w->boards[rank], &post, &operation, &piece);
}

static void place__must_lie_in_the_own_heap(void **state)
{
    (void)state;
    world w;
    world_init(&w, 3);
    const size_t end = HEAP_BYTES;
    const int64_t all = HEAP_BYTES / 4;
    uint64_t posts = 0;
    const struct {
        kolo_collective collective;
        size_t input, output;
        int64_t count;
        bool fits;
    } cases[] = {
        {KOLO_ALLREDUCE, 0, 0, all, true},
        {KOLO_ALLREDUCE, 0, 0, all + 1, false},
        {KOLO_ALLREDUCE, 1, 1, all, false}, /* a byte beyond */
        {KOLO_ALLREDUCE, end - 4, end - 4, 1, true},
        {KOLO_ALLREDUCE, end, end, 1, false},
        {KOLO_ALLREDUCE, (size_t)-4, (size_t)-4, 2, false}, /* begins before the heap */
        {KOLO_ALLREDUCE, 0, end - 36, 10, false},
        {KOLO_ALLREDUCE, end - 36, 0, 10, false},
        {KOLO_ALLREDUCE, 0, 0, INT64_MAX / 4, false},
        /* Of 10 elements rank 1 has 3: the third part that begins at 4. */
        {KOLO_ALLGATHER, end - 12, 0, 10, true},
        {KOLO_ALLGATHER, end - 8, 0, 10, false},
        {KOLO_ALLGATHER, 0, end - 36, 10, false},
        {KOLO_ALLGATHER, end - 40, end - 40, 10, true},  /* in place: the whole */
        {KOLO_ALLGATHER, end - 12, end - 12, 10, false}, /* likewise */
        {KOLO_REDUCE_SCATTER, 0, end - 12, 10, true},
        {KOLO_REDUCE_SCATTER, 0, end - 8, 10, false},
        {KOLO_REDUCE_SCATTER, end - 36, 0, 10, false},
        {KOLO_BROADCAST, end - 40, end - 40, 10, true},
        {KOLO_BROADCAST, end - 36, end - 36, 10, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (post_at(&w, 1, cases[i].collective, cases[i].input, cases[i].output, cases[i].count) != cases[i].fits)
            fail_msg("case %zu", i);
        posts += cases[i].fits;
        assert_int_equal(kolo_board_places(&w.boards[2]), posts);
    }
    world_fini(&w);
}

static kolo_status read_places(world *w, kolo_collective collective, int64_t count, uintptr_t *inputs,
                               uintptr_t *outputs)
{
    uint64_t *flags[RANKS];
    kolo_operation operation = sum;
    operation.collective = collective;
    kolo_post post = {.way = KOLO_WAY_PLACE, .slot = 3, .round = 2};
    kolo_piece piece = {.count = count, .type = KOLO_DTYPE_FLOAT32};
    return kolo_board_read_places(&w->boards[0], &post, &operation, &piece, inputs, outputs, flags);
}

/* Bases are where element 0 would be. */
static void places__are_in_full_coordinates(void **state)
{
    (void)state;
    world w;
    uintptr_t inputs[3], outputs[3];
    world_init(&w, 3);
    for (int32_t r = 0; r < 3; r++) /* rank 1 in place */
        assert_true(post_at(&w, r, KOLO_REDUCE_SCATTER, 4096, r == 1 ? 4096 : 8192, 10));
    assert_int_equal(read_places(&w, KOLO_REDUCE_SCATTER, 10, inputs, outputs), KOLO_OK);
    for (int32_t r = 0; r < 3; r++) {
        size_t own = (size_t)kolo_slice_of(10, 3, r).offset * 4;
        assert_int_equal(inputs[r], (uintptr_t)w.heaps[r] + 4096);
        assert_int_equal(outputs[r], (uintptr_t)w.heaps[r] + (r == 1 ? 4096 : 8192 - own));
    }
    world_fini(&w);
}

/* Rank 1 writes nonsense into its card. */
static void place__outside_of_a_heap_is_refused_and_its_rank_named(void **state)
{
    (void)state;
    const uint64_t wrong[] = {HEAP_BYTES - 36, HEAP_BYTES,      HEAP_BYTES + 1,
                              UINT64_MAX,      UINT64_MAX - 39, UINT64_C(1) << 63};
    world w;
    uintptr_t inputs[3], outputs[3];
    world_init(&w, 3);
    for (int32_t r = 0; r < 3; r++)
        assert_true(post_at(&w, r, KOLO_ALLREDUCE, 4096, 8192, 10));
    uint64_t *card =
        (uint64_t *)(void *)(w.windows[1] + WINDOW_BYTES - w.boards[1].bytes + (3 * 2 + 0) * KOLO_BOARD_CARD_BYTES);
    assert_true(card[0] == 2 && card[1] == 4096 && card[2] == 8192);
    for (size_t i = 0; i < 2 * sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint64_t *field = &card[1 + i % 2], kept = *field;
        *field = wrong[i / 2];
        made_expect_error(read_places(&w, KOLO_ALLREDUCE, 10, inputs, outputs), KOLO_ERR_PROTOCOL,
                          "rank 1 posted a tensor that would lie outside of its heap");
        assert_string_equal(kolo_error_current()->ranks, "1");
        *field = kept;
    }
    assert_int_equal(read_places(&w, KOLO_ALLREDUCE, 10, inputs, outputs), KOLO_OK);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(way__changes_at_the_bytes_of_a_cell),
        cmocka_unit_test(way__changes_at_the_number_of_cards),
        cmocka_unit_test(way__of_groups_and_of_scaled_inputs_is_not_by_place),
        cmocka_unit_test(board__stays_out_of_use_where_something_lacks),
        cmocka_unit_test(value__of_any_cell_round_and_size_arrives),
        cmocka_unit_test(round__is_not_taken_for_another),
        cmocka_unit_test(report__arrives_and_is_no_post),
        cmocka_unit_test(place__must_lie_in_the_own_heap),
        cmocka_unit_test(places__are_in_full_coordinates),
        cmocka_unit_test(place__outside_of_a_heap_is_refused_and_its_rank_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
