/* test_start.c - prepared operations that their start posts (engine/call.h), beside ranks that do the same by a call or as
 * requests: ended by their waiter, taken over by a step, refused; when somebody disagrees or dies; and random programs. A
 * failure of these prints the seed: SIM_SEED=n replays it, SIM_SEEDS=n runs more. */
#include "sim/callers.h"
#include "sim/program.h"
#include "sim/replay.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SEEDS = 300 };

static cluster net;
static caller callers[CALLERS_MAX];

static void prepare(caller *c, const char *name, int64_t count)
{
    caller_describe(c, name, count, 0);
    caller_prepare(c);
}

/* A job, and a first round of all ranks, in which the slot is agreed on. */
static void begin_job(int32_t size)
{
    cluster_init(&net, &(cluster_options){.size = size, .seed = 1, .window_bytes = 8 << 20, .heap_bytes = 1 << 20});
    callers_init(callers, size, &net);
    for (int32_t r = 0; r < size; r++) {
        prepare(&callers[r], "w", 7);
        assert_false(caller_start(&callers[r])); /* never submitted */
    }
    callers_agree(callers);
}

static void end_job(void)
{
    for (int32_t r = 0; r < net.size; r++)
        caller_discard(&callers[r]);
    cluster_fini(&net);
}

/* False: refused. */
static bool start(caller *c, int64_t key)
{
    caller_fill(c, key);
    return caller_start(c);
}

static void submit(caller *c, int64_t key)
{
    caller_fill(c, key);
    caller_renew(c);
    caller_submit(c);
}

static void end(caller *c)
{
    assert_true(caller_work(c));
    assert_true(kolo_engine_idle(caller_engine(c)));
}

/* ---- ended, taken over, refused -------------------------------------------------------------------------------- */

static void start__of_all_ranks_completes_without_a_message(void **state)
{
    (void)state;
    begin_job(3);
    uint64_t messages = cluster_control_messages(&net);
    for (int64_t key = 1; key < 6; key++) {
        for (int32_t r = 0; r < 3; r++) {
            assert_true(start(&callers[r], key));
            assert_false(kolo_engine_idle(net.engines[r]));
            assert_false(kolo_request_is_done(callers[r].prepared));
            assert_int_equal(caller_is_complete(&callers[0]), r == 2);
        }
        for (int32_t r = 0; r < 3; r++)
            end(&callers[r]);
    }
    assert_int_equal(cluster_control_messages(&net), messages);
    end_job();
}

/* Who has posted is needed no more: the others are through before it looks, or is stepped. */
static void start__serves_the_peers_at_once(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        begin_job(3);
        assert_true(start(&callers[0], 1));
        submit(&callers[1], 1);
        submit(&callers[2], 1);
        caller_expect_success(&callers[2]);
        cluster_step(&net, 1);
        caller_expect_success(&callers[1]);
        if (way == 0)
            end(&callers[0]);
        else if (way == 1)
            kolo_engine_accept(net.engines[0], kolo_sim_now(net.sim));
        cluster_step(&net, 0);
        if (way != 0)
            caller_expect_success(&callers[0]);
        for (int32_t r = 0; r < 3; r++)
            assert_true(kolo_engine_idle(net.engines[r]));
        callers_settle(callers);
        end_job();
    }
}

/* What comes behind it is after it, also of its name; and there it is refused. */
static void start__keeps_its_place(void **state)
{
    (void)state;
    enum { LATER = 3 };
    static caller later[LATER][2];
    begin_job(2);
    for (int i = 0; i < LATER; i++)
        for (int32_t r = 0; r < 2; r++) {
            caller_init(&later[i][r], &net, r);
            prepare(&later[i][r], i == 1 ? "other" : "w", 7);
            later[i][r].prepared->entry = i == 1 ? NULL : callers[r].prepared->entry;
        }
    for (int32_t r = 0; r < 2; r++) {
        assert_true(start(&callers[r], 1));
        for (int i = 0; i < LATER; i++) {
            assert_false(start(&later[i][r], 2 + i)); /* one is under way */
            caller_queue(&later[i][r]);
        }
        if (r == 0)
            kolo_engine_accept(net.engines[r], kolo_sim_now(net.sim));
    }
    for (int32_t r = 0; r < 2; r++)
        cluster_step(&net, r);
    callers_expect_success(callers);
    for (int i = 0; i < LATER; i++)
        for (int32_t r = 0; r < 2; r++) {
            caller_expect_success(&later[i][r]);
            caller_discard(&later[i][r]);
        }
    end_job();
}

static void start__is_refused_where_something_stands_in_the_way(void **state)
{
    (void)state;
    static caller other;
    begin_job(2);
    caller_init(&other, &net, 0);
    prepare(&other, "w", 8);
    other.prepared->entry = callers[0].prepared->entry;
    assert_false(start(&other, 1)); /* another shape */
    caller_discard(&other);
    cluster_crash(&net, 1);
    submit(&callers[0], 1);
    callers_settle(callers);
    caller_expect_error(&callers[0], KOLO_ERR_PEER, "rank 1 is gone");
    assert_false(start(&callers[0], 1)); /* the job is broken */
    end_job();
}

