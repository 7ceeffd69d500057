/* reference.c - slow, plain arithmetic, without a line in common with the kernels. */
#include "reference.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* ---- 16-bit floats -------------------------------------------------------------------------- */

static int mantissa_bits(kolo_dtype_id type)
{
    return type == KOLO_DTYPE_FLOAT16 ? 10 : 7;
}

static int exponent_bits(kolo_dtype_id type)
{
    return 15 - mantissa_bits(type);
}

/* The bits of infinity; those of finite numbers are below, in the numbers' own order. */
static uint16_t infinity_bits(kolo_dtype_id type)
{
    return (uint16_t)(((1 << exponent_bits(type)) - 1) << mantissa_bits(type));
}

static uint16_t nan_bits(kolo_dtype_id type)
{
    return (uint16_t)(infinity_bits(type) | 1 << (mantissa_bits(type) - 1));
}

/* Bits without a sign, as if there were no infinity: that one stands for the next power of two. */
static double compute_magnitude(kolo_dtype_id type, int bits)
{
    int fraction = bits & ((1 << mantissa_bits(type)) - 1);
    int exponent = bits >> mantissa_bits(type);
    int bias = (1 << (exponent_bits(type) - 1)) - 1;
    if (exponent == 0)
        return ldexp(fraction, 1 - bias - mantissa_bits(type));
    return ldexp(fraction + (1 << mantissa_bits(type)), exponent - bias - mantissa_bits(type));
}

static double magnitude(kolo_dtype_id type, int bits)
{
    static double tables[2][32768]; /* computed once: the exhaustive tests ask millions of times */
    double *table = tables[type == KOLO_DTYPE_FLOAT16];
    if (table[1] <= 0.0) {
        for (int i = 0; i < 32768; i++)
            table[i] = compute_magnitude(type, i);
    }
    return table[bits];
}

double reference_widen(kolo_dtype_id type, uint16_t bits)
{
    double sign = bits & 0x8000 ? -1.0 : 1.0;
    int rest = bits & 0x7fff;
    if (rest > infinity_bits(type))
        return (double)NAN;
    return sign * (rest == infinity_bits(type) ? (double)INFINITY : magnitude(type, rest));
}

uint16_t reference_narrow(kolo_dtype_id type, float x)
{
    if (isnan(x))
        return nan_bits(type);
    double target = fabs((double)x);
    int below = 0, above = infinity_bits(type); /* magnitude(below) <= target */
    while (above - below > 1) {
        int middle = (below + above) / 2;
        if (magnitude(type, middle) <= target)
            below = middle;
        else
            above = middle;
    }
    double to_below = target - magnitude(type, below), to_above = magnitude(type, above) - target;
    bool up = to_above < to_below || (!(to_below < to_above) && below % 2 == 1); /* a tie: the even one */
    return (uint16_t)((up ? above : below) | (signbit(x) ? 0x8000 : 0));
}

/* ---- numbers of every type ------------------------------------------------------------------ */

/* Floats compute as number; float32 and smaller in float precision. Integers wrap as uint64. */
typedef struct value {
    double number;
    int64_t integer;
} value;

static value load(kolo_dtype_id type, const void *data, size_t index)
{
    const uint8_t *at = (const uint8_t *)data + index * kolo_dtype_size(type);
    value x = {0, 0};
    switch (type) {
#define LOAD(NAME, ctype, field, expression)                                                                           \
    case KOLO_DTYPE_##NAME: {                                                                                          \
        ctype raw;                                                                                                     \
        memcpy(&raw, at, sizeof(raw));                                                                                 \
        x.field = expression;                                                                                          \
        return x;                                                                                                      \
    }
        LOAD(FLOAT32, float, number, (double)raw)
        LOAD(FLOAT64, double, number, raw)
        LOAD(FLOAT16, uint16_t, number, reference_widen(type, raw))
        LOAD(BFLOAT16, uint16_t, number, reference_widen(type, raw))
        LOAD(INT8, int8_t, integer, raw)
        LOAD(INT16, int16_t, integer, raw)
        LOAD(INT32, int32_t, integer, raw)
        LOAD(INT64, int64_t, integer, raw)
        LOAD(UINT8, uint8_t, integer, raw)
#undef LOAD
    case KOLO_DTYPE_COUNT:
        break;
    }
    fail_msg("type %d", (int)type);
    return x;
}

