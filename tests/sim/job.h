/* job.h - random jobs on the simulated cluster: what the ranks do, from which memory, and that every result is right.
 *
 * A job is what all timings have in common; a run is one timing of it. Each tensor of each rank, in each round, has
 * memory of its own, shared (the rank's heap) or private: given back, and overwritten, the moment it is complete. So
 * whoever touches the tensor of a complete operation spoils another one. */
#ifndef KOLO_TESTS_SIM_JOB_H
#define KOLO_TESTS_SIM_JOB_H

#include "sim/cluster.h"

enum { JOB_TENSORS_MAX = 10, JOB_ROUNDS_MAX = 8 };

typedef struct job_operation {
    kolo_collective collective;
    kolo_reduce_op op;
    kolo_dtype_id type; /* int32, float32 or bfloat16 */
    int32_t root;
    int64_t count;
    size_t pieces;              /* of an all-reduce: 0, or a group of so many */
    double prescale, postscale; /* powers of two; 1 for integers */
} job_operation;

typedef struct job {
    int32_t size;
    bool is_shared; /* ranks have windows to each other's memory */
    int tensors, rounds;
    job_operation what[JOB_TENSORS_MAX][JOB_ROUNDS_MAX];
} job;

/* One tensor of one rank in one round. */
typedef struct job_cell {
    struct job_run *run;
    int tensor, round;
    int32_t rank;
    void *input, *output; /* NULL: none, or given back */
    bool in_place, input_is_shared, output_is_shared;
    kolo_request *request;
    uint64_t hash; /* of the result */
    bool is_over;
} job_cell;

typedef struct job_run {
    const job *work;
    cluster *net;
    kolo_rng *rng;
    uint64_t shared_parts; /* of 4: so many tensors lie in the heaps; 0: none, 4: all */
    int next_round[CLUSTER_MAX][JOB_TENSORS_MAX];
    int left;         /* not submitted yet */
    const char *lost; /* NULL: nothing may fail; else with KOLO_ERR_PEER and this text */
    size_t failed;
    job_cell *cells;
} job_run;

void job_run_init(job_run *run, const job *work, cluster *net, kolo_rng *rng, uint64_t shared_parts);
/* One more tensor of one rank, whichever; false when there are none. */
bool job_submit(job_run *run);
/* All of them, at random times. */
void job_submit_all(job_run *run);
/* Everything that was submitted is over, but on crashed ranks. */
void job_expect_over(job_run *run);
uint64_t job_digest(const job_run *run);
/* After the cluster's. */
void job_run_fini(job_run *run);

#endif
