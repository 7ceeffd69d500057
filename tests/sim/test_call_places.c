/* test_call_places.c - as test_call.c and test_start.c, by place: over at once, adopted before, amid or after their work;
 * beside ranks that submit, or whose tensors are private; when somebody dies or posts nonsense; and random programs. A failure
 * of these prints the seed: SIM_SEED=n replays it, SIM_SEEDS=n runs more. */
#include "sim/cluster.h"
#include "sim/replay.h"

#include "base/clock.h"
#include "engine/call.h"
#include "engine/card.h"
#include "engine/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* COUNT: too long for values; by place in one turn where chunks are long, too. */
enum { EVENTS_MAX = 2 * 1000 * 1000, RANKS_MAX = 9, COUNT = 65600, COUNT_MAX = 65601, PIECES_MAX = 3, SEEDS = 150 };
enum { SHORT_CHUNKS = 64, LONG_CHUNKS = 1 << 20 };

/* One rank's call, start or request. */
typedef struct caller {
    cluster *net;
    int32_t rank;
    char name[8];
    int64_t count; /* of float32 */
    float *data, *shared, own[COUNT_MAX];
    size_t pieces;
    kolo_piece piece[PIECES_MAX];
    int32_t ndims[PIECES_MAX];
    const int64_t *shapes[PIECES_MAX];
    kolo_request_spec spec;
    kolo_call call;
    bool posted; /* and neither over nor adopted */
    kolo_request *request;
} caller;

static caller callers[RANKS_MAX];

static float value_of(int32_t rank, int64_t index, int64_t key)
{
    return (float)((rank * 37 + index * 11 + key * 101) % 512);
}

static kolo_engine *engine_of(const caller *c)
{
    return c->net->engines[c->rank];
}

static void begin_job(cluster *net, int32_t size, int64_t chunk_bytes)
{
    cluster_init(
        net, &(cluster_options){
                 .size = size, .seed = 1, .chunk_bytes = chunk_bytes, .window_bytes = 8 << 20, .heap_bytes = 4 << 20});
    memset(callers, 0, sizeof(callers));
    for (int32_t r = 0; r < size; r++) {
        callers[r].net = net;
        callers[r].rank = r;
        callers[r].shared = cluster_alloc(net, r, COUNT_MAX * sizeof(float));
        assert_non_null(callers[r].shared);
    }
}

/* In `pieces` parts, of which each but the last is a third. */
static void prepare(caller *c, const char *name, int64_t count, size_t pieces, bool is_private, int64_t key)
{
    snprintf(c->name, sizeof(c->name), "%s", name);
    c->count = count;
    c->pieces = pieces;
    c->data = is_private ? c->own : c->shared;
    for (int64_t i = 0; i < count; i++)
        c->data[i] = value_of(c->rank, i, key);
    for (size_t i = 0; i < pieces; i++) {
        float *at = c->data + (int64_t)i * (count / 3);
        c->piece[i] = (kolo_piece){.input = at,
                                   .output = at,
                                   .count = i + 1 < pieces ? count / 3 : count - (int64_t)i * (count / 3),
                                   .type = KOLO_DTYPE_FLOAT32};
        c->ndims[i] = 1;
        c->shapes[i] = &c->piece[i].count;
    }
    c->spec = (kolo_request_spec){
        .name = c->name,
        .operation = {.collective = KOLO_ALLREDUCE, .prescale = 1, .postscale = 1, .piece_count = pieces},
        .pieces = c->piece,
        .ndims = c->ndims,
        .shapes = c->shapes};
    c->posted = false;
    c->request = NULL;
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
    if (c->request == NULL)
        make_request(c);
    kolo_call_wake(engine_of(c));
    kolo_call_adopt(engine_of(c), &c->call, c->request, kolo_sim_now(c->net->sim));
    c->posted = false;
    cluster_step(c->net, c->rank);
}

static bool is_complete(const caller *c)
{
    return kolo_call_is_complete(engine_of(c), &c->call);
}

/* True: it is over. */
static bool work(caller *c)
{
    bool over = false;
    assert_true(is_complete(c));
    kolo_call_wake(engine_of(c));
    assert_int_equal(kolo_call_work(engine_of(c), &c->call, &over), KOLO_OK);
    c->posted = !over;
    return over;
}

