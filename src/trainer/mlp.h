/* mlp.h - forward and backward passes of a multi-layer perceptron: ReLU inside, softmax cross-entropy at the end.
 *
 * The backward pass is called layer by layer, from the last to layer 0, so that the caller can send a layer's
 * gradient on its way before the next layer is computed:
 *
 *     train_mlp_forward(mlp, parameters, count);
 *     loss = train_mlp_loss(mlp, count, scale);
 *     for (k = layer_count - 1; k >= 0; k--) {
 *         train_mlp_backward_parameters(mlp, k, count, gradient);   // layer k's gradient is complete
 *         if (k > 0)
 *             train_mlp_backward_input(mlp, parameters, k, count);
 *     }
 */
#ifndef KOLO_TRAINER_MLP_H
#define KOLO_TRAINER_MLP_H

#include <stdint.h>

#include "trainer/model.h"

typedef struct train_mlp {
    const train_model *model;
    int64_t capacity;                        /* samples of the largest batch */
    float *activation[TRAIN_MAX_LAYERS + 1]; /* [0]: the batch; [k + 1]: output of layer k; capacity x sizes[k] */
    float *delta[TRAIN_MAX_LAYERS + 1];      /* d(loss)/d(activation[k]); the last shares activation's memory */
    uint8_t *labels;                         /* of the batch */
    float *memory;                           /* all of the above */
} train_mlp;

/* Allocates for batches of up to capacity samples. model must outlive mlp. */
bool train_mlp_init(train_mlp *mlp, const train_model *model, int64_t capacity, train_failure *failure);
void train_mlp_fini(train_mlp *mlp);

/* From activation[0] to the logits in activation[layer_count], for count samples; 0 is legal, here and below. */
void train_mlp_forward(train_mlp *mlp, const float *parameters, int64_t count);

/* Turns the logits into the gradient of scale * (sum of the losses). Returns the sum of the losses. */
double train_mlp_loss(train_mlp *mlp, int64_t count, float scale);

/* Writes layer's weights and biases of gradient (a whole vector, in the model's layout). */
void train_mlp_backward_parameters(const train_mlp *mlp, int32_t layer, int64_t count, float *gradient);

/* From layer's output to its input; layer > 0. */
void train_mlp_backward_input(train_mlp *mlp, const float *parameters, int32_t layer, int64_t count);

/* How many of the count samples, after forward, are recognised. */
int64_t train_mlp_count_correct(const train_mlp *mlp, int64_t count);

#endif
