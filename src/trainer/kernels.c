/* kernels.c - element-wise loops; compiled at -O3, but without -ffast-math: the order of every sum is as written. */
#include "trainer/kernels.h"

#include <math.h>
#include <string.h>

void train_kernel_normalize(const uint8_t *restrict from, int64_t count, float scale, float shift, float *restrict to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = (float)from[i] * scale + shift;
}

void train_kernel_add_bias(float *restrict x, const float *restrict bias, int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows; r++, x += columns)
        for (int64_t c = 0; c < columns; c++)
            x[c] += bias[c];
}

void train_kernel_add_bias_relu(float *restrict x, const float *restrict bias, int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows; r++, x += columns)
        for (int64_t c = 0; c < columns; c++) {
            float v = x[c] + bias[c];

            x[c] = 0.0f > v ? 0.0f : v;
        }
}

void train_kernel_relu_backward(float *restrict delta, const float *restrict activation, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        delta[i] = activation[i] > 0.0f ? delta[i] : 0.0f;
}

void train_kernel_sum_rows(const float *restrict x, int64_t rows, int64_t columns, float *restrict sums)
{
    memset(sums, 0, (size_t)columns * sizeof *sums);
    for (int64_t r = 0; r < rows; r++, x += columns)
        for (int64_t c = 0; c < columns; c++)
            sums[c] += x[c];
}

static int64_t largest(const float *row, int64_t columns)
{
    int64_t best = 0;

    for (int64_t c = 1; c < columns; c++)
        if (row[c] > row[best])
            best = c;
    return best;
}

double train_kernel_softmax_loss(float *logits, const uint8_t *labels, int64_t rows, int64_t columns, float scale)
{
    double loss = 0;

    for (int64_t r = 0; r < rows; r++) {
        float *row = logits + r * columns;
        float max = row[largest(row, columns)];
        float at_label = row[labels[r]] - max;
        float sum = 0;

        for (int64_t c = 0; c < columns; c++) {
            row[c] = expf(row[c] - max);
            sum += row[c];
        }
        for (int64_t c = 0; c < columns; c++)
            row[c] *= scale / sum;
        row[labels[r]] -= scale;
        loss += (double)(logf(sum) - at_label);
    }
    return loss;
}

int64_t train_kernel_count_correct(const float *logits, const uint8_t *labels, int64_t rows, int64_t columns)
{
    int64_t correct = 0;

    for (int64_t r = 0; r < rows; r++)
        correct += largest(logits + r * columns, columns) == labels[r];
    return correct;
}
