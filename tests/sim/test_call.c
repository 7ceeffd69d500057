/* test_call.c - operations whose caller waits for them, in one go (engine/call.h), beside ranks that submit the same as
 * requests: complete at once, adopted, refused; when somebody disagrees or dies; and random programs. A failure of
 * these prints the seed: SIM_SEED=n replays it, SIM_SEEDS=n runs more. */
#include "sim/cluster.h"
#include "sim/replay.h"

#include "base/clock.h"
#include "engine/call.h"
#include "support/unwatched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EVENTS_MAX = 2 * 1000 * 1000, RANKS_MAX = 9, COUNT_MAX = 70000, SEEDS = 300 };

/* One rank's call, or request. */
typedef struct caller {
    cluster *net;
    int32_t rank;
    char name[8];
    int64_t count; /* of float32; 0: a barrier */
    int32_t ndim;
    const int64_t *shape;
    kolo_piece piece;
    float data[COUNT_MAX];
    kolo_request_spec spec;
    kolo_call call;
    bool posted; /* and not over */
    kolo_request *request;
} caller;

UNWATCHED static float value_of(int32_t rank, int64_t index, int64_t key)
{
    return (float)((rank * 37 + index * 11 + key * 101) % 512);
}

UNWATCHED static void fill(caller *c, int64_t key)
{
    for (int64_t i = 0; i < c->count; i++)
        c->data[i] = value_of(c->rank, i, key);
}

static void prepare(caller *c, cluster *net, int32_t rank, const char *name, int64_t count, int64_t key)
{
    c->net = net;
    c->rank = rank;
    snprintf(c->name, sizeof(c->name), "%s", name);
    c->count = count;
    c->ndim = 1;
    c->shape = &c->count;
    c->piece = (kolo_piece){.input = c->data, .output = c->data, .count = count, .type = KOLO_DTYPE_FLOAT32};
    fill(c, key);
    c->spec = (kolo_request_spec){.name = c->name,
                                  .operation = {.collective = count > 0 ? KOLO_ALLREDUCE : KOLO_BARRIER,
                                                .prescale = 1,
                                                .postscale = 1,
                                                .piece_count = count > 0 ? 1 : 0},
                                  .pieces = &c->piece,
                                  .ndims = &c->ndim,
                                  .shapes = &c->shape};
    c->posted = false;
    c->request = NULL;
}

static kolo_engine *engine_of(const caller *c)
{
    return c->net->engines[c->rank];
}

static bool begin(caller *c)
{
    return c->posted = kolo_call_begin(engine_of(c), &c->spec, &c->call);
}

static void make_request(caller *c)
{
    assert_int_equal(kolo_request_create(&c->spec, kolo_sim_now(c->net->sim), &c->request), KOLO_OK);
}

static void submit(caller *c)
{
    make_request(c);
    assert_true(kolo_engine_submit(engine_of(c), c->request));
    cluster_step(c->net, c->rank);
}

static void adopt(caller *c)
{
    make_request(c);
    kolo_call_wake(engine_of(c));
    kolo_call_adopt(engine_of(c), &c->call, c->request, kolo_sim_now(c->net->sim));
    c->posted = false;
    cluster_step(c->net, c->rank);
}

static void finish(caller *c)
{
    bool over = false;
    assert_true(kolo_call_is_complete(engine_of(c), &c->call));
    kolo_call_wake(engine_of(c));
    assert_int_equal(kolo_call_work(engine_of(c), &c->call, &over), KOLO_OK);
    assert_true(over);
    c->posted = false;
}

UNWATCHED static void check(const caller *c, int64_t key)
{
    for (int64_t i = 0; i < c->count; i++) {
        float sum = 0;
        for (int32_t r = 0; r < c->net->size; r++)
            sum += value_of(r, i, key);
        assert_true(c->data[i] <= sum && c->data[i] >= sum);
    }
}

/* A round of all ranks as requests: the slot is agreed. */
static void agree(cluster *net, caller *callers, const char *name, int64_t count)
{
    for (int32_t r = 0; r < net->size; r++) {
        prepare(&callers[r], net, r, name, count, 0);
        submit(&callers[r]);
    }
    cluster_settle(net, EVENTS_MAX);
    for (int32_t r = 0; r < net->size; r++) {
        cluster_expect_success(callers[r].request);
        check(&callers[r], 0);
    }
}

static void start(cluster *net, int32_t size)
{
    cluster_init(net, &(cluster_options){.size = size, .seed = 1, .window_bytes = 8 << 20, .heap_bytes = 1 << 20});
}

static caller callers[RANKS_MAX];

