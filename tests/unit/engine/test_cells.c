/* test_cells.c - which way an operation goes on the board, and where its cell lies. */
#include "unit/engine/made.h"

#include "engine/board.h"

static kolo_piece floats(int64_t count)
{
    return (kolo_piece){.count = count, .type = KOLO_DTYPE_FLOAT32};
}

static kolo_way assign(kolo_board *board, int64_t count, kolo_cells *cell)
{
    kolo_operation operation = {.collective = KOLO_ALLREDUCE, .prescale = 1, .postscale = 1, .piece_count = 1};
    kolo_piece piece = floats(count);
    return kolo_board_assign(board, &operation, &piece,
                             (kolo_ways){.by_value = true, .has_card = board->heap_bytes > 0}, cell);
}

static void small_tensors__lie_one_after_another(void **state)
{
    (void)state;
    kolo_board board = {.size = 2, .cell_lines = 16 * KOLO_BOARD_CELL_LINES_MAX};
    kolo_cells one = {0}, two = {0}, three = {0};
    assert_int_equal(assign(&board, 14, &one), KOLO_WAY_VALUE);    /* 56 bytes and the round: a line */
    assert_int_equal(assign(&board, 15, &two), KOLO_WAY_VALUE);    /* a line for the round, and one for 60 bytes */
    assert_int_equal(assign(&board, 256, &three), KOLO_WAY_VALUE); /* 17 lines, so 9 pairs */
    assert_true(one.at == 0 && one.lines == 1 && one.count == 1 && one.half == board.cell_lines);
    assert_true(two.at == 2 && two.lines == 2 && two.count == 1);
    assert_true(three.at == 4 && three.lines == 18 && three.count == 1);
    board.cell_lines_used = 43; /* longer cells than a line begin with a pair */
    two = (kolo_cells){0};
    assert_int_equal(assign(&board, 15, &two), KOLO_WAY_VALUE);
    assert_true(two.at == 44 && two.lines == 2 && board.cell_lines_used == 46);
}

static void tensors__too_large_or_empty(void **state)
{
    (void)state;
    kolo_board board = {.size = 2, .cell_lines = 16 * KOLO_BOARD_CELL_LINES_MAX};
    kolo_cells cell = {0};
    assert_int_equal(assign(&board, KOLO_BOARD_VALUE_BYTES / 4 + 1, &cell), KOLO_WAY_ORDER);
    assert_int_equal(assign(&board, 0, &cell), KOLO_WAY_ORDER);
    assert_int_equal(cell.lines, 0);
    board.heap_bytes = 1;
    assert_int_equal(assign(&board, KOLO_BOARD_VALUE_BYTES / 4 + 1, &cell), KOLO_WAY_PLACE);
    assert_int_equal(assign(&board, KOLO_BOARD_VALUE_BYTES / 4, &cell), KOLO_WAY_VALUE);
    assert_int_equal(cell.lines, KOLO_BOARD_CELL_LINES_MAX);
}

static void a_cell__stays_while_it_has_room(void **state)
{
    (void)state;
    kolo_board board = {.size = 2, .cell_lines = 16 * KOLO_BOARD_CELL_LINES_MAX};
    kolo_cells cell = {0};
    assert_int_equal(assign(&board, 256, &cell), KOLO_WAY_VALUE);
    assert_int_equal(assign(&board, 1, &cell), KOLO_WAY_VALUE);
    assert_int_equal(assign(&board, 256, &cell), KOLO_WAY_VALUE);
    assert_true(cell.at == 0 && cell.lines == 18 && board.cell_lines_used == 18);
    assert_int_equal(assign(&board, 272, &cell), KOLO_WAY_VALUE); /* its last line was free */
    assert_true(cell.at == 0 && cell.lines == 18);
    assert_int_equal(assign(&board, 273, &cell), KOLO_WAY_VALUE);
    assert_true(cell.at == 18 && cell.lines == 36 && board.cell_lines_used == 18 + 36u * cell.count);
}