static void check(const caller *c, int64_t key)
{
    for (int64_t i = 0; i < c->count; i++) {
        float sum = 0;
        for (int32_t r = 0; r < c->net->size; r++)
            sum += value_of(r, i, key);
        assert_true(c->data[i] <= sum && c->data[i] >= sum);
    }
}

static void prepare_all(cluster *net, size_t pieces, int64_t key)
{
    for (int32_t r = 0; r < net->size; r++)
        prepare(&callers[r], "w", COUNT, pieces, false, key);
}

/* What was adopted or submitted ends well, and all results are right. */
static void expect_all(cluster *net, int64_t key)
{
    cluster_settle(net, EVENTS_MAX);
    for (int32_t r = 0; r < net->size; r++) {
        assert_false(callers[r].posted);
        if (callers[r].request != NULL)
            cluster_expect_success(callers[r].request);
        check(&callers[r], key);
        assert_true(kolo_engine_idle(net->engines[r]));
    }
}

/* A round of all ranks as requests: the slot is agreed. */
static void agree(cluster *net, size_t pieces)
{
    prepare_all(net, pieces, 0);
    for (int32_t r = 0; r < net->size; r++)
        submit(&callers[r]);
    expect_all(net, 0);
}

/* ---- in one go -------------------------------------------------------------------------------------------------- */

static void call__of_all_ranks_completes_without_a_message(void **state)
{
    (void)state;
    for (size_t pieces = 1; pieces <= PIECES_MAX; pieces++) {
        cluster net;
        begin_job(&net, 3, LONG_CHUNKS);
        agree(&net, pieces);
        uint64_t messages = cluster_control_messages(&net);
        for (int64_t key = 1; key < 6; key++) {
            prepare_all(&net, pieces, key);
            for (int32_t r = 0; r < 3; r++) {
                assert_true(begin(&callers[r]));
                assert_int_equal(is_complete(&callers[0]), r == 2);
            }
            for (int32_t r = 0; r < 3; r++) {
                assert_int_equal(work(&callers[r]), r == 2); /* the others are DONE */
                assert_true(r == 2 || kolo_call_awaits(&callers[r].call));
            }
            assert_true(work(&callers[0]) && work(&callers[1]));
            expect_all(&net, key);
        }
        assert_int_equal(cluster_control_messages(&net), messages);
        agree(&net, pieces); /* and it goes on from the same round everywhere */
        cluster_fini(&net);
    }
}

/* ---- adopted ---------------------------------------------------------------------------------------------------- */

/* Rank `first` is adopted after so many turns of work, 0: before others have posted, who come as requests or calls. Chunks
 * are so short that one turn leaves much to do. */
static void adopt_after(int turns, int32_t first, bool others_call, int64_t chunk_bytes, size_t pieces)
{
    cluster net;
    begin_job(&net, 3, chunk_bytes);
    agree(&net, pieces);
    prepare_all(&net, pieces, 9);
    caller *one = &callers[first];
    assert_true(begin(one));
    if (turns == 0)
        adopt(one);
    for (int32_t r = 0; r < 3; r++) {
        if (r != first && others_call)
            assert_true(begin(&callers[r]));
        else if (r != first)
            submit(&callers[r]);
    }
    for (int i = 0; i < turns; i++)
        assert_false(work(one));
    if (turns > 0) {
        assert_int_equal(kolo_call_awaits(&one->call), chunk_bytes == LONG_CHUNKS);
        adopt(one);
    }
    assert_false(kolo_request_is_done(one->request));
    cluster_step(&net, first);
    for (int left = 2; others_call && left > 0;)
        for (int32_t r = 0; r < 3; r++)
            left -= callers[r].posted && work(&callers[r]);
    expect_all(&net, 9);
    agree(&net, pieces);
    cluster_fini(&net);
}

