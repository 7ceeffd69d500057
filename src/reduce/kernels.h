/* kernels.h - what one instruction set offers: a table of kernels, filled by kernels.inc in a file of its own. */
#ifndef KOLO_REDUCE_KERNELS_H
#define KOLO_REDUCE_KERNELS_H

#include "reduce/reduce.h"

enum { KOLO_REDUCE_OP_COUNT = KOLO_PRODUCT + 1 };

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
