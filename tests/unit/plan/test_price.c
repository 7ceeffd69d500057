/* test_price.c - the numbers: by size, as text, within ranges, in the middle. */
#include "plan/price.h"

#include "base/error.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const kolo_price_model initial = KOLO_PRICE_MODEL_DEFAULT;

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9 * fabs(expected)))
        fail_msg("%.17g instead of %.17g", value, expected);
}

static void rounds__is_log2_rounded_up(void **state)
{
    (void)state;
    const int32_t sizes[] = {1, 2, 3, 4, 5, 8, 9, 64, 65, INT32_MAX}, rounds[] = {0, 1, 2, 2, 3, 3, 4, 6, 7, 31};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_int_equal(kolo_price_rounds(sizes[i]), rounds[i]);
}

static void message__between_and_beyond_the_table(void **state)
{
    (void)state;
    kolo_price_model model = initial;
    const double table[KOLO_PRICE_MESSAGES] = {1000, 2000, 4000, 20000, 60000};
    memcpy(model.message_ns, table, sizeof(table));
    assert_near(kolo_price_message(&model, 0), 1000);
    for (size_t i = 0; i < KOLO_PRICE_MESSAGES; i++)
        assert_near(kolo_price_message(&model, (double)kolo_price_message_bytes[i]), table[i]);
    assert_near(kolo_price_message(&model, 40960), 12000);         /* half way from 16 to 64 KiB */
    assert_near(kolo_price_message(&model, 4 * 262144.0), 220000); /* 40,000 for each 192 KiB */
    assert_near(kolo_price_message(&model, 4 + 2048), 1000 * (1 + 2044 / 4088.0));
}

static void spill__nothing_until_the_caches_are_full(void **state)
{
    (void)state;
    const kolo_price_model model = {.memory_ns = 2, .cache_bytes = 1000};
    assert_near(kolo_price_spill(&model, 500, 0), 0);
    assert_near(kolo_price_spill(&model, 5000, 1000), 0);
    assert_near(kolo_price_spill(&model, 4000, 2000), 4000); /* half of it is there */
    assert_near(kolo_price_spill(&model, 1e12, 1e15), 2e12 * (1 - 1e-12));
}

/* ---- text ---------------------------------------------------------------------------------------------- */

static void text__there_and_back(void **state)
{
    (void)state;
    char text[KOLO_PRICE_TEXT], again[KOLO_PRICE_TEXT];
    kolo_price_model model = initial, read = {.flight_ns = 0};
    model.flight_ns = 123.4;       /* text holds whole nanoseconds, */
    model.copy_ns = 0.02345678901; /* of those by the byte for 1 MiB */
    kolo_price_format(&model, text);
    assert_non_null(strstr(text, "flight=123ns,"));
    assert_non_null(strstr(text, ",copy=24596ns,"));
    assert_non_null(strstr(text, ",cache=8M"));
    assert_int_equal(kolo_price_parse(text, &read), KOLO_OK);
    assert_string_equal(kolo_price_format(&read, again), text);
    assert_near(read.copy_ns, 24596 / 1048576.0);
    kolo_price_model third = {.flight_ns = 0};
    assert_int_equal(kolo_price_parse(again, &third), KOLO_OK);
    assert_memory_equal(&third, &read, sizeof(read)); /* the same bits for whoever reads it */
}

static void text__largest_fits(void **state)
{
    (void)state;
    kolo_price_model model;
    double *numbers = (double *)(void *)&model;
    for (size_t i = 0; i < sizeof(model) / sizeof(double); i++)
        numbers[i] = 1e300;
    kolo_price_clamp(&model);
    for (size_t i = 0; i < sizeof(model) / sizeof(double); i++)
        numbers[i] -= numbers[i] / 1e6; /* no round number: the longest text */
    char text[KOLO_PRICE_TEXT];
    kolo_price_format(&model, text);
    assert_true(strlen(text) < KOLO_PRICE_TEXT - 1);
    assert_int_equal(kolo_price_parse(text, &model), KOLO_OK);
}

static void text__names_some(void **state)
{
    (void)state;
    kolo_price_model model = initial;
    assert_int_equal(kolo_price_parse("", &model), KOLO_OK);
    assert_memory_equal(&model, &initial, sizeof(model));
    assert_int_equal(kolo_price_parse("copy=1us,flight=2us,cache=64K", &model), KOLO_OK);
    assert_near(model.copy_ns, 1000 / 1048576.0);
    assert_near(model.flight_ns, 2000);
    assert_near(model.cache_bytes, 65536);
    assert_near(model.step_ns, initial.step_ns);
}

