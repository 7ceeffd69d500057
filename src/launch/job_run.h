/* job_run.h - a job from its first rank's start to its last rank's end. */
#ifndef KOLO_LAUNCH_JOB_RUN_H
#define KOLO_LAUNCH_JOB_RUN_H

#include "launch/rank_start.h"

/* Starts the ranks and stays until they have ended; returns kolorun's exit code. start's listen_fd is closed on the
 * way; its report_fd, mask and share_group are filled in here. To be called once, by a process with one thread: it
 * takes over the process's signals. */
int kolorun_job_run(kolorun_start *start);

#endif
