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

#include <stddef.h>
#include <stdint.h>

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

/* What becomes of a sum x before it is rounded. Floats: x / first * second or x * first * second, computed in float64
 * for float64, else in float32. Integers: x / first, toward zero; first is an int32 > 0. */
typedef struct kolo_ending {
    bool divides; /* floats */
    double first, second;
} kolo_ending;

/* As kolo_reduce_fold, for one type and operator. ending may be NULL. */
typedef void (*kolo_fold_fn)(void *const *dsts, size_t n_dsts, const void *const *inputs, size_t n_inputs, size_t count,
                             const kolo_ending *ending);

/* A fold of many pieces: what is the same for all of them is found once. Of 1 KiB that is half of the time around a kernel. */
typedef struct kolo_folder {
    const kolo_reduction *reduction;
    size_t n_dsts, n_inputs, element_bytes;
    kolo_fold_fn kernel; /* NULL: it is no kernel alone */
    bool copies, ends;
    kolo_ending ending;
} kolo_folder;

/* reduction: as long as the folder. */
void kolo_folder_init(kolo_folder *folder, const kolo_reduction *reduction, size_t n_dsts, size_t n_inputs);

/* memcpy, but about as fast wherever the two lie. dst may be src. */
void kolo_reduce_copy(void *dst, const void *src, size_t bytes);

static inline void kolo_folder_fold(const kolo_folder *folder, void *const *dsts, const void *const *inputs,
                                    size_t count)
{
    if (folder->kernel != NULL)
        folder->kernel(dsts, folder->n_dsts, inputs, folder->n_inputs, count, folder->ends ? &folder->ending : NULL);
    else if (folder->copies)
        kolo_reduce_copy(dsts[0], inputs[0], count * folder->element_bytes);
    else
        kolo_reduce_fold(folder->reduction, dsts, folder->n_dsts, inputs, folder->n_inputs, count);
}

/* Copies and folds by stores that bypass the caches, where the instruction set has some: a line that is written whole need not be
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
