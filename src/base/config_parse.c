/* config_parse.c - numbers with units, strictly: no sign, space, fraction, or rest that is silently ignored. */
#include "base/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef struct unit {
    const char *name;
    int64_t factor;
} unit;

/* Ascending. The empty name is what a number without a unit means. */
static const unit size_units[] = {{"", 1},
                                  {"K", INT64_C(1) << 10},
                                  {"M", INT64_C(1) << 20},
                                  {"G", INT64_C(1) << 30},
                                  {"T", INT64_C(1) << 40}};
static const unit time_units[] = {{"ns", 1},
                                  {"us", INT64_C(1000)},
                                  {"ms", INT64_C(1000000)},
                                  {"s", INT64_C(1000000000)},
                                  {"min", INT64_C(60000000000)},
                                  {"h", INT64_C(3600000000000)}};
enum { SIZE_UNITS = sizeof(size_units) / sizeof(*size_units), TIME_UNITS = sizeof(time_units) / sizeof(*time_units) };

/* At least one digit; *rest is what follows. */
static bool parse_digits(const char *text, int64_t *value, const char **rest)
{
    int64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *at - '0', &number))
            return false;
    }
    *value = number;
    *rest = at;
    return at != text;
}

static bool parse_with_unit(const char *text, const unit *units, size_t count, int64_t *value)
{
    int64_t number;
    const char *rest;
    if (!parse_digits(text, &number, &rest))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(rest, units[i].name) == 0) {
            if (__builtin_mul_overflow(number, units[i].factor, &number))
                return false;
            *value = number;
            return true;
        }
    }
    return false;
}

bool kolo_parse_size(const char *text, int64_t *bytes)
{
    return parse_with_unit(text, size_units, SIZE_UNITS, bytes);
}

bool kolo_parse_time(const char *text, int64_t *ns)
{
    if (strcmp(text, "0") == 0) { /* the only time that needs no unit */
        *ns = 0;
        return true;
    }
    return parse_with_unit(text, time_units, TIME_UNITS, ns);
}

bool kolo_parse_int(const char *text, int64_t min, int64_t max, int64_t *value)
{
    bool negative = *text == '-';
    int64_t number;
    const char *rest;
    if (!parse_digits(text + negative, &number, &rest) || *rest != '\0')
        return false;
    number = negative ? -number : number;
    if (number < min || number > max)
        return false;
    *value = number;
    return true;
}

bool kolo_parse_bool(const char *text, bool *value)
{
    static const char *const words[2][4] = {{"0", "false", "no", "off"}, {"1", "true", "yes", "on"}};
    for (size_t i = 0; i < 8; i++) {
        if (strcmp(text, words[i % 2][i / 2]) == 0) {
            *value = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static char *format_with_unit(int64_t value, const unit *units, size_t count, char *text, size_t capacity)
{
    size_t i = count - 1;
    while (i > 0 && value % units[i].factor != 0)
        i--;
    snprintf(text, capacity, "%" PRId64 "%s", value / units[i].factor, units[i].name);
    return text;
}

char *kolo_format_size(int64_t bytes, char *text, size_t capacity)
{
    return format_with_unit(bytes, size_units, bytes == 0 ? 1 : SIZE_UNITS, text, capacity);
}

char *kolo_format_time(int64_t ns, char *text, size_t capacity)
{
    if (ns != 0)
        return format_with_unit(ns, time_units, TIME_UNITS, text, capacity);
    snprintf(text, capacity, "0");
    return text;
}
