/* test_call_places_faults.c - callers by place (test_call_places.c) when somebody disagrees, dies, stops or gives up. */
#include "sim/callers.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* COUNT: too long for values; by place in one turn where chunks are long, too. */
enum { COUNT = 65600, PIECES_MAX = CALLER_PIECES_MAX, SHORT_CHUNKS = 64, LONG_CHUNKS = 1 << 20 };

static cluster net;
static caller callers[3];

static void begin_job(int32_t size, int64_t chunk_bytes)
{
    cluster_options options = {
        .size = size, .seed = 1, .chunk_bytes = chunk_bytes, .window_bytes = 8 << 20, .heap_bytes = 4 << 20};
    cluster_init(&net, &options);
    callers_init(callers, size, &net);
    for (int32_t r = 0; r < size; r++)
        caller_share(&callers[r]);
}

static void describe_all(size_t pieces, int64_t key)
{
    callers_describe(callers, "w", COUNT, key);
    for (int32_t r = 0; r < net.size; r++)
        caller_cut(&callers[r], pieces);
}

static void agree(size_t pieces)
{
    describe_all(pieces, 0);
    callers_agree(callers);
}

/* Of three ranks, `one` calls and the others submit, before or after; `odd` has another count, or another type. */
static void disagree(int32_t one, int32_t odd, bool of_type, bool others_first)
{
    begin_job(3, LONG_CHUNKS);
    agree(1);
    for (int32_t r = 0; r < 3; r++)
        caller_describe(&callers[r], "w", r == odd && !of_type ? COUNT + 1 : COUNT, 2);
    if (of_type)
        callers[odd].pieces[0].type = KOLO_DTYPE_INT32;
    for (int32_t r = 0; r < 3; r++)
        if (r != one && others_first)
            caller_submit(&callers[r]);
    assert_int_equal(caller_begin(&callers[one]), one != odd);
    for (int32_t r = 0; r < 3; r++)
        if (r != one && !others_first)
            caller_submit(&callers[r]);
    if (one == odd) {
        caller_submit(&callers[one]);
    } else {
        assert_false(caller_is_complete(&callers[one]));
        caller_adopt(&callers[one]);
    }
    callers_settle(callers);
    char expected[64];
    snprintf(expected, sizeof(expected), "rank %d: allreduce sum %s [%d]", odd, of_type ? "int32" : "float32",
             of_type ? COUNT : COUNT + 1);
    for (int32_t r = 0; r < 3; r++) {
        caller_expect_error(&callers[r], KOLO_ERR_MISMATCH, expected);
        assert_true(kolo_engine_idle(net.engines[r]));
    }
    agree(1);
    describe_all(1, 3); /* the name stays usable, by place too */
    for (int32_t r = 0; r < 3; r++)
        assert_true(caller_begin(&callers[r]));
    for (int32_t r = 0; r < 3; r++)
        caller_adopt(&callers[r]);
    callers_expect_success(callers);
    cluster_fini(&net);
}

static void call__that_others_disagree_with_fails_on_all(void **state)
{
    (void)state;
    for (int32_t one = 0; one < 3; one++)
        for (int32_t odd = 0; odd < 3; odd++)
            for (int way = 0; way < 4; way++)
                disagree(one, odd, way % 2 != 0, way / 2 != 0);
}

/* After the others' work, before its own. */
static void call__whose_peer_dies_or_stops_at_work_ends(void **state)
{
    (void)state;
    for (int dies = 0; dies < 2; dies++)
        for (int32_t absent = 0; absent < 3; absent++) {
            char expected[64];
            begin_job(3, LONG_CHUNKS);
            agree(1);
            describe_all(1, 2);
            for (int32_t r = 0; r < 3; r++) {
                callers[r].spec.timeout_ns = KOLO_NS_PER_S;
                assert_true(caller_begin(&callers[r]));
            }
            for (int32_t r = 0; r < 3; r++)
                assert_false(r != absent && caller_work(&callers[r]));
            if (dies)
                cluster_crash(&net, absent);
            for (int32_t r = 0; r < 3; r++)
                if (r != absent)
                    caller_adopt(&callers[r]);
            callers_settle(callers);
            snprintf(expected, sizeof(expected), dies ? "rank %d is gone" : "waiting for rank %d;", absent);
            for (int32_t r = 0; r < 3; r++)
                if (r != absent) {
                    caller_expect_error(&callers[r], dies ? KOLO_ERR_PEER : KOLO_ERR_TIMEOUT, expected);
                    assert_true(kolo_engine_idle(net.engines[r]));
                }
            cluster_fini(&net);
        }
}