/* None takes much of what is left. Those that do not get a cell go another way; smaller ones still go this way. */
static void cells__run_out(void **state)
{
    (void)state;
    kolo_board board = {.size = 2, .cell_lines = 8 * 18};
    kolo_cells one = {0}, two = {0}, three = {0};
    assert_int_equal(assign(&board, 256, &one), KOLO_WAY_VALUE);
    assert_int_equal(assign(&board, 256, &two), KOLO_WAY_ORDER);
    assert_int_equal(two.lines, 0);
    assert_int_equal(assign(&board, 32, &three), KOLO_WAY_VALUE);
    assert_true(three.at == 18 && three.lines == 4);
    kolo_operation barrier = {.collective = KOLO_BARRIER};
    board.cell_lines_used = board.cell_lines;
    assert_int_equal(kolo_board_assign(&board, &barrier, NULL, (kolo_ways){0}, &two), KOLO_WAY_ORDER);
    board.cell_lines_used -= 9;
    assert_int_equal(kolo_board_assign(&board, &barrier, NULL, (kolo_ways){0}, &two), KOLO_WAY_VALUE);
    assert_true(two.at == board.cell_lines - 9 && two.lines == 1);
}

/* Until half of the room is taken. */
static void long_tensors__take_turns_in_many_cells(void **state)
{
    (void)state;
    enum { LINES = 258 };
    kolo_board board = {.size = 2, .cell_lines = 4 * 8 * LINES};
    for (int i = 0; i < 32; i++) {
        kolo_cells cells = {0};
        uint32_t used = board.cell_lines_used, left = board.cell_lines - used;
        if (assign(&board, 4096, &cells) == KOLO_WAY_ORDER) {
            assert_true(left < 8 * LINES);
            return;
        }
        assert_true(cells.at == used && cells.lines == LINES && cells.count >= 1);
        assert_int_equal(cells.count & (cells.count - 1), 0);
        assert_int_equal(board.cell_lines_used, used + cells.count * LINES);
        assert_true(cells.count * LINES <= (left + 7) / 8);
        assert_true(used < left ? 4 * cells.count * LINES > left / 8 : cells.count == 1);
    }
    fail_msg("%u of %u lines are used", board.cell_lines_used, board.cell_lines);
}

static void rings__are_no_longer_than_pays(void **state)
{
    (void)state;
    kolo_board board = {.size = 2, .cell_lines = 64 * KOLO_BOARD_RING_LINES};
    kolo_cells cells = {0};
    assert_int_equal(assign(&board, 4096, &cells), KOLO_WAY_VALUE);
    assert_true(cells.lines * cells.count <= KOLO_BOARD_RING_LINES);
    assert_true(2 * cells.lines * cells.count > KOLO_BOARD_RING_LINES);
}

static void a_cell__is_not_taken_unwanted(void **state)
{
    (void)state;
    kolo_board board = {.size = 2, .cell_lines = 100, .heap_bytes = 1};
    kolo_operation operation = {.collective = KOLO_ALLREDUCE, .prescale = 1, .postscale = 1, .piece_count = 1};
    kolo_piece piece = floats(1);
    kolo_cells cell = {0};
    assert_int_equal(kolo_board_assign(&board, &operation, &piece, (kolo_ways){.has_card = true}, &cell),
                     KOLO_WAY_PLACE);
    assert_int_equal(board.cell_lines_used, 0);
}

static void no_board__no_way_over_it(void **state)
{
    (void)state;
    kolo_board board = {0};
    kolo_cells cell = {0};
    assert_int_equal(assign(&board, 1, &cell), KOLO_WAY_ORDER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_tensors__lie_one_after_another),   cmocka_unit_test(tensors__too_large_or_empty),
        cmocka_unit_test(a_cell__stays_while_it_has_room),        cmocka_unit_test(cells__run_out),
        cmocka_unit_test(long_tensors__take_turns_in_many_cells), cmocka_unit_test(rings__are_no_longer_than_pays),
        cmocka_unit_test(a_cell__is_not_taken_unwanted),          cmocka_unit_test(no_board__no_way_over_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
