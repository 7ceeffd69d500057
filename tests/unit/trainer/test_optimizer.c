/* test_optimizer.c - two steps of each optimizer worked out by hand, and the learning rate's course. */
#include <setjmp.h>
#include <stdarg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trainer/optimizer.h"

/* One layer of one input and one output: parameters[0] is the weight, parameters[1] the bias. */
static train_model model;

static int make_model(void **state)
{
    train_failure failure;

    (void)state;
    return train_model_init(&model, 1, NULL, 0, 1, &failure) ? 0 : -1;
}

static train_optimizer make(train_optimizer_kind kind, double momentum, double weight_decay)
{
    const train_options options = {.optimizer = kind, .momentum = momentum, .weight_decay = weight_decay};
    train_failure failure;
    train_optimizer optimizer;

    assert_true(train_optimizer_init(&optimizer, &model, &options, &failure));
    return optimizer;
}

static void step(train_optimizer *optimizer, double lr, float gradient, float *parameters)
{
    float gradients[16] = {gradient, gradient, 99.0f};

    train_optimizer_begin(optimizer, lr);
    train_optimizer_update(optimizer, 0, gradients, parameters);
}

static void assert_near(float got, double expected)
{
    if (fabs((double)got - expected) > 1e-6)
        fail_msg("%.9g, not %.9g", (double)got, expected);
}

static void sgd__two_steps_by_hand(void **state)
{
    train_optimizer optimizer = make(TRAIN_SGD, 0.5, 0);
    float w[16] = {1.0f, -1.0f, 7.0f};

    (void)state;
    step(&optimizer, 0.1, 2.0f, w); /* v = 2; w -= 0.2 */
    assert_near(w[0], 0.8);
    assert_near(w[1], -1.2);
    step(&optimizer, 0.1, 1.0f, w); /* v = 0.5 * 2 + 1 = 2 */
    assert_near(w[0], 0.6);
    assert_near(w[1], -1.4);
    assert_true(w[2] == 7.0f); /* the spare float rests */
    assert_int_equal(optimizer.steps, 2);
    train_optimizer_fini(&optimizer);
}

static void sgd__weight_decay_spares_the_bias(void **state)
{
    train_optimizer optimizer = make(TRAIN_SGD, 0, 0.25);
    float w[16] = {2.0f, 2.0f};

    (void)state;
    step(&optimizer, 0.1, 1.0f, w); /* weight: g = 1 + 0.25 * 2 */
    assert_near(w[0], 1.85);
    assert_near(w[1], 1.9);
    train_optimizer_fini(&optimizer);
}

static void adam__two_steps_by_hand(void **state)
{
    train_optimizer optimizer = make(TRAIN_ADAM, 0, 0);
    float w[16] = {1.0f, 1.0f};

    (void)state;
    step(&optimizer, 0.1, 2.0f, w); /* m' = 2, v' = 4: a step of lr */
    assert_near(w[0], 0.9);
    step(&optimizer, 0.1, -1.0f, w);
    /* m = 0.9 * 0.2 - 0.1 = 0.08, m' = 0.08 / 0.19; v = 0.999 * 0.004 + 0.001 = 0.004996, v' = v / 0.001999 */
    assert_near(w[0], 0.9 - 0.1 * (0.08 / 0.19) / sqrt(0.004996 / 0.001999));
    train_optimizer_fini(&optimizer);
}

static void adam__weight_decay_is_decoupled(void **state)
{
    train_optimizer optimizer = make(TRAIN_ADAM, 0, 0.5);
    float w[16] = {2.0f, 2.0f};

    (void)state;
    step(&optimizer, 0.1, 3.0f, w);
    assert_near(w[0], 2.0 - 0.1 * (1.0 + 0.5 * 2.0));
    assert_near(w[1], 1.9);
    train_optimizer_fini(&optimizer);
}

static void rate__warms_up_then_falls_to_nothing(void **state)
{
    const train_options options = {.lr = 0.4, .warmup = 10, .decay = TRAIN_DECAY_COSINE, .epochs = 3};
    double before = 0;

    (void)state;
    assert_near((float)train_learning_rate(&options, 0, 20), 0.04);
    for (int64_t i = 0; i < 10; i++) {
        double rate = train_learning_rate(&options, i, 20);

        assert_true(rate > before);
        before = rate;
    }
    assert_near((float)before, 0.4);
    assert_near((float)train_learning_rate(&options, 10, 20), 0.4);
    assert_near((float)train_learning_rate(&options, 35, 20), 0.2);
    before = 1;
    for (int64_t i = 10; i < 60; i++) {
        double rate = train_learning_rate(&options, i, 20);

        assert_true(rate > 0 && rate < before);
        before = rate;
    }
}

static void rate__steps(void **state)
{
    const train_options options = {
        .lr = 0.8, .decay = TRAIN_DECAY_STEP, .decay_every = 2, .decay_factor = 0.5, .epochs = 6};

    (void)state;
    assert_near((float)train_learning_rate(&options, 0, 10), 0.8);
    assert_near((float)train_learning_rate(&options, 19, 10), 0.8);
    assert_near((float)train_learning_rate(&options, 20, 10), 0.4);
    assert_near((float)train_learning_rate(&options, 40, 10), 0.2);
}

static void rate__stays(void **state)
{
    const train_options options = {.lr = 0.3, .decay = TRAIN_DECAY_NONE, .epochs = 6};

    (void)state;
    assert_near((float)train_learning_rate(&options, 0, 10), 0.3);
    assert_near((float)train_learning_rate(&options, 59, 10), 0.3);
}

static void rate__warmup_longer_than_the_training(void **state)
{
    const train_options options = {.lr = 1.0, .warmup = 1000, .decay = TRAIN_DECAY_COSINE, .epochs = 2};

    (void)state;
    assert_near((float)train_learning_rate(&options, 19, 10), 0.02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sgd__two_steps_by_hand),
        cmocka_unit_test(sgd__weight_decay_spares_the_bias),
        cmocka_unit_test(adam__two_steps_by_hand),
        cmocka_unit_test(adam__weight_decay_is_decoupled),
        cmocka_unit_test(rate__warms_up_then_falls_to_nothing),
        cmocka_unit_test(rate__steps),
        cmocka_unit_test(rate__stays),
        cmocka_unit_test(rate__warmup_longer_than_the_training),
    };

    return cmocka_run_group_tests(tests, make_model, NULL);
}
