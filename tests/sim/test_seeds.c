/* test_seeds.c - random jobs under random timing: every result right at the moment of completion, equal bits whatever
 * the timing and fusion, no deadlock, silence afterwards. A failure prints the seed: SIM_SEED=n replays it,
 * SIM_SEEDS=n runs more. */
#include "sim/cluster.h"

#include "plan/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TENSORS_MAX = 10, COUNT_MAX = 400, ROUNDS_MAX = 5, EVENTS_MAX = 5 * 1000 * 1000 };

/* What the job does: the same for all timings. */
typedef struct job {
    int32_t size;
    bool is_shared; /* ranks have windows to each other's memory */
    int tensors, rounds;
    struct {
        char name[16];
        kolo_collective collective;
        kolo_reduce_op op;
        kolo_dtype_id type;
        int32_t root;
        int64_t count;
        bool in_place;
    } tensor[TENSORS_MAX];
} job;

/* One tensor of one rank in one round. */
typedef struct cell {
    const job *work;
    int tensor, round;
    int32_t rank;
    int32_t input[COUNT_MAX], output[COUNT_MAX]; /* int32 or float32 */
    kolo_request *request;
    bool checked;
} cell;

static uint64_t current_seed;

static void draw_job(job *work, kolo_rng *rng)
{
    static const int32_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 18};
    static const kolo_collective kinds[] = {KOLO_ALLREDUCE, KOLO_ALLREDUCE, KOLO_ALLREDUCE, KOLO_REDUCE_SCATTER,
                                            KOLO_ALLGATHER, KOLO_BROADCAST, KOLO_BARRIER};
    memset(work, 0, sizeof(*work));
    work->size = sizes[kolo_rng_below(rng, 10)];
    work->tensors = 1 + (int)kolo_rng_below(rng, TENSORS_MAX);
    work->is_shared = kolo_rng_below(rng, 3) == 0;
    work->rounds = 1 + (int)kolo_rng_below(rng, ROUNDS_MAX);
    for (int t = 0; t < work->tensors; t++) {
        snprintf(work->tensor[t].name, sizeof(work->tensor[t].name), "t%d", t);
        work->tensor[t].collective = kinds[kolo_rng_below(rng, 7)];
        work->tensor[t].op = kolo_rng_below(rng, 3) == 0 ? KOLO_AVERAGE : KOLO_SUM;
        work->tensor[t].type = kolo_rng_below(rng, 2) == 0 ? KOLO_DTYPE_INT32 : KOLO_DTYPE_FLOAT32;
        work->tensor[t].root = (int32_t)kolo_rng_below(rng, (uint64_t)work->size);
        work->tensor[t].count = (int64_t)kolo_rng_below(rng, kolo_rng_below(rng, 2) == 0 ? 8 : COUNT_MAX);
        work->tensor[t].in_place = kolo_rng_below(rng, 2) == 0;
    }
}

