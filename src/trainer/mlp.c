/* mlp.c - the network's passes: three matrix products a layer, through OpenBLAS, and thin loops between them. */
#include "trainer/mlp.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

#include "trainer/kernels.h"

enum { LINE_BYTES = 64, FLOATS_PER_LINE = 16 };

static int64_t round_up(int64_t count)
{
    return (count + FLOATS_PER_LINE - 1) / FLOATS_PER_LINE * FLOATS_PER_LINE;
}

bool train_mlp_init(train_mlp *mlp, const train_model *model, int64_t capacity, train_failure *failure)
{
    int32_t layers = model->layer_count;
    int64_t floats = round_up((capacity + 3) / 4); /* the labels: one byte each */

    *mlp = (train_mlp){.model = model, .capacity = capacity};
    for (int32_t k = 0; k <= layers; k++)
        floats += round_up(capacity * model->sizes[k]) * (k > 0 && k < layers ? 2 : 1);

    mlp->memory = aligned_alloc(LINE_BYTES, (size_t)floats * sizeof(float));
    if (mlp->memory == NULL)
        return train_fail(failure, "out of memory for a batch of %" PRId64 " samples (%" PRId64 " MiB)", capacity,
                          floats / (1 << 18));
    memset(mlp->memory, 0, (size_t)floats * sizeof(float));

    float *next = mlp->memory;
    for (int32_t k = 0; k <= layers; k++) {
        mlp->activation[k] = next;
        next += round_up(capacity * model->sizes[k]);
        if (k > 0 && k < layers) {
            mlp->delta[k] = next;
            next += round_up(capacity * model->sizes[k]);
        }
    }
    mlp->delta[layers] = mlp->activation[layers];
    mlp->labels = (uint8_t *)next;
    return true;
}

void train_mlp_fini(train_mlp *mlp)
{
    free(mlp->memory);
    memset(mlp, 0, sizeof *mlp);
}

void train_mlp_forward(train_mlp *mlp, const float *parameters, int64_t count)
{
    const train_model *model = mlp->model;

    if (count == 0)
        return;
    for (int32_t k = 0; k < model->layer_count; k++) {
        const float *weights = parameters + model->offset[k];
        const float *bias = weights + train_model_weights(model, k);
        int32_t in = model->sizes[k];
        int32_t out = model->sizes[k + 1];
        float *y = mlp->activation[k + 1];

        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)count, out, in, 1.0f, mlp->activation[k], in,
                    weights, out, 0.0f, y, out);
        if (k + 1 < model->layer_count)
            train_kernel_add_bias_relu(y, bias, count, out);
        else
            train_kernel_add_bias(y, bias, count, out);
    }
}

double train_mlp_loss(train_mlp *mlp, int64_t count, float scale)
{
    int32_t last = mlp->model->layer_count;

    return train_kernel_softmax_loss(mlp->activation[last], mlp->labels, count, mlp->model->sizes[last], scale);
}

void train_mlp_backward_parameters(const train_mlp *mlp, int32_t layer, int64_t count, float *gradient)
{
    const train_model *model = mlp->model;
    int32_t in = model->sizes[layer];
    int32_t out = model->sizes[layer + 1];
    const float *delta = mlp->delta[layer + 1];
    float *weights = gradient + model->offset[layer];

    if (count == 0) { /* BLAS leaves its output alone when there is nothing to multiply */
        memset(weights, 0, (size_t)train_model_parameters(model, layer) * sizeof *weights);
        return;
    }
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, in, out, (int)count, 1.0f, mlp->activation[layer], in, delta,
                out, 0.0f, weights, out);
    train_kernel_sum_rows(delta, count, out, weights + train_model_weights(model, layer));
}

void train_mlp_backward_input(train_mlp *mlp, const float *parameters, int32_t layer, int64_t count)
{
    const train_model *model = mlp->model;
    int32_t in = model->sizes[layer];
    int32_t out = model->sizes[layer + 1];

    if (count == 0)
        return;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, in, out, 1.0f, mlp->delta[layer + 1], out,
                parameters + model->offset[layer], out, 0.0f, mlp->delta[layer], in);
    train_kernel_relu_backward(mlp->delta[layer], mlp->activation[layer], count * in);
}

int64_t train_mlp_count_correct(const train_mlp *mlp, int64_t count)
{
    int32_t last = mlp->model->layer_count;

    return train_kernel_count_correct(mlp->activation[last], mlp->labels, count, mlp->model->sizes[last]);
}
