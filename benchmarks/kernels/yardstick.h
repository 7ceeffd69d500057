/* yardstick.h - what the kernels are measured against. */
#ifndef BENCHMARKS_KERNELS_YARDSTICK_H
#define BENCHMARKS_KERNELS_YARDSTICK_H

#include <stddef.h>
#include <stdint.h>

/* a[i] = b[i] + s * c[i], vectorised for this machine: the memory's own speed with two streams in and one out. */
void yardstick_triad(float *a, const float *b, const float *c, float s, size_t count);

/* Sums one element at a time, not vectorised: float32, and float16 and bfloat16 by their bits. */
void yardstick_scalar_float32(void *dst, const void *a, const void *b, size_t count);
void yardstick_scalar_float16(void *dst, const void *a, const void *b, size_t count);
void yardstick_scalar_bfloat16(void *dst, const void *a, const void *b, size_t count);

#endif