/* ---- what goes wrong -------------------------------------------------------------------------------------------- */

static void handle__given_back_at_once__it_goes_on(void **state)
{
    (void)state;
    begin_job(2);
    for (int32_t r = 0; r < 2; r++) {
        assert_true(start(&callers[r], 1));
        kolo_request_release(callers[r].prepared);
    }
    for (int32_t r = 0; r < 2; r++)
        cluster_step(&net, r);
    callers_settle(callers);
    for (int32_t r = 0; r < 2; r++) {
        assert_true(kolo_engine_idle(net.engines[r]));
        caller_check(&callers[r]);
    }
    cluster_fini(&net); /* the sanitizers look whether they are gone */
}

/* Left when the engine goes. */
static void engine__goes_first(void **state)
{
    (void)state;
    begin_job(2);
    assert_true(start(&callers[0], 1));
    cluster_fini(&net);
    assert_int_equal(callers[0].prepared->status, KOLO_ERR_STATE);
    for (int32_t r = 0; r < 2; r++)
        caller_discard(&callers[r]);
}

/* Rank `odd` has another shape, and the others have posted before, or after. */
static void start__that_others_disagree_with_fails_on_all(void **state)
{
    (void)state;
    static caller wrong;
    for (int turn = 0; turn < 6; turn++) {
        begin_job(3);
        int32_t odd = turn % 3;
        caller_init(&wrong, &net, odd);
        caller_describe(&wrong, "w", 8, 1);
        if (turn < 3)
            caller_submit(&wrong);
        callers_settle(callers);
        for (int32_t r = 0; r < 3; r++)
            if (r != odd)
                assert_true(start(&callers[r], 1));
        if (turn >= 3)
            caller_submit(&wrong);
        for (int32_t r = 0; r < 3; r++)
            cluster_step(&net, r);
        callers_settle(callers);
        caller_expect_error(&wrong, KOLO_ERR_MISMATCH, "float32 [8]");
        for (int32_t r = 0; r < 3; r++) {
            if (r != odd)
                caller_expect_error(&callers[r], KOLO_ERR_MISMATCH, "float32 [8]");
            assert_true(start(&callers[r], 2)); /* and the right one goes on, from the same round everywhere */
        }
        for (int32_t r = 0; r < 3; r++)
            end(&callers[r]);
        end_job();
    }
}

static void start__whose_peer_died_or_stays_away_ends(void **state)
{
    (void)state;
    for (int turn = 0; turn < 6; turn++) {
        bool dies = turn >= 3;
        char expected[64];
        int32_t absent = turn % 3;
        begin_job(3);
        for (int32_t r = 0; r < 3; r++) {
            callers[r].prepared->timeout_ns = KOLO_NS_PER_S;
            assert_true(r == absent || start(&callers[r], 1));
        }
        if (dies)
            cluster_crash(&net, absent);
        for (int32_t r = 0; r < 3; r++)
            if (r != absent)
                cluster_step(&net, r);
        callers_settle(callers);
        snprintf(expected, sizeof(expected), dies ? "rank %d is gone" : "not submitted by rank %d;", absent);
        for (int32_t r = 0; r < 3; r++)
            if (r != absent)
                caller_expect_error(&callers[r], dies ? KOLO_ERR_PEER : KOLO_ERR_TIMEOUT, expected);
        end_job();
    }
}

/* ---- random programs ---------------------------------------------------------------------------------------------- */

static void describe(caller *c, uint64_t seed)
{
    (void)seed;
    caller_fill(c, c->rounds);
}

static void run_program(uint64_t seed)
{
    enum { ROUNDS = 60 };
    static const int32_t sizes[] = {2, 2, 3, 4, 9};
    kolo_rng rng = {.state = seed};
    begin_job(sizes[kolo_rng_below(&rng, 5)]);
    program_run(callers, net.size, ROUNDS, seed, describe);
    end_job();
}

static void random_programs__of_starts_calls_and_requests_are_right(void **state)
{
    (void)state;
    replay_seeds(SEEDS, run_program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start__of_all_ranks_completes_without_a_message),
        cmocka_unit_test(start__serves_the_peers_at_once),
        cmocka_unit_test(start__keeps_its_place),
        cmocka_unit_test(start__is_refused_where_something_stands_in_the_way),
        cmocka_unit_test(handle__given_back_at_once__it_goes_on),
        cmocka_unit_test(engine__goes_first),
        cmocka_unit_test(start__that_others_disagree_with_fails_on_all),
        cmocka_unit_test(start__whose_peer_died_or_stays_away_ends),
        cmocka_unit_test_teardown(random_programs__of_starts_calls_and_requests_are_right, replay_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
