/* idle.h - what a job costs while it does nothing. */
#ifndef PERF_IDLE_H
#define PERF_IDLE_H

#include "harness.h"

/* Runs one operation, so that every connection exists, and then sleeps for options->idle_seconds. Rank 0 prints when
 * the sleep begins, and what the job's threads used during it (all ranks together, without the sleeping threads
 * themselves). */
perf_outcome perf_idle_run(const perf_options *options, const perf_backend *backend);

#endif
