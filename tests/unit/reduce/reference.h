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

/* dst[i] = inputs[0][i] op inputs[1][i] op ...; dst must not be an input. Unaligned memory is fine. */
void reference_many(kolo_dtype_id type, kolo_reduce_op op, void *dst, const void *const *inputs, size_t n_inputs,
                    size_t count);

/* dst[i] = src[i] / divisor * factor for floats (16-bit ones rounded once), src[i] / divisor for integers. */
void reference_finish(kolo_dtype_id type, int32_t divisor, double factor, void *dst, const void *src, size_t count);

/* Bytes for count elements: any bit pattern, and among them many of the awkward numbers of the type. */
void fill_awkward(kolo_dtype_id type, kolo_rng *rng, void *data, size_t count);

/* Says which element differs, with what is in force. */
void assert_elements_equal(kolo_dtype_id type, const void *actual, const void *expected, size_t count);

#endif
