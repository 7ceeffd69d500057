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

/* Tensor k lies at k * SPACE. */
static void lay_out(kolo_args *list, int order)
{
    for (int k = 0; k < TENSORS; k++)
        list[position(order, k)] = host_args(NULL, memory + (ptrdiff_t)k * SPACE, four);
}

typedef struct displacement {
    int tensor;
    bool input;
    int to;
    int with; /* what it overlaps then; -1: nothing */
} displacement;

/* Numbers in the text are positions in the list; the one that begins first comes first. */
static void expect_refusal(const kolo_args *list, int order, const displacement *moved)
{
    char one[64], two[64];
    snprintf(one, sizeof(one), "the %s of tensor %d", moved->input ? "input" : "output",
             position(order, moved->tensor));
    snprintf(two, sizeof(two), "the output of tensor %d", position(order, moved->with));
    host_expect(kolo_grouped_allreduce(ctx, list, TENSORS, NULL), KOLO_ERR_INVALID, "overlap; only inputs may");
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
            kolo_args list[TENSORS];
            lay_out(list, order);
            kolo_args *one = &list[position(order, cases[i].tensor)];
            one->input = one->output;
            (cases[i].input ? &one->input : &one->output)->data = memory + cases[i].to;
            if (!cases[i].input)
                one->input.data = NULL;
            if (cases[i].with >= 0)
                expect_refusal(list, order, &cases[i]);
            else
                assert_int_equal(kolo_grouped_allreduce(ctx, list, TENSORS, NULL), KOLO_OK);
            one->output.shape = one->input.shape = none; /* no elements, no memory */
            assert_int_equal(kolo_grouped_allreduce(ctx, list, TENSORS, NULL), KOLO_OK);
        }
}

static void inputs__may_be_shared(void **state)
{
    (void)state;
    for (int order = 0; order < ORDERS; order++) {
        kolo_args list[TENSORS];
        lay_out(list, order);
        for (int k = 0; k < TENSORS; k++) {
            list[k].input = list[k].output;
            list[k].input.data = memory + 10 + k / 2;
        }
        assert_int_equal(kolo_grouped_allreduce(ctx, list, TENSORS, NULL), KOLO_OK);
    }
}

/* A long one under many short ones: it is not a neighbour's neighbour that is overlapped. */
static void one_that_covers_others__is_found(void **state)
{
    (void)state;
    static const int64_t most[1] = {SPACE * (TENSORS - 1) + 1};
    for (int order = 0; order < ORDERS; order++)
        for (int input = 0; input < 2; input++) {
            kolo_args list[TENSORS];
            lay_out(list, order);
            kolo_args *first = &list[position(order, 0)];
            for (int k = 1; k < TENSORS - 1; k++)
                list[position(order, k)].output.shape = none;
            first->output.shape = most;
            if (input) {
                static float elsewhere[SPACE * TENSORS];
                first->input = first->output;
                first->output.data = elsewhere;
            }
            host_expect(kolo_grouped_allreduce(ctx, list, TENSORS, NULL), KOLO_ERR_INVALID,
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
