/* test_call.c - operations whose caller waits for them, in one go (engine/call.h), beside ranks that submit the same as
 * requests: complete at once, adopted, refused; when somebody disagrees or dies; and random programs. A failure of
 * these prints the seed: SIM_SEED=n replays it, SIM_SEEDS=n runs more. */
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

static void begin_job(int32_t size)
{
    cluster_init(&net, &(cluster_options){.size = size, .seed = 1, .window_bytes = 8 << 20, .heap_bytes = 1 << 20});
    callers_init(callers, size, &net);
}

static void agree(const char *name, int64_t count)
{
    callers_describe(callers, name, count, 0);
    callers_agree(callers);
}

/* ---- in one go -------------------------------------------------------------------------------------------------- */

static void call__of_all_ranks_completes_without_a_message(void **state)
{
    (void)state;
    begin_job(3);
    agree("w", 100);
    agree("b", 0);
    uint64_t messages = cluster_control_messages(&net);
    for (int64_t key = 1; key < 6; key++) {
        callers_describe(callers, key % 2 == 0 ? "w" : "b", key % 2 == 0 ? 100 : 0, key);
        for (int32_t r = 0; r < 3; r++) {
            assert_true(caller_begin(&callers[r]));
            assert_int_equal(caller_is_complete(&callers[0]), r == 2);
        }
        for (int32_t r = 0; r < 3; r++) {
            assert_true(caller_work(&callers[r]));
            assert_true(kolo_engine_idle(net.engines[r]));
        }
    }
    assert_int_equal(cluster_control_messages(&net), messages);
    callers_settle(callers);
    agree("w", 100); /* and it goes on from the same round everywhere */
    cluster_fini(&net);
}

/* Rank `first` posts and has to wait; the others come as requests, or in one go. */
static void wait_for(int32_t first, bool others_call)
{
    begin_job(3);
    agree("w", 7);
    callers_describe(callers, "w", 7, 9);
    assert_true(caller_begin(&callers[first]));
    caller_adopt(&callers[first]);
    assert_false(kolo_request_is_done(callers[first].request));
    for (int32_t r = 0; r < 3; r++) {
        if (r != first && others_call)
            assert_true(caller_begin(&callers[r]));
        else if (r != first)
            caller_submit(&callers[r]);
    }
    for (int32_t r = 0; r < 3; r++)
        assert_true(r == first || !others_call || caller_work(&callers[r]));
    callers_expect_success(callers);
    agree("w", 7);
    cluster_fini(&net);
}

static void call__that_has_to_wait_becomes_a_request(void **state)
{
    (void)state;
    for (int32_t first = 0; first < 3; first++) {
        wait_for(first, false);
        wait_for(first, true);
    }
}

static void call__is_refused_where_something_stands_in_the_way(void **state)
{
    (void)state;
    static caller other;
    caller *one = &callers[0];
    begin_job(2);
    caller_describe(one, "new", 7, 1);
    assert_false(caller_begin(one)); /* no slot yet */
    agree("w", 7);
    agree("large", CALLER_COUNT_MAX);
    caller_describe(one, "w", 8, 1);
    assert_false(caller_begin(one)); /* another shape */
    caller_describe(one, "large", CALLER_COUNT_MAX, 1);
    assert_false(caller_begin(one)); /* in order */

    caller_init(&other, &net, 0);
    caller_describe(&other, "other", 7, 1);
    caller_submit(&other);
    caller_describe(one, "w", 7, 1);
    assert_false(caller_begin(one)); /* another name is under way */
    cluster_crash(&net, 1);
    callers_settle(callers);
    caller_expect_error(&other, KOLO_ERR_PEER, "rank 1 is gone");
    assert_true(kolo_engine_idle(net.engines[0]));
    assert_false(caller_begin(one)); /* the job is broken */
    cluster_fini(&net);

    cluster_init(&net, &(cluster_options){.size = 2, .seed = 1});
    callers_init(callers, 2, &net);
    agree("w", 7);
    caller_describe(one, "w", 7, 1);
    assert_false(caller_begin(one)); /* no shared memory */
    cluster_fini(&net);
}

/* ---- what goes wrong ---------------------------------------------------------------------------------------------- */

