/* test_board.c - the board of several ranks in this process: ways, bounds, parities. */
#include "unit/engine/made.h"
#include "unit/engine/world.h"

#include "base/error.h"
#include "engine/places.h"
#include "plan/slice.h"

#include <stdlib.h>
#include <string.h>

static const kolo_operation sum = {.prescale = 1, .postscale = 1, .piece_count = 1};

/* ---- which way --------------------------------------------------------------------------------------------------- */

/* With a cell of its own, whatever was assigned before. */
static kolo_way way_of(world *w, kolo_collective collective, kolo_dtype_id type, int64_t count, uint32_t slot)
{
    kolo_operation operation = sum;
    kolo_piece piece = {.count = count, .type = type};
    kolo_cells cell = {0};
    operation.collective = collective;
    operation.piece_count = collective == KOLO_BARRIER ? 0 : 1;
    w->boards[0].cell_lines_used = 0;
    kolo_ways ways = {.by_value = true, .has_card = kolo_board_has_card(&w->boards[0], &operation, &piece, slot)};
    return kolo_board_assign(&w->boards[0], &operation, &piece, ways, &cell);
}

static void way__changes_at_the_bytes_of_a_cell(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    w.boards[0].cell_lines = 16 * KOLO_BOARD_CELL_LINES_MAX;
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
        assert_int_equal(way_of(&w, KOLO_ALLREDUCE, KOLO_DTYPE_FLOAT32, 100000, slot),
                         slot < 4096 ? KOLO_WAY_PLACE : KOLO_WAY_ORDER);
    }
    world_fini(&w);
}

static bool has_card(const world *w, const kolo_operation *operation, const kolo_piece *pieces)
{
    return kolo_board_has_card(&w->boards[0], operation, pieces, 0);
}

static void way__of_scaled_inputs_is_not_by_place(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    kolo_operation operation = sum;
    kolo_piece piece = {.count = 10, .type = KOLO_DTYPE_FLOAT32};
    operation.prescale = 0.5;
    assert_false(has_card(&w, &operation, &piece));
    operation = sum;
    operation.postscale = 0.5;
    assert_true(has_card(&w, &operation, &piece));
    world_fini(&w);
}

static void way__of_groups_is_by_place_or_in_order(void **state)
{
    (void)state;
    world w;
    world_init(&w, 2);
    kolo_operation operation = sum;
    kolo_cells cell = {0};
    kolo_piece pieces[2] = {{.count = 0, .type = KOLO_DTYPE_FLOAT32}, {.count = 10, .type = KOLO_DTYPE_FLOAT32}};
    operation.piece_count = 2;
    assert_true(has_card(&w, &operation, pieces));
    kolo_ways ways = {.by_value = true, .has_card = true};
    assert_int_equal(kolo_board_assign(&w.boards[0], &operation, pieces, ways, &cell), KOLO_WAY_PLACE);
    ways.has_private = true; /* some rank's */
    assert_int_equal(kolo_board_assign(&w.boards[0], &operation, pieces, ways, &cell), KOLO_WAY_ORDER);
    pieces[0].type = KOLO_DTYPE_INT32; /* no two types at a time */
    assert_false(has_card(&w, &operation, pieces));
    pieces[0] = (kolo_piece){.type = KOLO_DTYPE_FLOAT32};
    pieces[1] = pieces[0]; /* no elements */
    assert_false(has_card(&w, &operation, pieces));
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
    w.window_bytes -= 4 * KOLO_BOARD_LINE_BYTES;
    world_share(&w, RANKS);
    assert_int_equal(w.boards[0].size, 0);
    assert_int_equal(way_of(&w, KOLO_ALLREDUCE, KOLO_DTYPE_FLOAT32, 50000, 0), KOLO_WAY_ORDER);
    w.window_bytes += 4 * KOLO_BOARD_LINE_BYTES;
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
    static float input[RANKS][MOST];
    float output[MOST];
    kolo_post post = {.way = KOLO_WAY_VALUE, .cell = cell, .round = round};
    kolo_piece piece = {.output = output, .count = count, .type = KOLO_DTYPE_FLOAT32};
    for (int32_t r = 0; r < size; r++) {
        for (int32_t other = 0; other < size; other++)
            assert_true(kolo_board_posted(&w->boards[other], &post) == (UINT64_C(1) << r) - 1);
        for (int64_t i = 0; i < count; i++)
            input[r][i] = input_of(r, round, i);
        piece.input = input[r];
        assert_int_equal(kolo_board_is_complete(&w->boards[0], &post), false);
        kolo_board_write_value(&w->boards[r], &post, &sum, &piece);
    }
    for (int32_t r = 0; r < size; r++) {
        assert_true(kolo_board_is_complete(&w->boards[r], &post));
        piece.input = input[r];
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
        for (uint64_t round = 2; round < 8; round++)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(way__changes_at_the_bytes_of_a_cell),
        cmocka_unit_test(way__changes_at_the_number_of_cards),
        cmocka_unit_test(way__of_scaled_inputs_is_not_by_place),
        cmocka_unit_test(way__of_groups_is_by_place_or_in_order),
        cmocka_unit_test(board__stays_out_of_use_where_something_lacks),
        cmocka_unit_test(value__of_any_cell_round_and_size_arrives),
        cmocka_unit_test(round__is_not_taken_for_another),
        cmocka_unit_test(report__arrives_and_is_no_post),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
