/* turns.h - measures what it is asked for, when it is asked: how several programs share a machine whose speed changes
 * from second to second. Each stays started and takes its turn for some milliseconds; between turns its ranks sleep.
 *
 * Rank r reads requests, the same on all ranks, from the FIFO PREFIX.r, one a line, until its end:
 *     OPERATION MODE ASYNC BYTES in_place|out_of_place CHECKS         e.g. allreduce b2b 0 65536 in_place 1
 * Rank 0 writes each answer, a line of JSON (see json.h), to PREFIX.out. */
#ifndef PERF_TURNS_H
#define PERF_TURNS_H

#include "harness.h"
#include "measure.h"

/* Type, reduction, root, largest size and budget are those of the options. Collective. *wrong: elements over all turns. */
perf_outcome perf_turns_run(const perf_options *options, const perf_backend *backend, const perf_memory *memory,
                            double *samples, int64_t *wrong);

#endif
