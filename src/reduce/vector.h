/* vector.h - vectors of VECTOR_BYTES, in the compilers' vector extension: +, *, comparison and shifts work on all
 * lanes.
 *
 * Included by one file per instruction set, after it has defined VECTOR_BYTES. Everything here is the same source
 * for all of them; what an instruction set does better is in its own file. */
#ifndef KOLO_REDUCE_VECTOR_H
#define KOLO_REDUCE_VECTOR_H

#include <stdint.h>
#include <string.h>

#define INLINE inline __attribute__((always_inline))
#define VECTOR __attribute__((vector_size(VECTOR_BYTES)))

typedef float vf32 VECTOR;
typedef double vf64 VECTOR;
typedef int8_t vi8 VECTOR;
typedef int16_t vi16 VECTOR;
typedef int32_t vi32 VECTOR;
typedef int64_t vi64 VECTOR;
typedef uint8_t vu8 VECTOR;
typedef uint16_t vu16 VECTOR;
typedef uint32_t vu32 VECTOR;
typedef uint64_t vu64 VECTOR;

/* A vector of 16-bit floats, opened to float32. Which element lies where is the loading function's business: the
 * storing one puts it back, and all between works element by element. */
typedef struct vf32x2 {
    vf32 low, high;
} vf32x2;

#define NAN_BITS32 UINT32_C(0x7fc00000)
#define NAN_BITS64 UINT64_C(0x7ff8000000000000)

/* Masks are all ones or all zeros per lane. */
static INLINE vu32 select_u32(vi32 mask, vu32 yes, vu32 no)
{
    return (yes & (vu32)mask) | (no & ~(vu32)mask);
}

static INLINE vu64 select_u64(vi64 mask, vu64 yes, vu64 no)
{
    return (yes & (vu64)mask) | (no & ~(vu64)mask);
}

#endif
