/* kernels.h - what one instruction set offers: a table of kernels, filled by kernels.inc in a file of its own. */
#ifndef KOLO_REDUCE_KERNELS_H
#define KOLO_REDUCE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"

enum { KOLO_REDUCE_OP_COUNT = KOLO_PRODUCT + 1 };

/* What becomes of a sum x before it is rounded. Floats: x / first * second or x * first * second, computed in float64
 * for float64, else in float32. Integers: x / first, toward zero; first is an int32 > 0. */
typedef struct kolo_ending {
    bool divides; /* floats */
    double first, second;
} kolo_ending;

/* As kolo_reduce_fold, for one type and operator. ending may be NULL. */
typedef void (*kolo_fold_fn)(void *const *dsts, size_t n_dsts, const void *const *inputs, size_t n_inputs, size_t count,
                             const kolo_ending *ending);

/* memcpy; copy: of at least a vector. */
typedef void (*kolo_copy_fn)(void *dst, const void *src, size_t bytes);

typedef struct kolo_kernels {
    const char *name;
    kolo_copy_fn copy, copy_around; /* around: by stores that bypass the caches; */
    void (*end_around)(void);       /* the fence behind them */
    kolo_fold_fn fold[KOLO_DTYPE_COUNT][KOLO_REDUCE_OP_COUNT];
} kolo_kernels;

extern const kolo_kernels kolo_kernels_portable;
#if defined(__x86_64__)
extern const kolo_kernels kolo_kernels_avx2;   /* with F16C */
extern const kolo_kernels kolo_kernels_avx512; /* F, BW, DQ, VL */
#elif defined(__aarch64__)
extern const kolo_kernels kolo_kernels_neon;
#endif

#endif
