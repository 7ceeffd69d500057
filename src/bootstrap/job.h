/* job.h - who is in this job: rank, size and meeting point, from arguments or the launcher's variables. */
#ifndef KOLO_BOOTSTRAP_JOB_H
#define KOLO_BOOTSTRAP_JOB_H

#include <kolo/kolo.h>
#include <stdbool.h>

typedef struct kolo_job {
    int32_t rank, size;
    int32_t local_rank, local_size; /* what the launcher says, -1 where it does not */
    char master_addr[256];
    int32_t master_port; /* 0 for a job of one rank without a meeting point */
    const char *foreign; /* nobody said anything, but this variable of a launcher that is not read tells of more ranks;
                          * NULL: none */
} kolo_job;

/* args (NULL: all from the environment) over RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT
 * in envp. Neither RANK nor WORLD_SIZE: a job of one rank. KOLO_ERR_CONFIG / KOLO_ERR_INVALID names the variable, its
 * value and what is expected: only one of RANK and WORLD_SIZE, RANK >= WORLD_SIZE, no number, MASTER_* missing with
 * WORLD_SIZE > 1, ... */
KOLO_NODISCARD kolo_status kolo_job_detect(const kolo_init_args *args, char **envp, kolo_job *job);

#endif
