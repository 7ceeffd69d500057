/* test_bursts_late.c - tensors by place are posted a little after they were taken from the queue (engine/burst.h): meanwhile
 * nobody takes this rank for the one that is missing. */
#include "sim/cluster.h"

#include "engine/state.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { RANKS = 2, TENSORS = 3, COUNT = 66000, EVENTS_MAX = 1000000, DEADLINE_NS = 1000000 };

static cluster net;
static float *data[RANKS][TENSORS];

static kolo_request *submit(int32_t rank, const char *name, int place, int64_t count, int64_t timeout_ns)
{
    cluster_tensor vector = cluster_vector(name, data[rank][place], count);
    vector.timeout_ns = timeout_ns;
    return cluster_submit(&net, rank, &vector);
}

static void step(int32_t rank)
{
    kolo_engine_step(net.engines[rank], kolo_sim_now(net.sim));
}

/* a and b have their slots. */
static void begin(void)
{
    cluster_init(&net, &(cluster_options){.size = RANKS,
                                          .seed = 1,
                                          .chunk_bytes = 1 << 20,
                                          .fusion_bytes = 16 << 20,
                                          .window_bytes = 8 << 20,
                                          .heap_bytes = 4 << 20});
    kolo_request *requests[RANKS][2];
    for (int32_t r = 0; r < RANKS; r++) {
        for (int i = 0; i < TENSORS; i++)
            assert_non_null(data[r][i] = cluster_alloc(&net, r, COUNT * sizeof(float)));
        requests[r][0] = submit(r, "a", 0, COUNT, 0);
        requests[r][1] = submit(r, "b", 1, COUNT, 0);
    }
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < RANKS; r++)
        for (int i = 0; i < 2; i++)
            cluster_expect_success(requests[r][i]);
}

static void sleep_until(int64_t time_ns)
{
    while (kolo_sim_now(net.sim) < time_ns) {
        kolo_sim_wake_at(net.sim, 0, time_ns);
        if (kolo_sim_advance(net.sim) == 0)
            step(0);
    }
}

/* Rank 1 hears only after the deadline of its second a that the first one has failed, and posts the second then; rank 0 had
 * submitted it in time. */
static void next_of_a_name__whose_deadline_has_passed(void **state)
{
    (void)state;
    begin();
    kolo_request *b[RANKS], *first[RANKS], *second[RANKS];
    b[1] = submit(1, "b", 1, COUNT, 0); /* nobody's, until later */
    first[1] = submit(1, "a", 0, COUNT, 0);
    second[1] = submit(1, "a", 2, COUNT, DEADLINE_NS);
    step(1);
    first[0] = submit(0, "a", 0, COUNT - 10, 0);
    second[0] = submit(0, "a", 2, COUNT, 0);
    for (int i = 0; i < 2; i++) /* it decides, and posts the second */
        step(0);
    sleep_until(second[1]->deadline_ns + 10);
    step(1);
    cluster_settle(&net, EVENTS_MAX);
    b[0] = submit(0, "b", 1, COUNT, 0);
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < RANKS; r++) {
        cluster_expect_error(first[r], KOLO_ERR_MISMATCH, "ranks disagree about 'a'");
        cluster_expect_success(second[r]);
        cluster_expect_success(b[r]);
    }
    cluster_fini(&net);
}

/* The root takes a tensor and its farewell from the queue at once. */
static void root__that_leaves_after_its_last_tensor(void **state)
{
    (void)state;
    begin();
    kolo_request *last[RANKS], *farewell[RANKS];
    const cluster_tensor barrier = {.name = KOLO_FAREWELL, .collective = KOLO_BARRIER};
    for (int32_t r = RANKS - 1; r >= 0; r--) {
        last[r] = submit(r, "a", 0, COUNT, 0);
        if (r == 1)
            cluster_settle(&net, EVENTS_MAX);
    }
    for (int32_t r = 0; r < RANKS; r++) {
        farewell[r] = cluster_submit(&net, r, &barrier);
        cluster_settle(&net, EVENTS_MAX);
    }
    for (int32_t r = 0; r < RANKS; r++) {
        cluster_expect_success(last[r]);
        cluster_expect_success(farewell[r]);
    }
    cluster_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_of_a_name__whose_deadline_has_passed),
        cmocka_unit_test(root__that_leaves_after_its_last_tensor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
