/* test_places.c - random jobs whose tensors lie in the ranks' heaps, or not, from round to round and from rank to rank:
 * every result right and of the same bits as without heaps; and what becomes of them when a rank dies. A failure prints
 * the seed: SIM_SEED=n replays it, SIM_SEEDS=n runs more. */
#include "sim/job.h"
#include "sim/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EVENTS_MAX = 5 * 1000 * 1000, SEEDS = 60, CROWD_SEEDS = 12, SMALL_BYTES = 4152 };

/* ---- what the job does -------------------------------------------------------------------------------------- */

/* Of an all-reduce, on both sides of where it goes by value, which depends on the size of chunks, too. */
static int64_t draw_count(kolo_rng *rng, kolo_dtype_id type)
{
    int64_t bound = SMALL_BYTES / (int64_t)kolo_dtype_size(type);
    switch (kolo_rng_below(rng, 4)) {
    case 0:
        return (int64_t)kolo_rng_below(rng, 20);
    case 1:
        return bound + (int64_t)kolo_rng_below(rng, 3) - 1;
    case 2:
        return bound + 1 + (int64_t)kolo_rng_below(rng, 300);
    default:
        return (int64_t)kolo_rng_below(rng, 4000);
    }
}

static job_operation draw_operation(kolo_rng *rng, int32_t size)
{
    static const kolo_collective kinds[] = {KOLO_ALLREDUCE, KOLO_ALLREDUCE, KOLO_ALLREDUCE, KOLO_REDUCE_SCATTER,
                                            KOLO_ALLGATHER, KOLO_BROADCAST, KOLO_BARRIER};
    static const kolo_reduce_op ops[] = {KOLO_SUM, KOLO_SUM, KOLO_AVERAGE, KOLO_MAX};
    static const kolo_dtype_id types[] = {KOLO_DTYPE_INT32, KOLO_DTYPE_FLOAT32, KOLO_DTYPE_BFLOAT16};
    job_operation what = {.collective = kinds[kolo_rng_below(rng, 7)],
                          .op = ops[kolo_rng_below(rng, 4)],
                          .type = types[kolo_rng_below(rng, 3)],
                          .root = (int32_t)kolo_rng_below(rng, (uint64_t)size),
                          .prescale = 1,
                          .postscale = 1};
    what.count = draw_count(rng, what.type);
    bool adds = what.collective == KOLO_ALLREDUCE || what.collective == KOLO_REDUCE_SCATTER;
    if (what.collective == KOLO_ALLREDUCE && kolo_rng_below(rng, 3) == 0)
        what.pieces = 2 + kolo_rng_below(rng, 6);
    if (adds && what.type != KOLO_DTYPE_INT32 && kolo_rng_below(rng, 6) == 0)
        what.prescale = 0.5;
    if (adds && what.type != KOLO_DTYPE_INT32 && kolo_rng_below(rng, 4) == 0)
        what.postscale = 0.25;
    return what;
}

/* Most rounds are like the one before; some are described anew. */
static void draw_rounds(job *work, kolo_rng *rng)
{
    for (int t = 0; t < work->tensors; t++)
        for (int round = 0; round < work->rounds; round++)
            work->what[t][round] =
                round == 0 || kolo_rng_below(rng, 5) == 0 ? draw_operation(rng, work->size) : work->what[t][round - 1];
}

static void draw_job(job *work, kolo_rng *rng)
{
    static const int32_t sizes[] = {2, 2, 3, 3, 4, 5, 7, 8, 9, 10};
    memset(work, 0, sizeof(*work));
    work->size = sizes[kolo_rng_below(rng, 10)];
    work->is_shared = true;
    work->tensors = 1 + (int)kolo_rng_below(rng, 6);
    work->rounds = 2 + (int)kolo_rng_below(rng, JOB_ROUNDS_MAX - 1);
    draw_rounds(work, rng);
}

/* Many ranks, up to as many as the board is for, and one more. What is checked grows with their square. */
static void draw_crowd(job *work, kolo_rng *rng)
{
    static const int32_t sizes[] = {16, 17, 33, 63, 64, 65};
    memset(work, 0, sizeof(*work));
    work->size = sizes[kolo_rng_below(rng, 6)];
    work->is_shared = true;
    work->tensors = 1 + (int)kolo_rng_below(rng, 3);
    work->rounds = 3;
    draw_rounds(work, rng);
    for (int t = 0; t < work->tensors; t++)
        for (int round = 0; round < work->rounds; round++)
            work->what[t][round].count %= 1200;
}

