/* test_mlp.c - the network: its layout, and its gradients against finite differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trainer/kernels.h"
#include "trainer/mlp.h"
#include "trainer/random.h"

enum { BATCH = 6, INPUTS = 5, CLASSES = 4 };

typedef struct network {
    train_model model;
    train_mlp mlp;
    float *parameters;
    float *gradient;
    float inputs[BATCH * INPUTS];
    uint8_t labels[BATCH];
} network;

static void network_init(network *net, const int32_t *hidden, int32_t hidden_count)
{
    train_random random = train_random_stream(11, 0);
    train_failure failure;

    assert_true(train_model_init(&net->model, INPUTS, hidden, hidden_count, CLASSES, &failure));
    assert_true(train_mlp_init(&net->mlp, &net->model, BATCH, &failure));
    net->parameters = calloc((size_t)net->model.vector_count, sizeof(float));
    net->gradient = calloc((size_t)net->model.vector_count, sizeof(float));
    assert_true(net->parameters != NULL && net->gradient != NULL);
    train_model_randomize(&net->model, 3, net->parameters);
    for (int i = 0; i < BATCH * INPUTS; i++)
        net->inputs[i] = train_random_signed(&random);
    for (int i = 0; i < BATCH; i++)
        net->labels[i] = (uint8_t)train_random_below(&random, CLASSES);
    for (int32_t k = 0; k < net->model.layer_count; k++) /* biases that matter */
        for (int64_t i = train_model_weights(&net->model, k); i < train_model_parameters(&net->model, k); i++)
            net->parameters[net->model.offset[k] + i] = 0.1f * train_random_signed(&random);
}

static void network_fini(network *net)
{
    train_mlp_fini(&net->mlp);
    free(net->parameters);
    free(net->gradient);
}

static double forward_loss(network *net, int64_t count, float scale)
{
    memcpy(net->mlp.activation[0], net->inputs, (size_t)count * INPUTS * sizeof(float));
    memcpy(net->mlp.labels, net->labels, (size_t)count);
    train_mlp_forward(&net->mlp, net->parameters, count);
    return train_mlp_loss(&net->mlp, count, scale);
}

static void backward(network *net, int64_t count, float *gradient)
{
    for (int32_t k = net->model.layer_count - 1; k >= 0; k--) {
        train_mlp_backward_parameters(&net->mlp, k, count, gradient);
        if (k > 0)
            train_mlp_backward_input(&net->mlp, net->parameters, k, count);
    }
}

/* Centred differences of the mean loss, for every parameter. */
static void check_gradients(const int32_t *hidden, int32_t hidden_count)
{
    const float step = 2e-3f;
    int64_t checked = 0;
    network net;

    network_init(&net, hidden, hidden_count);
    (void)forward_loss(&net, BATCH, 1.0f / BATCH);
    backward(&net, BATCH, net.gradient);
    for (int32_t k = 0; k < net.model.layer_count; k++)
        for (int64_t i = 0; i < train_model_parameters(&net.model, k); i++, checked++) {
            float *w = net.parameters + net.model.offset[k] + i;
            float saved = *w;

            *w = saved + step;
            double above = forward_loss(&net, BATCH, 1.0f);
            *w = saved - step;
            double below = forward_loss(&net, BATCH, 1.0f);
            *w = saved;
            double expected = (above - below) / (2.0 * (double)step * BATCH);
            double got = (double)net.gradient[net.model.offset[k] + i];
            if (fabs(got - expected) > 2e-3 + 0.01 * fabs(expected))
                fail_msg("layer %d, parameter %lld: %g, by differences %g", k, (long long)i, got, expected);
        }
    assert_int_equal(checked, net.model.parameter_count);
    network_fini(&net);
}

static void backward__matches_finite_differences(void **state)
{
    (void)state;
    check_gradients(NULL, 0);
    check_gradients((const int32_t[]){7}, 1);
    check_gradients((const int32_t[]){8, 6, 9}, 3);
}

/* What data parallelism rests on: the shares' gradients, each scaled by the global count, add up to the whole's. */
static void backward__of_shares_adds_up(void **state)
{
    static const int32_t hidden[] = {8, 6};
    network net;

    (void)state;
    network_init(&net, hidden, 2);
    size_t floats = (size_t)net.model.vector_count;
    float *sum = calloc(floats, sizeof *sum);
    float *whole = calloc(floats, sizeof *whole);
    assert_true(sum != NULL && whole != NULL);

    double loss = forward_loss(&net, BATCH, 1.0f / BATCH);
    backward(&net, BATCH, whole);
    for (int64_t first = 0; first <= BATCH; first++) { /* the last share is empty */
        int64_t count = first < BATCH ? 1 : 0;
        network part = net;

        memcpy(part.inputs, net.inputs + first % BATCH * INPUTS, INPUTS * sizeof(float));
        part.labels[0] = net.labels[first % BATCH];
        loss -= forward_loss(&part, count, 1.0f / BATCH);
        backward(&part, count, part.gradient);
        for (size_t i = 0; i < floats; i++)
            sum[i] += part.gradient[i];
    }
    assert_true(fabs(loss) < 1e-5);
    for (size_t i = 0; i < floats; i++)
        assert_true(fabsf(sum[i] - whole[i]) < 1e-6f);
    free(sum);
    free(whole);
    network_fini(&net);
}

