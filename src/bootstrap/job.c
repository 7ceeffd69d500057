/* job.c - reads who this process is from kolo_init's arguments and torchrun's variables, and says exactly what is wrong
 * with them. */
#include "bootstrap/job.h"

#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/error.h"

/* Tables of ranks are sized by WORLD_SIZE before anyone has come: a typing error must not ask for gigabytes. */
#define SIZE_MAX_RANKS 1048576

static const char *env_get(char **envp, const char *name)
{
    size_t length = strlen(name);
    for (char **entry = envp; entry != NULL && *entry != NULL; entry++) {
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    }
    return NULL;
}

/* The whole number in variable `name`, within [min, max]. */
static kolo_status env_number(const char *name, const char *text, int64_t min, int64_t max, int32_t *value)
{
    int64_t number;
    if (!kolo_parse_int(text, min, max, &number))
        return kolo_fail(KOLO_ERR_CONFIG, "%s is '%.64s'; expected a whole number from %lld to %lld", name, text,
                         (long long)min, (long long)max);
    *value = (int32_t)number;
    return KOLO_OK;
}

/* Rank and size from args, else from the environment. *from_env tells where the rank came from; *alone: nobody said
 * anything. */
static kolo_status detect_identity(const kolo_init_args *args, char **envp, kolo_job *job, bool *from_env, bool *alone)
{
    const char *rank_text = env_get(envp, "RANK"), *size_text = env_get(envp, "WORLD_SIZE");
    bool rank_given = args != NULL && args->rank != -1, size_given = args != NULL && args->size != -1;
    bool have_rank = rank_given || rank_text != NULL, have_size = size_given || size_text != NULL;

    *from_env = !rank_given;
    *alone = !have_rank && !have_size;
    job->rank = 0;
    job->size = 1;
    if (*alone)
        return KOLO_OK;
    if (!have_size)
        return rank_given
                   ? kolo_fail(KOLO_ERR_INVALID,
                               "rank is %d, but neither size nor WORLD_SIZE is given; give both or neither", args->rank)
                   : kolo_fail(KOLO_ERR_CONFIG, "RANK is set ('%.64s'), but WORLD_SIZE is not; set both or neither",
                               rank_text);
    if (!have_rank)
        return size_given
                   ? kolo_fail(KOLO_ERR_INVALID, "size is %d, but neither rank nor RANK is given; give both or neither",
                               args->size)
                   : kolo_fail(KOLO_ERR_CONFIG, "WORLD_SIZE is set ('%.64s'), but RANK is not; set both or neither",
                               size_text);

    if (size_given) {
        if (args->size < 1 || args->size > SIZE_MAX_RANKS)
            return kolo_fail(KOLO_ERR_INVALID, "size is %d; expected 1 to %d", args->size, SIZE_MAX_RANKS);
        job->size = args->size;
    } else {
        KOLO_TRY(env_number("WORLD_SIZE", size_text, 1, SIZE_MAX_RANKS, &job->size));
    }
    if (rank_given)
        job->rank = args->rank;
    else
        KOLO_TRY(env_number("RANK", rank_text, 0, SIZE_MAX_RANKS - 1, &job->rank));
    if (job->rank < 0 || job->rank >= job->size)
        return kolo_fail(rank_given ? KOLO_ERR_INVALID : KOLO_ERR_CONFIG,
                         "%s is %d, but %s is %d; the rank must be from 0 to %d", rank_given ? "rank" : "RANK",
                         job->rank, size_given ? "size" : "WORLD_SIZE", job->size, job->size - 1);
    return KOLO_OK;
}

static kolo_status detect_local(char **envp, kolo_job *job)
{
    const char *rank_text = env_get(envp, "LOCAL_RANK"), *size_text = env_get(envp, "LOCAL_WORLD_SIZE");
    if (size_text != NULL)
        KOLO_TRY(env_number("LOCAL_WORLD_SIZE", size_text, 1, job->size, &job->local_size));
    if (rank_text != NULL)
        KOLO_TRY(env_number("LOCAL_RANK", rank_text, 0, job->size - 1, &job->local_rank));
    if (rank_text != NULL && size_text != NULL && job->local_rank >= job->local_size)
        return kolo_fail(KOLO_ERR_CONFIG,
                         "LOCAL_RANK is %d, but LOCAL_WORLD_SIZE is %d; the local rank must be from 0 to %d",
                         job->local_rank, job->local_size, job->local_size - 1);
    return KOLO_OK;
}

static kolo_status detect_master(const kolo_init_args *args, char **envp, kolo_job *job)
{
    bool addr_given = args != NULL && args->master_addr != NULL, port_given = args != NULL && args->master_port != -1;
    const char *addr = addr_given ? args->master_addr : env_get(envp, "MASTER_ADDR");
    const char *port = env_get(envp, "MASTER_PORT");

    if (addr != NULL && strlen(addr) >= sizeof(job->master_addr))
        return kolo_fail(addr_given ? KOLO_ERR_INVALID : KOLO_ERR_CONFIG,
                         "%s has %zu bytes; a host name or address has at most %zu",
                         addr_given ? "master_addr" : "MASTER_ADDR", strlen(addr), sizeof(job->master_addr) - 1);
    if (addr != NULL)
        snprintf(job->master_addr, sizeof(job->master_addr), "%s", addr);
    if (port_given) {
        if (args->master_port < 1 || args->master_port > 65535)
            return kolo_fail(KOLO_ERR_INVALID, "master_port is %d; expected 1 to 65535", args->master_port);
        job->master_port = args->master_port;
    } else if (port != NULL) {
        KOLO_TRY(env_number("MASTER_PORT", port, 1, 65535, &job->master_port));
    }
    if (job->size == 1)
        return KOLO_OK;
    if (job->master_addr[0] == '\0')
        return kolo_fail(KOLO_ERR_CONFIG,
                         "MASTER_ADDR is %s, but the job has %d ranks; set it to the host name or address of rank 0",
                         addr == NULL ? "not set" : "empty", job->size);
    if (job->master_port == 0)
        return kolo_fail(KOLO_ERR_CONFIG,
                         "MASTER_PORT is not set, but the job has %d ranks; set it to a free port on %s", job->size,
                         job->master_addr);
    return KOLO_OK;
}

/* A process that mpirun or srun started is likely to be meant as one of several, and would be alone without a word. */
static const char *find_foreign(char **envp)
{
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const char *text = env_get(envp, sizes[i]);
        int64_t number;
        if (text != NULL && kolo_parse_int(text, 2, SIZE_MAX_RANKS, &number))
            return sizes[i];
    }
    return NULL;
}

kolo_status kolo_job_detect(const kolo_init_args *args, char **envp, kolo_job *job)
{
    kolo_job found = {.local_rank = -1, .local_size = -1};
    bool from_env, alone;
    KOLO_TRY(detect_identity(args, envp, &found, &from_env, &alone));
    if (!alone) {
        /* The launcher's local rank belongs to the launcher's rank: it says nothing about a rank given by hand. */
        if (from_env)
            KOLO_TRY(detect_local(envp, &found));
        KOLO_TRY(detect_master(args, envp, &found));
    } else {
        found.foreign = find_foreign(envp);
    }
    *job = found;
    return KOLO_OK;
}
