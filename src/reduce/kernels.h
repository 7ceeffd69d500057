/* kernels.h - what one instruction set offers: a table of kernels, filled by kernels.inc in a file of its own. */
#ifndef KOLO_REDUCE_KERNELS_H
#define KOLO_REDUCE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"

enum { KOLO_REDUCE_OP_COUNT = KOLO_PRODUCT + 1 };

/* As kolo_reduce_pair and kolo_reduce_many, for one type and operator. Any alignment, any count. */
typedef void (*kolo_pair_fn)(void *dst, const void *a, const void *b, size_t count);
typedef void (*kolo_many_fn)(void *dst, const void *const *inputs, size_t n_inputs, size_t count);

/* dst[i] = src[i] * first * second, or src[i] / first * second; one rounding to the type at the end. float64
 * computes in float64, all others in float32. NULL for integers. dst may be src. */
typedef void (*kolo_scale_fn)(void *dst, const void *src, double first, double second, size_t count);

/* data[i] /= divisor, toward zero. NULL for floats. divisor > 0. */
typedef void (*kolo_divide_fn)(void *data, int32_t divisor, size_t count);

typedef struct kolo_kernels {
    const char *name;
    kolo_pair_fn pair[KOLO_DTYPE_COUNT][KOLO_REDUCE_OP_COUNT];
    kolo_many_fn many[KOLO_DTYPE_COUNT][KOLO_REDUCE_OP_COUNT];
    kolo_scale_fn multiply[KOLO_DTYPE_COUNT];
    kolo_scale_fn divide_multiply[KOLO_DTYPE_COUNT];
    kolo_divide_fn divide[KOLO_DTYPE_COUNT];
} kolo_kernels;

extern const kolo_kernels kolo_kernels_portable;
#if defined(__x86_64__)
extern const kolo_kernels kolo_kernels_avx2;   /* with F16C */
extern const kolo_kernels kolo_kernels_avx512; /* F, BW, DQ, VL */
#elif defined(__aarch64__)
extern const kolo_kernels kolo_kernels_neon;
#endif

#endif
