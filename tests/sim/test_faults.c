/* test_faults.c - what goes wrong, on the simulated network: ranks that disagree, die, or talk nonsense (test_late.c:
 * that stay away). Every request ends, on every rank, with an error that names who it was. */
#include "sim/cluster.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EVENTS_MAX = 2 * 1000 * 1000, STEP_TENSORS = 30 };

/* ---- disagreement ------------------------------------------------------------------------------------------- */

/* window_bytes > 0: with shared memory, so that from the second round on small tensors go the express way. */
static void disagree(int32_t size, int32_t odd, size_t window_bytes)
{
    cluster net;
    cluster_init(&net, &(cluster_options){.size = size, .seed = (uint64_t)size, .window_bytes = window_bytes});
    static float data[CLUSTER_MAX][8];
    kolo_request *requests[CLUSTER_MAX];
    for (int round = 0; round < 3; round++) {
        /* Round 1: one rank disagrees. Rounds 0 and 2 are in order: a slot exists before, and again after. */
        for (int32_t r = 0; r < size; r++) {
            cluster_tensor tensor = cluster_vector("w", data[r], round == 1 && r == odd ? 5 : 4);
            requests[r] = cluster_submit(&net, r, &tensor);
        }
        cluster_settle(&net, EVENTS_MAX);
        char expected[64];
        snprintf(expected, sizeof(expected), "rank %d: allreduce sum float32 [5]", odd);
        for (int32_t r = 0; r < size; r++)
            if (round == 1)
                cluster_expect_error(requests[r], KOLO_ERR_MISMATCH, expected);
            else
                cluster_expect_success(requests[r]);
    }
    cluster_fini(&net);
}

static void mismatch__names_who_sent_what_and_the_name_stays_usable(void **state)
{
    (void)state;
    for (int32_t size = 2; size <= 20; size += 3) {
        disagree(size, size - 1, 0);
        disagree(size, size - 1, 8 << 20);
        disagree(size, 0, 0);
        disagree(size, 0, 8 << 20);
    }
    for (int32_t size = 63; size <= 65; size++)
        for (int32_t odd = 0; odd < size; odd += 31)
            disagree(size, odd, 8 << 20);
}

/* Rank 2's post comes after the root has looked and before it sleeps: nobody will ring for it. */
static void mismatch__with_a_post_that_comes_as_the_root_falls_asleep_keeps_it_awake(void **state)
{
    (void)state;
    static float data[3][8];
    cluster net;
    kolo_request *requests[3];
    cluster_init(&net, &(cluster_options){.size = 3, .seed = 1, .window_bytes = 8 << 20});
    for (int32_t r = 0; r < 3; r++) {
        cluster_tensor tensor = cluster_vector("w", data[r], 4);
        requests[r] = cluster_submit(&net, r, &tensor);
    }
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 3; r++)
        cluster_expect_success(requests[r]);

    cluster_tensor same = cluster_vector("w", data[0], 4), other = cluster_vector("w", data[1], 5);
    requests[0] = cluster_submit(&net, 0, &same);
    requests[1] = cluster_submit(&net, 1, &other);
    cluster_settle(&net, EVENTS_MAX);
    assert_false(kolo_engine_awake(net.engines[0]));
    same.output = data[2];
    requests[2] = cluster_submit(&net, 2, &same);
    cluster_step(&net, 2);
    assert_true(kolo_engine_awake(net.engines[0]));
    cluster_step(&net, 0);
    assert_false(kolo_engine_awake(net.engines[0]));
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 3; r++)
        cluster_expect_error(requests[r], KOLO_ERR_MISMATCH, "rank 1: allreduce sum float32 [5]");
    cluster_fini(&net);
}

