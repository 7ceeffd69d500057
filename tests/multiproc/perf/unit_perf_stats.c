/* unit_perf_stats.c - the benchmark's statistics, sweep and factors. */
#include "benchmarks/perf/options.h"
#include "benchmarks/perf/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void stats__one_sample_is_everything(void **state)
{
    (void)state;
    double samples[] = {7.5};
    perf_stats stats = perf_stats_of(samples, 1);
    assert_true(stats.min == 7.5 && stats.mean == 7.5 && stats.p50 == 7.5 && stats.p99 == 7.5);
}

static void stats__unsorted_samples(void **state)
{
    (void)state;
    double samples[] = {9.0, 1.0, 5.0, 3.0, 7.0};
    perf_stats stats = perf_stats_of(samples, 5);
    assert_true(stats.min == 1.0);
    assert_true(stats.mean == 5.0);
    assert_true(stats.p50 == 5.0);
    assert_true(stats.p99 == 9.0);
}

static void stats__percentiles_by_nearest_rank(void **state)
{
    (void)state;
    double samples[1000];
    for (size_t count = 1; count <= 1000; count++) {
        for (size_t i = 0; i < count; i++)
            samples[i] = (double)(count - i); /* 1..count, backwards */
        perf_stats stats = perf_stats_of(samples, count);
        /* The smallest k with k >= percent * count / 100. */
        assert_true(stats.p50 * 100 >= 50.0 * (double)count && (stats.p50 - 1) * 100 < 50.0 * (double)count);
        assert_true(stats.p99 * 100 >= 99.0 * (double)count && (stats.p99 - 1) * 100 < 99.0 * (double)count);
    }
}

static void bandwidth__is_in_units_of_1e9_bytes(void **state)
{
    (void)state;
    assert_true(perf_bandwidth_gbs(1000000, 1000.0) == 1.0);
    assert_true(perf_bandwidth_gbs(0, 1000.0) == 0.0);
    assert_true(perf_bandwidth_gbs(1000, 0.0) == 0.0);
}

static void bus_factor__as_nccl_tests(void **state)
{
    (void)state;
    assert_true(perf_bus_factor(PERF_ALLREDUCE, 4) == 1.5);
    assert_true(perf_bus_factor(PERF_ALLGATHER, 4) == 0.75);
    assert_true(perf_bus_factor(PERF_REDUCE_SCATTER, 4) == 0.75);
    assert_true(perf_bus_factor(PERF_BROADCAST, 4) == 1.0);
    assert_true(perf_bus_factor(PERF_ALLREDUCE, 1) == 0.0);
}

static void slice__covers_every_element_once(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= 9; ranks++) {
        for (int64_t count = 0; count <= 30; count++) {
            int64_t next = 0;
            for (int rank = 0; rank < ranks; rank++) {
                int64_t offset;
                int64_t length;
                perf_slice(count, ranks, rank, &offset, &length);
                assert_int_equal(offset, next);
                assert_true(length == count / ranks || length == count / ranks + 1);
                next += length;
            }
            assert_int_equal(next, count);
        }
    }
}

static void expect_sweep(const perf_options *options, size_t element, const int64_t *sizes, size_t count)
{
    int64_t bytes = -1;
    for (size_t i = 0; i < count; i++) {
        assert_true(perf_options_next_size(options, element, &bytes));
        assert_int_equal(bytes, sizes[i]);
    }
    assert_false(perf_options_next_size(options, element, &bytes));
}

static void sweep__by_factor_by_step_and_from_zero(void **state)
{
    (void)state;
    expect_sweep(&(perf_options){.min_bytes = 4, .max_bytes = 100, .step_factor = 4}, 4, (int64_t[]){4, 16, 64}, 3);
    expect_sweep(&(perf_options){.min_bytes = 0, .max_bytes = 32, .step_factor = 4}, 8, (int64_t[]){0, 8, 32}, 3);
    expect_sweep(&(perf_options){.min_bytes = 0, .max_bytes = 20, .step_bytes = 10}, 4, (int64_t[]){0, 10, 20}, 3);
    expect_sweep(&(perf_options){.min_bytes = 8, .max_bytes = 8, .step_bytes = 0}, 4, (int64_t[]){8}, 1);
    int64_t huge = INT64_MAX / 2;
    expect_sweep(&(perf_options){.min_bytes = huge, .max_bytes = INT64_MAX, .step_factor = 4}, 4, &huge, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stats__one_sample_is_everything),
        cmocka_unit_test(stats__unsorted_samples),
        cmocka_unit_test(stats__percentiles_by_nearest_rank),
        cmocka_unit_test(bandwidth__is_in_units_of_1e9_bytes),
        cmocka_unit_test(bus_factor__as_nccl_tests),
        cmocka_unit_test(slice__covers_every_element_once),
        cmocka_unit_test(sweep__by_factor_by_step_and_from_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
