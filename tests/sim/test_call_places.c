/* test_call_places.c - as test_call.c and test_start.c, by place: over at once, adopted before, amid or after their work;
 * beside ranks that submit, or whose tensors are private; when somebody posts nonsense; and random programs, also of several
 * names at once. A failure of these prints the seed: SIM_SEED=n replays it, SIM_SEEDS=n runs more. */
#include "sim/callers.h"
#include "sim/program.h"
#include "sim/replay.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/card.h"
#include "engine/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* COUNT: too long for values; by place in one turn where chunks are long, too. */
enum { COUNT = 65600, PIECES_MAX = CALLER_PIECES_MAX, SEEDS = 150, CROWD_SEEDS = 90 };
enum { SHORT_CHUNKS = 64, LONG_CHUNKS = 1 << 20 };
/* Callers of several names. */
enum { CROWD_RANKS = 5, CROWD_NAMES = 4, CROWD = CROWD_RANKS * CROWD_NAMES };

static cluster net;
static caller callers[CROWD];

static void begin_crowd(int32_t size, int32_t count, int64_t chunk_bytes)
{
    cluster_options options = {
        .size = size, .seed = 1, .chunk_bytes = chunk_bytes, .window_bytes = 8 << 20, .heap_bytes = 4 << 20};
    cluster_init(&net, &options);
    callers_init(callers, count, &net);
    for (int32_t i = 0; i < count; i++)
        caller_share(&callers[i]);
}

