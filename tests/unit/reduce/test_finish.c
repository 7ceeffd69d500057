/* test_finish.c - what comes before and after a reduction: factors, and the average's division. */
#include "reference.h"

#include <string.h>

enum { COUNT = 203, INPUTS_MAX = 3 };

static uint8_t source[INPUTS_MAX][8 * COUNT + 64], data[8 * COUNT + 64], expected[8 * COUNT + 64];

static void finish_in_place(const kolo_reduction *reduction, void *in_place, size_t count)
{
    kolo_reduce_fold(reduction, &in_place, 1, (const void *const[]){in_place}, 1, count);
}

static void check_final(const kolo_reduction *reduction, size_t n_inputs, size_t count, kolo_rng *rng)
{
    uint8_t *dst = data + 1; /* no alignment */
    const void *inputs[INPUTS_MAX];
    for (size_t k = 0; k < n_inputs; k++) {
        fill_awkward(reduction->type, rng, source[k] + 3 * k, count);
        inputs[k] = source[k] + 3 * k;
    }
    reference_fold(reduction, expected, inputs, n_inputs, count);
    memset(data, 0xa5, sizeof(data));
    kolo_reduce_fold(reduction, (void *const[]){dst}, 1, inputs, n_inputs, count);
    assert_elements_equal(reduction->type, dst, expected, count);
    assert_int_equal(data[0], 0xa5);
    assert_int_equal(dst[count * kolo_dtype_size(reduction->type)], 0xa5);
}

/* One input is what a job of one rank has; it needs an ending, or its NaNs keep their bits. */
static void check_endings(kolo_dtype_id type, kolo_reduce_op op)
{
    static const int32_t sizes[] = {2, 3, 4, 5, 7, 8, 10, 127, 128, 129, 1000, 65536, 1000003, INT32_MAX};
    static const double factors[] = {1.0, 0.5, 3.0, -1.0 / 3.0, 1e-6};
    kolo_rng rng = {(uint64_t)type * 10 + (uint64_t)op};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        for (size_t f = 0; f < sizeof(factors) / sizeof(*factors); f++) {
            const kolo_reduction reduction = {
                .type = type, .op = op, .final = true, .size = sizes[i], .postscale = factors[f]};
            bool ends = op == KOLO_AVERAGE || (kolo_dtype_is_float(type) && f > 0);
            for (size_t n_inputs = ends ? 1 : 2; n_inputs <= INPUTS_MAX; n_inputs++)
                check_final(&reduction, n_inputs, (i * 17 + f) % COUNT + 1, &rng);
        }
    }
}

static void final__all_types_operators_and_sets(void **state)
{
    (void)state;
    for_all(check_endings);
}

/* 40000 + 40000 is more than a float16 can be, their average is not. */
static void final__float16_average_is_rounded_once(void **state)
{
    (void)state;
    const uint16_t large = reference_narrow(KOLO_DTYPE_FLOAT16, 40000.0f);
    const kolo_reduction reduction = {
        .type = KOLO_DTYPE_FLOAT16, .op = KOLO_AVERAGE, .final = true, .size = 2, .postscale = 1.0};
    uint16_t average;
    kolo_reduce_fold(&reduction, (void *const[]){&average}, 1, (const void *const[]){&large, &large}, 2, 1);
    assert_int_equal(average, large);
}

/* All 16-bit numbers by many divisors: the quotient is computed in floating point. */
static void average__int16_division_is_exact(void **state)
{
    (void)state;
    static int16_t numbers[65536];
    for (int32_t divisor = 1; divisor < 40000; divisor = divisor * 5 / 4 + 1) {
        const kolo_reduction reduction = {
            .type = KOLO_DTYPE_INT16, .op = KOLO_AVERAGE, .final = true, .size = divisor, .postscale = 1.0};
        for (int i = 0; i < 65536; i++)
            numbers[i] = (int16_t)(i - 32768);
        finish_in_place(&reduction, numbers, 65536);
        for (int i = 0; i < 65536; i++)
            assert_int_equal(numbers[i], (i - 32768) / divisor);
    }
}

/* Numbers next to multiples of the divisor are where a rounded quotient would go wrong. */
static void average__int32_division_is_exact(void **state)
{
    (void)state;
    kolo_rng rng = {5};
    for (int i = 0; i < 2000; i++) {
        int32_t divisor = (int32_t)kolo_rng_below(&rng, i % 2 ? 100 : INT32_MAX - 1) + 1;
        int64_t multiple = (int64_t)kolo_rng_below(&rng, (uint64_t)(INT32_MAX / divisor)) * divisor;
        int32_t numbers[] = {(int32_t)multiple, (int32_t)(multiple - 1), (int32_t)(multiple + 1), (int32_t)-multiple,
                             (int32_t)(1 - multiple), (int32_t)(-1 - multiple), INT32_MAX, INT32_MIN};
        int32_t results[8];
        memcpy(results, numbers, sizeof(numbers));
        const kolo_reduction reduction = {
            .type = KOLO_DTYPE_INT32, .op = KOLO_AVERAGE, .final = true, .size = divisor, .postscale = 1.0};
        finish_in_place(&reduction, results, 8);
        for (int k = 0; k < 8; k++)
            assert_int_equal(results[k], numbers[k] / divisor);
    }
}

