/* native_none.h - what kernels.inc wants of an instruction set, written without one: comparisons and bits. */
#ifndef KOLO_REDUCE_NATIVE_NONE_H
#define KOLO_REDUCE_NATIVE_NONE_H

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "reduce/vector.h"

/* Every NaN becomes the same one: hardware differs in which operand's payload and sign a result takes. */
static INLINE vf32 canonical_f32(vf32 x)
{
    return (vf32)select_u32(x != x, (vu32){0} + NAN_BITS32, (vu32)x);
}

static INLINE vf64 canonical_f64(vf64 x)
{
    return (vf64)select_u64(x != x, (vu64){0} + NAN_BITS64, (vu64)x);
}

/* Where neither is less: equal numbers (the same bits, or zeros, whose signs are or'ed so that -0 wins), or a NaN
 * (all bits set is one). max is min's mirror. */
static INLINE vf32 min_f32(vf32 a, vf32 b)
{
    vi32 less = a < b, greater = a > b;
    vi32 nan = (a != a) | (b != b);
    return (vf32)(((vu32)a & ~(vu32)greater) | ((vu32)b & ~(vu32)less) | (vu32)nan);
}

static INLINE vf32 max_f32(vf32 a, vf32 b)
{
    const vu32 sign = (vu32){0} + UINT32_C(0x80000000);
    return (vf32)((vu32)min_f32((vf32)((vu32)a ^ sign), (vf32)((vu32)b ^ sign)) ^ sign);
}

static INLINE vf64 min_f64(vf64 a, vf64 b)
{
    vi64 less = a < b, greater = a > b;
    vi64 nan = (a != a) | (b != b);
    return (vf64)(((vu64)a & ~(vu64)greater) | ((vu64)b & ~(vu64)less) | (vu64)nan);
}

static INLINE vf64 max_f64(vf64 a, vf64 b)
{
    const vu64 sign = (vu64){0} + UINT64_C(0x8000000000000000);
    return (vf64)((vu64)min_f64((vf64)((vu64)a ^ sign), (vf64)((vu64)b ^ sign)) ^ sign);
}

/* b where the mask is zero. */
#define DEFINE_INTEGER_MIN_MAX(name, vector, mask)                                                                     \
    static INLINE vector min_##name(vector a, vector b)                                                                \
    {                                                                                                                  \
        mask less = (mask)(a < b);                                                                                     \
        return (vector)((mask)b ^ (((mask)a ^ (mask)b) & less));                                                       \
    }                                                                                                                  \
    static INLINE vector max_##name(vector a, vector b)                                                                \
    {                                                                                                                  \
        mask greater = (mask)(a > b);                                                                                  \
        return (vector)((mask)b ^ (((mask)a ^ (mask)b) & greater));                                                    \
    }
DEFINE_INTEGER_MIN_MAX(int8, vi8, vu8)
DEFINE_INTEGER_MIN_MAX(int16, vi16, vu16)
DEFINE_INTEGER_MIN_MAX(int32, vi32, vu32)
DEFINE_INTEGER_MIN_MAX(int64, vi64, vu64)
DEFINE_INTEGER_MIN_MAX(uint8, vu8, vu8)

/* float16 to float32: the exponent is rebiased; a denormal gets the implicit one that it lacks, which a subtraction
 * takes away again, exactly. No step has a denormal operand, so the host's flush-to-zero modes don't matter. */
static INLINE vf32 widen_f16(vu32 half)
{
    const vu32 rebias = (vu32){0} + ((127 - 15) << 23);
    vu32 bits = (half & 0x7fff) << 13;
    vu32 exponent = bits & (0x7c00 << 13);
    vu32 normal = bits + rebias;
    vu32 special = normal + ((128 - 16) << 23); /* infinity and NaN */
    const vf32 smallest = (vf32)((vu32){0} + (113 << 23));
    vu32 denormal = (vu32)((vf32)(normal + (1 << 23)) - smallest);
    bits = select_u32(exponent == (0x7c00 << 13), special, normal);
    bits = select_u32(exponent == 0, denormal, bits);
    return (vf32)(bits | (half & 0x8000) << 16);
}

/* float32 to float16, to nearest even. Denormal results are rounded by adding a number whose last bit has their weight.
 * x is no NaN but the canonical one. */
static INLINE vu32 narrow_f16(vf32 x)
{
    vu32 bits = (vu32)x & 0x7fffffff;
    vu32 sign = ((vu32)x & 0x80000000) >> 16;
    const vu32 magic = (vu32){0} + ((127 - 15 + 23 - 10 + 1) << 23);
    vu32 denormal = (vu32)((vf32)bits + (vf32)magic) - magic;
    vu32 normal = (bits + 0xfff + ((bits >> 13) & 1) - ((127 - 15) << 23)) >> 13;
    vu32 special = select_u32(bits > 0x7f800000, (vu32){0} + 0x7e00, (vu32){0} + 0x7c00);
    vu32 half = select_u32(bits < (113 << 23), denormal, normal);
    half = select_u32(bits >= ((127 + 16) << 23), special, half);
    return half | sign;
}

/* Even elements low, odd ones high (or the other way, by the byte order: the same comes back). */
static INLINE vf32x2 open_float16(vu32 bits)
{
    return (vf32x2){widen_f16(bits & 0xffff), widen_f16(bits >> 16)};
}

static INLINE vu32 close_float16(vf32x2 x)
{
    return narrow_f16(x.low) | narrow_f16(x.high) << 16;
}

#if defined(__SSE2__) /* every x86-64 */
static INLINE void stream_bits(void *to, vu32 bits)
{
    _mm_stream_si128(to, (__m128i)bits);
}

static INLINE void stream_end(void)
{
    _mm_sfence();
}
#else
static INLINE void stream_bits(void *to, vu32 bits)
{
    memcpy(to, &bits, sizeof(bits));
}

static INLINE void stream_end(void)
{
}
#endif

#endif
