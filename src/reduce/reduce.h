/* reduce.h - typed element-wise arithmetic, vectorised; the instruction set is chosen once at start-up by a table.
 *
 * Bit-exact: every instruction set gives the portable kernel's bits, for any alignment and count. Integers wrap. MIN/MAX
 * of floats: NaN if any input is NaN; -0 < +0. NaN stays NaN, always with the same bits. No kernel traps or allocates.
 * Any thread.
 *
 * One rule for rounding: float16 and bfloat16 are computed in float32 from the first input to the end of the call,
 * the average's division and the postscale included, and are rounded once, when they are stored, to nearest even. */
#ifndef KOLO_REDUCE_REDUCE_H
#define KOLO_REDUCE_REDUCE_H

#include "base/dtype.h"

/* What a fold computes. */
typedef struct kolo_reduction {
    kolo_dtype_id type;
    kolo_reduce_op op; /* AVERAGE adds */
    bool final;        /* the fold ends the reduction: */
    int32_t size;      /* AVERAGE divides by so many ranks (integers toward zero), */
    double postscale;  /* then floats are multiplied */
} kolo_reduction;

/* In one pass: dsts[...][i] = inputs[0][i] op inputs[1][i] op ..., left to right, and if final, what ends it. At least
 * one destination and one input. A destination may be one of the inputs, exactly; other overlaps are not allowed. One
 * input without anything to end is copied, bit by bit. */
void kolo_reduce_fold(const kolo_reduction *reduction, void *const *dsts, size_t n_dsts, const void *const *inputs,
                      size_t n_inputs, size_t count);

/* memcpy, but about as fast wherever the two lie. dst may be src. */
void kolo_reduce_copy(void *dst, const void *src, size_t bytes);

/* The same by stores that bypass the caches, where the instruction set has some: a line that is written whole need not be
 * fetched first. dst is not src; destinations may be inputs, exactly. Stores with release order come after them only behind
 * kolo_reduce_end_around, which takes as long as many lines do. */
void kolo_reduce_copy_around(void *dst, const void *src, size_t bytes);
void kolo_reduce_fold_around(const kolo_reduction *reduction, void *const *dsts, size_t n_dsts,
                             const void *const *inputs, size_t n_inputs, size_t count);
void kolo_reduce_end_around(void);

/* dst[i] = src[i] * factor for floats; a plain copy when factor is 1 or the type is an integer. dst may be src. Factors
 * are rounded to the precision that computes: float64's for float64, else float32's. */
void kolo_reduce_scale(kolo_dtype_id type, double factor, void *dst, const void *src, size_t count);

/* Instruction sets of this build and machine, for tests and benchmarks: "portable" first; the last one is the default.
 * kolo_reduce_force: NULL returns to the default; false if unknown or not supported here. Not while others reduce. */
size_t kolo_reduce_isa_count(void);
const char *kolo_reduce_isa_name(size_t index);
bool kolo_reduce_force(const char *isa);
const char *kolo_reduce_isa(void); /* in force */

#endif
