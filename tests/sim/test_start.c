/* test_start.c - prepared operations that their start posts (engine/call.h), beside ranks that do the same by a call or as
 * requests: ended by their waiter, taken over by a step, refused; when somebody disagrees or dies; and random programs. A
 * failure of these prints the seed: SIM_SEED=n replays it, SIM_SEEDS=n runs more. */
#include "sim/cluster.h"
#include "sim/replay.h"

#include "base/clock.h"
#include "engine/call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { EVENTS_MAX = 2 * 1000 * 1000, RANKS_MAX = 9, COUNT_MAX = 40, SEEDS = 300 };

/* One rank's prepared operation. */
typedef struct starter {
    cluster *net;
    int32_t rank;
    int64_t count;
    kolo_piece piece;
    float data[COUNT_MAX];
    kolo_request *request;
    bool under_way;
} starter;

static float value_of(int32_t rank, int64_t index, int64_t key)
{
    return (float)((rank * 37 + index * 11 + key * 101) % 512);
}

static kolo_engine *engine_of(const starter *s)
{
    return s->net->engines[s->rank];
}

static void prepare(starter *s, cluster *net, int32_t rank, const char *name, int64_t count)
{
    const int32_t ndim = 1;
    const int64_t *shape = &s->count;
    s->net = net;
    s->rank = rank;
    s->count = count;
    s->piece = (kolo_piece){.input = s->data, .output = s->data, .count = count, .type = KOLO_DTYPE_FLOAT32};
    kolo_request_spec spec = {
        .name = name,
        .operation = {.collective = KOLO_ALLREDUCE, .prescale = 1, .postscale = 1, .piece_count = 1},
        .pieces = &s->piece,
        .ndims = &ndim,
        .shapes = &shape};
    assert_int_equal(kolo_request_create(&spec, kolo_sim_now(net->sim), &s->request), KOLO_OK);
    s->under_way = false;
}

static void fill(starter *s, int64_t key)
{
    for (int64_t i = 0; i < s->count; i++)
        s->data[i] = value_of(s->rank, i, key);
    kolo_request_renew(s->request);
    kolo_request_count_from(s->request, kolo_sim_now(s->net->sim));
    s->under_way = true;
}

/* False: refused. */
static bool start(starter *s, int64_t key)
{
    fill(s, key);
    bool done = kolo_call_start(engine_of(s), s->request, true);
    if (done)
        kolo_call_wake(engine_of(s));
    return done;
}

static void submit(starter *s, int64_t key)
{
    fill(s, key);
    assert_true(kolo_engine_submit(engine_of(s), s->request));
    cluster_step(s->net, s->rank);
}

static bool is_complete(const starter *s)
{
    const kolo_call call = kolo_call_of(s->request);
    return kolo_call_is_complete(engine_of(s), &call);
}

static void check(starter *s, int64_t key)
{
    assert_true(kolo_request_is_done(s->request));
    if (s->request->status != KOLO_OK)
        fail_msg("%s", s->request->error->message);
    s->under_way = false;
    for (int64_t i = 0; i < s->count; i++) {
        float sum = 0;
        for (int32_t r = 0; r < s->net->size; r++)
            sum += value_of(r, i, key);
        assert_true(s->data[i] <= sum && s->data[i] >= sum);
    }
}

static void end(starter *s, int64_t key)
{
    assert_true(kolo_call_is_started(engine_of(s), s->request) && is_complete(s));
    kolo_call call = kolo_call_of(s->request);
    bool over = false;
    assert_int_equal(kolo_call_work(engine_of(s), &call, &over), KOLO_OK);
    assert_true(over);
    kolo_call_end(engine_of(s), s->request);
    check(s, key);
    assert_true(kolo_engine_idle(engine_of(s)));
}

static starter starters[RANKS_MAX];

/* A job, and a first round of all ranks, in which the slot is agreed on. */
static void begin(cluster *net, int32_t size)
{
    cluster_init(net, &(cluster_options){.size = size, .seed = 1, .window_bytes = 8 << 20, .heap_bytes = 1 << 20});
    for (int32_t r = 0; r < size; r++) {
        prepare(&starters[r], net, r, "w", 7);
        assert_false(start(&starters[r], 0)); /* never submitted */
        submit(&starters[r], 0);
    }
    cluster_settle(net, EVENTS_MAX);
    for (int32_t r = 0; r < size; r++)
        check(&starters[r], 0);
}

static void drop(cluster *net)
{
    for (int32_t r = 0; r < net->size; r++) {
        assert_int_equal(atomic_load(&starters[r].request->refs), 1);
        kolo_request_release(starters[r].request);
    }
    cluster_fini(net);
}

