/* reduce.h - typed element-wise arithmetic, vectorised; the instruction set is chosen once at start-up by a table.
 *
 * Bit-exact: every instruction set gives the portable kernel's bits, for any alignment and count. float16 and
 * bfloat16 are computed in float32 and rounded once per call, to nearest even; NaN stays NaN, always with the same
 * bits. Integers wrap. MIN/MAX of floats: NaN if any input is NaN; -0 < +0. No kernel traps or allocates. Any
 * thread. */
#ifndef KOLO_REDUCE_REDUCE_H
#define KOLO_REDUCE_REDUCE_H

#include "base/dtype.h"

/* dst[i] = a[i] op b[i]. AVERAGE adds here (kolo_reduce_finish divides). dst may be a or b, exactly; no partial
 * overlap. */
void kolo_reduce_pair(kolo_dtype_id type, kolo_reduce_op op, void *dst, const void *a, const void *b, size_t count);

/* dst[i] = inputs[0][i] op inputs[1][i] op ..., left to right, in one pass; 16-bit floats rounded once at the end.
 * n_inputs >= 1. dst may be one of the inputs, exactly. */
void kolo_reduce_many(kolo_dtype_id type, kolo_reduce_op op, void *dst, const void *const *inputs, size_t n_inputs,
                      size_t count);

/* Ends a reduction over `size` ranks: AVERAGE divides by size (integers toward zero), then floats are multiplied by
 * postscale. In place. For the other operators with postscale 1 nothing is touched. */
void kolo_reduce_finish(kolo_dtype_id type, kolo_reduce_op op, int32_t size, double postscale, void *data,
                        size_t count);

/* Factors are rounded to the precision that computes: float64's for float64, else float32's. dst[i] = src[i] *
 * factor for floats (one rounding); a plain copy when factor is 1 or the type is an integer. dst may be src. */
void kolo_reduce_scale(kolo_dtype_id type, double factor, void *dst, const void *src, size_t count);

/* Instruction sets of this build and machine, for tests and benchmarks: "portable" first; the last one is the default.
 * kolo_reduce_force: NULL returns to the default; false if unknown or not supported here. Not while others reduce. */
size_t kolo_reduce_isa_count(void);
const char *kolo_reduce_isa_name(size_t index);
bool kolo_reduce_force(const char *isa);
const char *kolo_reduce_isa(void); /* in force */

#endif