static void store(kolo_dtype_id type, void *data, size_t index, value x)
{
    const uint32_t nan32 = UINT32_C(0x7fc00000);
    const uint64_t nan64 = UINT64_C(0x7ff8000000000000);
    size_t size = kolo_dtype_size(type);
    uint8_t *at = (uint8_t *)data + index * size;
    float single = (float)x.number;
    if (type == KOLO_DTYPE_FLOAT32) {
        memcpy(at, isnan(single) ? (const void *)&nan32 : (const void *)&single, size);
    } else if (type == KOLO_DTYPE_FLOAT64) {
        memcpy(at, isnan(x.number) ? (const void *)&nan64 : (const void *)&x.number, size);
    } else if (kolo_dtype_is_float(type)) {
        uint16_t bits = reference_narrow(type, single);
        memcpy(at, &bits, size);
    } else {
        for (size_t i = 0; i < size; i++) /* the low bytes: it wraps */
            at[i] = (uint8_t)((uint64_t)x.integer >> (8 * i));
    }
}

static bool is_less(kolo_dtype_id type, value a, value b)
{
    if (!kolo_dtype_is_float(type))
        return a.integer < b.integer;
    return a.number < b.number || (a.number <= b.number && signbit(a.number) && !signbit(b.number));
}

/* Integers narrower than 64 bits stay within their range between steps, as the kernels' lanes do. */
static value wrap(kolo_dtype_id type, value x)
{
    uint8_t bytes[8];
    store(type, bytes, 0, x);
    return load(type, bytes, 0);
}

static value combine(kolo_dtype_id type, kolo_reduce_op op, value a, value b)
{
    value x = {0, 0};
    bool is_float = kolo_dtype_is_float(type);
    if (op == KOLO_MIN || op == KOLO_MAX) {
        if (is_float && (isnan(a.number) || isnan(b.number))) {
            x.number = (double)NAN;
            return x;
        }
        return is_less(type, a, b) == (op == KOLO_MIN) ? a : b;
    }
    if (!is_float) {
        uint64_t left = (uint64_t)a.integer, right = (uint64_t)b.integer;
        x.integer = (int64_t)(op == KOLO_PRODUCT ? left * right : left + right);
        return wrap(type, x);
    }
    if (type == KOLO_DTYPE_FLOAT64)
        x.number = op == KOLO_PRODUCT ? a.number * b.number : a.number + b.number;
    else
        x.number = (double)(op == KOLO_PRODUCT ? (float)a.number * (float)b.number : (float)a.number + (float)b.number);
    return x;
}

/* In the accumulator's precision, which for 16-bit floats is float32's. */
static value finish(const kolo_reduction *reduction, value x)
{
    int32_t divisor = reduction->op == KOLO_AVERAGE ? reduction->size : 1;
    if (!kolo_dtype_is_float(reduction->type)) {
        x.integer /= divisor;
    } else if (reduction->type == KOLO_DTYPE_FLOAT64) {
        x.number = x.number / divisor * reduction->postscale;
    } else {
        float quotient = (float)x.number / (float)divisor;
        x.number = (double)(quotient * (float)reduction->postscale);
    }
    return x;
}