/* ---- ended, taken over, refused -------------------------------------------------------------------------------- */

static void start__of_all_ranks_completes_without_a_message(void **state)
{
    (void)state;
    cluster net;
    begin(&net, 3);
    uint64_t messages = cluster_control_messages(&net);
    for (int64_t key = 1; key < 6; key++) {
        for (int32_t r = 0; r < 3; r++) {
            assert_true(start(&starters[r], key));
            assert_false(kolo_engine_idle(net.engines[r]));
            assert_false(kolo_request_is_done(starters[r].request));
            assert_int_equal(is_complete(&starters[0]), r == 2);
        }
        for (int32_t r = 0; r < 3; r++)
            end(&starters[r], key);
    }
    assert_int_equal(cluster_control_messages(&net), messages);
    drop(&net);
}

/* Who has posted is needed no more: the others are through before it looks, or is stepped. */
static void start__serves_the_peers_at_once(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        cluster net;
        begin(&net, 3);
        assert_true(start(&starters[0], 1));
        submit(&starters[1], 1);
        submit(&starters[2], 1);
        check(&starters[2], 1);
        cluster_step(&net, 1);
        check(&starters[1], 1);
        if (way == 0)
            end(&starters[0], 1);
        else if (way == 1)
            kolo_engine_accept(net.engines[0], kolo_sim_now(net.sim));
        cluster_step(&net, 0);
        check(&starters[0], 1);
        for (int32_t r = 0; r < 3; r++)
            assert_true(kolo_engine_idle(net.engines[r]));
        cluster_settle(&net, EVENTS_MAX);
        drop(&net);
    }
}

/* What comes behind it is after it, also of its name; and there it is refused. */
static void start__keeps_its_place(void **state)
{
    (void)state;
    enum { LATER = 3 };
    cluster net;
    begin(&net, 2);
    starter later[2][LATER];
    for (int i = 0; i < LATER; i++)
        for (int32_t r = 0; r < 2; r++) {
            prepare(&later[r][i], &net, r, i == 1 ? "other" : "w", 7);
            later[r][i].request->entry = i == 1 ? NULL : starters[r].request->entry;
        }
    for (int32_t r = 0; r < 2; r++) {
        assert_true(start(&starters[r], 1));
        for (int i = 0; i < LATER; i++) {
            assert_false(start(&later[r][i], 2 + i)); /* one is under way */
            assert_true(kolo_engine_submit(net.engines[r], later[r][i].request));
        }
        if (r == 0)
            kolo_engine_accept(net.engines[r], kolo_sim_now(net.sim));
    }
    for (int32_t r = 0; r < 2; r++)
        cluster_step(&net, r);
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 2; r++) {
        check(&starters[r], 1);
        for (int i = 0; i < LATER; i++) {
            check(&later[r][i], 2 + i);
            kolo_request_release(later[r][i].request);
        }
    }
    drop(&net);
}

static void start__is_refused_where_something_stands_in_the_way(void **state)
{
    (void)state;
    cluster net;
    begin(&net, 2);
    starter other;
    prepare(&other, &net, 0, "w", 8);
    other.request->entry = starters[0].request->entry;
    assert_false(start(&other, 1)); /* another shape */
    kolo_request_release(other.request);
    cluster_crash(&net, 1);
    submit(&starters[0], 1);
    cluster_settle(&net, EVENTS_MAX);
    assert_int_equal(starters[0].request->status, KOLO_ERR_PEER);
    assert_false(start(&starters[0], 1)); /* the job is broken */
    drop(&net);
}

/* ---- what goes wrong -------------------------------------------------------------------------------------------- */

static void handle__given_back_at_once__it_goes_on(void **state)
{
    (void)state;
    cluster net;
    begin(&net, 2);
    for (int32_t r = 0; r < 2; r++) {
        assert_true(start(&starters[r], 1));
        kolo_request_release(starters[r].request);
    }
    for (int32_t r = 0; r < 2; r++)
        cluster_step(&net, r);
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 2; r++) {
        assert_true(kolo_engine_idle(net.engines[r]));
        assert_true(starters[r].data[0] == value_of(0, 0, 1) + value_of(1, 0, 1));
    }
    cluster_fini(&net); /* the sanitizers look whether they are gone */
}

/* Left when the engine goes. */
static void engine__goes_first(void **state)
{
    (void)state;
    cluster net;
    begin(&net, 2);
    assert_true(start(&starters[0], 1));
    cluster_fini(&net);
    assert_int_equal(starters[0].request->status, KOLO_ERR_STATE);
    kolo_request_release(starters[0].request);
    kolo_request_release(starters[1].request);
}

