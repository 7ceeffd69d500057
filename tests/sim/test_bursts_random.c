/* test_bursts_random.c - random programs of ranks that submit tensors in their heaps in bursts (engine/burst.h), each in its own
 * order and at its own time: whatever all ranks have submitted completes, and is right. Some tensors are private, some have
 * another shape now and then, on all ranks or on one, one is small; a name may be submitted again before it is over. A failure
 * prints the seed: SIM_SEED=n replays it, SIM_SEEDS=n runs more. */
#include "sim/cluster.h"
#include "sim/replay.h"

#include "engine/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    RANKS_MAX = 5,
    TENSORS = 8,
    ROUNDS = 6,
    AHEAD = 3, /* rounds of a name that may be under way */
    COUNT = 3000,
    SHORT = 100, /* by value */
    MANY = 200,
    EVENTS_MAX = 1000000,
    SEEDS = 400
};

typedef struct submission {
    kolo_request *request;
    float *data;
    int64_t count;
} submission;

typedef struct program {
    uint64_t seed;
    bool is_calm; /* all is as agreed */
    submission submitted[RANKS_MAX][TENSORS][ROUNDS];
    int given[RANKS_MAX][TENSORS], checked[TENSORS]; /* rounds */
    float *shared[RANKS_MAX][TENSORS][AHEAD];
    float private_data[RANKS_MAX][TENSORS][AHEAD][COUNT];
} program;

static cluster net;
static program work;
static size_t groups, singles;

/* ---- what is submitted, the same from run to run ------------------------------------------------------------------ */

static uint64_t draw(int tensor, int round, uint64_t what)
{
    kolo_rng rng = {.state = work.seed * 1000000 + (uint64_t)tensor * 10000 + (uint64_t)round * 100 + what};
    (void)kolo_rng_next(&rng);
    return kolo_rng_next(&rng);
}

/* Who describes it differently, so that it fails; -1: nobody. */
static int32_t dissenter_of(int tensor, int round)
{
    bool fails = !work.is_calm && draw(tensor, round, 0) % 25 == 0;
    return fails ? (int32_t)(draw(tensor, round, 1) % (uint64_t)net.size) : -1;
}

static int64_t count_of(int32_t rank, int tensor, int round)
{
    int64_t count = tensor == 5 ? SHORT : COUNT - tensor;
    if (!work.is_calm && tensor != 5 && draw(tensor, round, 2) % 12 == 0)
        count -= 100;
    return dissenter_of(tensor, round) == rank ? count - 50 : count;
}

static float input_of(int32_t rank, int tensor, int round, int64_t index)
{
    return (float)((tensor * 5 + round * 3 + rank * 7 + index % 11) % 50);
}

static void submit(int32_t rank, int tensor, kolo_rng *rng)
{
    char name[2] = {(char)('a' + tensor), '\0'};
    int round = work.given[rank][tensor]++;
    bool is_private = !work.is_calm && kolo_rng_below(rng, 30) == 0;
    submission *s = &work.submitted[rank][tensor][round];
    s->count = count_of(rank, tensor, round);
    s->data = is_private ? work.private_data[rank][tensor][round % AHEAD] : work.shared[rank][tensor][round % AHEAD];
    for (int64_t i = 0; i < s->count; i++)
        s->data[i] = input_of(rank, tensor, round, i);
    cluster_tensor vector = cluster_vector(name, s->data, s->count);
    s->request = cluster_submit(&net, rank, &vector);
}

/* ---- what must be over -------------------------------------------------------------------------------------------- */

static void check_sum(const submission *s, int32_t rank, int tensor, int round)
{
    cluster_expect_success(s->request);
    for (int64_t i = 0; i < s->count; i += 7) {
        float wanted = 0;
        for (int32_t r = 0; r < net.size; r++)
            wanted += input_of(r, tensor, round, i);
        if (s->data[i] < wanted || s->data[i] > wanted)
            fail_msg("rank %d, tensor %c, round %d, element %lld: %f, not %f", (int)rank, 'a' + tensor, round,
                     (long long)i, (double)s->data[i], (double)wanted);
    }
}

static void check_round(int tensor, int round)
{
    for (int32_t r = 0; r < net.size; r++) {
        const submission *s = &work.submitted[r][tensor][round];
        if (!kolo_request_is_done(s->request))
            fail_msg("rank %d, tensor %c, round %d: not over, though all have submitted it", (int)r, 'a' + tensor,
                     round);
        if (dissenter_of(tensor, round) >= 0)
            cluster_expect_error(s->request, KOLO_ERR_MISMATCH, "ranks disagree");
        else
            check_sum(s, r, tensor, round);
    }
}

/* All ranks have submitted so many rounds. */
static int given_by_all(int tensor)
{
    int least = work.given[0][tensor];
    for (int32_t r = 1; r < net.size; r++)
        least = work.given[r][tensor] < least ? work.given[r][tensor] : least;
    return least;
}

static void check(void)
{
    for (int32_t r = 0; r < net.size; r++)
        cluster_step(&net, r);
    cluster_settle(&net, EVENTS_MAX);
    for (int t = 0; t < TENSORS; t++)
        for (; work.checked[t] < given_by_all(t); work.checked[t]++)
            check_round(t, work.checked[t]);
}

/* ---- programs ----------------------------------------------------------------------------------------------------- */