/* The others have done their parts, given up, and let go of their tensors, before the late one reads these. */
static void come_late(int32_t late, bool calls, size_t pieces)
{
    begin_job(3, LONG_CHUNKS);
    agree(pieces);
    describe_all(pieces, 2);
    for (int32_t r = 0; r < 3; r++)
        if (r != late || calls)
            assert_true(caller_begin(&callers[r]));
    if (!calls)
        caller_queue(&callers[late]); /* a request, whose rank has posted */
    kolo_engine_accept(net.engines[late], 1);
    for (int32_t r = 0; r < 3; r++)
        if (r != late) {
            assert_false(caller_work(&callers[r]));
            caller_adopt(&callers[r]);
            (void)kolo_fail(KOLO_ERR_TIMEOUT, "nobody waits for ever");
            kolo_engine_abort(net.engines[r], kolo_error_current());
            memset(callers[r].shared, 0, CALLER_COUNT_MAX * sizeof(float));
        }
    if (calls) {
        assert_false(caller_work(&callers[late]));
        assert_false(kolo_call_awaits(&callers[late].call));
        caller_adopt(&callers[late]);
    } else {
        cluster_step(&net, late);
    }
    assert_false(kolo_request_is_done(callers[late].request)); /* the word has not come yet */
    assert_null(kolo_engine_error(net.engines[late]));
    callers_settle(callers);
    for (int32_t r = 0; r < 3; r++) {
        caller_expect_error(&callers[r], KOLO_ERR_TIMEOUT, "nobody waits for ever");
        assert_true(kolo_engine_idle(net.engines[r]));
    }
    cluster_fini(&net);
}

static void late_rank__does_not_take_what_others_have_left_for_their_sums(void **state)
{
    (void)state;
    for (int32_t late = 0; late < 3; late++)
        for (int calls = 0; calls < 2; calls++)
            for (size_t pieces = 1; pieces <= PIECES_MAX; pieces += 2)
                come_late(late, calls, pieces);
}

/* As where there is no memory for its request. */
static void call__that_cannot_become_a_request_leaves_nothing(void **state)
{
    (void)state;
    begin_job(2, SHORT_CHUNKS);
    agree(1);
    describe_all(1, 2);
    for (int32_t r = 0; r < 2; r++)
        assert_true(caller_begin(&callers[r]));
    assert_false(caller_work(&callers[0]));
    kolo_runner *runner = callers[0].call.runner;
    assert_ptr_not_equal(net.engines[0]->posted.free, runner);
    kolo_call_drop(net.engines[0], &callers[0].call);
    assert_ptr_equal(net.engines[0]->posted.free, runner);
    (void)kolo_fail(KOLO_ERR_MEMORY, "no memory for it");
    kolo_engine_abort(net.engines[0], kolo_error_current());
    caller_adopt(&callers[1]);
    callers_settle(callers);
    caller_expect_error(&callers[1], KOLO_ERR_MEMORY, "no memory for it");
    for (int32_t r = 0; r < 2; r++)
        assert_true(kolo_engine_idle(net.engines[r]));
    cluster_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call__that_others_disagree_with_fails_on_all),
        cmocka_unit_test(call__whose_peer_dies_or_stops_at_work_ends),
        cmocka_unit_test(late_rank__does_not_take_what_others_have_left_for_their_sums),
        cmocka_unit_test(call__that_cannot_become_a_request_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
