/* model.h - the shape of a multi-layer perceptron, and where its parameters lie in one vector of float32.
 *
 * Layer k (0 .. layer_count - 1) computes y = x W + b. Its region of the vector:
 *
 *     offset[k]                          offset[k + 1], a multiple of 16 floats
 *     | W: sizes[k] rows of sizes[k+1] | b: sizes[k+1] | at least one spare float, zero |
 *
 * Parameters, gradients and optimizer state share this layout. The spare float of the last layer's gradient carries
 * the loss, which so rides along in a reduction that happens anyway.
 */
#ifndef KOLO_TRAINER_MODEL_H
#define KOLO_TRAINER_MODEL_H

#include <stdint.h>

#include "trainer/failure.h"

enum {
    TRAIN_MAX_HIDDEN = 15,
    TRAIN_MAX_LAYERS = TRAIN_MAX_HIDDEN + 1,
    TRAIN_MAX_WIDTH = 65536 /* keeps every product of two sizes, and so BLAS's int arguments, far from overflow */
};

typedef struct train_model {
    int32_t layer_count;
    int32_t sizes[TRAIN_MAX_LAYERS + 1]; /* inputs, hidden widths, classes; zero beyond */
    int64_t offset[TRAIN_MAX_LAYERS + 1];
    int64_t vector_count;    /* floats of a whole vector, spare ones included: offset[layer_count] */
    int64_t parameter_count; /* without the spare ones */
} train_model;

/* Lays out inputs -> hidden[0] -> ... -> classes. All sizes are in 1..TRAIN_MAX_WIDTH, hidden_count in
 * 0..TRAIN_MAX_HIDDEN. */
bool train_model_init(train_model *model, int32_t inputs, const int32_t *hidden, int32_t hidden_count, int32_t classes,
                      train_failure *failure);

/* Numbers of weights, and of weights and biases, of a layer. */
int64_t train_model_weights(const train_model *model, int32_t layer);
int64_t train_model_parameters(const train_model *model, int32_t layer);

/* He's uniform initialisation (He et al., ICCV 2015) from the seed; biases and spare floats are zero. */
void train_model_randomize(const train_model *model, uint64_t seed, float *parameters);

/* CRC-32 of all weights and biases, in order: equal if and only if (nearly) the parameters are bit-identical. */
uint32_t train_model_checksum(const train_model *model, const float *parameters);

/* "784-512-256-10". Returns text. */
const char *train_model_describe(const train_model *model, char *text, size_t text_bytes);

#endif