/* Inputs: small integers for int32, so that sums are exact; rough floats, whose sums depend on the order. */
static int32_t input_bits(const job *work, int t, int round, int32_t rank, int64_t i)
{
    kolo_rng rng = {.state =
                        (uint64_t)t * 1000003 + (uint64_t)round * 10007 + (uint64_t)rank * 101 + (uint64_t)i * 7919};
    if (work->tensor[t].type == KOLO_DTYPE_INT32)
        return (int32_t)kolo_rng_below(&rng, 2001) - 1000;
    float value = (float)(kolo_rng_unit(&rng) * 2.0 - 1.0) * (float)(1 << kolo_rng_below(&rng, 12));
    int32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static float as_float(int32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* The reduction of element i: exact for integers, within rounding for floats. */
static void check_reduced(const cell *c, int64_t i, int32_t got)
{
    const job *work = c->work;
    double sum = 0, magnitude = 0;
    for (int32_t r = 0; r < work->size; r++) {
        int32_t bits = input_bits(work, c->tensor, c->round, r, i);
        double value = work->tensor[c->tensor].type == KOLO_DTYPE_INT32 ? (double)bits : (double)as_float(bits);
        sum += value;
        magnitude += value < 0 ? -value : value;
    }
    if (work->tensor[c->tensor].op == KOLO_AVERAGE)
        sum /= work->size;
    if (work->tensor[c->tensor].type == KOLO_DTYPE_INT32)
        assert_int_equal(got, (int32_t)sum);
    else
        assert_true((double)as_float(got) - sum < 1e-5 * magnitude + 1e-30 &&
                    sum - (double)as_float(got) < 1e-5 * magnitude + 1e-30);
}

static void check_result(const cell *c)
{
    const job *work = c->work;
    int64_t count = work->tensor[c->tensor].count;
    kolo_range own = kolo_slice_of(count, work->size, c->rank);
    switch (work->tensor[c->tensor].collective) {
    case KOLO_ALLREDUCE:
        for (int64_t i = 0; i < count; i++)
            check_reduced(c, i, c->output[i]);
        break;
    case KOLO_REDUCE_SCATTER:
        for (int64_t i = 0; i < own.count; i++)
            check_reduced(c, own.offset + i, c->output[work->tensor[c->tensor].in_place ? own.offset + i : i]);
        break;
    case KOLO_ALLGATHER:
        for (int32_t r = 0; r < work->size; r++) {
            kolo_range part = kolo_slice_of(count, work->size, r);
            for (int64_t i = 0; i < part.count; i++)
                assert_int_equal(c->output[part.offset + i], input_bits(work, c->tensor, c->round, r, part.offset + i));
        }
        break;
    case KOLO_BROADCAST:
        for (int64_t i = 0; i < count; i++)
            assert_int_equal(c->output[i], input_bits(work, c->tensor, c->round, work->tensor[c->tensor].root, i));
        break;
    default:
        break;
    }
}

static void on_done(void *user, kolo_request *request, kolo_status status)
{
    cell *c = user;
    (void)request;
    assert_int_equal(status, KOLO_OK);
    assert_false(c->checked);
    check_result(c);
    c->checked = true;
}

/* Fills in memory and submits; the layouts of in-place variants differ by collective. */
static void submit_cell(cluster *net, cell *c)
{
    const job *work = c->work;
    int t = c->tensor;
    int64_t count = work->tensor[t].count;
    kolo_range own = kolo_slice_of(count, work->size, c->rank);
    bool in_place = work->tensor[t].in_place || work->tensor[t].collective == KOLO_BROADCAST;
    bool slice_in = work->tensor[t].collective == KOLO_ALLGATHER;
    memset(c->output, 0x5a, sizeof(c->output));
    int32_t *at = in_place ? c->output : c->input;
    for (int64_t i = 0; i < count; i++)
        if (!slice_in)
            at[i] = input_bits(work, t, c->round, c->rank, i);
        else if (i >= own.offset && i < own.offset + own.count)
            at[in_place ? i : i - own.offset] = input_bits(work, t, c->round, c->rank, i);
    cluster_tensor tensor = {
        .name = work->tensor[t].name,
        .collective = work->tensor[t].collective,
        .op = work->tensor[t].op,
        .type = work->tensor[t].type,
        .root = work->tensor[t].root,
        .input = in_place ? NULL : c->input,
        .output = c->output,
        .count = count,
        .done = on_done,
        .user = c,
    };
    c->request = cluster_submit(net, c->rank, &tensor);
}

/* Every rank submits its tensors in an order of its own, at times of its own. */
static void submit_all(cluster *net, const job *work, cell *cells, kolo_rng *rng)
{
    int total = work->size * work->tensors * work->rounds, left = total;
    int next_round[CLUSTER_MAX][TENSORS_MAX] = {{0}};
    while (left > 0) {
        int32_t rank = (int32_t)kolo_rng_below(rng, (uint64_t)work->size);
        int t = (int)kolo_rng_below(rng, (uint64_t)work->tensors);
        int round = next_round[rank][t];
        if (round < work->rounds) {
            next_round[rank][t]++;
            left--;
            cell *c = &cells[(rank * work->tensors + t) * work->rounds + round];
            c->work = work;
            c->tensor = t;
            c->round = round;
            c->rank = rank;
            submit_cell(net, c);
        }
        for (uint64_t i = kolo_rng_below(rng, 4); i > 0; i--)
            (void)cluster_event(net);
    }
}

/* A fingerprint of all results. */
static uint64_t digest(const cell *cells, int total)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < total; i++) {
        const cell *c = &cells[i];
        int64_t count = c->work->tensor[c->tensor].count;
        kolo_range own = kolo_slice_of(count, c->work->size, c->rank);
        int64_t first = 0;
        if (c->work->tensor[c->tensor].collective == KOLO_REDUCE_SCATTER) {
            first = c->work->tensor[c->tensor].in_place ? own.offset : 0;
            count = first + own.count;
        }
        for (int64_t k = first; k < count; k++)
            hash = (hash ^ (uint32_t)c->output[k]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static uint64_t run_job(const job *work, uint64_t timing_seed)
{
    static const size_t window_sizes[] = {16384, 65536, 8 << 20};
    static const char *const forced[] = {NULL, NULL, "ring", "oneshot"};
    kolo_rng rng = {.state = timing_seed};
    cluster_options options = {
        .size = work->size,
        .seed = kolo_rng_next(&rng),
        .chunk_bytes = 16 << kolo_rng_below(&rng, 8),
        .fusion_bytes = kolo_rng_below(&rng, 3) == 0 ? 0 : 4096,
        .groups_in_flight = 1 + (int32_t)kolo_rng_below(&rng, 3),
        /* Forcing may change the class of a sum; at up to 4 ranks all of these are in one class, so bits must be equal.
         */
        .algorithm = work->size <= 4 && !work->is_shared ? forced[kolo_rng_below(&rng, 4)] : NULL,
        .latency_max_ns = 1000 << kolo_rng_below(&rng, 8),
        /* Shared memory is part of the job, not of the timing: its sums are of another class. Room for a few chunks,
           for all, for cells too. */
        .window_bytes = work->is_shared ? window_sizes[kolo_rng_below(&rng, 3)] : 0,
    };
    int total = work->size * work->tensors * work->rounds;
    cell *cells = calloc((size_t)total, sizeof(*cells));
    cluster net;
    cluster_init(&net, &options);
    submit_all(&net, work, cells, &rng);
    cluster_settle(&net, EVENTS_MAX);
    for (int i = 0; i < total; i++) {
        if (!kolo_request_is_done(cells[i].request))
            fail_msg("deadlock: rank %d never completes %s", cells[i].rank, work->tensor[cells[i].tensor].name);
        assert_true(cells[i].checked);
        kolo_request_release(cells[i].request);
    }
    uint64_t hash = digest(cells, total);
    for (int32_t r = 0; r < work->size; r++) {
        kolo_sim_counters sent;
        kolo_sim_count(net.sim, r, &sent);
        assert_true(kolo_engine_idle(net.engines[r]));
        assert_true(!work->is_shared || sent.data_messages == 0); /* all through the windows */
    }
    assert_false(cluster_event(&net)); /* silence */
    cluster_fini(&net);
    free(cells);
    return hash;
}

static void random_jobs__are_right_and_deterministic(void **state)
{
    (void)state;
    const char *one = getenv("SIM_SEED"), *many = getenv("SIM_SEEDS");
    uint64_t first = one != NULL ? strtoull(one, NULL, 10) : 1;
    uint64_t count = one != NULL ? 1 : many != NULL ? strtoull(many, NULL, 10) : 1000;
    for (uint64_t seed = first; seed < first + count; seed++) {
        current_seed = seed;
        kolo_rng rng = {.state = seed};
        job work;
        draw_job(&work, &rng);
        uint64_t hash = run_job(&work, kolo_rng_next(&rng));
        if (seed % 4 == 0 && run_job(&work, kolo_rng_next(&rng)) != hash)
            fail_msg("other timing, other bits");
    }
    current_seed = 0;
}

static int tell_seed(void **state)
{
    (void)state;
    if (current_seed != 0)
        fprintf(stderr, "replay with SIM_SEED=%llu\n", (unsigned long long)current_seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(random_jobs__are_right_and_deterministic, tell_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