static void backward__writes_nothing_but_its_layer(void **state)
{
    static const int32_t hidden[] = {8, 6};
    network net;

    (void)state;
    network_init(&net, hidden, 2);
    for (int64_t i = 0; i < net.model.vector_count; i++)
        net.gradient[i] = 42.0f;
    (void)forward_loss(&net, BATCH, 1.0f);
    train_mlp_backward_parameters(&net.mlp, 2, BATCH, net.gradient);
    for (int64_t i = 0; i < net.model.vector_count; i++) {
        int64_t end = net.model.offset[2] + train_model_parameters(&net.model, 2);

        if (i < net.model.offset[2] || i >= end)
            assert_true(net.gradient[i] == 42.0f);
    }
    network_fini(&net);
}

static void model__spare_floats_and_alignment(void **state)
{
    static const int32_t hidden[] = {4, 3}; /* layer 1 fills a line but for one float, layer 2 exactly one */
    train_failure failure;
    train_model model;

    (void)state;
    assert_true(train_model_init(&model, 3, hidden, 2, 4, &failure));
    for (int32_t k = 0; k < model.layer_count; k++) {
        assert_int_equal(model.offset[k] % 16, 0);
        assert_true(model.offset[k + 1] > model.offset[k] + train_model_parameters(&model, k));
    }
    assert_int_equal(model.parameter_count, 3 * 4 + 4 + 4 * 3 + 3 + 3 * 4 + 4);
}

static void model__impossible_shapes(void **state)
{
    static const int32_t zero[] = {0};
    static const int32_t wide[] = {TRAIN_MAX_WIDTH + 1};
    static const int32_t many[TRAIN_MAX_HIDDEN + 1] = {1};
    train_failure failure;
    train_model model;

    (void)state;
    assert_false(train_model_init(&model, 3, zero, 1, 4, &failure));
    assert_false(train_model_init(&model, 3, wide, 1, 4, &failure));
    assert_false(train_model_init(&model, 3, many, TRAIN_MAX_HIDDEN + 1, 4, &failure));
    assert_false(train_model_init(&model, 0, NULL, 0, 4, &failure));
}

static void model__checksum_sees_every_bit_but_not_the_spare(void **state)
{
    network net;

    (void)state;
    network_init(&net, NULL, 0);
    uint32_t before = train_model_checksum(&net.model, net.parameters);
    net.parameters[net.model.parameter_count] = 1.0f;
    assert_int_equal(train_model_checksum(&net.model, net.parameters), before);
    net.parameters[net.model.parameter_count - 1] *= 1.0000001f;
    assert_int_not_equal(train_model_checksum(&net.model, net.parameters), before);
    network_fini(&net);
}

static void kernels__relu_shows_nan(void **state)
{
    float x[4] = {-1.0f, 2.0f, NAN, 0.5f};
    const float bias[4] = {0, 1.0f, 0, -1.0f};

    (void)state;
    train_kernel_add_bias_relu(x, bias, 1, 4);
    assert_true(x[0] == 0.0f && x[1] == 3.0f && isnan(x[2]) && x[3] == 0.0f);
}

static void kernels__softmax_of_large_logits(void **state)
{
    float logits[3] = {1000.0f, 1000.0f, -1000.0f};
    const uint8_t label = 1;
    double loss = train_kernel_softmax_loss(logits, &label, 1, 3, 2.0f);

    (void)state;
    assert_true(fabs(loss - log(2.0)) < 1e-6);
    assert_true(logits[0] == 1.0f && logits[1] == -1.0f && logits[2] == 0.0f);
}

static void kernels__count_correct_takes_the_first_of_equals(void **state)
{
    const float logits[6] = {1, 1, 0, 0, 0, 2};
    const uint8_t right[2] = {0, 2};
    const uint8_t wrong[2] = {1, 1};

    (void)state;
    assert_int_equal(train_kernel_count_correct(logits, right, 2, 3), 2);
    assert_int_equal(train_kernel_count_correct(logits, wrong, 2, 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backward__matches_finite_differences),
        cmocka_unit_test(backward__of_shares_adds_up),
        cmocka_unit_test(backward__writes_nothing_but_its_layer),
        cmocka_unit_test(model__spare_floats_and_alignment),
        cmocka_unit_test(model__impossible_shapes),
        cmocka_unit_test(model__checksum_sees_every_bit_but_not_the_spare),
        cmocka_unit_test(kernels__relu_shows_nan),
        cmocka_unit_test(kernels__softmax_of_large_logits),
        cmocka_unit_test(kernels__count_correct_takes_the_first_of_equals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
