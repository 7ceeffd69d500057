/* yardstick.c - a triad, and sums as a plain loop does them. */
#include "yardstick.h"

#include <math.h>
#include <string.h>

#if defined(__clang__)
#define SCALAR _Pragma("clang loop vectorize(disable) interleave(disable)")
#define NO_VECTORS
#else
#define SCALAR
#define NO_VECTORS __attribute__((optimize("no-tree-vectorize")))
#endif

#if defined(__x86_64__)
#define WIDEST __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDEST
#endif

/* clang 14 has no target_clones for C: there the triad is the baseline's, which the memory doesn't mind. */
#if defined(__clang__)
#undef WIDEST
#define WIDEST
#endif

WIDEST void yardstick_triad(float *a, const float *b, const float *c, float s, size_t count)
{
    float *restrict to = a;
    for (size_t i = 0; i < count; i++)
        to[i] = b[i] + s * c[i];
}

NO_VECTORS void yardstick_scalar_float32(void *dst, const void *a, const void *b, size_t count)
{
    float *to = dst;
    const float *left = a, *right = b;
    SCALAR
    for (size_t i = 0; i < count; i++)
        to[i] = left[i] + right[i];
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

/* The usual table-free conversions, by cases. */
static float from_float16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = (half >> 10) & 31, fraction = half & 0x3ff;
    if (exponent == 0)
        return float_of(sign | bits_of((float)fraction * 0x1p-24f));
    if (exponent == 31)
        return float_of(sign | 0x7f800000 | fraction << 13);
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

static uint16_t to_float16(float x)
{
    uint32_t bits = bits_of(x), sign = (bits >> 16) & 0x8000, rest = bits & 0x7fffffff;
    if (rest > 0x7f800000)
        return 0x7e00;
    if (rest >= 0x47800000)
        return (uint16_t)(sign | 0x7c00);
    if (rest < 0x38800000)
        return (uint16_t)(sign | (bits_of(float_of(rest) + 0.5f) - bits_of(0.5f)));
    return (uint16_t)(sign | ((rest + 0xfff + ((rest >> 13) & 1) - 0x38000000) >> 13));
}

NO_VECTORS void yardstick_scalar_float16(void *dst, const void *a, const void *b, size_t count)
{
    uint16_t *to = dst;
    const uint16_t *left = a, *right = b;
    SCALAR
    for (size_t i = 0; i < count; i++)
        to[i] = to_float16(from_float16(left[i]) + from_float16(right[i]));
}

NO_VECTORS void yardstick_scalar_bfloat16(void *dst, const void *a, const void *b, size_t count)
{
    uint16_t *to = dst;
    const uint16_t *left = a, *right = b;
    SCALAR
    for (size_t i = 0; i < count; i++) {
        float sum = float_of((uint32_t)left[i] << 16) + float_of((uint32_t)right[i] << 16);
        uint32_t bits = bits_of(sum);
        to[i] = isnan(sum) ? 0x7fc0 : (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }
}
