/* test_posts.c - more posts under way than one look at the board takes in, by ranks that post in different orders. */
#include "sim/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

enum { RANKS = 2, TENSORS = 120, COUNT = 16, EVENTS_MAX = 1000000, PHASES = 12 };

static float data[RANKS][TENSORS + 1][2 * COUNT];

/* Tensor TENSORS is the one that the ranks have at different places. */
static kolo_request *submit(cluster *net, int32_t rank, int index, int64_t count)
{
    char name[16];
    snprintf(name, sizeof(name), "w%d", index);
    for (int64_t i = 0; i < count; i++)
        data[rank][index][i] = (float)(rank + 1);
    cluster_tensor tensor = cluster_vector(name, data[rank][index], count);
    return cluster_submit(net, rank, &tensor);
}

static void expect_sum(kolo_request *request, int32_t rank, int index)
{
    cluster_expect_success(request);
    assert_true(data[rank][index][0] >= 3.0f && data[rank][index][0] <= 3.0f);
}

static void step(cluster *net, int32_t rank, int times)
{
    for (int i = 0; i < times; i++)
        kolo_engine_step(net->engines[rank], kolo_sim_now(net->sim));
}

static void agree(cluster *net)
{
    kolo_request *requests[RANKS][TENSORS + 1];
    for (int32_t r = 0; r < RANKS; r++)
        for (int t = 0; t <= TENSORS; t++)
            requests[r][t] = submit(net, r, t, COUNT);
    cluster_settle(net, EVENTS_MAX);
    for (int32_t r = 0; r < RANKS; r++)
        for (int t = 0; t <= TENSORS; t++)
            expect_sum(requests[r][t], r, t);
}

/* Rank 1 is through with the last tensor's round and describes the next one anew, before rank 0 has looked so far. What
 * rank 1 has posted is of the round before. */
static void described_anew(int phase)
{
    cluster net;
    kolo_request *first[TENSORS + 1], *other[TENSORS + 1];
    cluster_init(&net, &(cluster_options){.size = RANKS, .seed = 1, .window_bytes = 8 << 20});
    agree(&net);
    for (int t = 0; t <= TENSORS; t++)
        first[t] = submit(&net, 0, t, COUNT);
    step(&net, 0, phase);
    other[TENSORS] = submit(&net, 1, TENSORS, COUNT);
    step(&net, 1, 5);
    expect_sum(other[TENSORS], 1, TENSORS);
    kolo_request *longer = submit(&net, 1, TENSORS, 2 * COUNT), *own_longer;
    step(&net, 1, 5);
    while (kolo_sim_advance(net.sim) >= 0) /* all of it arrives while rank 0 does not run */
        continue;
    step(&net, 0, 8);
    cluster_settle(&net, EVENTS_MAX);
    expect_sum(first[TENSORS], 0, TENSORS);
    own_longer = submit(&net, 0, TENSORS, 2 * COUNT);
    for (int t = 0; t < TENSORS; t++)
        other[t] = submit(&net, 1, t, COUNT);
    cluster_settle(&net, EVENTS_MAX);
    expect_sum(own_longer, 0, TENSORS);
    expect_sum(longer, 1, TENSORS);
    for (int t = 0; t < TENSORS; t++) {
        expect_sum(first[t], 0, t);
        expect_sum(other[t], 1, t);
    }
    cluster_fini(&net);
}

static void a_post_behind_many__is_not_taken_for_the_next_round(void **state)
{
    (void)state;
    for (int phase = 1; phase < PHASES; phase++)
        described_anew(phase);
}

/* One rank from the first to the last, the other one backwards. */
static void posts_in_opposite_orders__all_complete(void **state)
{
    (void)state;
    cluster net;
    kolo_request *requests[RANKS][TENSORS];
    cluster_init(&net, &(cluster_options){.size = RANKS, .seed = 1, .window_bytes = 8 << 20});
    agree(&net);
    for (int i = 0; i < TENSORS; i++) {
        requests[0][i] = submit(&net, 0, i, COUNT);
        cluster_step(&net, 0);
        requests[1][TENSORS - 1 - i] = submit(&net, 1, TENSORS - 1 - i, COUNT);
        cluster_step(&net, 1);
    }
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < RANKS; r++)
        for (int t = 0; t < TENSORS; t++)
            expect_sum(requests[r][t], r, t);
    cluster_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_post_behind_many__is_not_taken_for_the_next_round),
        cmocka_unit_test(posts_in_opposite_orders__all_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