static void mismatch__of_operator_type_and_kind_is_found(void **state)
{
    (void)state;
    static float data[3][4];
    const struct {
        cluster_tensor odd;
        const char *text;
    } cases[] = {
        {{.name = "x", .op = KOLO_MAX, .type = KOLO_DTYPE_FLOAT32, .count = 4, .output = data[1]},
         "rank 1: allreduce max float32 [4]"},
        {{.name = "x", .type = KOLO_DTYPE_INT32, .count = 4, .output = data[1]}, "rank 1: allreduce sum int32 [4]"},
        {{.name = "x", .type = KOLO_DTYPE_FLOAT32, .count = 4, .output = data[1], .prescale = 0.5},
         "rank 1: allreduce sum prescale 0.5"},
        {{.name = "x",
          .collective = KOLO_BROADCAST,
          .root = 2,
          .type = KOLO_DTYPE_FLOAT32,
          .count = 4,
          .output = data[1]},
         "rank 1: broadcast from rank 2 float32 [4]"},
        {{.name = "x", .collective = KOLO_BARRIER}, "rank 1: barrier"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cluster net;
        kolo_request *requests[3];
        cluster_init(&net, &(cluster_options){.size = 3, .seed = i});
        for (int32_t r = 0; r < 3; r++) {
            cluster_tensor usual = cluster_vector("x", data[r], 4);
            requests[r] = cluster_submit(&net, r, r == 1 ? &cases[i].odd : &usual);
        }
        cluster_settle(&net, EVENTS_MAX);
        for (int32_t r = 0; r < 3; r++)
            cluster_expect_error(requests[r], KOLO_ERR_MISMATCH, cases[i].text);
        cluster_fini(&net);
    }
}

static void changed_shape__on_all_ranks_starts_over(void **state)
{
    (void)state;
    static float data[5][64];
    cluster net;
    cluster_init(&net, &(cluster_options){.size = 5, .seed = 1});
    for (int64_t count = 1; count <= 64; count *= 2) {
        kolo_request *requests[5];
        for (int32_t r = 0; r < 5; r++) {
            for (int64_t i = 0; i < count; i++)
                data[r][i] = (float)(r + i);
            cluster_tensor tensor = cluster_vector("w", data[r], count);
            requests[r] = cluster_submit(&net, r, &tensor);
        }
        cluster_settle(&net, EVENTS_MAX);
        for (int32_t r = 0; r < 5; r++) {
            cluster_expect_success(requests[r]);
            for (int64_t i = 0; i < count; i++)
                assert_true(data[r][i] == (float)(10 + 5 * i));
        }
    }
    cluster_fini(&net);
}

/* ---- ranks that die --------------------------------------------------------------------------------------------- */

static void crash_once(uint64_t seed)
{
    kolo_rng rng = {.state = seed};
    int32_t size = 2 + (int32_t)kolo_rng_below(&rng, 11);
    int32_t victim = (int32_t)kolo_rng_below(&rng, (uint64_t)size);
    enum { TENSORS = 6 };
    static float data[CLUSTER_MAX][TENSORS][300];
    kolo_request *requests[CLUSTER_MAX][TENSORS];
    cluster net;
    cluster_init(&net, &(cluster_options){.size = size, .seed = seed, .fusion_bytes = 1 << 12});
    uint64_t crash_at = kolo_rng_below(&rng, 400);
    for (int t = 0; t < TENSORS; t++)
        for (int32_t r = 0; r < size; r++) {
            static const char *const names[TENSORS] = {"a", "b", "c", "d", "e", "f"};
            cluster_tensor tensor = cluster_vector(names[t], data[r][t], 300);
            requests[r][t] = cluster_submit(&net, r, &tensor);
        }
    while (net.events < crash_at && cluster_event(&net))
        continue;
    cluster_crash(&net, victim);
    cluster_settle(&net, EVENTS_MAX);
    char expected[64];
    snprintf(expected, sizeof(expected), "rank %d is gone", victim);
    for (int32_t r = 0; r < size; r++)
        for (int t = 0; t < TENSORS; t++) {
            if (r == victim)
                kolo_request_release(requests[r][t]);
            else if (requests[r][t]->status == KOLO_OK)
                cluster_expect_success(requests[r][t]);
            else
                cluster_expect_error(requests[r][t], KOLO_ERR_PEER, expected);
        }
    cluster_fini(&net);
}

static void crash__ends_every_request_and_names_the_dead_rank(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++)
        crash_once(seed);
}

static void broken_job__fails_later_submissions_too(void **state)
{
    (void)state;
    static float data[4];
    cluster net;
    cluster_init(&net, &(cluster_options){.size = 3, .seed = 3});
    cluster_crash(&net, 2);
    cluster_settle(&net, EVENTS_MAX);
    cluster_tensor tensor = cluster_vector("after", data, 4);
    kolo_request *request = cluster_submit(&net, 0, &tensor);
    cluster_settle(&net, EVENTS_MAX);
    cluster_expect_error(request, KOLO_ERR_PEER, "rank 2 is gone");
    cluster_fini(&net);
}

static kolo_status refuse_control(kolo_transport *transport, int32_t peer, const void *bytes, size_t size)
{
    (void)transport;
    (void)peer;
    (void)bytes;
    (void)size;
    return kolo_fail(KOLO_ERR_TRANSPORT, "the wire is cut");
}

/* Rank 0's tensor of `name` lies in its heap only if `shared`; the others' always. */
static void submit_large(cluster *net, int32_t rank, const char *name, bool shared, kolo_request **request)
{
    enum { COUNT = 70000 }; /* too large for a cell */
    static float apart[COUNT];
    float *data = shared || rank > 0 ? cluster_alloc(net, rank, COUNT * sizeof(float)) : apart;
    cluster_tensor tensor = cluster_vector(name, data, COUNT);
    *request = cluster_submit(net, rank, &tensor);
}

