/* test_seeds.c - random jobs under random timing: every result right at the moment of completion, equal bits whatever
 * the timing and fusion, no deadlock, silence afterwards. A failure prints the seed: SIM_SEED=n replays it,
 * SIM_SEEDS=n runs more. */
#include "sim/job.h"
#include "sim/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT_MAX = 400, ROUNDS_MAX = 5, EVENTS_MAX = 5 * 1000 * 1000, SEEDS = 1000 };

static void draw_job(job *work, kolo_rng *rng)
{
    static const int32_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 18};
    static const kolo_collective kinds[] = {KOLO_ALLREDUCE, KOLO_ALLREDUCE, KOLO_ALLREDUCE, KOLO_REDUCE_SCATTER,
                                            KOLO_ALLGATHER, KOLO_BROADCAST, KOLO_BARRIER};
    memset(work, 0, sizeof(*work));
    work->size = sizes[kolo_rng_below(rng, 10)];
    work->tensors = 1 + (int)kolo_rng_below(rng, JOB_TENSORS_MAX);
    work->is_shared = kolo_rng_below(rng, 3) == 0;
    work->rounds = 1 + (int)kolo_rng_below(rng, ROUNDS_MAX);
    for (int t = 0; t < work->tensors; t++) {
        job_operation what = {.collective = kinds[kolo_rng_below(rng, 7)],
                              .op = kolo_rng_below(rng, 3) == 0 ? KOLO_AVERAGE : KOLO_SUM,
                              .type = kolo_rng_below(rng, 2) == 0 ? KOLO_DTYPE_INT32 : KOLO_DTYPE_FLOAT32,
                              .root = (int32_t)kolo_rng_below(rng, (uint64_t)work->size),
                              .count = (int64_t)kolo_rng_below(rng, kolo_rng_below(rng, 2) == 0 ? 8 : COUNT_MAX),
                              .prescale = 1,
                              .postscale = 1};
        for (int round = 0; round < work->rounds; round++)
            work->what[t][round] = what;
    }
}

static uint64_t run_job(const job *work, uint64_t timing_seed)
{
    static const size_t window_sizes[] = {16384, 65536, 8 << 20};
    static const char *const forced[] = {NULL, NULL, "ring", "oneshot"}, *const forced_shared[] = {NULL, "attach"};
    kolo_rng rng = {.state = timing_seed};
    cluster_options options = {
        .size = work->size,
        .seed = kolo_rng_next(&rng),
        .chunk_bytes = 16 << kolo_rng_below(&rng, 8),
        .fusion_bytes = kolo_rng_below(&rng, 3) == 0 ? 0 : 4096,
        .groups_in_flight = 1 + (int32_t)kolo_rng_below(&rng, 3),
        /* Forcing may change the class of a sum; at up to 4 ranks all of these are in one class, so bits must be equal.
         */
        .algorithm = work->is_shared   ? forced_shared[kolo_rng_below(&rng, 2)]
                     : work->size <= 4 ? forced[kolo_rng_below(&rng, 4)]
                                       : NULL,
        .latency_max_ns = 1000 << kolo_rng_below(&rng, 8),
        /* Shared memory is part of the job, not of the timing: its sums are of another class. Room for a few chunks,
           for all, for cells too. */
        .window_bytes = work->is_shared ? window_sizes[kolo_rng_below(&rng, 3)] : 0,
        .readable = kolo_rng_below(&rng, 2) == 0,
    };
    cluster net;
    job_run run;
    cluster_init(&net, &options);
    job_run_init(&run, work, &net, &rng, 0);
    job_submit_all(&run);
    cluster_settle(&net, EVENTS_MAX);
    job_expect_over(&run);
    uint64_t hash = job_digest(&run);
    for (int32_t r = 0; r < work->size; r++) {
        kolo_sim_counters sent;
        kolo_sim_count(net.sim, r, &sent);
        assert_true(kolo_engine_idle(net.engines[r]));
        assert_true(!work->is_shared || sent.data_messages == 0); /* all through the windows */
    }
    assert_false(cluster_event(&net)); /* silence */
    cluster_fini(&net);
    job_run_fini(&run);
    return hash;
}

static void run_seed(uint64_t seed)
{
    kolo_rng rng = {.state = seed};
    job work;
    draw_job(&work, &rng);
    uint64_t hash = run_job(&work, kolo_rng_next(&rng));
    if (seed % 4 == 0 && run_job(&work, kolo_rng_next(&rng)) != hash)
        fail_msg("other timing, other bits");
}

static void random_jobs__are_right_and_deterministic(void **state)
{
    (void)state;
    replay_seeds(SEEDS, run_seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(random_jobs__are_right_and_deterministic, replay_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
