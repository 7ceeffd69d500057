/* rank_start.h - one rank's process: its environment, its cores, its standard streams, its program. */
#ifndef KOLO_LAUNCH_RANK_START_H
#define KOLO_LAUNCH_RANK_START_H

#include <signal.h>
#include <sys/types.h>
#include "launch/options.h"
#include "topo/topo.h"

/* What all ranks of a job share. */
typedef struct kolorun_start {
    const kolorun_options *options;
    const kolo_topo *topo; /* NULL: not bound */
    const kolo_log *log;
    const sigset_t *mask; /* the signal mask that kolorun was started with */
    char secret[65];
    int port;         /* of the listening socket */
    int listen_fd;    /* inherited by rank 0 */
    int report_fd;    /* a pipe, close-on-exec, on which a child reports what kept it from its program */
    bool share_group; /* rank 0 stays in kolorun's process group, to read from the terminal */
} kolorun_start;

/* What a child reports. Fits a pipe's atomic write. */
typedef struct kolorun_report {
    int32_t rank;
    int32_t sys_errno;
} kolorun_report;

/* Forks. In the child it does not return. out_fd, err_fd: the pipes' writing ends, or -1 to inherit. -1 with errno: no
 * process. */
pid_t kolorun_rank_start(const kolorun_start *start, int32_t rank, int out_fd, int err_fd);

#endif
