/* unit_perf_reference.c - the inputs and expected results that the benchmark checks with: are they right themselves? */
#include "benchmarks/perf/reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 1100 }; /* more than two blocks of the checker */

static void sum__of_floats_matches_any_order(void **state)
{
    (void)state;
    float inputs[5][COUNT];
    float forward[COUNT];
    float backward[COUNT];
    perf_pattern pattern = {.type = PERF_FLOAT, .redop = PERF_SUM, .ranks = 5, .seed = 3};
    for (int rank = 0; rank < 5; rank++)
        perf_reference_fill(&pattern, rank, 0, COUNT, inputs[rank]);
    for (int i = 0; i < COUNT; i++) {
        forward[i] = inputs[0][i] + inputs[1][i] + inputs[2][i] + inputs[3][i] + inputs[4][i];
        backward[i] = (inputs[4][i] + inputs[3][i]) + (inputs[2][i] + (inputs[1][i] + inputs[0][i]));
    }
    assert_int_equal(perf_reference_check_reduced(&pattern, 0, COUNT, forward), 0);
    assert_int_equal(perf_reference_check_reduced(&pattern, 0, COUNT, backward), 0);
}

static void sum__of_wrapping_integers(void **state)
{
    (void)state;
    int8_t inputs[3][COUNT];
    int8_t sum[COUNT];
    bool wrapped = false;
    perf_pattern pattern = {.type = PERF_INT8, .redop = PERF_SUM, .ranks = 3, .seed = 9};
    for (int rank = 0; rank < 3; rank++)
        perf_reference_fill(&pattern, rank, 0, COUNT, inputs[rank]);
    for (int i = 0; i < COUNT; i++) {
        int exact = inputs[0][i] + inputs[1][i] + inputs[2][i];
        sum[i] = (int8_t)exact;
        wrapped |= exact != sum[i];
    }
    assert_true(wrapped); /* the inputs use the whole range */
    assert_int_equal(perf_reference_check_reduced(&pattern, 0, COUNT, sum), 0);
}

static void average__is_the_quotient(void **state)
{
    (void)state;
    double inputs[3][COUNT];
    int64_t integers[3][COUNT];
    perf_pattern pattern = {.type = PERF_DOUBLE, .redop = PERF_AVG, .ranks = 3, .seed = 1};
    for (int rank = 0; rank < 3; rank++)
        perf_reference_fill(&pattern, rank, 0, COUNT, inputs[rank]);
    for (int i = 0; i < COUNT; i++)
        inputs[0][i] = (inputs[0][i] + inputs[1][i] + inputs[2][i]) / 3.0;
    assert_int_equal(perf_reference_check_reduced(&pattern, 0, COUNT, inputs[0]), 0);
    pattern.type = PERF_INT64;
    for (int rank = 0; rank < 3; rank++)
        perf_reference_fill(&pattern, rank, 0, COUNT, integers[rank]);
    for (int i = 0; i < COUNT; i++)
        integers[0][i] = (int64_t)((uint64_t)integers[0][i] + (uint64_t)integers[1][i] + (uint64_t)integers[2][i]) / 3;
    assert_int_equal(perf_reference_check_reduced(&pattern, 0, COUNT, integers[0]), 0);
}

static void min_and_product__of_two_ranks(void **state)
{
    (void)state;
    uint8_t inputs[2][COUNT];
    uint8_t result[COUNT];
    perf_pattern pattern = {.type = PERF_UINT8, .redop = PERF_MIN, .ranks = 2, .seed = 5};
    perf_reference_fill(&pattern, 0, 0, COUNT, inputs[0]);
    perf_reference_fill(&pattern, 1, 0, COUNT, inputs[1]);
    for (int i = 0; i < COUNT; i++)
        result[i] = inputs[0][i] < inputs[1][i] ? inputs[0][i] : inputs[1][i];
    assert_int_equal(perf_reference_check_reduced(&pattern, 0, COUNT, result), 0);
    pattern.redop = PERF_PROD;
    perf_reference_fill(&pattern, 0, 0, COUNT, inputs[0]);
    perf_reference_fill(&pattern, 1, 0, COUNT, inputs[1]);
    for (int i = 0; i < COUNT; i++)
        result[i] = (uint8_t)(inputs[0][i] * inputs[1][i]);
    assert_int_equal(perf_reference_check_reduced(&pattern, 0, COUNT, result), 0);
}

static void check__counts_wrong_elements_of_every_type(void **state)
{
    (void)state;
    char data[COUNT * 8];
    for (int type = 0; type < PERF_TYPE_COUNT; type++) {
        perf_pattern pattern = {.type = (perf_type)type, .redop = PERF_MAX, .ranks = 4, .seed = 7};
        size_t size = perf_type_size(pattern.type);
        perf_reference_fill(&pattern, 2, 40, COUNT, data);
        assert_int_equal(perf_reference_check_copied(&pattern, 2, 40, COUNT, data), 0);
        data[0] ^= 1;
        data[700 * size] ^= 4;
        data[COUNT * size - 1] ^= 64;
        assert_int_equal(perf_reference_check_copied(&pattern, 2, 40, COUNT, data), 3);
    }
}

