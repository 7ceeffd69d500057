/* test_pair.c - folds of two inputs on every instruction set, against the reference, to the bit. */
#include "reference.h"

#include <string.h>

enum { MAX_COUNT = 1100, GUARD = 64, ROOM = GUARD + 8 * MAX_COUNT + 2 * GUARD };

static uint8_t left[ROOM], right[ROOM], output[ROOM], expected[ROOM];

static void pair(kolo_dtype_id type, kolo_reduce_op op, void *dst, const void *a, const void *b, size_t count)
{
    fold_to(type, op, dst, (const void *const[]){a, b}, 2, count);
}

/* Offsets are in bytes: elements need not even be aligned to themselves. */
static void check_once(kolo_dtype_id type, kolo_reduce_op op, size_t count, const size_t offsets[3], kolo_rng *rng)
{
    const size_t bytes = count * kolo_dtype_size(type);
    uint8_t *a = left + GUARD + offsets[0], *b = right + GUARD + offsets[1], *dst = output + GUARD + offsets[2];
    fill_awkward(type, rng, a, count);
    fill_awkward(type, rng, b, count);
    const kolo_reduction reduction = {.type = type, .op = op};
    reference_fold(&reduction, expected, (const void *const[]){a, b}, 2, count);

    memset(output, 0xa5, sizeof(output));
    pair(type, op, dst, a, b, count);
    assert_elements_equal(type, dst, expected, count);
    for (size_t i = 0; i < sizeof(output); i++) { /* not a byte beside it */
        if (i < (size_t)(dst - output) || i >= (size_t)(dst - output) + bytes)
            assert_int_equal(output[i], 0xa5);
    }

    memcpy(dst, a, bytes); /* in place, as left operand, then as right one */
    pair(type, op, dst, dst, b, count);
    assert_elements_equal(type, dst, expected, count);
    memcpy(dst, b, bytes);
    pair(type, op, dst, a, dst, count);
    assert_elements_equal(type, dst, expected, count);
}

static void check_small_counts(kolo_dtype_id type, kolo_reduce_op op)
{
    kolo_rng rng = {(uint64_t)type * 10 + (uint64_t)op};
    for (size_t count = 0; count <= 70; count++) {
        const size_t offsets[3] = {kolo_rng_below(&rng, GUARD), kolo_rng_below(&rng, GUARD),
                                   kolo_rng_below(&rng, GUARD)};
        check_once(type, op, count, offsets, &rng);
    }
}

static void check_larger_counts(kolo_dtype_id type, kolo_reduce_op op)
{
    static const size_t counts[] = {127, 128, 129, 255, 256, 257, 511, 513, 1023, 1024, 1100};
    kolo_rng rng = {1000 + (uint64_t)type * 10 + (uint64_t)op};
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        const size_t offsets[3] = {i % 3, 2 * i, 5 * i};
        check_once(type, op, counts[i], offsets, &rng);
    }
}

static void check_alignments(kolo_dtype_id type, kolo_reduce_op op)
{
    kolo_rng rng = {2000 + (uint64_t)type * 10 + (uint64_t)op};
    for (size_t offset = 0; offset < GUARD; offset += 3) {
        const size_t offsets[3] = {offset, 0, (2 * offset) % GUARD};
        check_once(type, op, 67, offsets, &rng);
    }
}

static void pair__counts_0_to_70(void **state)
{
    (void)state;
    for_all(check_small_counts);
}

static void pair__larger_counts(void **state)
{
    (void)state;
    for_all(check_larger_counts);
}

static void pair__all_alignments(void **state)
{
    (void)state;
    for_all(check_alignments);
}

static void check_nothing(kolo_dtype_id type, kolo_reduce_op op)
{
    pair(type, op, NULL, NULL, NULL, 0);
    fold_to(type, op, NULL, (const void *const[]){NULL, NULL, NULL}, 3, 0);
}

static void pair__count_0_without_memory(void **state)
{
    (void)state;
    for_all(check_nothing);
}

static void pair__operand_is_both_inputs(void **state)
{
    (void)state;
    for (size_t isa = 0; isa < kolo_reduce_isa_count(); isa++) {
        assert_true(kolo_reduce_force(kolo_reduce_isa_name(isa)));
        float x[21];
        for (int i = 0; i < 21; i++)
            x[i] = (float)i;
        pair(KOLO_DTYPE_FLOAT32, KOLO_SUM, x, x, x, 21);
        for (int i = 0; i < 21; i++)
            assert_true(x[i] == (float)(2 * i));
    }
    assert_true(kolo_reduce_force(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pair__counts_0_to_70),
        cmocka_unit_test(pair__larger_counts),
        cmocka_unit_test(pair__all_alignments),
        cmocka_unit_test(pair__count_0_without_memory),
        cmocka_unit_test(pair__operand_is_both_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