static void call__that_takes_long_becomes_a_request(void **state)
{
    (void)state;
    for (int32_t first = 0; first < 3; first++)
        for (int others_call = 0; others_call < 2; others_call++)
            for (int turns = 0; turns < 3; turns++)
                for (size_t pieces = 1; pieces <= PIECES_MAX; pieces += 2) {
                    /* Those that submit step on by themselves, and end it when `first` has worked. */
                    adopt_after(turns, first, others_call, SHORT_CHUNKS, pieces);
                    if (turns == 0 || others_call)
                        adopt_after(turns, first, others_call, LONG_CHUNKS, pieces);
                }
}

/* ---- what goes wrong -------------------------------------------------------------------------------------------- */

/* After the others' work, before its own. */
static void call__whose_peer_dies_or_stops_at_work_ends(void **state)
{
    (void)state;
    for (int dies = 0; dies < 2; dies++)
        for (int32_t absent = 0; absent < 3; absent++) {
            cluster net;
            char expected[64];
            begin_job(&net, 3, LONG_CHUNKS);
            agree(&net, 1);
            prepare_all(&net, 1, 2);
            for (int32_t r = 0; r < 3; r++) {
                callers[r].spec.timeout_ns = KOLO_NS_PER_S;
                assert_true(begin(&callers[r]));
            }
            for (int32_t r = 0; r < 3; r++)
                assert_false(r != absent && work(&callers[r]));
            if (dies)
                cluster_crash(&net, absent);
            for (int32_t r = 0; r < 3; r++)
                if (r != absent)
                    adopt(&callers[r]);
            cluster_settle(&net, EVENTS_MAX);
            snprintf(expected, sizeof(expected), dies ? "rank %d is gone" : "waiting for rank %d;", absent);
            for (int32_t r = 0; r < 3; r++)
                if (r != absent) {
                    cluster_expect_error(callers[r].request, dies ? KOLO_ERR_PEER : KOLO_ERR_TIMEOUT, expected);
                    assert_true(kolo_engine_idle(net.engines[r]));
                }
            cluster_fini(&net);
        }
}

/* ---- prepared --------------------------------------------------------------------------------------------------- */

static void make_requests(cluster *net, size_t pieces)
{
    prepare_all(net, pieces, 0);
    for (int32_t r = 0; r < net->size; r++)
        submit(&callers[r]);
    cluster_settle(net, EVENTS_MAX);
}

static void start(caller *c, int64_t key)
{
    for (int64_t i = 0; i < c->count; i++)
        c->data[i] = value_of(c->rank, i, key);
    kolo_request_renew(c->request);
    assert_false(kolo_call_start(engine_of(c), c->request, false));
    assert_true(kolo_call_start(engine_of(c), c->request, true));
    c->call = kolo_call_of(c->request);
    c->posted = true;
}

/* Ended by the waiter, or taken over: by a step before its work, or adopted after so many turns. */
static void start__ends_one_way_or_the_other(void **state)
{
    (void)state;
    for (size_t pieces = 1; pieces <= PIECES_MAX; pieces += 2) {
        cluster net;
        begin_job(&net, 2, LONG_CHUNKS);
        make_requests(&net, pieces);
        for (int64_t key = 1; key < 9; key++) {
            start(&callers[0], key);
            start(&callers[1], key);
            assert_false(work(&callers[0]));
            if (key % 3 == 0)
                adopt(&callers[0]);
            if (key % 2 == 0)
                cluster_step(&net, 1);
            else if (work(&callers[1]))
                kolo_call_end(net.engines[1], callers[1].request);
            if (key % 3 == 0)
                cluster_step(&net, 0);
            else if (work(&callers[0]))
                kolo_call_end(net.engines[0], callers[0].request);
            for (int32_t r = 0; r < 2; r++) {
                assert_true(kolo_request_is_done(callers[r].request));
                assert_int_equal(callers[r].request->status, KOLO_OK);
                assert_int_equal(atomic_load(&callers[r].request->refs), 1);
                assert_true(kolo_engine_idle(net.engines[r]));
                check(&callers[r], key);
            }
            cluster_settle(&net, EVENTS_MAX);
        }
        for (int32_t r = 0; r < 2; r++)
            kolo_request_release(callers[r].request);
        cluster_fini(&net);
    }
}