static void begin_job(int32_t size, int64_t chunk_bytes)
{
    begin_crowd(size, size, chunk_bytes);
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

/* ---- in one go -------------------------------------------------------------------------------------------------- */

/* All ranks work, in turns, until it is over. */
static void work_in_one_go(void)
{
    for (int32_t r = 0; r < net.size; r++) {
        bool is_last = r == net.size - 1;
        assert_int_equal(caller_work(&callers[r]), is_last); /* the others are DONE */
        assert_true(is_last || kolo_call_awaits(&callers[r].call));
    }
    for (int32_t r = 0; r < net.size - 1; r++)
        assert_true(caller_work(&callers[r]));
}

static void call_in_one_go(void)
{
    for (int32_t r = 0; r < net.size; r++) {
        assert_true(caller_begin(&callers[r]));
        assert_int_equal(caller_is_complete(&callers[0]), r == net.size - 1);
    }
    work_in_one_go();
}

static void call__of_all_ranks_completes_without_a_message(void **state)
{
    (void)state;
    for (size_t pieces = 1; pieces <= PIECES_MAX; pieces++) {
        begin_job(3, LONG_CHUNKS);
        agree(pieces);
        uint64_t messages = cluster_control_messages(&net);
        for (int64_t key = 1; key < 6; key++) {
            describe_all(pieces, key);
            call_in_one_go();
            callers_expect_success(callers);
        }
        assert_int_equal(cluster_control_messages(&net), messages);
        agree(pieces); /* and it goes on from the same round everywhere */
        cluster_fini(&net);
    }
}

/* ---- adopted ---------------------------------------------------------------------------------------------------- */

/* Rank `first` is adopted after so many turns of work, 0: before others have posted, who come as requests or calls. Chunks
 * are so short that one turn leaves much to do. */
static void adopt_after(int turns, int32_t first, bool others_call, int64_t chunk_bytes, size_t pieces)
{
    begin_job(3, chunk_bytes);
    agree(pieces);
    describe_all(pieces, 9);
    caller *one = &callers[first];
    assert_true(caller_begin(one));
    if (turns == 0)
        caller_adopt(one);
    for (int32_t r = 0; r < 3; r++) {
        if (r != first && others_call)
            assert_true(caller_begin(&callers[r]));
        else if (r != first)
            caller_submit(&callers[r]);
    }
    for (int i = 0; i < turns; i++)
        assert_false(caller_work(one));
    if (turns > 0) {
        assert_int_equal(kolo_call_awaits(&one->call), chunk_bytes == LONG_CHUNKS);
        caller_adopt(one);
    }
    assert_false(kolo_request_is_done(one->request));
    cluster_step(&net, first);
    for (int left = 2; others_call && left > 0;)
        for (int32_t r = 0; r < 3; r++)
            left -= caller_is_posted(&callers[r]) && caller_work(&callers[r]);
    callers_expect_success(callers);
    agree(pieces);
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

/* ---- prepared --------------------------------------------------------------------------------------------------- */

static void prepare_all(size_t pieces)
{
    describe_all(pieces, 0);
    for (int32_t r = 0; r < net.size; r++) {
        caller_prepare(&callers[r]);
        caller_renew(&callers[r]);
    }
    callers_agree(callers);
}

static void start(caller *c, int64_t key)
{
    caller_fill(c, key);
    assert_false(kolo_call_start(caller_engine(c), c->prepared, false));
    assert_true(caller_start(c));
}

/* Ended by the waiter, or taken over: by a step before its work, or adopted after so many turns. */
static void start__ends_one_way_or_the_other(void **state)
{
    (void)state;
    for (size_t pieces = 1; pieces <= PIECES_MAX; pieces += 2) {
        begin_job(2, LONG_CHUNKS);
        prepare_all(pieces);
        for (int64_t key = 1; key < 9; key++) {
            start(&callers[0], key);
            start(&callers[1], key);
            assert_false(caller_work(&callers[0]));
            if (key % 3 == 0)
                caller_adopt(&callers[0]);
            if (key % 2 == 0)
                cluster_step(&net, 1);
            else
                assert_true(caller_work(&callers[1]));
            if (key % 3 == 0)
                cluster_step(&net, 0);
            else
                assert_true(caller_work(&callers[0]));
            for (int32_t r = 0; r < 2; r++) {
                assert_true(kolo_request_is_done(callers[r].prepared));
                assert_int_equal(atomic_load(&callers[r].prepared->refs), 1);
                assert_true(kolo_engine_idle(net.engines[r]));
            }
            callers_expect_success(callers);
        }
        for (int32_t r = 0; r < 2; r++)
            caller_discard(&callers[r]);
        cluster_fini(&net);
    }
}

/* What the others know of its places is of that call. */
static void start__after_a_call_from_elsewhere_takes_its_own_places(void **state)
{
    (void)state;
    begin_job(2, LONG_CHUNKS);
    prepare_all(PIECES_MAX);
    for (int64_t key = 1; key < 5; key++) {
        for (int32_t r = 0; r < 2; r++)
            callers[r].data = callers[r].shared + 1;
        describe_all(PIECES_MAX, key);
        call_in_one_go();
        for (int32_t r = 0; r < 2; r++) {
            callers[r].data = callers[r].shared;
            start(&callers[r], 10 + key);
        }
        work_in_one_go();
    }
    for (int32_t r = 0; r < 2; r++)
        caller_discard(&callers[r]);
    cluster_fini(&net);
}

static void start__where_a_peer_posts_nonsense_fails(void **state)
{
    (void)state;
    bool over = true;
    begin_job(2, LONG_CHUNKS);
    prepare_all(1);
    for (int32_t r = 0; r < 2; r++)
        start(&callers[r], 2);
    kolo_post post = kolo_entry_post(callers[1].call.entry);
    kolo_card_of(&net.engines[1]->board, 1, &post)->output = UINT64_MAX - 8;
    assert_int_equal(kolo_call_work(net.engines[0], &callers[0].call, &over), KOLO_ERR_PROTOCOL);
    assert_false(over); /* the next step ends it */
    caller_adopt(&callers[1]);
    callers_settle(callers);
    for (int32_t r = 0; r < 2; r++) {
        caller_expect_error(&callers[r], KOLO_ERR_PROTOCOL, "outside of its heap");
        caller_discard(&callers[r]);
    }
    cluster_fini(&net);
}

/* ---- random programs -------------------------------------------------------------------------------------------- */

static const int64_t counts[] = {15, 1000, 3000, 5000, 17000};

/* Now and then a name gets another shape, or one rank's tensor is private. */
static void describe(caller *c, uint64_t seed)
{
    kolo_rng epoch, mine = {.state = seed * 1000 + (uint64_t)c->rounds * 10 + (uint64_t)c->rank};
    const char *name = program_draw_name(c, seed, &epoch);
    c->data = kolo_rng_below(&mine, 12) == 0 ? c->own : c->shared;
    caller_describe(c, name, counts[kolo_rng_below(&epoch, 5)], c->rounds);
    caller_cut(c, kolo_rng_below(&epoch, 3) == 0 ? PIECES_MAX : 1);
}

static int64_t draw_chunk_bytes(kolo_rng *rng)
{
    return kolo_rng_below(rng, 2) == 0 ? SHORT_CHUNKS : LONG_CHUNKS;
}

static void run_program(uint64_t seed)
{
    enum { ROUNDS = 40 };
    static const int32_t sizes[] = {2, 2, 3, 4, 9};
    kolo_rng rng = {.state = seed};
    int32_t size = sizes[kolo_rng_below(&rng, 5)];
    begin_job(size, draw_chunk_bytes(&rng));
    program_run(callers, size, ROUNDS, seed, describe);
    cluster_fini(&net);
}

static void random_programs__of_calls_and_requests_are_right(void **state)
{
    (void)state;
    replay_seeds(SEEDS, run_program);
}

/* Each caller has a name of its own. Most of its rounds are prepared; now and then the name gets another shape, or one rank's
 * tensor lies elsewhere. */
static void describe_in_crowd(caller *c, uint64_t seed)
{
    enum { EPOCH = 8 };
    const char name[] = {(char)('a' + (c - callers) / net.size), '\0'};
    uint64_t which = seed * 1000 + (uint64_t)name[0] * 100000;
    kolo_rng epoch = {.state = which + (uint64_t)(c->rounds / EPOCH)};
    kolo_rng mine = {.state = which + (uint64_t)(c->rounds * 10 + c->rank) + 500};
    if (c->rounds % EPOCH != 0 && kolo_rng_below(&mine, 4) != 0) {
        caller_fill(c, c->rounds);
        return;
    }
    if (c->prepared != NULL)
        caller_discard(c);
    uint64_t place = kolo_rng_below(&mine, 12);
    c->data = place == 0 ? c->own : c->shared + place % 3;
    caller_describe(c, name, counts[kolo_rng_below(&epoch, 5)], c->rounds);
    caller_cut(c, kolo_rng_below(&epoch, 3) == 0 ? PIECES_MAX : 1);
    if (kolo_rng_below(&mine, 4) != 0)
        caller_prepare(c);
}

static void run_crowd(uint64_t seed)
{
    enum { ROUNDS = 24 };
    static const int32_t sizes[] = {2, 3, 5};
    kolo_rng rng = {.state = seed};
    int32_t size = sizes[seed % 3], count = size * CROWD_NAMES;
    begin_crowd(size, count, draw_chunk_bytes(&rng));
    program_run(callers, count, ROUNDS, seed, describe_in_crowd);
    for (int32_t i = 0; i < count; i++)
        if (callers[i].prepared != NULL)
            caller_discard(&callers[i]);
    cluster_fini(&net);
}

static void random_programs__of_several_names_at_once_are_right(void **state)
{
    (void)state;
    replay_seeds(CROWD_SEEDS, run_crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call__of_all_ranks_completes_without_a_message),
        cmocka_unit_test(call__that_takes_long_becomes_a_request),
        cmocka_unit_test(start__where_a_peer_posts_nonsense_fails),
        cmocka_unit_test(start__after_a_call_from_elsewhere_takes_its_own_places),
        cmocka_unit_test(start__ends_one_way_or_the_other),
        cmocka_unit_test_teardown(random_programs__of_calls_and_requests_are_right, replay_tell),
        cmocka_unit_test_teardown(random_programs__of_several_names_at_once_are_right, replay_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