/* ---- in one go -------------------------------------------------------------------------------------------------- */

static void call__of_all_ranks_completes_without_a_message(void **state)
{
    (void)state;
    cluster net;
    start(&net, 3);
    agree(&net, callers, "w", 100);
    agree(&net, callers, "b", 0);
    uint64_t messages = cluster_control_messages(&net);
    for (int64_t key = 1; key < 6; key++) {
        for (int32_t r = 0; r < 3; r++) {
            prepare(&callers[r], &net, r, key % 2 == 0 ? "w" : "b", key % 2 == 0 ? 100 : 0, key);
            assert_true(begin(&callers[r]));
            assert_int_equal(kolo_call_is_complete(engine_of(&callers[0]), &callers[0].call), r == 2);
        }
        for (int32_t r = 0; r < 3; r++) {
            finish(&callers[r]);
            check(&callers[r], key);
            assert_true(kolo_engine_idle(net.engines[r]));
        }
    }
    assert_int_equal(cluster_control_messages(&net), messages);
    cluster_settle(&net, EVENTS_MAX);
    agree(&net, callers, "w", 100); /* and it goes on from the same round everywhere */
    cluster_fini(&net);
}

/* Rank `first` posts and has to wait; the others come as requests, or in one go. */
static void wait_for(int32_t first, bool others_call)
{
    cluster net;
    start(&net, 3);
    agree(&net, callers, "w", 7);
    for (int32_t r = 0; r < 3; r++)
        prepare(&callers[r], &net, r, "w", 7, 9);
    assert_true(begin(&callers[first]));
    adopt(&callers[first]);
    assert_false(kolo_request_is_done(callers[first].request));
    for (int32_t r = 0; r < 3; r++) {
        if (r == first)
            continue;
        if (others_call)
            assert_true(begin(&callers[r]));
        else
            submit(&callers[r]);
    }
    for (int32_t r = 0; r < 3; r++)
        if (callers[r].posted)
            finish(&callers[r]);
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 3; r++) {
        if (callers[r].request != NULL)
            cluster_expect_success(callers[r].request);
        check(&callers[r], 9);
        assert_true(kolo_engine_idle(net.engines[r]));
    }
    agree(&net, callers, "w", 7);
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
    cluster net;
    start(&net, 2);
    caller *one = &callers[0];
    prepare(one, &net, 0, "new", 7, 1);
    assert_false(begin(one)); /* no slot yet */
    agree(&net, callers, "w", 7);
    agree(&net, callers, "large", COUNT_MAX);
    prepare(one, &net, 0, "w", 8, 1);
    assert_false(begin(one)); /* another shape */
    prepare(one, &net, 0, "large", COUNT_MAX, 1);
    assert_false(begin(one)); /* in order */

    static caller other;
    prepare(&other, &net, 0, "other", 7, 1);
    submit(&other);
    prepare(one, &net, 0, "w", 7, 1);
    assert_false(begin(one)); /* another name is under way */
    cluster_crash(&net, 1);
    cluster_settle(&net, EVENTS_MAX);
    cluster_expect_error(other.request, KOLO_ERR_PEER, "rank 1 is gone");
    assert_true(kolo_engine_idle(net.engines[0]));
    assert_false(begin(one)); /* the job is broken */
    cluster_fini(&net);

    cluster_init(&net, &(cluster_options){.size = 2, .seed = 1});
    agree(&net, callers, "w", 7);
    prepare(one, &net, 0, "w", 7, 1);
    assert_false(begin(one)); /* no shared memory */
    cluster_fini(&net);
}

/* ---- what goes wrong ---------------------------------------------------------------------------------------------- */

