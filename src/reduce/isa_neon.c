/* isa_neon.c - the kernels for 64-bit ARM, where NEON and its float16 conversions are always there. Built there
 * only. */
#define VECTOR_BYTES 16
#define ISA_NAME "neon"
#define ISA_TABLE kolo_kernels_neon
#include <arm_neon.h>

#include "reduce/vector.h"

static INLINE vf32 canonical_f32(vf32 x)
{
    return (vf32)select_u32(x != x, (vu32){0} + NAN_BITS32, (vu32)x);
}

static INLINE vf64 canonical_f64(vf64 x)
{
    return (vf64)select_u64(x != x, (vu64){0} + NAN_BITS64, (vu64)x);
}

/* FMIN and FMAX are what we want: NaN stays, and -0 is less than +0. */
#define DEFINE_NATIVE(name, vector, intrinsic, native)                                                                 \
    static INLINE vector name(vector a, vector b)                                                                      \
    {                                                                                                                  \
        return (vector)intrinsic((native)a, (native)b);                                                                \
    }
DEFINE_NATIVE(min_f32, vf32, vminq_f32, float32x4_t)
DEFINE_NATIVE(max_f32, vf32, vmaxq_f32, float32x4_t)
DEFINE_NATIVE(min_f64, vf64, vminq_f64, float64x2_t)
DEFINE_NATIVE(max_f64, vf64, vmaxq_f64, float64x2_t)
DEFINE_NATIVE(min_int8, vi8, vminq_s8, int8x16_t)
DEFINE_NATIVE(max_int8, vi8, vmaxq_s8, int8x16_t)
DEFINE_NATIVE(min_int16, vi16, vminq_s16, int16x8_t)
DEFINE_NATIVE(max_int16, vi16, vmaxq_s16, int16x8_t)
DEFINE_NATIVE(min_int32, vi32, vminq_s32, int32x4_t)
DEFINE_NATIVE(max_int32, vi32, vmaxq_s32, int32x4_t)
DEFINE_NATIVE(min_uint8, vu8, vminq_u8, uint8x16_t)
DEFINE_NATIVE(max_uint8, vu8, vmaxq_u8, uint8x16_t)

/* NEON has no 64-bit minimum. */
static INLINE vi64 min_int64(vi64 a, vi64 b)
{
    return (vi64)select_u64(a < b, (vu64)a, (vu64)b);
}

static INLINE vi64 max_int64(vi64 a, vi64 b)
{
    return (vi64)select_u64(a > b, (vu64)a, (vu64)b);
}

static INLINE vf32x2 open_float16(vu32 bits)
{
    float16x8_t half = (float16x8_t)bits;
    return (vf32x2){(vf32)vcvt_f32_f16(vget_low_f16(half)), (vf32)vcvt_high_f32_f16(half)};
}

static INLINE vu32 close_float16(vf32x2 x)
{
    return (vu32)vcvt_high_f16_f32(vcvt_f16_f32((float32x4_t)x.low), (float32x4_t)x.high);
}

/* There is a store that bypasses the caches, but gcc has no name for it. */
static INLINE void stream_bits(void *to, vu32 bits)
{
    memcpy(to, &bits, sizeof(bits));
}

static INLINE void stream_end(void)
{
}

#include "reduce/kernels.inc"