static void begin(kolo_rng *rng)
{
    work.is_calm = kolo_rng_below(rng, 2) == 0;
    cluster_options options = {.size = 2 + (int32_t)kolo_rng_below(rng, RANKS_MAX - 1),
                               .seed = kolo_rng_next(rng),
                               .chunk_bytes = 1 << (10 + kolo_rng_below(rng, 6)),
                               .fusion_bytes = 1 << (13 + kolo_rng_below(rng, 6)),
                               .window_bytes = 8 << 20,
                               .heap_bytes = 4 << 20};
    cluster_init(&net, &options);
    memset(work.given, 0, sizeof(work.given));
    memset(work.checked, 0, sizeof(work.checked));
    for (int32_t r = 0; r < net.size; r++)
        for (int t = 0; t < TENSORS; t++) {
            for (int i = 0; i < AHEAD; i++)
                assert_non_null(work.shared[r][t][i] = cluster_alloc(&net, r, COUNT * sizeof(float)));
            submit(r, t, rng);
        }
    check();
}

/* Some tensors, those of `step` names on, as far as there are rounds left. */
static void submit_some(int32_t rank, int first, int count, int step, kolo_rng *rng)
{
    for (int i = 0, tensor = first; i < count; i++, tensor = (tensor + step) % TENSORS) {
        int given = work.given[rank][tensor];
        if (given < ROUNDS && given < work.checked[tensor] + AHEAD)
            submit(rank, tensor, rng);
    }
    kolo_engine_step(net.engines[rank], kolo_sim_now(net.sim));
    const kolo_runner *runner = kolo_engine_next_busy(net.engines[rank], NULL);
    groups += runner != NULL && runner->group->member_count > 1;
    singles += runner != NULL && runner->group->member_count == 1;
    for (uint64_t i = kolo_rng_below(rng, 3); i > 0; i--)
        (void)cluster_event(&net);
}

/* One rank, or all of them the same. */
static void take_turn(kolo_rng *rng)
{
    int first = (int)kolo_rng_below(rng, TENSORS), count = 1 + (int)kolo_rng_below(rng, 5);
    int step = kolo_rng_below(rng, 3) == 0 ? 1 + (int)kolo_rng_below(rng, 3) : 1;
    bool all = kolo_rng_below(rng, 3) == 0;
    int32_t one = (int32_t)kolo_rng_below(rng, (uint64_t)net.size);
    for (int32_t r = 0; r < net.size; r++)
        if (all || r == one)
            submit_some(r, first, count, step, rng);
}

static bool is_done(void)
{
    for (int t = 0; t < TENSORS; t++)
        if (work.checked[t] < ROUNDS)
            return false;
    return true;
}

static void run_program(uint64_t seed)
{
    kolo_rng rng = {.state = seed};
    work.seed = seed;
    for (begin(&rng); !is_done(); check())
        for (uint64_t turns = 1 + kolo_rng_below(&rng, 12); turns > 0; turns--)
            take_turn(&rng);
    for (int32_t r = 0; r < net.size; r++)
        assert_true(kolo_engine_idle(net.engines[r]));
    cluster_fini(&net);
}

static void random_programs__are_right(void **state)
{
    (void)state;
    replay_seeds(SEEDS, run_program);
    if (groups == 0 || singles == 0)
        fail_msg("%zu groups, %zu single tensors: not both", groups, singles);
}

/* ---- many --------------------------------------------------------------------------------------------------------- */

static float *many[2][MANY];

static kolo_request *submit_one_of_many(int32_t rank, int index)
{
    char name[16];
    snprintf(name, sizeof(name), "m%d", index);
    for (int64_t i = 0; i < COUNT; i++)
        many[rank][index][i] = (float)(rank + 1);
    cluster_tensor vector = cluster_vector(name, many[rank][index], COUNT);
    return cluster_submit(&net, rank, &vector);
}

static void step(int32_t rank)
{
    kolo_engine_step(net.engines[rank], kolo_sim_now(net.sim));
}

/* Rank 0 has posted all, in bursts of a few; rank 1 submits one of them, and waits for it. */
static void find_one_of_many(kolo_request *all[2][MANY], int index)
{
    enum { STEPS_MAX = 2000 };
    for (int t = 0; t < MANY; t++)
        all[0][t] = submit_one_of_many(0, t);
    step(0);
    all[1][index] = submit_one_of_many(1, index);
    for (int i = 0; i < STEPS_MAX && !kolo_request_is_done(all[1][index]); i++) {
        step(0);
        step(1);
    }
    if (!kolo_request_is_done(all[1][index]))
        fail_msg("tensor %d is not found", index);
    for (int t = 0; t < MANY; t++)
        if (t != index)
            all[1][t] = submit_one_of_many(1, t);
    cluster_settle(&net, EVENTS_MAX);
    for (int32_t r = 0; r < 2; r++)
        for (int t = 0; t < MANY; t++) {
            cluster_expect_success(all[r][t]);
            assert_true(many[r][t][7] >= 3.0f && many[r][t][7] <= 3.0f);
        }
}

static void one_of_many__is_found(void **state)
{
    (void)state;
    for (int together = 2; together < 5; together++) {
        kolo_request *all[2][MANY];
        cluster_init(&net, &(cluster_options){.size = 2,
                                              .seed = 1,
                                              .chunk_bytes = 1 << 20,
                                              .fusion_bytes = together * COUNT * (int64_t)sizeof(float),
                                              .window_bytes = 8 << 20,
                                              .heap_bytes = 8 << 20});
        for (int32_t r = 0; r < 2; r++)
            for (int t = 0; t < MANY; t++) {
                assert_non_null(many[r][t] = cluster_alloc(&net, r, COUNT * sizeof(float)));
                all[r][t] = submit_one_of_many(r, t);
            }
        cluster_settle(&net, EVENTS_MAX);
        for (int32_t r = 0; r < 2; r++)
            for (int t = 0; t < MANY; t++)
                cluster_expect_success(all[r][t]);
        for (int index = 0; index < MANY; index += 13)
            find_one_of_many(all, index);
        cluster_fini(&net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_many__is_found),
        cmocka_unit_test_teardown(random_programs__are_right, replay_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