/* Rank `odd` has another shape; the others post, or all but the last of them. */
static void disagree(int32_t odd, bool reported_first)
{
    cluster net;
    start(&net, 3);
    agree(&net, callers, "w", 7);
    for (int32_t r = 0; r < 3; r++)
        prepare(&callers[r], &net, r, "w", r == odd ? 8 : 7, 2);
    if (reported_first) {
        submit(&callers[odd]);
        cluster_settle(&net, EVENTS_MAX);
    }
    for (int32_t r = 0; r < 3; r++)
        if (r != odd)
            assert_true(begin(&callers[r]));
    if (!reported_first)
        submit(&callers[odd]);
    for (int32_t r = 0; r < 3; r++)
        if (r != odd) {
            assert_false(kolo_call_is_complete(engine_of(&callers[r]), &callers[r].call));
            adopt(&callers[r]);
        }
    cluster_settle(&net, EVENTS_MAX);
    char expected[64];
    snprintf(expected, sizeof(expected), "rank %d: allreduce sum float32 [8]", odd);
    for (int32_t r = 0; r < 3; r++)
        cluster_expect_error(callers[r].request, KOLO_ERR_MISMATCH, expected);
    agree(&net, callers, "w", 7); /* the name stays usable, */
    for (int32_t r = 0; r < 3; r++) {
        prepare(&callers[r], &net, r, "w", 7, 3);
        assert_true(begin(&callers[r])); /* in one go too */
    }
    for (int32_t r = 0; r < 3; r++) {
        finish(&callers[r]);
        check(&callers[r], 3);
    }
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
            cluster net;
            start(&net, 3);
            agree(&net, callers, "w", 7);
            for (int32_t r = 0; r < 3; r++) {
                prepare(&callers[r], &net, r, "w", 7, 2);
                callers[r].spec.timeout_ns = KOLO_NS_PER_S;
                if (r != absent)
                    assert_true(begin(&callers[r]));
            }
            if (dies)
                cluster_crash(&net, absent);
            for (int32_t r = 0; r < 3; r++)
                if (r != absent)
                    adopt(&callers[r]);
            cluster_settle(&net, EVENTS_MAX);
            char expected[64];
            snprintf(expected, sizeof(expected), dies ? "rank %d is gone" : "not submitted by rank %d;", absent);
            for (int32_t r = 0; r < 3; r++)
                if (r != absent)
                    cluster_expect_error(callers[r].request, dies ? KOLO_ERR_PEER : KOLO_ERR_TIMEOUT, expected);
            cluster_fini(&net);
        }
}

/* ---- random programs ------------------------------------------------------------------------------------------------ */

/* What all ranks do, one after the other; now and then a name gets another length, on both sides of what is small. */
static int64_t count_at(uint64_t seed, int64_t step, int *name)
{
    static const int64_t counts[] = {0, 1, 14, 15, 300, 16384, 17000};
    kolo_rng which = {.state = seed * 1000 + (uint64_t)step};
    *name = (int)kolo_rng_below(&which, 3);
    kolo_rng epoch = {.state = seed * 1000 + (uint64_t)step / 8 + 500 + (uint64_t)*name * 100};
    return counts[kolo_rng_below(&epoch, 7)];
}

/* One move of a rank: begin or submit its next step, look, give up looking, or see that it is over. */
static void move(caller *c, cluster *net, int32_t rank, uint64_t seed, int64_t *step, kolo_rng *rng)
{
    if (c->posted) {
        if (kolo_call_is_complete(engine_of(c), &c->call))
            finish(c);
        else if (kolo_rng_below(rng, 2) == 0)
            adopt(c);
        if (!c->posted && c->request == NULL)
            check(c, (*step)++);
    } else if (c->request != NULL) {
        cluster_step(net, rank);
        if (kolo_request_is_done(c->request)) {
            cluster_expect_success(c->request);
            c->request = NULL;
            check(c, (*step)++);
        }
    } else {
        int name;
        int64_t count = count_at(seed, *step, &name);
        prepare(c, net, rank, name == 0 ? "x" : name == 1 ? "y" : "z", count, *step);
        if (kolo_rng_below(rng, 4) == 0 || !begin(c))
            submit(c);
    }
}

/* Nobody steps an engine while its caller looks. */
static void advance(cluster *net)
{
    int32_t rank = kolo_sim_advance(net->sim);
    if (rank >= 0 && !callers[rank].posted)
        cluster_step(net, rank);
}

static void run_program(uint64_t seed)
{
    enum { STEPS = 60, MOVES_MAX = 200000 };
    static const int32_t sizes[] = {2, 2, 3, 4, 9};
    kolo_rng rng = {.state = seed};
    cluster net;
    int64_t step[RANKS_MAX] = {0};
    int32_t size = sizes[kolo_rng_below(&rng, 5)], ended = 0;
    start(&net, size);
    memset(callers, 0, sizeof(callers));
    for (int moves = 0; ended < size; moves++) {
        int32_t rank = (int32_t)kolo_rng_below(&rng, (uint64_t)size);
        if (moves == MOVES_MAX)
            fail_msg("rank %d is at step %d", rank, (int)step[rank]);
        if (step[rank] < STEPS) {
            move(&callers[rank], &net, rank, seed, &step[rank], &rng);
            ended += step[rank] == STEPS;
        }
        if (kolo_rng_below(&rng, 2) == 0)
            advance(&net);
    }
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < size; r++)
        assert_true(kolo_engine_idle(net.engines[r]));
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
