/* model.c - the layout of the parameter vector, and its first values. */
#include "trainer/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <zlib.h>

#include "trainer/random.h"

enum { FLOATS_PER_LINE = 16 }; /* regions start on cache lines */

static bool size_ok(int32_t size)
{
    return size >= 1 && size <= TRAIN_MAX_WIDTH;
}

bool train_model_init(train_model *model, int32_t inputs, const int32_t *hidden, int32_t hidden_count, int32_t classes,
                      train_failure *failure)
{
    if (hidden_count < 0 || hidden_count > TRAIN_MAX_HIDDEN)
        return train_fail(failure, "%d hidden layers; at most %d are possible", hidden_count, TRAIN_MAX_HIDDEN);

    *model = (train_model){.layer_count = hidden_count + 1};
    model->sizes[0] = inputs;
    for (int32_t i = 0; i < hidden_count; i++)
        model->sizes[i + 1] = hidden[i];
    model->sizes[model->layer_count] = classes;

    for (int32_t i = 0; i <= model->layer_count; i++)
        if (!size_ok(model->sizes[i]))
            return train_fail(failure, "a layer of %d units; 1 to %d are possible", model->sizes[i], TRAIN_MAX_WIDTH);

    for (int32_t k = 0; k < model->layer_count; k++) {
        int64_t count = train_model_parameters(model, k);

        model->parameter_count += count;
        model->offset[k + 1] = model->offset[k] + (count / FLOATS_PER_LINE + 1) * FLOATS_PER_LINE;
    }
    model->vector_count = model->offset[model->layer_count];
    return true;
}

int64_t train_model_weights(const train_model *model, int32_t layer)
{
    return (int64_t)model->sizes[layer] * model->sizes[layer + 1];
}

int64_t train_model_parameters(const train_model *model, int32_t layer)
{
    return train_model_weights(model, layer) + model->sizes[layer + 1];
}

void train_model_randomize(const train_model *model, uint64_t seed, float *parameters)
{
    memset(parameters, 0, (size_t)model->vector_count * sizeof *parameters);
    for (int32_t k = 0; k < model->layer_count; k++) {
        train_random random = train_random_stream(seed, UINT64_C(0x6d6f64656c) + (uint64_t)k);
        float bound = sqrtf(6.0f / (float)model->sizes[k]);
        int64_t weights = train_model_weights(model, k);
        float *w = parameters + model->offset[k];

        for (int64_t i = 0; i < weights; i++)
            w[i] = bound * train_random_signed(&random);
    }
}

uint32_t train_model_checksum(const train_model *model, const float *parameters)
{
    uLong crc = crc32_z(0, NULL, 0);

    for (int32_t k = 0; k < model->layer_count; k++) {
        size_t bytes = (size_t)train_model_parameters(model, k) * sizeof *parameters;

        crc = crc32_z(crc, (const Bytef *)(parameters + model->offset[k]), bytes);
    }
    return (uint32_t)crc;
}

const char *train_model_describe(const train_model *model, char *text, size_t text_bytes)
{
    size_t used = 0;

    text[0] = '\0';
    for (int32_t i = 0; i <= model->layer_count && used < text_bytes; i++) {
        int n = snprintf(text + used, text_bytes - used, i == 0 ? "%d" : "-%d", model->sizes[i]);

        used += (size_t)n;
    }
    return text;
}
