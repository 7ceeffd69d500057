/* isa_avx2.c - the kernels for AVX2 with F16C. */
#define VECTOR_BYTES 32
#define ISA_NAME "avx2"
#define ISA_TABLE kolo_kernels_avx2
#include <immintrin.h>

#include "reduce/vector.h"

static INLINE vf32 canonical_f32(vf32 x)
{
    const __m256 nan = (__m256)((vu32){0} + NAN_BITS32);
    return (vf32)_mm256_blendv_ps((__m256)x, nan, _mm256_cmp_ps((__m256)x, (__m256)x, _CMP_UNORD_Q));
}

static INLINE vf64 canonical_f64(vf64 x)
{
    const __m256d nan = (__m256d)((vu64){0} + NAN_BITS64);
    return (vf64)_mm256_blendv_pd((__m256d)x, nan, _mm256_cmp_pd((__m256d)x, (__m256d)x, _CMP_UNORD_Q));
}

/* The instruction answers its second operand for equal zeros and for NaN. Asked both ways, and or'ed: -0 wins over
 * +0, and a NaN stays one whatever is or'ed to it. */
static INLINE vf32 min_f32(vf32 a, vf32 b)
{
    return (vf32)_mm256_or_ps(_mm256_min_ps((__m256)a, (__m256)b), _mm256_min_ps((__m256)b, (__m256)a));
}

static INLINE vf64 min_f64(vf64 a, vf64 b)
{
    return (vf64)_mm256_or_pd(_mm256_min_pd((__m256d)a, (__m256d)b), _mm256_min_pd((__m256d)b, (__m256d)a));
}

/* And'ed, +0 wins; but a NaN would be lost, so it is put back. */
static INLINE vf32 max_f32(vf32 a, vf32 b)
{
    __m256 larger = _mm256_and_ps(_mm256_max_ps((__m256)a, (__m256)b), _mm256_max_ps((__m256)b, (__m256)a));
    return (vf32)_mm256_or_ps(larger, _mm256_cmp_ps((__m256)a, (__m256)b, _CMP_UNORD_Q));
}

static INLINE vf64 max_f64(vf64 a, vf64 b)
{
    __m256d larger = _mm256_and_pd(_mm256_max_pd((__m256d)a, (__m256d)b), _mm256_max_pd((__m256d)b, (__m256d)a));
    return (vf64)_mm256_or_pd(larger, _mm256_cmp_pd((__m256d)a, (__m256d)b, _CMP_UNORD_Q));
}

#define DEFINE_NATIVE(name, vector, intrinsic)                                                                         \
    static INLINE vector name(vector a, vector b)                                                                      \
    {                                                                                                                  \
        return (vector)intrinsic((__m256i)a, (__m256i)b);                                                              \
    }
DEFINE_NATIVE(min_int8, vi8, _mm256_min_epi8)
DEFINE_NATIVE(max_int8, vi8, _mm256_max_epi8)
DEFINE_NATIVE(min_int16, vi16, _mm256_min_epi16)
DEFINE_NATIVE(max_int16, vi16, _mm256_max_epi16)
DEFINE_NATIVE(min_int32, vi32, _mm256_min_epi32)
DEFINE_NATIVE(max_int32, vi32, _mm256_max_epi32)
DEFINE_NATIVE(min_uint8, vu8, _mm256_min_epu8)
DEFINE_NATIVE(max_uint8, vu8, _mm256_max_epu8)

/* AVX2 has no 64-bit minimum. */
static INLINE vi64 min_int64(vi64 a, vi64 b)
{
    return (vi64)_mm256_blendv_epi8((__m256i)a, (__m256i)b, _mm256_cmpgt_epi64((__m256i)a, (__m256i)b));
}

static INLINE vi64 max_int64(vi64 a, vi64 b)
{
    return (vi64)_mm256_blendv_epi8((__m256i)b, (__m256i)a, _mm256_cmpgt_epi64((__m256i)a, (__m256i)b));
}

static INLINE vf32x2 open_float16(vu32 bits)
{
    return (vf32x2){(vf32)_mm256_cvtph_ps(_mm256_castsi256_si128((__m256i)bits)),
                    (vf32)_mm256_cvtph_ps(_mm256_extracti128_si256((__m256i)bits, 1))};
}

static INLINE vu32 close_float16(vf32x2 x)
{
    __m128i low = _mm256_cvtps_ph((__m256)x.low, _MM_FROUND_TO_NEAREST_INT);
    __m128i high = _mm256_cvtps_ph((__m256)x.high, _MM_FROUND_TO_NEAREST_INT);
    return (vu32)_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

static INLINE void stream_bits(void *to, vu32 bits)
{
    _mm256_stream_si256(to, (__m256i)bits);
}

static INLINE void stream_end(void)
{
    _mm_sfence();
}

#include "reduce/kernels.inc"