/* A post tells rank 0 that "v" is complete, while it works on "w": its decision cannot be sent, and nothing comes any
 * more that would wake it. */
static void broken_job__ends_what_works_on_places_in_the_same_step(void **state)
{
    (void)state;
    cluster net;
    kolo_request *w[2], *v[2];
    cluster_init(&net, &(cluster_options){.size = 2, .seed = 1, .window_bytes = 8 << 20, .heap_bytes = 4 << 20});
    for (int round = 0; round < 2; round++) {
        for (int32_t r = 0; r < 2; r++) {
            submit_large(&net, r, "w", true, &w[r]);
            if (round == 0 || r == 0)
                submit_large(&net, r, "v", round == 0, &v[r]);
        }
        if (round == 0)
            cluster_settle(&net, EVENTS_MAX);
        for (int32_t r = 0; round == 0 && r < 2; r++) {
            cluster_expect_success(w[r]);
            cluster_expect_success(v[r]);
        }
    }
    assert_true(kolo_engine_step(net.engines[1], kolo_sim_now(net.sim)) > 0); /* posts w; and no more steps: the    */
    cluster_step(&net, 0);                                                    /* other one waits for it to be done */
    assert_true(w[0]->running);
    submit_large(&net, 1, "v", true, &v[1]);
    assert_true(kolo_engine_step(net.engines[1], kolo_sim_now(net.sim)) > 0);
    kolo_transport_ops ops = *kolo_sim_transport();
    ops.send_control = refuse_control;
    net.engines[0]->control.ops = &ops;
    cluster_step(&net, 0);
    cluster_expect_error(w[0], KOLO_ERR_TRANSPORT, "the wire is cut");
    cluster_expect_error(v[0], KOLO_ERR_TRANSPORT, "the wire is cut");
    cluster_fini(&net);
    kolo_request_release(w[1]);
    kolo_request_release(v[1]);
}

/* A callback that submits again, whatever the status, until told to stop. */
typedef struct insistent {
    cluster *net;
    int calls;
    bool stop;
    float data[4];
} insistent;

enum { CALLS_MAX = 1000 * 1000 };

static void submit_again(void *user, kolo_request *request, kolo_status status)
{
    insistent *self = user;
    (void)request;
    (void)status;
    if (++self->calls == CALLS_MAX || self->stop)
        return;
    cluster_tensor tensor = cluster_vector("again", self->data, 4);
    tensor.done = submit_again;
    tensor.user = self;
    kolo_request_release(cluster_submit(self->net, 0, &tensor));
}

static void broken_job__is_left_by_a_step_though_callbacks_submit_again(void **state)
{
    (void)state;
    cluster net;
    cluster_init(&net, &(cluster_options){.size = 2, .seed = 3});
    cluster_crash(&net, 1);
    cluster_settle(&net, EVENTS_MAX);
    insistent self = {.net = &net};
    submit_again(&self, NULL, KOLO_OK);
    assert_true(kolo_engine_step(net.engines[0], kolo_sim_now(net.sim)) > 0);
    assert_in_range(self.calls, 2, CALLS_MAX - 1);
    self.stop = true;
    cluster_settle(&net, EVENTS_MAX);
    assert_true(kolo_engine_idle(net.engines[0]));
    cluster_fini(&net);
}

/* ---- ranks that talk nonsense ------------------------------------------------------------------------------------ */

static void garbage__breaks_the_job_and_names_its_sender(void **state)
{
    (void)state;
    static float data[3][4];
    for (uint64_t seed = 1; seed <= 200; seed++) {
        kolo_rng rng = {.state = seed};
        cluster net;
        cluster_init(&net, &(cluster_options){.size = 3, .seed = seed});
        cluster_tensor tensor = cluster_vector("w", data[0], 4);
        kolo_request *request = cluster_submit(&net, 0, &tensor);
        /* A plausible header, then noise. */
        uint8_t noise[64] = {0x4b, 1, (uint8_t)(1 + seed % 3), 0, 0, 0, 0, 0};
        for (size_t i = 8; i < sizeof(noise); i++)
            noise[i] = (uint8_t)kolo_rng_next(&rng);
        size_t size = 9 + kolo_rng_below(&rng, sizeof(noise) - 8);
        noise[8] |= 0x40; /* no valid entry begins so */
        assert_int_equal(kolo_sim_transport()->send_control(net.transports[2], 0, noise, size), KOLO_OK);
        cluster_settle(&net, EVENTS_MAX);
        cluster_expect_error(request, KOLO_ERR_PROTOCOL, "rank 2");
        cluster_fini(&net);
    }
}

/* ---- economy ------------------------------------------------------------------------------------------------------
 */

