/* test_finish.c - what comes before and after a reduction: factors, and the average's division. */
#include "reference.h"

#include <string.h>

enum { COUNT = 203 };

static uint8_t source[8 * COUNT + 64], data[8 * COUNT + 64], expected[8 * COUNT + 64];

static void check_average(kolo_dtype_id type, int32_t size, double postscale, size_t count, kolo_rng *rng)
{
    uint8_t *at = data + 1; /* no alignment */
    size_t bytes = count * kolo_dtype_size(type);
    fill_awkward(type, rng, source, count);
    memset(data, 0xa5, sizeof(data));
    memcpy(at, source, bytes);
    kolo_reduce_finish(type, KOLO_AVERAGE, size, postscale, at, count);
    reference_finish(type, size, postscale, expected, source, count);
    assert_elements_equal(type, at, expected, count);
    assert_int_equal(data[0], 0xa5);
    assert_int_equal(at[bytes], 0xa5);
}

static void finish__average_on_every_set(void **state)
{
    (void)state;
    static const int32_t sizes[] = {2, 3, 4, 5, 7, 8, 10, 127, 128, 129, 1000, 65536, 1000003, INT32_MAX};
    static const double factors[] = {1.0, 0.5, 3.0, -1.0 / 3.0, 1e-6};
    for (size_t isa = 0; isa < kolo_reduce_isa_count(); isa++) {
        assert_true(kolo_reduce_force(kolo_reduce_isa_name(isa)));
        kolo_rng rng = {isa};
        for (int type = 0; type < KOLO_DTYPE_COUNT; type++) {
            for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
                for (size_t f = 0; f < sizeof(factors) / sizeof(*factors); f++)
                    check_average((kolo_dtype_id)type, sizes[i], factors[f], (i * 17 + f) % COUNT + 1, &rng);
            }
        }
    }
    assert_true(kolo_reduce_force(NULL));
}

/* All 16-bit numbers by many divisors: the quotient is computed in floating point. */
static void finish__int16_division_is_exact(void **state)
{
    (void)state;
    static int16_t numbers[65536];
    for (int32_t divisor = 1; divisor < 40000; divisor = divisor * 5 / 4 + 1) {
        for (int i = 0; i < 65536; i++)
            numbers[i] = (int16_t)(i - 32768);
        kolo_reduce_finish(KOLO_DTYPE_INT16, KOLO_AVERAGE, divisor, 1.0, numbers, 65536);
        for (int i = 0; i < 65536; i++)
            assert_int_equal(numbers[i], (i - 32768) / divisor);
    }
}

/* Numbers next to multiples of the divisor are where a rounded quotient would go wrong. */
static void finish__int32_division_is_exact(void **state)
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
        kolo_reduce_finish(KOLO_DTYPE_INT32, KOLO_AVERAGE, divisor, 1.0, results, 8);
        for (int k = 0; k < 8; k++)
            assert_int_equal(results[k], numbers[k] / divisor);
    }
}

static void finish__others_with_postscale_1_touch_nothing(void **state)
{
    (void)state;
    const uint32_t signaling = UINT32_C(0x7f800001); /* a NaN that any arithmetic would change */
    for (int op = KOLO_SUM; op <= KOLO_PRODUCT; op++) {
        uint32_t bits = signaling;
        kolo_reduce_finish(KOLO_DTYPE_FLOAT32, (kolo_reduce_op)op, op == KOLO_AVERAGE ? 1 : 5, 1.0, &bits, 1);
        assert_int_equal(bits, signaling);
    }
}

static void finish__postscale_with_any_operator(void **state)
{
    (void)state;
    for (int op = KOLO_SUM; op <= KOLO_PRODUCT; op++) {
        float x = 6.0f;
        int32_t integer = 6;
        kolo_reduce_finish(KOLO_DTYPE_FLOAT32, (kolo_reduce_op)op, 3, 0.25, &x, 1);
        kolo_reduce_finish(KOLO_DTYPE_INT32, (kolo_reduce_op)op, 3, 0.25, &integer, 1);
        assert_true(x == (op == KOLO_AVERAGE ? 0.5f : 1.5f));
        assert_int_equal(integer, op == KOLO_AVERAGE ? 2 : 6); /* factors are for floats */
    }
}

static void scale__all_types(void **state)
{
    (void)state;
    static const double factors[] = {1.0, 2.0, 0.1, -1e10, 0.0};
    for (size_t isa = 0; isa < kolo_reduce_isa_count(); isa++) {
        assert_true(kolo_reduce_force(kolo_reduce_isa_name(isa)));
        kolo_rng rng = {isa};
        for (int type = 0; type < KOLO_DTYPE_COUNT; type++) {
            kolo_dtype_id id = (kolo_dtype_id)type;
            for (size_t count = 0; count < COUNT; count = count * 2 + 1) {
                double factor = factors[count % 5];
                fill_awkward(id, &rng, source + 3, count);
                if (factor == 1.0 || !kolo_dtype_is_float(id)) /* a copy, NaNs with their bits */
                    memcpy(expected, source + 3, count * kolo_dtype_size(id));
                else
                    reference_finish(id, 1, factor, expected, source + 3, count);
                kolo_reduce_scale(id, factor, data + 5, source + 3, count);
                assert_elements_equal(id, data + 5, expected, count);
                kolo_reduce_scale(id, factor, source + 3, source + 3, count);
                assert_elements_equal(id, source + 3, expected, count);
            }
        }
    }
    assert_true(kolo_reduce_force(NULL));
}

static void both__count_0_without_memory(void **state)
{
    (void)state;
    for (int type = 0; type < KOLO_DTYPE_COUNT; type++) {
        kolo_reduce_scale((kolo_dtype_id)type, 2.0, NULL, NULL, 0);
        kolo_reduce_scale((kolo_dtype_id)type, 1.0, data, NULL, 0);
        kolo_reduce_finish((kolo_dtype_id)type, KOLO_AVERAGE, 3, 2.0, NULL, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finish__average_on_every_set),
        cmocka_unit_test(finish__int16_division_is_exact),
        cmocka_unit_test(finish__int32_division_is_exact),
        cmocka_unit_test(finish__others_with_postscale_1_touch_nothing),
        cmocka_unit_test(finish__postscale_with_any_operator),
        cmocka_unit_test(scale__all_types),
        cmocka_unit_test(both__count_0_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
