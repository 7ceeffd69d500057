/* optimizer.h - SGD with momentum, and Adam; and the learning rate of a step. */
#ifndef KOLO_TRAINER_OPTIMIZER_H
#define KOLO_TRAINER_OPTIMIZER_H

#include <stdint.h>

#include "trainer/failure.h"
#include "trainer/model.h"
#include "trainer/options.h"

enum { TRAIN_MAX_STATES = 2 };

/* SGD: v = momentum v + (g + decay w); w -= lr v.
 * Adam (Kingma, Ba, ICLR 2015) with decoupled decay (Loshchilov, Hutter, ICLR 2019): betas 0.9, 0.999; epsilon 1e-8.
 */
typedef struct train_optimizer {
    const train_model *model;
    train_optimizer_kind kind;
    float momentum;
    float weight_decay;
    int32_t state_count;            /* vectors of state: 1 (velocity) or 2 (first and second moment) */
    float *state[TRAIN_MAX_STATES]; /* owned; whole vectors in the model's layout, zeroed at first */
    int64_t steps;                  /* begun so far */
    float lr;                       /* of the step under way */
    float correction[2];            /* Adam's bias corrections of the step under way */
} train_optimizer;

bool train_optimizer_init(train_optimizer *optimizer, const train_model *model, const train_options *options,
                          train_failure *failure);
void train_optimizer_fini(train_optimizer *optimizer);

/* Begins a step; then train_optimizer_update once per layer, in any order. */
void train_optimizer_begin(train_optimizer *optimizer, double lr);
void train_optimizer_update(train_optimizer *optimizer, int32_t layer, const float *gradient, float *parameters);

/* The learning rate of step (0 .. steps_per_epoch * epochs - 1): linear warm-up to options->lr, then its decay. */
double train_learning_rate(const train_options *options, int64_t step, int64_t steps_per_epoch);

#endif
