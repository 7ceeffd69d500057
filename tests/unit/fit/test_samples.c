/* test_samples.c - middles of few numbers, and prices from them. */
#include "fit/samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static void assert_median(const double *values, size_t count, double expected)
{
    kolo_samples samples = {.count = 0};
    for (size_t i = 0; i < count; i++)
        kolo_samples_add(&samples, values[i]);
    double median = kolo_samples_median(&samples, -1);
    if (median < expected || median > expected)
        fail_msg("%g instead of %g", median, expected);
}

static void median__the_middle_one(void **state)
{
    (void)state;
    assert_median((double[]){7}, 1, 7);
    assert_median((double[]){3, 1}, 2, 1);
    assert_median((double[]){3, 1, 2}, 3, 2);
    assert_median((double[]){5, 4, 3, 2}, 4, 3);
    assert_median((double[]){2, 2, 9, 2, 9}, 5, 2);
    assert_median((double[]){1e9, 10, 11, 12, 4e6}, 5, 12); /* two pauses do not matter */
}

static void median__of_nothing(void **state)
{
    (void)state;
    assert_median(NULL, 0, -1);
}

static void samples__no_more_than_there_is_room(void **state)
{
    (void)state;
    kolo_samples samples = {.count = 0};
    for (int i = 0; i < KOLO_SAMPLES_MAX; i++)
        kolo_samples_add(&samples, KOLO_SAMPLES_MAX - i);
    for (int i = 0; i < 1000; i++)
        kolo_samples_add(&samples, -1000);
    assert_int_equal(samples.count, KOLO_SAMPLES_MAX);
    for (size_t i = 0; i < samples.count; i++)
        assert_int_equal((int)samples.values[i], (int)i + 1);
}

static void price__per_byte_and_crowd(void **state)
{
    (void)state;
    kolo_samples samples = {.count = 0};
    double price_ns = 42;
    kolo_samples_price(&samples, 1024, 2, &price_ns);
    assert_int_equal((int)price_ns, 42); /* nothing measured, nothing changed */
    kolo_samples_add(&samples, 2048);
    kolo_samples_add(&samples, 512);
    kolo_samples_add(&samples, 4096);
    kolo_samples_price(&samples, 1024, 3, &price_ns);
    assert_int_equal((int)price_ns, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(median__the_middle_one),
        cmocka_unit_test(median__of_nothing),
        cmocka_unit_test(samples__no_more_than_there_is_room),
        cmocka_unit_test(price__per_byte_and_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
