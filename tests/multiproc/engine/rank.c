/* rank.c - what the rank programs of these tests share. */
#include "rank.h"

#include "support/unwatched.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int32_t rank_number = -1, rank_count = -1;

/* ---- checks -------------------------------------------------------------------------------------- */

void rank_fail(const char *file, int line, const char *format, ...)
{
    char text[2048];
    const kolo_error *error = kolo_last_error();
    int used = snprintf(text, sizeof(text), "FAILED rank %d %s:%d: ", (int)rank_number, file, line);
    va_list args;
    va_start(args, format);
    used += vsnprintf(text + used, sizeof(text) - (size_t)used, format, args);
    va_end(args);
    if (used < (int)sizeof(text) && error->status != KOLO_OK)
        snprintf(text + used, sizeof(text) - (size_t)used, " [%s: %s]", kolo_status_name(error->status),
                 error->message);
    fprintf(stderr, "%s\n", text);
    fflush(NULL);
    _Exit(1); /* other threads may still use what exit() would take down */
}

void rank_expect(const char *file, int line, const char *call, kolo_status got, kolo_status wanted)
{
    if (got != wanted)
        rank_fail(file, line, "%s answered %s, not %s", call, kolo_status_name(got), kolo_status_name(wanted));
}

kolo_context *rank_join(void)
{
    kolo_context *ctx = NULL;
    OK(kolo_init(NULL, &ctx));
    rank_number = kolo_rank(ctx);
    rank_count = kolo_size(ctx);
    CHECK(rank_count >= 1 && rank_number >= 0 && rank_number < rank_count, "a rank of itself");
    return ctx;
}

void rank_leave(kolo_context *ctx)
{
    OK(kolo_finalize(ctx));
}

int64_t rank_number_of(const char *text)
{
    char *end = NULL;
    errno = 0;
    long long value = text != NULL ? strtoll(text, &end, 10) : 0;
    if (text == NULL || end == text || *end != '\0' || errno != 0)
        FAIL("'%s' is no whole number", text != NULL ? text : "(nothing)");
    return value;
}

int64_t rank_environment(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? rank_number_of(text) : otherwise;
}

void *rank_memory(size_t bytes)
{
    void *memory = calloc(bytes > 0 ? bytes : 1, 1);
    CHECK(memory != NULL, "no memory for %zu bytes", bytes);
    return memory;
}

/* ---- random numbers -------------------------------------------------------------------------------- */

