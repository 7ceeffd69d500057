/* reference.h - the arithmetic that the kernels must reproduce, written for obviousness: one element at a time,
 * 16-bit floats rounded by looking the neighbours up. And helpers to hold a kernel against it. */
#ifndef TESTS_UNIT_REDUCE_REFERENCE_H
#define TESTS_UNIT_REDUCE_REFERENCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "reduce/reduce.h"

/* float16 and bfloat16 by their bits, to a number and back (to nearest even). */
double reference_widen(kolo_dtype_id type, uint16_t bits);
uint16_t reference_narrow(kolo_dtype_id type, float x);

/* As kolo_reduce_fold, to one destination that is no input. Unaligned memory is fine. */
void reference_fold(const kolo_reduction *reduction, void *dst, const void *const *inputs, size_t n_inputs,
                    size_t count);

/* kolo_reduce_fold of a sum, or the like, that is not final, to one destination. */
void fold_to(kolo_dtype_id type, kolo_reduce_op op, void *dst, const void *const *inputs, size_t n_inputs,
             size_t count);

/* fn for every instruction set in force, type and operator. */
void for_all(void (*fn)(kolo_dtype_id type, kolo_reduce_op op));

/* Bytes for count elements: any bit pattern, and among them many of the awkward numbers of the type. */
void fill_awkward(kolo_dtype_id type, kolo_rng *rng, void *data, size_t count);

/* Says which element differs, with what is in force. */
void assert_elements_equal(kolo_dtype_id type, const void *actual, const void *expected, size_t count);

#endif
