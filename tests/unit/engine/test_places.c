/* test_places.c - where the ranks' tensors lie: posted, read, and what cannot be. */
#include "unit/engine/made.h"
#include "unit/engine/world.h"

#include "base/error.h"
#include "engine/places.h"
#include "plan/slice.h"

#include <string.h>

static const kolo_operation sum = {.prescale = 1, .postscale = 1, .piece_count = 1};

/* ---- one tensor --------------------------------------------------------------------------------------------------- */

static bool post_at(world *w, int32_t rank, kolo_collective collective, size_t input, size_t output, int64_t count)
{
    kolo_operation operation = sum;
    operation.collective = collective;
    kolo_post post = {.way = KOLO_WAY_PLACE, .slot = 3, .round = 2};
    kolo_piece piece = {.input = (void *)((uintptr_t)w->heaps[rank] + input),
                        .output = (void *)((uintptr_t)w->heaps[rank] + output),
                        .count = count,
                        .type = KOLO_DTYPE_FLOAT32};
    return kolo_board_write_place(&w->boards[rank], &post, &operation, &piece, 0, NULL);
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

static kolo_status read_place(world *w, kolo_collective collective, int64_t count, uintptr_t *inputs,
                              uintptr_t *outputs)
{
    kolo_operation operation = sum;
    operation.collective = collective;
    kolo_post post = {.way = KOLO_WAY_PLACE, .slot = 3, .round = 2};
    kolo_piece piece = {.count = count, .type = KOLO_DTYPE_FLOAT32};
    return kolo_board_read_place(&w->boards[0], &post, &operation, &piece, inputs, outputs, 1);
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
    assert_int_equal(read_place(&w, KOLO_REDUCE_SCATTER, 10, inputs, outputs), KOLO_OK);
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
    uint64_t *card = (uint64_t *)(void *)(w.windows[1] + WINDOW_BYTES - w.boards[1].bytes + 3 * KOLO_BOARD_CARD_BYTES);
    assert_true(card[0] == 2 && card[1] == 4096 && card[2] == 8192);
    for (size_t i = 0; i < 2 * sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint64_t *field = &card[1 + i % 2], kept = *field;
        *field = wrong[i / 2];
        made_expect_error(read_place(&w, KOLO_ALLREDUCE, 10, inputs, outputs), KOLO_ERR_PROTOCOL,
                          "rank 1 posted a tensor that would lie outside of its heap");
        assert_string_equal(kolo_error_current()->ranks, "1");
        *field = kept;
    }
    assert_int_equal(read_place(&w, KOLO_ALLREDUCE, 10, inputs, outputs), KOLO_OK);
    world_fini(&w);
}

/* ---- groups ------------------------------------------------------------------------------------------------------- */

enum { TENSORS = 3 };

/* Rank r's tensors, of 5, 0 and 7 elements; the last one moved by so much. The one without elements lies nowhere. */
static void list_pieces(const world *w, int32_t rank, size_t moved, kolo_piece pieces[TENSORS])
{
    char *heap = w->heaps[rank] + 64 * rank;
    pieces[0] = (kolo_piece){.input = heap, .output = heap + 1024, .count = 5, .type = KOLO_DTYPE_FLOAT32};
    pieces[1] = (kolo_piece){.type = KOLO_DTYPE_FLOAT32};
    pieces[2] = (kolo_piece){
        .input = heap + 2048 + moved, .output = heap + 2048 + moved, .count = 7, .type = KOLO_DTYPE_FLOAT32};
}

static bool post_group(world *w, int32_t rank, uint64_t round, size_t moved, kolo_places **places)
{
    kolo_operation operation = sum;
    kolo_post post = {.way = KOLO_WAY_PLACE, .slot = 3, .round = round};
    kolo_piece pieces[TENSORS];
    list_pieces(w, rank, moved, pieces);
    operation.piece_count = TENSORS;
    w->allocates = rank;
    return kolo_board_write_place(&w->boards[rank], &post, &operation, pieces, 0, places);
}

static kolo_status read_group(world *w, uint64_t round, kolo_places *places, const kolo_parts **parts)
{
    kolo_post post = {.way = KOLO_WAY_PLACE, .slot = 3, .round = round};
    kolo_piece pieces[TENSORS];
    list_pieces(w, 0, 0, pieces);
    return kolo_board_read_places(&w->boards[0], &post, pieces, places, parts);
}

static void expect_places(const world *w, int32_t rank, size_t moved, const kolo_parts *parts)
{
    uintptr_t heap = (uintptr_t)w->heaps[rank] + 64 * (uintptr_t)rank;
    const uintptr_t *inputs = parts->rows.inputs + rank * TENSORS, *outputs = parts->rows.outputs + rank * TENSORS;
    assert_int_equal(parts->rows.count, 2);
    assert_int_equal(parts->slices[2], 12);
    assert_int_equal(parts->count, 2);
    assert_true(inputs[0] == heap && outputs[0] == heap + 1024);
    assert_true(inputs[2] == heap + 2048 + moved && outputs[2] == inputs[2]);
}

static void group__is_found_where_it_lies_in_each_round(void **state)
{
    (void)state;
    world w;
    kolo_places *places[2] = {NULL, NULL};
    const kolo_parts *parts;
    world_init(&w, 2);
    for (uint64_t round = 1; round <= 6; round++) {
        size_t moved = round == 3 || round == 4 ? 128 : 0;
        assert_true(post_group(&w, 0, round, 0, &places[0]) && post_group(&w, 1, round, moved, &places[1]));
        assert_int_equal(read_group(&w, round, places[0], &parts), KOLO_OK);
        expect_places(&w, 0, 0, parts);
        expect_places(&w, 1, moved, parts);
    }
    assert_int_equal(w.heap_left, HEAP_BYTES / 2 - 2 * TENSORS * 16); /* one list for each */
    assert_int_equal(kolo_board_places(&w.boards[0]), 12);
    kolo_places_destroy(places[0]);
    kolo_places_destroy(places[1]);
    world_fini(&w);
}

static void group__that_does_not_lie_in_the_heap_is_not_posted(void **state)
{
    (void)state;
    world w;
    kolo_places *places = NULL;
    world_init(&w, 2);
    assert_false(post_group(&w, 0, 1, HEAP_BYTES, &places));
    w.heap_left = TENSORS * 16 - 1; /* no room for the list */
    assert_false(post_group(&w, 0, 1, 0, &places));
    assert_int_equal(kolo_board_places(&w.boards[0]), 0);
    w.heap_left = HEAP_BYTES / 2;
    int rounds = 1; /* it is asked again, but not at once */
    while (!post_group(&w, 0, 1, 0, &places))
        assert_in_range(++rounds, 2, 100);
    assert_true(rounds > 1);
    kolo_places_destroy(places);
    world_fini(&w);
}

/* Rank 1 writes nonsense into its card or its list; a version told anew is read anew, and checked. */
static void group__outside_of_a_heap_is_refused_and_its_rank_named(void **state)
{
    (void)state;
    world w;
    kolo_places *places[2] = {NULL, NULL};
    const kolo_parts *parts;
    world_init(&w, 2);
    assert_true(post_group(&w, 0, 2, 0, &places[0]) && post_group(&w, 1, 2, 0, &places[1]));
    uint64_t *card = (uint64_t *)(void *)(w.windows[1] + WINDOW_BYTES - w.boards[1].bytes + 3 * KOLO_BOARD_CARD_BYTES);
    uint64_t *list = (uint64_t *)(void *)(w.heaps[1] + card[1]);
    const uint64_t wrong[] = {HEAP_BYTES - 8, HEAP_BYTES + 8, UINT64_MAX - 7, UINT64_C(1) << 63, 4};
    uint64_t *fields[] = {&card[1], &list[0], &list[1], &list[4], &list[5]};
    for (size_t i = 0; i < 5 * 5; i++) {
        uint64_t *field = fields[i / 5], kept = *field;
        if (wrong[i % 5] == 4 && field != &card[1])
            continue; /* as good as any other */
        *field = wrong[i % 5];
        card[2] = 100 + i;
        made_expect_error(read_group(&w, 2, places[0], &parts), KOLO_ERR_PROTOCOL,
                          "rank 1 posted a tensor that would lie outside of its heap");
        assert_string_equal(kolo_error_current()->ranks, "1");
        *field = kept;
    }
    card[2] = 0; /* no version is 0: nothing has been read yet, but nothing would be either */
    made_expect_error(read_group(&w, 2, places[0], &parts), KOLO_ERR_PROTOCOL, "rank 1");
    card[2] = 1;
    assert_int_equal(read_group(&w, 2, places[0], &parts), KOLO_OK);
    expect_places(&w, 1, 0, parts);
    list[0] = HEAP_BYTES; /* not looked at: the version has not changed; */
    assert_int_equal(read_group(&w, 2, places[0], &parts), KOLO_OK);
    kolo_places_forget(places[0]); /* but after another agreement */
    made_expect_error(read_group(&w, 2, places[0], &parts), KOLO_ERR_PROTOCOL, "rank 1");
    kolo_places_destroy(places[0]);
    kolo_places_destroy(places[1]);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(place__must_lie_in_the_own_heap),
        cmocka_unit_test(places__are_in_full_coordinates),
        cmocka_unit_test(place__outside_of_a_heap_is_refused_and_its_rank_named),
        cmocka_unit_test(group__is_found_where_it_lies_in_each_round),
        cmocka_unit_test(group__that_does_not_lie_in_the_heap_is_not_posted),
        cmocka_unit_test(group__outside_of_a_heap_is_refused_and_its_rank_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