static cluster_options draw_timing(const job *work, kolo_rng *rng, bool has_heaps)
{
    static const size_t heap_sizes[] = {1 << 16, 1 << 20, 8 << 20}; /* little room, too */
    return (cluster_options){
        .size = work->size,
        .seed = kolo_rng_next(rng),
        .chunk_bytes = 64 << kolo_rng_below(rng, 8),
        .fusion_bytes = (int64_t[]){0, 16384, 1 << 20}[kolo_rng_below(rng, 3)],
        .groups_in_flight = 1 + (int32_t)kolo_rng_below(rng, 3),
        .latency_max_ns = 1000 << kolo_rng_below(rng, 8),
        .window_bytes = 8 << 20,
        .heap_bytes = has_heaps ? heap_sizes[kolo_rng_below(rng, 3)] : 0,
    };
}

/* ---- right and the same bits -------------------------------------------------------------------------------- */

static uint64_t run_job(const job *work, uint64_t timing_seed, uint64_t shared_parts)
{
    kolo_rng rng = {.state = timing_seed};
    cluster_options options = draw_timing(work, &rng, shared_parts > 0);
    cluster net;
    job_run run;
    cluster_init(&net, &options);
    job_run_init(&run, work, &net, &rng, shared_parts);
    job_submit_all(&run);
    cluster_settle(&net, EVENTS_MAX);
    job_expect_over(&run);
    uint64_t hash = job_digest(&run);
    for (int32_t r = 0; r < work->size; r++)
        assert_true(kolo_engine_idle(net.engines[r]));
    assert_false(cluster_event(&net)); /* silence */
    cluster_fini(&net);
    job_run_fini(&run);
    return hash;
}

static void compare_runs(const job *work, kolo_rng *rng, bool with_private)
{
    uint64_t hash = run_job(work, kolo_rng_next(rng), 4);
    if (run_job(work, kolo_rng_next(rng), 1 + kolo_rng_below(rng, 3)) != hash)
        fail_msg("some tensors shared: other bits");
    if (with_private && run_job(work, kolo_rng_next(rng), 0) != hash)
        fail_msg("no tensors shared: other bits");
}

static void compare(uint64_t seed)
{
    kolo_rng rng = {.state = seed};
    job work;
    draw_job(&work, &rng);
    compare_runs(&work, &rng, seed % 3 == 0);
}

static void compare_crowd(uint64_t seed)
{
    kolo_rng rng = {.state = seed};
    job work;
    draw_crowd(&work, &rng);
    compare_runs(&work, &rng, seed % 3 == 0);
}

static void random_jobs__have_the_same_bits_wherever_tensors_lie(void **state)
{
    (void)state;
    replay_seeds(SEEDS, compare);
}

static void random_jobs__of_many_ranks(void **state)
{
    (void)state;
    replay_seeds(CROWD_SEEDS, compare_crowd);
}

/* ---- a rank dies -------------------------------------------------------------------------------------------- */

static void crash_in(const job *work, kolo_rng *rng)
{
    cluster_options options = draw_timing(work, rng, true);
    cluster net;
    job_run run;
    cluster_init(&net, &options);
    job_run_init(&run, work, &net, rng, 1 + kolo_rng_below(rng, 4));
    int32_t victim = (int32_t)kolo_rng_below(rng, (uint64_t)work->size);
    uint64_t crash_at = kolo_rng_below(rng, 600);
    char lost[32];
    snprintf(lost, sizeof(lost), "rank %d is gone", victim);
    while (net.events < crash_at && job_submit(&run))
        for (uint64_t i = kolo_rng_below(rng, 4); i > 0; i--)
            (void)cluster_event(&net);
    run.lost = lost;
    cluster_crash(&net, victim);
    cluster_settle(&net, EVENTS_MAX);
    job_expect_over(&run);
    for (int32_t r = 0; r < work->size; r++)
        assert_true(r == victim || (kolo_engine_idle(net.engines[r]) && kolo_engine_error(net.engines[r]) != NULL));
    cluster_fini(&net);
    job_run_fini(&run);
}

static void crash(uint64_t seed)
{
    kolo_rng rng = {.state = ~seed};
    job work;
    draw_job(&work, &rng);
    crash_in(&work, &rng);
}

static void crash_crowd(uint64_t seed)
{
    kolo_rng rng = {.state = ~seed};
    job work;
    draw_crowd(&work, &rng);
    crash_in(&work, &rng);
}

static void crash__ends_every_request_and_names_the_dead_rank(void **state)
{
    (void)state;
    replay_seeds(SEEDS, crash);
    replay_seeds(CROWD_SEEDS, crash_crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(random_jobs__have_the_same_bits_wherever_tensors_lie, replay_tell),
        cmocka_unit_test_teardown(random_jobs__of_many_ranks, replay_tell),
        cmocka_unit_test_teardown(crash__ends_every_request_and_names_the_dead_rank, replay_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
