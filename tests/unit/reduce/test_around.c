/* test_around.c - folds whose results go around the caches: the bits of plain ones, and nothing written beside them. */
#include "reference.h"

#include <string.h>

/* ROOM: of one operand, with elements of 8 bytes. */
enum { GUARD = 64, COUNT_MAX = 3000, ROOM = 4 * GUARD + 8 * COUNT_MAX, INPUTS = 65, DSTS = 3, FILLER = 0xa5 };

static uint8_t inputs[INPUTS][ROOM], found[DSTS][ROOM], expected[DSTS][ROOM];

/* in_place: the first destination is the second input. */
static void check(const kolo_reduction *reduction, size_t n_dsts, size_t n_inputs, size_t count, bool in_place)
{
    const void *from[INPUTS];
    void *plain[DSTS], *around[DSTS];
    static uint8_t kept[ROOM];
    for (size_t i = 0; i < n_inputs; i++)
        from[i] = inputs[i] + 8 * (i % 20);
    memset(found, FILLER, sizeof(found));
    memset(expected, FILLER, sizeof(expected));
    for (size_t i = 0; i < n_dsts; i++) {
        plain[i] = expected[i] + GUARD - 8 * i;
        around[i] = found[i] + GUARD - 8 * i;
    }
    kolo_reduce_fold(reduction, plain, n_dsts, from, n_inputs, count);
    memcpy(kept, inputs[1], sizeof(kept));
    if (in_place)
        around[0] = inputs[1] + 8;
    kolo_reduce_fold_around(reduction, around, n_dsts, from, n_inputs, count);
    kolo_reduce_end_around();
    if (in_place) {
        size_t bytes = count * kolo_dtype_size(reduction->type);
        assert_memory_equal(inputs[1] + 8, plain[0], bytes);
        assert_memory_equal(inputs[1] + 8 + bytes, kept + 8 + bytes, ROOM - 8 - bytes);
        memcpy(inputs[1], kept, sizeof(kept));
        memcpy(found[0], expected[0], sizeof(found[0]));
    }
    assert_memory_equal(found, expected, sizeof(found));
}

static void check_counts(const kolo_reduction *reduction)
{
    static const size_t counts[] = {0, 1, 7, 64, 1023, 1024, 1025, 2048, COUNT_MAX};
    static const size_t shapes[][2] = {{1, 1}, {1, 2}, {3, 1}, {2, 2}, {3, 5}, {1, 16}, {1, 17}, {2, 64}, {3, INPUTS}};
    for (size_t shape = 0; shape < sizeof(shapes) / sizeof(*shapes); shape++)
        for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
            for (int in_place = 0; in_place <= (shapes[shape][1] > 1 ? 1 : 0); in_place++)
                check(reduction, shapes[shape][0], shapes[shape][1], counts[i], in_place == 1);
}

static void fold_around__bits_of_plain_folds(void **state)
{
    (void)state;
    static const kolo_dtype_id types[] = {KOLO_DTYPE_FLOAT32, KOLO_DTYPE_BFLOAT16, KOLO_DTYPE_FLOAT16, KOLO_DTYPE_INT8,
                                          KOLO_DTYPE_FLOAT64};
    kolo_rng rng = {1};
    for (size_t i = 0; i < INPUTS; i++)
        for (size_t at = 0; at < ROOM; at++)
            inputs[i][at] = (uint8_t)kolo_rng_below(&rng, 256);
    for (size_t isa = 0; isa < kolo_reduce_isa_count(); isa++) {
        assert_true(kolo_reduce_force(kolo_reduce_isa_name(isa)));
        for (size_t type = 0; type < sizeof(types) / sizeof(*types); type++)
            for (int final = 0; final <= 1; final++)
                check_counts(&(kolo_reduction){
                    .type = types[type], .op = KOLO_AVERAGE, .final = final == 1, .size = 3, .postscale = 1});
    }
    assert_true(kolo_reduce_force(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fold_around__bits_of_plain_folds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
