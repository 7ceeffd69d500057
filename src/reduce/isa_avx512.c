/* isa_avx512.c - the kernels for AVX-512 (F, BW, DQ, VL). The reasons for min and max are in isa_avx2.c. */
#define VECTOR_BYTES 64
#define ISA_NAME "avx512"
#define ISA_TABLE kolo_kernels_avx512
#include <immintrin.h>

#include "reduce/vector.h"

static INLINE vf32 canonical_f32(vf32 x)
{
    const __m512 nan = (__m512)((vu32){0} + NAN_BITS32);
    return (vf32)_mm512_mask_mov_ps((__m512)x, _mm512_cmp_ps_mask((__m512)x, (__m512)x, _CMP_UNORD_Q), nan);
}

static INLINE vf64 canonical_f64(vf64 x)
{
    const __m512d nan = (__m512d)((vu64){0} + NAN_BITS64);
    return (vf64)_mm512_mask_mov_pd((__m512d)x, _mm512_cmp_pd_mask((__m512d)x, (__m512d)x, _CMP_UNORD_Q), nan);
}

static INLINE vf32 min_f32(vf32 a, vf32 b)
{
    return (vf32)_mm512_or_ps(_mm512_min_ps((__m512)a, (__m512)b), _mm512_min_ps((__m512)b, (__m512)a));
}

static INLINE vf64 min_f64(vf64 a, vf64 b)
{
    return (vf64)_mm512_or_pd(_mm512_min_pd((__m512d)a, (__m512d)b), _mm512_min_pd((__m512d)b, (__m512d)a));
}

static INLINE vf32 max_f32(vf32 a, vf32 b)
{
    const __m512 nan = (__m512)((vu32){0} + NAN_BITS32);
    __m512 larger = _mm512_and_ps(_mm512_max_ps((__m512)a, (__m512)b), _mm512_max_ps((__m512)b, (__m512)a));
    return (vf32)_mm512_mask_mov_ps(larger, _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_UNORD_Q), nan);
}

static INLINE vf64 max_f64(vf64 a, vf64 b)
{
    const __m512d nan = (__m512d)((vu64){0} + NAN_BITS64);
    __m512d larger = _mm512_and_pd(_mm512_max_pd((__m512d)a, (__m512d)b), _mm512_max_pd((__m512d)b, (__m512d)a));
    return (vf64)_mm512_mask_mov_pd(larger, _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_UNORD_Q), nan);
}

#define DEFINE_NATIVE(name, vector, intrinsic)                                                                         \
    static INLINE vector name(vector a, vector b)                                                                      \
    {                                                                                                                  \
        return (vector)intrinsic((__m512i)a, (__m512i)b);                                                              \
    }
DEFINE_NATIVE(min_int8, vi8, _mm512_min_epi8)
DEFINE_NATIVE(max_int8, vi8, _mm512_max_epi8)
DEFINE_NATIVE(min_int16, vi16, _mm512_min_epi16)
DEFINE_NATIVE(max_int16, vi16, _mm512_max_epi16)
DEFINE_NATIVE(min_int32, vi32, _mm512_min_epi32)
DEFINE_NATIVE(max_int32, vi32, _mm512_max_epi32)
DEFINE_NATIVE(min_int64, vi64, _mm512_min_epi64)
DEFINE_NATIVE(max_int64, vi64, _mm512_max_epi64)
DEFINE_NATIVE(min_uint8, vu8, _mm512_min_epu8)
DEFINE_NATIVE(max_uint8, vu8, _mm512_max_epu8)

static INLINE vf32x2 open_float16(vu32 bits)
{
    return (vf32x2){(vf32)_mm512_cvtph_ps(_mm512_castsi512_si256((__m512i)bits)),
                    (vf32)_mm512_cvtph_ps(_mm512_extracti64x4_epi64((__m512i)bits, 1))};
}

static INLINE vu32 close_float16(vf32x2 x)
{
    __m256i low = _mm512_cvtps_ph((__m512)x.low, _MM_FROUND_TO_NEAREST_INT);
    __m256i high = _mm512_cvtps_ph((__m512)x.high, _MM_FROUND_TO_NEAREST_INT);
    return (vu32)_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

static INLINE void stream_bits(void *to, vu32 bits)
{
    _mm512_stream_si512(to, (__m512i)bits);
}

static INLINE void stream_end(void)
{
    _mm_sfence();
}

#include "reduce/kernels.inc"
