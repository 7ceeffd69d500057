/* test_config_parse.c - numbers with units: what is taken, what is not, and back to text. */
#include "cmocka_all.h"

#include <string.h>

#include "base/config.h"

typedef struct sample {
    const char *text;
    int64_t value;
} sample;

static void size__accepted(void **state)
{
    (void)state;
    static const sample samples[] = {{"0", 0},
                                     {"512", 512},
                                     {"64K", 65536},
                                     {"64k", 65536},
                                     {"4M", 4194304},
                                     {"1G", 1073741824},
                                     {"2T", INT64_C(2199023255552)},
                                     {"007", 7},
                                     {"9223372036854775807", INT64_MAX},
                                     {"8388607T", INT64_C(8388607) << 40}};
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        int64_t value = -7;
        assert_true(kolo_parse_size(samples[i].text, &value));
        assert_true(value == samples[i].value);
    }
}

static void size__refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",    "K",   "-1",  "+1",  " 1",  "1 ",  "1 K", "1.5M",
                                        "1KB", "1KK", "0x10", "1e3", "12Q", "9223372036854775808", "8388608T"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        int64_t value = -7;
        assert_false(kolo_parse_size(texts[i], &value));
        assert_true(value == -7);
    }
}

static void time__accepted(void **state)
{
    (void)state;
    static const sample samples[] = {{"0", 0},
                                     {"0s", 0},
                                     {"10ns", 10},
                                     {"500us", 500000},
                                     {"2ms", 2000000},
                                     {"30s", INT64_C(30000000000)},
                                     {"5min", INT64_C(300000000000)},
                                     {"1h", INT64_C(3600000000000)},
                                     {"9223372036854775807ns", INT64_MAX}};
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        int64_t value = -7;
        assert_true(kolo_parse_time(samples[i].text, &value));
        assert_true(value == samples[i].value);
    }
}

static void time__refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "s", "5", "00", "-1s", "1.5s", "1 s", "1m", "1sec", "auto", "9223372037s"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        int64_t value = -7;
        assert_false(kolo_parse_time(texts[i], &value));
        assert_true(value == -7);
    }
}

static void int__within_bounds(void **state)
{
    (void)state;
    int64_t value = 0;
    assert_true(kolo_parse_int("42", 0, 100, &value));
    assert_int_equal(value, 42);
    assert_true(kolo_parse_int("-1", -1, 100, &value));
    assert_int_equal(value, -1);
    assert_true(kolo_parse_int("9223372036854775807", INT64_MIN, INT64_MAX, &value));
    assert_true(value == INT64_MAX);
}

static void int__refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "-", "--1", "+1", " 1", "1 ", "1x", "0x1", "1.0", "101", "-2",
                                        "9223372036854775808", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        int64_t value = -7;
        assert_false(kolo_parse_int(texts[i], -1, 100, &value));
        assert_true(value == -7);
    }
}

static void bool__words(void **state)
{
    (void)state;
    static const char *const words[][2] = {{"0", "1"}, {"false", "true"}, {"no", "yes"}, {"off", "on"}};
    for (size_t i = 0; i < 4; i++) {
        bool value = true;
        assert_true(kolo_parse_bool(words[i][0], &value));
        assert_false(value);
        assert_true(kolo_parse_bool(words[i][1], &value));
        assert_true(value);
    }
    bool untouched = true;
    assert_false(kolo_parse_bool("", &untouched));
    assert_false(kolo_parse_bool("2", &untouched));
    assert_false(kolo_parse_bool("True", &untouched));
    assert_true(untouched);
}

static void format__shortest_exact_text(void **state)
{
    (void)state;
    char text[24];
    assert_string_equal(kolo_format_size(0, text, sizeof(text)), "0");
    assert_string_equal(kolo_format_size(1000, text, sizeof(text)), "1000");
    assert_string_equal(kolo_format_size(65536, text, sizeof(text)), "64K");
    assert_string_equal(kolo_format_size(INT64_C(3) << 40, text, sizeof(text)), "3T");
    assert_string_equal(kolo_format_time(0, text, sizeof(text)), "0");
    assert_string_equal(kolo_format_time(1500, text, sizeof(text)), "1500ns");
    assert_string_equal(kolo_format_time(KOLO_CONFIG_TIME_MAX, text, sizeof(text)), "8760h");
    assert_string_equal(kolo_format_time(INT64_C(90000000000), text, sizeof(text)), "90s");
    assert_string_equal(kolo_format_time(INT64_MAX, text, sizeof(text)), "9223372036854775807ns");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size__accepted), cmocka_unit_test(size__refused),
        cmocka_unit_test(time__accepted), cmocka_unit_test(time__refused),
        cmocka_unit_test(int__within_bounds), cmocka_unit_test(int__refused),
        cmocka_unit_test(bool__words), cmocka_unit_test(format__shortest_exact_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
