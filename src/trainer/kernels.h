/* kernels.h - the element-wise loops between the matrix products, in a form that compilers make vector code of.
 *
 * Matrices are dense, row-major, rows x columns. Buffers do not overlap unless it is said. Every sum has a fixed
 * order.
 */
#ifndef KOLO_TRAINER_KERNELS_H
#define KOLO_TRAINER_KERNELS_H

#include <stdint.h>

/* to[i] = from[i] * scale + shift */
void train_kernel_normalize(const uint8_t *from, int64_t count, float scale, float shift, float *to);

/* Each row of x += bias. With relu also max(x, 0), where NaN stays NaN so that a diverged network shows. */
void train_kernel_add_bias(float *x, const float *bias, int64_t rows, int64_t columns);
void train_kernel_add_bias_relu(float *x, const float *bias, int64_t rows, int64_t columns);

/* delta[i] = 0 where the activation after ReLU is 0: ReLU's derivative. */
void train_kernel_relu_backward(float *delta, const float *activation, int64_t count);

/* sums[j] = sum of column j */
void train_kernel_sum_rows(const float *x, int64_t rows, int64_t columns, float *sums);

/* Turns each row of logits into d(loss)/d(logit) * scale, where loss = -log(softmax(logits)[label]), in place.
 * Returns the sum of the rows' losses, without scale. */
double train_kernel_softmax_loss(float *logits, const uint8_t *labels, int64_t rows, int64_t columns, float scale);

/* The number of rows whose largest element (the first, if several) is at the label. */
int64_t train_kernel_count_correct(const float *logits, const uint8_t *labels, int64_t rows, int64_t columns);

#endif
