/* optimizer.c - one fused pass per update: at small batches the optimizer moves as much memory as the products do. */
#include "trainer/optimizer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 64 };

static const double adam_beta1 = 0.9;
static const double adam_beta2 = 0.999;
static const float adam_epsilon = 1e-8f;

bool train_optimizer_init(train_optimizer *optimizer, const train_model *model, const train_options *options,
                          train_failure *failure)
{
    size_t bytes = (size_t)model->vector_count * sizeof(float);

    *optimizer = (train_optimizer){.model = model,
                                   .kind = options->optimizer,
                                   .momentum = (float)options->momentum,
                                   .weight_decay = (float)options->weight_decay,
                                   .state_count = options->optimizer == TRAIN_ADAM ? 2 : 1};
    for (int32_t i = 0; i < optimizer->state_count; i++) {
        optimizer->state[i] = aligned_alloc(LINE_BYTES, bytes);
        if (optimizer->state[i] == NULL) {
            train_optimizer_fini(optimizer);
            return train_fail(failure, "out of memory for the optimizer's state (%" PRId64 " floats)",
                              model->vector_count);
        }
        memset(optimizer->state[i], 0, bytes);
    }
    return true;
}

void train_optimizer_fini(train_optimizer *optimizer)
{
    for (int32_t i = 0; i < optimizer->state_count; i++)
        free(optimizer->state[i]);
    memset(optimizer, 0, sizeof *optimizer);
}

void train_optimizer_begin(train_optimizer *optimizer, double lr)
{
    double step = (double)++optimizer->steps;

    optimizer->lr = (float)lr;
    optimizer->correction[0] = (float)(1.0 / (1.0 - pow(adam_beta1, step)));
    optimizer->correction[1] = (float)(1.0 / (1.0 - pow(adam_beta2, step)));
}

static void update_sgd(const train_optimizer *optimizer, float decay, int64_t count, const float *restrict g,
                       float *restrict v, float *restrict w)
{
    float momentum = optimizer->momentum;
    float lr = optimizer->lr;

    for (int64_t i = 0; i < count; i++) {
        float velocity = momentum * v[i] + (g[i] + decay * w[i]);

        v[i] = velocity;
        w[i] -= lr * velocity;
    }
}

static void update_adam(const train_optimizer *optimizer, float decay, int64_t count, const float *restrict g,
                        float *restrict m, float *restrict v, float *restrict w)
{
    const float beta1 = (float)adam_beta1;
    const float beta2 = (float)adam_beta2;
    float correction1 = optimizer->correction[0];
    float correction2 = optimizer->correction[1];
    float lr = optimizer->lr;

    for (int64_t i = 0; i < count; i++) {
        float first = beta1 * m[i] + (1.0f - beta1) * g[i];
        float second = beta2 * v[i] + (1.0f - beta2) * (g[i] * g[i]);
        float direction = first * correction1 / (sqrtf(second * correction2) + adam_epsilon);

        m[i] = first;
        v[i] = second;
        w[i] -= lr * (direction + decay * w[i]);
    }
}

static void update_range(train_optimizer *optimizer, float decay, int64_t offset, int64_t count, const float *gradient,
                         float *parameters)
{
    if (optimizer->kind == TRAIN_ADAM)
        update_adam(optimizer, decay, count, gradient + offset, optimizer->state[0] + offset,
                    optimizer->state[1] + offset, parameters + offset);
    else
        update_sgd(optimizer, decay, count, gradient + offset, optimizer->state[0] + offset, parameters + offset);
}

void train_optimizer_update(train_optimizer *optimizer, int32_t layer, const float *gradient, float *parameters)
{
    int64_t weights = train_model_weights(optimizer->model, layer);
    int64_t biases = optimizer->model->sizes[layer + 1];
    int64_t offset = optimizer->model->offset[layer];

    update_range(optimizer, optimizer->weight_decay, offset, weights, gradient, parameters);
    update_range(optimizer, 0.0f, offset + weights, biases, gradient, parameters);
}

double train_learning_rate(const train_options *options, int64_t step, int64_t steps_per_epoch)
{
    if (step < options->warmup)
        return options->lr * (double)(step + 1) / (double)options->warmup;

    switch (options->decay) {
    case TRAIN_DECAY_COSINE: {
        double total = (double)(steps_per_epoch * options->epochs - options->warmup);

        return options->lr * 0.5 * (1.0 + cos(3.14159265358979323846 * (double)(step - options->warmup) / total));
    }
    case TRAIN_DECAY_STEP:
        return options->lr * pow(options->decay_factor, (double)(step / steps_per_epoch / options->decay_every));
    case TRAIN_DECAY_NONE:
        break;
    }
    return options->lr;
}