static void start__where_a_peer_posts_nonsense_fails(void **state)
{
    (void)state;
    cluster net;
    bool over = true;
    begin_job(&net, 2, LONG_CHUNKS);
    make_requests(&net, 1);
    for (int32_t r = 0; r < 2; r++)
        start(&callers[r], 2);
    kolo_post post = kolo_entry_post(callers[1].call.entry);
    kolo_card_of(&net.engines[1]->board, 1, &post)->output = UINT64_MAX - 8;
    assert_int_equal(kolo_call_work(net.engines[0], &callers[0].call, &over), KOLO_ERR_PROTOCOL);
    assert_false(over); /* the next step ends it */
    adopt(&callers[1]);
    cluster_settle(&net, EVENTS_MAX);
    cluster_expect_error(callers[0].request, KOLO_ERR_PROTOCOL, "outside of its heap");
    cluster_expect_error(callers[1].request, KOLO_ERR_PROTOCOL, "outside of its heap");
    cluster_fini(&net);
}

/* ---- random programs -------------------------------------------------------------------------------------------- */

/* What all ranks do, one after the other; now and then a name gets another shape. */
static void prepare_step(caller *c, uint64_t seed, int64_t step)
{
    static const int64_t counts[] = {15, 1000, 3000, 5000, 17000};
    kolo_rng which = {.state = seed * 1000 + (uint64_t)step};
    uint64_t name = kolo_rng_below(&which, 3);
    kolo_rng epoch = {.state = seed * 1000 + (uint64_t)step / 8 + 500 + name * 100};
    kolo_rng mine = {.state = seed * 1000 + (uint64_t)step * 10 + (uint64_t)c->rank};
    int64_t count = counts[kolo_rng_below(&epoch, 5)];
    size_t pieces = kolo_rng_below(&epoch, 3) == 0 ? PIECES_MAX : 1;
    prepare(c, name == 0 ? "x" : name == 1 ? "y" : "z", count, pieces, kolo_rng_below(&mine, 12) == 0, step);
}

/* One move of a rank: begin or submit its next step, look, work, give up looking, or see that it is over. */
static void move(caller *c, uint64_t seed, int64_t *step, kolo_rng *rng)
{
    if (c->posted) {
        bool over = is_complete(c) && work(c);
        if (over)
            check(c, (*step)++);
        else if (kolo_rng_below(rng, 3) == 0)
            adopt(c);
    } else if (c->request != NULL) {
        cluster_step(c->net, c->rank);
        if (kolo_request_is_done(c->request)) {
            cluster_expect_success(c->request);
            c->request = NULL;
            check(c, (*step)++);
        }
    } else {
        prepare_step(c, seed, *step);
        if (kolo_rng_below(rng, 4) == 0 || !begin(c))
            submit(c);
    }
}

static void run_program(uint64_t seed)
{
    enum { STEPS = 40, MOVES_MAX = 400000 };
    static const int32_t sizes[] = {2, 2, 3, 4, 9};
    kolo_rng rng = {.state = seed};
    cluster net;
    int64_t step[RANKS_MAX] = {0};
    int32_t size = sizes[kolo_rng_below(&rng, 5)], ended = 0;
    begin_job(&net, size, kolo_rng_below(&rng, 2) == 0 ? SHORT_CHUNKS : LONG_CHUNKS);
    for (int moves = 0; ended < size; moves++) {
        int32_t rank = (int32_t)kolo_rng_below(&rng, (uint64_t)size);
        if (moves == MOVES_MAX)
            fail_msg("rank %d is at step %d", rank, (int)step[rank]);
        if (step[rank] < STEPS) {
            move(&callers[rank], seed, &step[rank], &rng);
            ended += step[rank] == STEPS;
        }
        /* Nobody steps an engine while its caller looks. */
        int32_t next = kolo_rng_below(&rng, 2) == 0 ? kolo_sim_advance(net.sim) : -1;
        if (next >= 0 && !callers[next].posted)
            cluster_step(&net, next);
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
        cmocka_unit_test(call__that_takes_long_becomes_a_request),
        cmocka_unit_test(call__whose_peer_dies_or_stops_at_work_ends),
        cmocka_unit_test(start__where_a_peer_posts_nonsense_fails),
        cmocka_unit_test(start__ends_one_way_or_the_other),
        cmocka_unit_test_teardown(random_programs__of_calls_and_requests_are_right, replay_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
