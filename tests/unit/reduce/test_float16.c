/* test_float16.c - the 16-bit floats, all 65,536 values of each, and the ways in which float32 rounds to them. */
#include "reference.h"

#include <math.h>
#include <string.h>

enum { VALUES = 65536 };

static uint16_t all[VALUES], partner[VALUES], output[VALUES], expected[VALUES];

static const kolo_dtype_id types[] = {KOLO_DTYPE_FLOAT16, KOLO_DTYPE_BFLOAT16};

/* The smaller of a number and itself is widened, and narrowed again: every value survives, NaN as the canonical one. */
static void check_identity(kolo_dtype_id type, kolo_reduce_op op)
{
    if (op != KOLO_MIN || (type != KOLO_DTYPE_FLOAT16 && type != KOLO_DTYPE_BFLOAT16))
        return;
    fold_to(type, op, output, (const void *const[]){all, all}, 2, VALUES);
    for (int i = 0; i < VALUES; i++) {
        if (isnan(reference_widen(type, all[i])))
            assert_int_equal(output[i], reference_narrow(type, NAN));
        else
            assert_int_equal(output[i], all[i]);
    }
}

static void round_trip__every_value(void **state)
{
    (void)state;
    for_all(check_identity);
}

/* The reference is slow, so it is asked once for all instruction sets. */
static void check_all_sets(kolo_dtype_id type, kolo_reduce_op op)
{
    const kolo_reduction reduction = {.type = type, .op = op};
    const void *const inputs[] = {all, partner};
    reference_fold(&reduction, expected, inputs, 2, VALUES);
    for (size_t isa = 0; isa < kolo_reduce_isa_count(); isa++) {
        assert_true(kolo_reduce_force(kolo_reduce_isa_name(isa)));
        fold_to(type, op, output, inputs, 2, VALUES);
        assert_elements_equal(type, output, expected, VALUES);
    }
    assert_true(kolo_reduce_force(NULL));
}

/* Every value with a handful of others: ties, overflow to infinity, results that are denormal, signs of zero. */
static void pair__every_value_with_awkward_partners(void **state)
{
    (void)state;
    static const float partners[] = {0.0f,      -0.0f,    1.0f,      1.0f / 3.0f,  2047.0f,   65504.0f, -0x1p-14f,
                                     0x1.8p-24f, 0x1p-126f, 0x1.fep127f, -0x1p-130f, -INFINITY, NAN};
    static const kolo_reduce_op ops[] = {KOLO_SUM, KOLO_MIN, KOLO_MAX, KOLO_PRODUCT};
    for (size_t t = 0; t < 2; t++) {
        for (size_t p = 0; p < sizeof(partners) / sizeof(*partners); p++) {
            for (int i = 0; i < VALUES; i++)
                partner[i] = reference_narrow(types[t], partners[p]);
            for (size_t op = 0; op < 4; op++)
                check_all_sets(types[t], ops[op]);
        }
    }
}

/* The product with a factor of float32 precision lands anywhere between two values: halfway, and one step beside it. */
static void check_ties(kolo_dtype_id type, kolo_reduce_op op)
{
    if (op != KOLO_SUM || (type != KOLO_DTYPE_FLOAT16 && type != KOLO_DTYPE_BFLOAT16))
        return;
    const float step = type == KOLO_DTYPE_FLOAT16 ? 0x1p-11f : 0x1p-8f; /* half the distance of two values at 1 */
    const float factors[] = {1.0f + step, 1.0f + step + 0x1p-23f, 1.0f + step - 0x1p-23f, 1.0f - step / 2,
                             0x1p-15f, 0x1.8p-15f, 0x1.000002p-15f, 0x1p-24f, 0x1p-25f, 0x1.000002p-25f, 0x1.fffffep15f,
                             0x1.ffcp0f, 0x1.ffdffep0f, 0x1.ffep0f};
    for (size_t f = 0; f < sizeof(factors) / sizeof(*factors); f++) {
        kolo_reduce_scale(type, (double)factors[f], output, all, VALUES);
        const kolo_reduction scaling = {.type = type, .op = op, .final = true, .postscale = (double)factors[f]};
        reference_fold(&scaling, expected, (const void *const[]){all}, 1, VALUES);
        assert_elements_equal(type, output, expected, VALUES);
    }
}

static void scale__every_value_rounds_to_nearest_even(void **state)
{
    (void)state;
    for_all(check_ties);
}

/* The reference itself, on numbers that can be looked up. */
static void reference__known_values(void **state)
{
    (void)state;
    assert_true(reference_widen(KOLO_DTYPE_FLOAT16, 0x3c00) == 1.0);
    assert_true(reference_widen(KOLO_DTYPE_FLOAT16, 0x7bff) == 65504.0);
    assert_true(reference_widen(KOLO_DTYPE_FLOAT16, 0x0001) == 0x1p-24);
    assert_true(reference_widen(KOLO_DTYPE_FLOAT16, 0xfc00) == -(double)INFINITY);
    assert_true(reference_widen(KOLO_DTYPE_BFLOAT16, 0x3f80) == 1.0);
    assert_true(reference_widen(KOLO_DTYPE_BFLOAT16, 0x0001) == 0x1p-133);
    assert_int_equal(reference_narrow(KOLO_DTYPE_FLOAT16, 65519.0f), 0x7bff);
    assert_int_equal(reference_narrow(KOLO_DTYPE_FLOAT16, 65520.0f), 0x7c00);
    assert_int_equal(reference_narrow(KOLO_DTYPE_FLOAT16, -0x1p-25f), 0x8000);
    assert_int_equal(reference_narrow(KOLO_DTYPE_FLOAT16, 0x1.8p-24f), 0x0002);
    assert_int_equal(reference_narrow(KOLO_DTYPE_BFLOAT16, 0x1.01p0f), 0x3f80);
    assert_int_equal(reference_narrow(KOLO_DTYPE_BFLOAT16, 0x1.03p0f), 0x3f82);
    assert_int_equal(reference_narrow(KOLO_DTYPE_BFLOAT16, 0x1.fffffep127f), 0x7f80);
    assert_int_equal(reference_narrow(KOLO_DTYPE_BFLOAT16, NAN), 0x7fc0);
}

int main(void)
{
    for (int i = 0; i < VALUES; i++)
        all[i] = (uint16_t)i;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference__known_values),
        cmocka_unit_test(round_trip__every_value),
        cmocka_unit_test(pair__every_value_with_awkward_partners),
        cmocka_unit_test(scale__every_value_rounds_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