static void inputs__differ_by_rank_seed_and_place(void **state)
{
    (void)state;
    int64_t base[COUNT];
    perf_pattern pattern = {.type = PERF_INT64, .redop = PERF_SUM, .ranks = 4, .seed = 7};
    perf_reference_fill(&pattern, 1, 0, COUNT, base);
    assert_int_equal(perf_reference_check_copied(&pattern, 2, 0, COUNT, base), COUNT);
    assert_int_equal(perf_reference_check_copied(&pattern, 1, 1, COUNT, base), COUNT);
    pattern.seed = 8;
    assert_int_equal(perf_reference_check_copied(&pattern, 1, 0, COUNT, base), COUNT);
}

static void inputs__hold_no_negative_zero(void **state)
{
    (void)state;
    static uint16_t row[100 * COUNT];
    for (int redop = 0; redop < PERF_REDOP_COUNT; redop++) {
        perf_pattern pattern = {.type = PERF_BFLOAT16, .redop = (perf_redop)redop, .ranks = 3, .seed = 4};
        perf_reference_fill(&pattern, 1, 0, 100 * COUNT, row);
        for (int i = 0; i < 100 * COUNT; i++)
            assert_int_not_equal(row[i], 0x8000);
    }
}

static void sum__stays_exact_with_many_ranks(void **state)
{
    (void)state;
    enum { FEW = 16 };
    uint16_t row[FEW];
    double sums[FEW] = {0};
    perf_pattern pattern = {.type = PERF_BFLOAT16, .redop = PERF_SUM, .ranks = 1000, .seed = 2};
    for (int rank = 0; rank < 1000; rank++) {
        perf_reference_fill(&pattern, rank, 0, FEW, row);
        for (int i = 0; i < FEW; i++) {
            uint32_t bits = (uint32_t)row[i] << 16;
            float value;
            memcpy(&value, &bits, sizeof value);
            sums[i] += fabs((double)value); /* the worst order there can be */
        }
    }
    for (int i = 0; i < FEW; i++)
        assert_true(sums[i] > 0.0 && sums[i] <= 256.0);
}

static void half__rounds_to_nearest_even(void **state)
{
    (void)state;
    static const struct {
        float value;
        uint16_t bits;
    } cases[] = {
        {0.0f, 0},
        {-0.0f, 0x8000},
        {1.0f, 0x3c00},
        {-2.0f, 0xc000},
        {65504.0f, 0x7bff},
        {65519.0f, 0x7bff},
        {65520.0f, 0x7c00},
        {1e9f, 0x7c00},
        {2049.0f, 0x6800},
        {2051.0f, 0x6802},
        {1.0f / 3, 0x3555},
        {0x1p-14f, 0x0400},
        {0x1p-24f, 0x0001},
        {0x1p-25f, 0x0000},
        {0x1.8p-25f, 0x0001},
        {0x1.ff8p-15f, 0x03ff},
        {0x1.ffcp-15f, 0x0400},
        {0x1p-40f, 0x0000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(perf_half_from_float(cases[i].value), cases[i].bits);
    assert_true((perf_half_from_float(NAN) & 0x7fff) > 0x7c00);
}

static void bfloat16__rounds_to_nearest_even(void **state)
{
    (void)state;
    assert_int_equal(perf_bfloat16_from_float(1.0f), 0x3f80);
    assert_int_equal(perf_bfloat16_from_float(257.0f), 0x4380); /* between 256 and 258: the even one */
    assert_int_equal(perf_bfloat16_from_float(259.0f), 0x4382);
    assert_int_equal(perf_bfloat16_from_float(-0.0f), 0x8000);
    assert_int_equal(perf_bfloat16_from_float(INFINITY), 0x7f80);
    assert_true((perf_bfloat16_from_float(NAN) & 0x7fff) > 0x7f80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sum__of_floats_matches_any_order),
        cmocka_unit_test(sum__of_wrapping_integers),
        cmocka_unit_test(average__is_the_quotient),
        cmocka_unit_test(min_and_product__of_two_ranks),
        cmocka_unit_test(check__counts_wrong_elements_of_every_type),
        cmocka_unit_test(inputs__differ_by_rank_seed_and_place),
        cmocka_unit_test(inputs__hold_no_negative_zero),
        cmocka_unit_test(sum__stays_exact_with_many_ranks),
        cmocka_unit_test(half__rounds_to_nearest_even),
        cmocka_unit_test(bfloat16__rounds_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