void reference_fold(const kolo_reduction *reduction, void *dst, const void *const *inputs, size_t n_inputs,
                    size_t count)
{
    kolo_dtype_id type = reduction->type;
    for (size_t i = 0; i < count; i++) {
        value x = load(type, inputs[0], i);
        for (size_t k = 1; k < n_inputs; k++)
            x = combine(type, reduction->op, x, load(type, inputs[k], i));
        store(type, dst, i, reduction->final ? finish(reduction, x) : x);
    }
}

void fold_to(kolo_dtype_id type, kolo_reduce_op op, void *dst, const void *const *inputs, size_t n_inputs, size_t count)
{
    const kolo_reduction reduction = {.type = type, .op = op};
    kolo_reduce_fold(&reduction, &dst, 1, inputs, n_inputs, count);
}

void for_all(void (*fn)(kolo_dtype_id type, kolo_reduce_op op))
{
    for (size_t isa = 0; isa < kolo_reduce_isa_count(); isa++) {
        assert_true(kolo_reduce_force(kolo_reduce_isa_name(isa)));
        for (int type = 0; type < KOLO_DTYPE_COUNT; type++) {
            for (int op = KOLO_SUM; op <= KOLO_PRODUCT; op++)
                fn((kolo_dtype_id)type, (kolo_reduce_op)op);
        }
    }
    assert_true(kolo_reduce_force(NULL));
}

/* ---- inputs and outputs --------------------------------------------------------------------- */

static void awkward_float(kolo_rng *rng, kolo_dtype_id type, uint8_t *at)
{
    static const double numbers[] = {0.0, -0.0, 1.0, -1.0, 0.5, 3.0, 65504.0, 65520.0, -65536.0, 6.1e-5, 5.96e-8, 1e-40,
                                     3.4e38, -3.4e38, 1e300, 1e-310, 2048.0, 2049.0, 256.0, 257.0};
    size_t pick = kolo_rng_below(rng, sizeof(numbers) / sizeof(*numbers) + 3);
    value x = {0, 0};
    if (pick == 0)
        x.number = (double)NAN;
    else if (pick <= 2)
        x.number = pick == 1 ? (double)INFINITY : -(double)INFINITY;
    else
        x.number = numbers[pick - 3];
    store(type, at, 0, x);
}

void fill_awkward(kolo_dtype_id type, kolo_rng *rng, void *data, size_t count)
{
    size_t size = kolo_dtype_size(type);
    for (size_t i = 0; i < count; i++) {
        uint8_t *at = (uint8_t *)data + i * size;
        uint64_t bits = kolo_rng_next(rng);
        value x = {0, 0};
        switch (kolo_rng_below(rng, 4)) {
        case 0: /* any bits: NaNs of all kinds, denormals, ends of the integers */
            memcpy(at, &bits, size);
            break;
        case 1:
            if (kolo_dtype_is_float(type)) {
                awkward_float(rng, type, at);
            } else {
                static const uint64_t ends[] = {0, 1, UINT64_MAX, INT64_MAX, (uint64_t)INT64_MIN};
                uint64_t end = ends[kolo_rng_below(rng, 5)] >> (64 - 8 * size);
                memcpy(at, &end, size);
            }
            break;
        default: /* ordinary */
            x.number = (kolo_rng_unit(rng) - 0.5) * 8.0;
            x.integer = (int64_t)kolo_rng_below(rng, 21) - 10;
            store(type, at, 0, x);
        }
    }
}

void assert_elements_equal(kolo_dtype_id type, const void *actual, const void *expected, size_t count)
{
    size_t size = kolo_dtype_size(type);
    if (memcmp(actual, expected, count * size) == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        uint64_t got = 0, wanted = 0;
        memcpy(&got, (const uint8_t *)actual + i * size, size);
        memcpy(&wanted, (const uint8_t *)expected + i * size, size);
        if (got != wanted)
            fail_msg("%s, %s: element %zu of %zu is %#llx, expected %#llx", kolo_reduce_isa(), kolo_dtype_name(type), i,
                     count, (unsigned long long)got, (unsigned long long)wanted);
    }
}