static void text__nonsense_is_named(void **state)
{
    (void)state;
    const char *const wrong[] = {"speed=1us",
                                 "flight",
                                 "flight=",
                                 "flight=fast",
                                 "flight=-1us",
                                 "flight=200",
                                 "flight=1h",
                                 "copy=1ns",
                                 "cache=1",
                                 "cache=2us",
                                 "=1us",
                                 "flight=1us,,",
                                 ",flight=1us",
                                 "flight=1us x",
                                 "flights=1us",
                                 "fligh=1us",
                                 "auto",
                                 "flight==1us",
                                 "flight=1us;",
                                 "flight=99999999999999999999ns",
                                 "flight=000000000000000000000000000000000001us"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        kolo_price_model model = initial;
        if (kolo_price_parse(wrong[i], &model) != KOLO_ERR_CONFIG)
            fail_msg("'%s' is taken", wrong[i]);
        assert_non_null(strstr(kolo_error_current()->message, "KOLO_PRICES: '"));
        assert_memory_equal(&model, &initial, sizeof(model));
    }
}

/* ---- ranges and medians -------------------------------------------------------------------------------- */

static void clamp__brings_anything_into_range(void **state)
{
    (void)state;
    const double values[] = {0, -1, 1e-300, 1e300, (double)INFINITY, -(double)INFINITY, (double)NAN};
    for (size_t v = 0; v < sizeof(values) / sizeof(*values); v++) {
        kolo_price_model model, read = initial;
        double *numbers = (double *)(void *)&model;
        for (size_t i = 0; i < sizeof(model) / sizeof(double); i++)
            numbers[i] = values[v];
        kolo_price_clamp(&model);
        char text[KOLO_PRICE_TEXT];
        assert_int_equal(kolo_price_parse(kolo_price_format(&model, text), &read), KOLO_OK);
    }
    kolo_price_model same = initial;
    kolo_price_clamp(&same);
    for (size_t i = 0; i < sizeof(same) / sizeof(double); i++)
        assert_near(((const double *)(const void *)&same)[i], ((const double *)(const void *)&initial)[i]);
}

static void clamp__longer_messages_never_cost_less(void **state)
{
    (void)state;
    kolo_price_model model = initial;
    const double table[KOLO_PRICE_MESSAGES] = {3000, 2000, 9000, 8000, 8500};
    const double expected[KOLO_PRICE_MESSAGES] = {3000, 3000, 9000, 9000, 9000};
    memcpy(model.message_ns, table, sizeof(table));
    kolo_price_clamp(&model);
    for (size_t i = 0; i < KOLO_PRICE_MESSAGES; i++)
        assert_near(model.message_ns[i], expected[i]);
}

static void median__number_by_number(void **state)
{
    (void)state;
    kolo_price_model models[4] = {initial, initial, initial, initial}, median;
    const double flights[] = {400, 100, 300, 200}, steps[] = {10, 40, 20, 30};
    for (size_t i = 0; i < 4; i++) {
        models[i].flight_ns = flights[i];
        models[i].step_ns = steps[i];
    }
    kolo_price_median(models, 4, &median);
    assert_near(median.flight_ns, 200);
    assert_near(median.step_ns, 20);
    assert_near(median.copy_ns, initial.copy_ns);
    kolo_price_median(models, 3, &median);
    assert_near(median.flight_ns, 300);
    assert_near(median.step_ns, 20);
    kolo_price_median(models, 1, &median);
    assert_near(median.flight_ns, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds__is_log2_rounded_up),
        cmocka_unit_test(message__between_and_beyond_the_table),
        cmocka_unit_test(spill__nothing_until_the_caches_are_full),
        cmocka_unit_test(text__there_and_back),
        cmocka_unit_test(text__largest_fits),
        cmocka_unit_test(text__names_some),
        cmocka_unit_test(text__nonsense_is_named),
        cmocka_unit_test(clamp__brings_anything_into_range),
        cmocka_unit_test(clamp__longer_messages_never_cost_less),
        cmocka_unit_test(median__number_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