static void steady_state__costs_one_message_up_and_one_down_per_link(void **state)
{
    (void)state;
    static float data[20][STEP_TENSORS][4];
    for (int32_t size = 2; size <= 20; size += 6) {
        cluster net;
        cluster_init(&net, &(cluster_options){.size = size, .seed = 5, .fusion_bytes = 1 << 20, .groups_in_flight = 1});
        for (int step = 0; step < 3; step++) {
            kolo_request *requests[20][STEP_TENSORS];
            uint64_t before = cluster_control_messages(&net);
            for (int32_t r = 0; r < size; r++)
                for (int t = 0; t < STEP_TENSORS; t++) {
                    char name[16];
                    snprintf(name, sizeof(name), "t%d", t);
                    cluster_tensor tensor = cluster_vector(name, data[r][t], 4);
                    requests[r][t] = cluster_submit(&net, r, &tensor);
                }
            cluster_settle(&net, EVENTS_MAX);
            for (int32_t r = 0; r < size; r++)
                for (int t = 0; t < STEP_TENSORS; t++)
                    cluster_expect_success(requests[r][t]);
            /* All tensors of a step were there at once: one report up and one batch down each link. */
            assert_int_equal(cluster_control_messages(&net) - before, 2 * (size - 1));
        }
        assert_false(cluster_event(&net)); /* an idle job is silent */
        cluster_fini(&net);
    }
}

static void windows__that_are_too_small_are_done_without(void **state)
{
    (void)state;
    static float data[3][100];
    cluster net;
    kolo_request *requests[3];
    cluster_init(&net, &(cluster_options){.size = 3, .seed = 1, .groups_in_flight = 64, .window_bytes = 2048});
    for (int32_t r = 0; r < 3; r++) {
        data[r][99] = 1;
        cluster_tensor tensor = cluster_vector("w", data[r], 100);
        requests[r] = cluster_submit(&net, r, &tensor);
    }
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 3; r++) {
        cluster_expect_success(requests[r]);
        assert_true(data[r][99] > 2.5f && data[r][99] < 3.5f);
    }
    cluster_fini(&net);
}

/* In the first round, in which the slot is agreed, and in those after it, which could go over the board. */
static void force(const char *algorithm, const char *broadcast, kolo_collective collective, int64_t count)
{
    cluster net;
    cluster_options options = {.size = 3,
                               .seed = 1,
                               .algorithm = algorithm,
                               .broadcast = broadcast,
                               .window_bytes = 8 << 20,
                               .heap_bytes = 1 << 20};
    cluster_init(&net, &options);
    uint64_t before = 0;
    for (int round = 0; round < 3; round++) {
        kolo_request *requests[3];
        for (int32_t r = 0; r < 3; r++) {
            cluster_tensor tensor = cluster_vector("w", cluster_alloc(&net, r, (size_t)count * sizeof(float)), count);
            tensor.collective = collective;
            requests[r] = cluster_submit(&net, r, &tensor);
        }
        cluster_settle(&net, EVENTS_MAX);
        for (int32_t r = 0; r < 3; r++)
            cluster_expect_success(requests[r]);
        kolo_sim_counters sent;
        kolo_sim_count(net.sim, 0, &sent);
        assert_true(sent.data_messages > before);
        before = sent.data_messages;
    }
    cluster_fini(&net);
}

/* Else the sums' order would be the forced algorithm's in the first round, and that of the board from then on. */
static void forced_algorithm__moves_tensors_in_every_round(void **state)
{
    (void)state;
    force("ring", NULL, KOLO_ALLREDUCE, 4);
    force("ring", NULL, KOLO_ALLREDUCE, 4000);
    force("ring", NULL, KOLO_REDUCE_SCATTER, 4000);
    force("ring", NULL, KOLO_ALLGATHER, 4000);
    force("circulant", NULL, KOLO_REDUCE_SCATTER, 4000);
    force(NULL, "chain", KOLO_BROADCAST, 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mismatch__names_who_sent_what_and_the_name_stays_usable),
        cmocka_unit_test(mismatch__with_a_post_that_comes_as_the_root_falls_asleep_keeps_it_awake),
        cmocka_unit_test(mismatch__of_operator_type_and_kind_is_found),
        cmocka_unit_test(changed_shape__on_all_ranks_starts_over),
        cmocka_unit_test(crash__ends_every_request_and_names_the_dead_rank),
        cmocka_unit_test(broken_job__fails_later_submissions_too),
        cmocka_unit_test(broken_job__is_left_by_a_step_though_callbacks_submit_again),
        cmocka_unit_test(broken_job__ends_what_works_on_places_in_the_same_step),
        cmocka_unit_test(garbage__breaks_the_job_and_names_its_sender),
        cmocka_unit_test(steady_state__costs_one_message_up_and_one_down_per_link),
        cmocka_unit_test(windows__that_are_too_small_are_done_without),
        cmocka_unit_test(forced_algorithm__moves_tensors_in_every_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