/* The finaliser of SplitMix64 (Steele, Lea, Flood). */
UNWATCHED uint64_t random_of(uint64_t seed, uint64_t index)
{
    uint64_t z = seed * UINT64_C(0xD1342543DE82EF95) + (index + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint64_t random_next(random_source *source)
{
    return random_of(source->seed, source->drawn++);
}

uint64_t random_below(random_source *source, uint64_t limit)
{
    return random_next(source) % limit;
}

void random_shuffle(random_source *source, int32_t *items, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        items[i] = i;
    for (int32_t i = count - 1; i > 0; i--) {
        int32_t j = (int32_t)random_below(source, (uint64_t)i + 1);
        int32_t kept = items[i];
        items[i] = items[j];
        items[j] = kept;
    }
}

void random_pause(random_source *source)
{
    uint64_t turns = random_below(source, 4) == 0 ? random_below(source, 50000) : 0;
    for (volatile uint64_t i = 0; i < turns; i++)
        continue;
}

/* ---- elements ---------------------------------------------------------------------------------------- */

#define ELEMENT_ROW(symbol, printed, code, bits, storage)                                                              \
    {.name = #printed, .dtype = {code, bits, 1}, .bytes = sizeof(storage),                                             \
     .is_float = (code) == KOLO_CODE_FLOAT || (code) == KOLO_CODE_BFLOAT,                                              \
     .epsilon = (code) == KOLO_CODE_BFLOAT ? 0x1p-8 : (bits) == 16 ? 0x1p-11 : (bits) == 32 ? 0x1p-24 : 0x1p-53},
const element_type element_types[ELEMENT_TYPES] = {KOLO_DTYPE_LIST(ELEMENT_ROW)};

UNWATCHED static double half_to_double(uint16_t half)
{
    int exponent = half >> 10 & 31, mantissa = half & 1023;
    double value = exponent == 31  ? (mantissa != 0 ? (double)NAN : (double)INFINITY)
                   : exponent == 0 ? ldexp(mantissa, -24)
                                   : ldexp(mantissa + 1024, exponent - 25);
    return (half & 0x8000) != 0 ? -value : value;
}

UNWATCHED static uint16_t half_of_double(double value)
{
    int exponent = 0;
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    if (isnan(value))
        return 0x7E00;
    if (fpclassify(value) == FP_ZERO)
        return sign;
    int mantissa = (int)(frexp(fabs(value), &exponent) * 2048);
    return (uint16_t)(sign | (exponent + 14) << 10 | (mantissa & 1023));
}

UNWATCHED double element_float(const element_type *type, const void *data, int64_t index)
{
    const char *at = (const char *)data + (size_t)index * type->bytes;
    uint16_t half;
    uint32_t word;
    float single;
    double value;
    if (type->bytes == 8) {
        memcpy(&value, at, sizeof(value));
        return value;
    }
    if (type->bytes == 4) {
        memcpy(&single, at, sizeof(single));
        return (double)single;
    }
    memcpy(&half, at, sizeof(half));
    if (type->dtype.code != KOLO_CODE_BFLOAT)
        return half_to_double(half);
    word = (uint32_t)half << 16;
    memcpy(&single, &word, sizeof(single));
    return (double)single;
}

UNWATCHED void element_set_float(const element_type *type, void *data, int64_t index, double value)
{
    char *at = (char *)data + (size_t)index * type->bytes;
    float single = (float)value;
    uint32_t word;
    memcpy(&word, &single, sizeof(word));
    uint16_t half = type->dtype.code == KOLO_CODE_BFLOAT ? (uint16_t)(word >> 16) : 0;
    if (type->bytes == 8)
        memcpy(at, &value, sizeof(value));
    else if (type->bytes == 4)
        memcpy(at, &single, sizeof(single));
    else {
        half = type->dtype.code == KOLO_CODE_BFLOAT ? half : half_of_double(value);
        memcpy(at, &half, sizeof(half));
    }
}

UNWATCHED int64_t element_wrap(const element_type *type, int64_t value)
{
    unsigned unused = (unsigned)(64 - type->bytes * 8);
    uint64_t low = (uint64_t)value << unused;
    return type->dtype.code == KOLO_CODE_UINT ? (int64_t)(low >> unused) : (int64_t)low >> unused;
}

UNWATCHED int64_t element_integer(const element_type *type, const void *data, int64_t index)
{
    int64_t value = 0;
    memcpy(&value, (const char *)data + (size_t)index * type->bytes, type->bytes); /* the low bytes come first */
    return element_wrap(type, value);
}

UNWATCHED void element_set_integer(const element_type *type, void *data, int64_t index, int64_t value)
{
    memcpy((char *)data + (size_t)index * type->bytes, &value, type->bytes);
}

uint32_t crc_of(const void *data, size_t bytes)
{
    static uint32_t table[256]; /* one thread asks */
    const uint8_t *at = data;
    uint32_t crc = UINT32_MAX;
    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        uint32_t entry = i;
        for (int bit = 0; bit < 8; bit++)
            entry = entry >> 1 ^ ((entry & 1) != 0 ? UINT32_C(0xEDB88320) : 0);
        table[i] = entry;
    }
    for (size_t i = 0; i < bytes; i++)
        crc = crc >> 8 ^ table[(crc ^ at[i]) & 255];
    return ~crc;
}
