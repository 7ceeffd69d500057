/* test_overlap.c - tensors of one group that share memory: inputs may, and nothing else. */
#include "unit/api/host.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { TENSORS = 6, SPACE = 20 };

static const int64_t four[1] = {4}, none[1] = {0};

static kolo_context *ctx;
static float memory[TENSORS * SPACE];

/* In the order of addresses, backwards, and mixed. */
enum { ORDERS = 3 };
static int position(int order, int tensor)
{
    static const int mixed[TENSORS] = {3, 0, 5, 1, 4, 2};
    return order == 0 ? tensor : order == 1 ? TENSORS - 1 - tensor : mixed[tensor];
}

typedef struct group {
    kolo_args args;
    kolo_tensor inputs[TENSORS], outputs[TENSORS];
} group;

/* Tensor k lies at k * SPACE. */
static void lay_out(group *g, int order)
{
    *g = (group){.args = host_group(NULL, g->outputs, TENSORS)};
    g->args.inputs = g->inputs;
    for (int k = 0; k < TENSORS; k++)
        g->outputs[position(order, k)] = host_args(NULL, memory + (ptrdiff_t)k * SPACE, four).output;
}

typedef struct displacement {
    int tensor;
    bool input;
    int to;
    int with; /* what it overlaps then; -1: nothing */
} displacement;

/* Numbers in the text are positions in the list; the one that begins first comes first. */
static void expect_refusal(const group *g, int order, const displacement *moved)
{
    char one[64], two[64];
    snprintf(one, sizeof(one), "the %s of tensor %d", moved->input ? "input" : "output",
             position(order, moved->tensor));
    snprintf(two, sizeof(two), "the output of tensor %d", position(order, moved->with));
    host_expect(kolo_allreduce(ctx, &g->args, NULL), KOLO_ERR_INVALID, "overlap; only inputs may");
    assert_non_null(strstr(kolo_last_error()->message, one));
    assert_non_null(strstr(kolo_last_error()->message, two));
}

static void what_is_written__is_nobody_elses(void **state)
{
    (void)state;
    static const displacement cases[] = {
        {0, false, 1 * SPACE + 1, 1}, {5, false, 0, 0},
        {3, false, 2 * SPACE - 3, 2}, {0, false, 1 * SPACE + 4, -1},
        {2, true, 4 * SPACE + 2, 4},  {4, true, 2 * SPACE - 3, 2},
        {3, true, 5 * SPACE, 5},      {3, true, 5 * SPACE + 4, -1},
    };
    for (int order = 0; order < ORDERS; order++)
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            group g;
            lay_out(&g, order);
            int at = position(order, cases[i].tensor);
            g.inputs[at] = g.outputs[at];
            (cases[i].input ? &g.inputs[at] : &g.outputs[at])->data = memory + cases[i].to;
            if (!cases[i].input)
                g.inputs[at].data = NULL;
            if (cases[i].with >= 0)
                expect_refusal(&g, order, &cases[i]);
            else
                assert_int_equal(kolo_allreduce(ctx, &g.args, NULL), KOLO_OK);
            g.outputs[at].shape = g.inputs[at].shape = none; /* no elements, no memory */
            assert_int_equal(kolo_allreduce(ctx, &g.args, NULL), KOLO_OK);
        }
}

static void inputs__may_be_shared(void **state)
{
    (void)state;
    for (int order = 0; order < ORDERS; order++) {
        group g;
        lay_out(&g, order);
        for (int k = 0; k < TENSORS; k++) {
            g.inputs[k] = g.outputs[k];
            g.inputs[k].data = memory + 10 + k / 2;
        }
        assert_int_equal(kolo_allreduce(ctx, &g.args, NULL), KOLO_OK);
    }
}

/* A long one under many short ones: it is not a neighbour's neighbour that is overlapped. */
static void one_that_covers_others__is_found(void **state)
{
    (void)state;
    static const int64_t most[1] = {SPACE * (TENSORS - 1) + 1};
    for (int order = 0; order < ORDERS; order++)
        for (int input = 0; input < 2; input++) {
            group g;
            lay_out(&g, order);
            int first = position(order, 0);
            for (int k = 1; k < TENSORS - 1; k++)
                g.outputs[position(order, k)].shape = none;
            g.outputs[first].shape = most;
            if (input) {
                static float elsewhere[SPACE * TENSORS];
                g.inputs[first] = g.outputs[first];
                g.outputs[first].data = elsewhere;
            }
            host_expect(kolo_allreduce(ctx, &g.args, NULL), KOLO_ERR_INVALID,
                        input ? "the input of tensor" : "the output of tensor");
        }
}

static int begin(void **state)
{
    (void)state;
    host_clear_environment();
    ctx = host_init(NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    host_finalize(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written__is_nobody_elses),
        cmocka_unit_test(inputs__may_be_shared),
        cmocka_unit_test(one_that_covers_others__is_found),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