/* A NaN that any arithmetic would change. */
static void final__one_input_without_an_ending_keeps_its_bits(void **state)
{
    (void)state;
    const uint32_t signaling[] = {UINT32_C(0x7f800001), 1};
    for (int op = KOLO_SUM; op <= KOLO_PRODUCT; op++) {
        for (int final = 0; final < 2; final++) {
            const kolo_reduction reduction = {.type = KOLO_DTYPE_FLOAT32,
                                              .op = (kolo_reduce_op)op,
                                              .final = final,
                                              .size = op == KOLO_AVERAGE ? 1 : 5,
                                              .postscale = final ? 1.0 : 3.0};
            uint32_t copies[3][2] = {{0}};
            void *const dsts[] = {copies[0], copies[1], copies[2]};
            for (size_t n_dsts = 1; n_dsts <= 3; n_dsts += 2)
                kolo_reduce_fold(&reduction, dsts, n_dsts, (const void *const[]){signaling}, 1, 2);
            for (int i = 0; i < 3; i++)
                assert_memory_equal(copies[i], signaling, sizeof(signaling));
            finish_in_place(&reduction, copies[0], 2);
            assert_memory_equal(copies[0], signaling, sizeof(signaling));
        }
    }
}

static void final__postscale_with_any_operator(void **state)
{
    (void)state;
    for (int op = KOLO_SUM; op <= KOLO_PRODUCT; op++) {
        float x = 6.0f;
        int32_t integer = 6;
        kolo_reduction reduction = {
            .type = KOLO_DTYPE_FLOAT32, .op = (kolo_reduce_op)op, .final = true, .size = 3, .postscale = 0.25};
        finish_in_place(&reduction, &x, 1);
        reduction.type = KOLO_DTYPE_INT32;
        finish_in_place(&reduction, &integer, 1);
        assert_true(x == (op == KOLO_AVERAGE ? 0.5f : 1.5f));
        assert_int_equal(integer, op == KOLO_AVERAGE ? 2 : 6); /* factors are for floats */
    }
}

static void check_scale(kolo_dtype_id type, kolo_reduce_op op)
{
    static const double factors[] = {1.0, 2.0, 0.1, -1e10, 0.0};
    kolo_rng rng = {(uint64_t)type};
    for (size_t count = 0; op == KOLO_SUM && count < COUNT; count = count * 2 + 1) {
        const kolo_reduction scaling = {.type = type, .op = op, .final = true, .postscale = factors[count % 5]};
        uint8_t *from = source[0] + 3;
        fill_awkward(type, &rng, from, count);
        if (scaling.postscale == 1.0 || !kolo_dtype_is_float(type)) /* a copy, NaNs with their bits */
            memcpy(expected, from, count * kolo_dtype_size(type));
        else
            reference_fold(&scaling, expected, (const void *const[]){from}, 1, count);
        kolo_reduce_scale(type, scaling.postscale, data + 5, from, count);
        assert_elements_equal(type, data + 5, expected, count);
        kolo_reduce_scale(type, scaling.postscale, from, from, count);
        assert_elements_equal(type, from, expected, count);
    }
}

static void scale__all_types_and_sets(void **state)
{
    (void)state;
    for_all(check_scale);
}

static void both__count_0_without_memory(void **state)
{
    (void)state;
    for (int type = 0; type < KOLO_DTYPE_COUNT; type++) {
        const kolo_reduction reduction = {
            .type = (kolo_dtype_id)type, .op = KOLO_AVERAGE, .final = true, .size = 3, .postscale = 2.0};
        kolo_reduce_scale((kolo_dtype_id)type, 2.0, NULL, NULL, 0);
        kolo_reduce_scale((kolo_dtype_id)type, 1.0, data, NULL, 0);
        finish_in_place(&reduction, NULL, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(final__all_types_operators_and_sets),
        cmocka_unit_test(final__float16_average_is_rounded_once),
        cmocka_unit_test(average__int16_division_is_exact),
        cmocka_unit_test(average__int32_division_is_exact),
        cmocka_unit_test(final__one_input_without_an_ending_keeps_its_bits),
        cmocka_unit_test(final__postscale_with_any_operator),
        cmocka_unit_test(scale__all_types_and_sets),
        cmocka_unit_test(both__count_0_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