/* Rank `odd` has another shape, and the others have posted before, or after. */
static void start__that_others_disagree_with_fails_on_all(void **state)
{
    (void)state;
    for (int turn = 0; turn < 6; turn++) {
        cluster net;
        begin(&net, 3);
        int32_t odd = turn % 3;
        starter wrong;
        prepare(&wrong, &net, odd, "w", 8);
        if (turn < 3)
            submit(&wrong, 1);
        cluster_settle(&net, EVENTS_MAX);
        for (int32_t r = 0; r < 3; r++)
            if (r != odd)
                assert_true(start(&starters[r], 1));
        if (turn >= 3)
            submit(&wrong, 1);
        for (int32_t r = 0; r < 3; r++)
            cluster_step(&net, r);
        cluster_settle(&net, EVENTS_MAX);
        cluster_expect_error(wrong.request, KOLO_ERR_MISMATCH, "float32 [8]");
        for (int32_t r = 0; r < 3; r++) {
            if (r != odd)
                assert_int_equal(starters[r].request->status, KOLO_ERR_MISMATCH);
            assert_true(start(&starters[r], 2)); /* and the right one goes on, from the same round everywhere */
        }
        for (int32_t r = 0; r < 3; r++)
            end(&starters[r], 2);
        drop(&net);
    }
}

static void start__whose_peer_died_or_stays_away_ends(void **state)
{
    (void)state;
    for (int turn = 0; turn < 6; turn++) {
        cluster net;
        char expected[64];
        int32_t absent = turn % 3;
        begin(&net, 3);
        for (int32_t r = 0; r < 3; r++) {
            starters[r].request->timeout_ns = KOLO_NS_PER_S;
            assert_true(r == absent || start(&starters[r], 1));
        }
        if (turn >= 3)
            cluster_crash(&net, absent);
        for (int32_t r = 0; r < 3; r++)
            if (r != absent)
                cluster_step(&net, r);
        cluster_settle(&net, EVENTS_MAX);
        snprintf(expected, sizeof(expected), turn >= 3 ? "rank %d is gone" : "not submitted by rank %d;", absent);
        for (int32_t r = 0; r < 3; r++)
            if (r != absent) {
                assert_int_equal(starters[r].request->status, turn >= 3 ? KOLO_ERR_PEER : KOLO_ERR_TIMEOUT);
                assert_non_null(strstr(starters[r].request->error->message, expected));
            }
        drop(&net);
    }
}

/* ---- random programs ---------------------------------------------------------------------------------------------- */

/* One move of a rank: starts or submits its next step, looks, or lets its engine take over. */
static void move(starter *s, int64_t *step, kolo_rng *rng)
{
    if (!s->under_way) {
        if (kolo_rng_below(rng, 4) == 0 || !start(s, *step))
            submit(s, *step);
    } else if (kolo_call_is_started(engine_of(s), s->request) && kolo_rng_below(rng, 4) > 0) {
        if (is_complete(s))
            end(s, (*step)++);
        return;
    }
    if (kolo_rng_below(rng, 2) == 0)
        cluster_step(s->net, s->rank);
    if (s->under_way && kolo_request_is_done(s->request))
        check(s, (*step)++);
}

static void run_program(uint64_t seed)
{
    enum { STEPS = 60, MOVES_MAX = 200000 };
    static const int32_t sizes[] = {2, 2, 3, 4, 9};
    kolo_rng rng = {.state = seed};
    cluster net;
    int64_t step[RANKS_MAX] = {0};
    int32_t size = sizes[kolo_rng_below(&rng, 5)], ended = 0;
    begin(&net, size);
    for (int moves = 0; ended < size; moves++) {
        int32_t rank = (int32_t)kolo_rng_below(&rng, (uint64_t)size);
        if (moves == MOVES_MAX)
            fail_msg("rank %d is at step %d", rank, (int)step[rank]);
        if (step[rank] < STEPS) {
            move(&starters[rank], &step[rank], &rng);
            ended += step[rank] == STEPS;
        }
        if (kolo_rng_below(&rng, 2) == 0)
            (void)cluster_event(&net);
    }
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < size; r++)
        assert_true(kolo_engine_idle(net.engines[r]));
    drop(&net);
}

static void random_programs__of_starts_and_requests_are_right(void **state)
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
        cmocka_unit_test_teardown(random_programs__of_starts_and_requests_are_right, replay_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