/* Rank `odd` has another shape; the others post, or all but the last of them. */
static void disagree(int32_t odd, bool reported_first)
{
    begin_job(3);
    agree("w", 7);
    for (int32_t r = 0; r < 3; r++)
        caller_describe(&callers[r], "w", r == odd ? 8 : 7, 2);
    if (reported_first) {
        caller_submit(&callers[odd]);
        callers_settle(callers);
    }
    for (int32_t r = 0; r < 3; r++)
        if (r != odd)
            assert_true(caller_begin(&callers[r]));
    if (!reported_first)
        caller_submit(&callers[odd]);
    for (int32_t r = 0; r < 3; r++)
        if (r != odd) {
            assert_false(caller_is_complete(&callers[r]));
            caller_adopt(&callers[r]);
        }
    callers_settle(callers);
    char expected[64];
    snprintf(expected, sizeof(expected), "rank %d: allreduce sum float32 [8]", odd);
    for (int32_t r = 0; r < 3; r++)
        caller_expect_error(&callers[r], KOLO_ERR_MISMATCH, expected);
    agree("w", 7); /* the name stays usable, */
    callers_describe(callers, "w", 7, 3);
    for (int32_t r = 0; r < 3; r++)
        assert_true(caller_begin(&callers[r])); /* in one go too */
    for (int32_t r = 0; r < 3; r++)
        assert_true(caller_work(&callers[r]));
    cluster_fini(&net);
}

static void call__that_others_disagree_with_fails_on_all(void **state)
{
    (void)state;
    for (int32_t odd = 0; odd < 3; odd++) {
        disagree(odd, false);
        disagree(odd, true);
    }
}

static void call__whose_peer_died_or_stays_away_ends(void **state)
{
    (void)state;
    for (int dies = 0; dies < 2; dies++)
        for (int32_t absent = 0; absent < 3; absent++) {
            begin_job(3);
            agree("w", 7);
            callers_describe(callers, "w", 7, 2);
            for (int32_t r = 0; r < 3; r++) {
                callers[r].spec.timeout_ns = KOLO_NS_PER_S;
                assert_true(r == absent || caller_begin(&callers[r]));
            }
            if (dies)
                cluster_crash(&net, absent);
            for (int32_t r = 0; r < 3; r++)
                if (r != absent)
                    caller_adopt(&callers[r]);
            callers_settle(callers);
            char expected[64];
            snprintf(expected, sizeof(expected), dies ? "rank %d is gone" : "not submitted by rank %d;", absent);
            for (int32_t r = 0; r < 3; r++)
                if (r != absent)
                    caller_expect_error(&callers[r], dies ? KOLO_ERR_PEER : KOLO_ERR_TIMEOUT, expected);
            cluster_fini(&net);
        }
}

/* ---- random programs ------------------------------------------------------------------------------------------------ */

/* Now and then a name gets another length, on both sides of what is small. */
static void describe(caller *c, uint64_t seed)
{
    static const int64_t counts[] = {0, 1, 14, 15, 300, 16384, 17000};
    kolo_rng epoch;
    const char *name = program_draw_name(c, seed, &epoch);
    caller_describe(c, name, counts[kolo_rng_below(&epoch, 7)], c->rounds);
}

static void run_program(uint64_t seed)
{
    enum { ROUNDS = 60 };
    static const int32_t sizes[] = {2, 2, 3, 4, 9};
    kolo_rng rng = {.state = seed};
    begin_job(sizes[kolo_rng_below(&rng, 5)]);
    program_run(callers, net.size, ROUNDS, seed, describe);
    cluster_fini(&net);
}

static void random_programs__of_calls_and_requests_are_right(void **state)
{
    (void)state;
    replay_seeds(SEEDS, run_program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call__of_all_ranks_completes_without_a_message),
        cmocka_unit_test(call__that_has_to_wait_becomes_a_request),
        cmocka_unit_test(call__is_refused_where_something_stands_in_the_way),
        cmocka_unit_test(call__that_others_disagree_with_fails_on_all),
        cmocka_unit_test(call__whose_peer_died_or_stays_away_ends),
        cmocka_unit_test_teardown(random_programs__of_calls_and_requests_are_right, replay_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
