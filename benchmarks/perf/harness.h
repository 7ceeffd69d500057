/* harness.h - one run: the sweep over operations, types, reductions and sizes, and its output on rank 0. */
#ifndef PERF_HARNESS_H
#define PERF_HARNESS_H

#include "backend.h"

enum { PERF_EXIT_OK = 0, PERF_EXIT_FAILED = 1, PERF_EXIT_USAGE = 2 };

/* What a finished run answers. STOPPED: an operation failed, and the backend is not to be used again. */
typedef enum perf_outcome { PERF_RIGHT, PERF_WRONG, PERF_REFUSED, PERF_STOPPED } perf_outcome;

/* Measures what the options ask for (not idle), prints the table and writes the JSON file on rank 0. Collective.
 * REFUSED: a bad argument that only showed now, alike on all ranks (reported on rank 0). */
perf_outcome perf_harness_run(const perf_options *options, const perf_backend *backend);

/* Whether this is the job's rank 0, as far as the launcher's variables tell that before joining it: for --help. */
bool perf_harness_is_first(void);

#endif
