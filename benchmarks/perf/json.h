/* json.h - results as JSON:
 *
 *     {"ranks": 2, "results": [{"op": "allreduce", "bytes": 4, "count": 1, "dtype": "float", "redop": "sum",
 *       "buffers": "private", "mode": "isolated",
 *       "out_of_place": {"iterations", "time_us", "min_us", "p50_us", "p99_us", "algbw_gbs", "busbw_gbs", "wrong"},
 *       "in_place": {the same}}]}
 *
 * time_us is the figure of the table: p50_us, or the mean in other modes. bytes and count are those of one tensor; the bandwidths
 * are those of all tensors in flight. wrong is null where results were not checked; dtype and redop are "none" where they
 * do not matter. */
#ifndef PERF_JSON_H
#define PERF_JSON_H

#include "measure.h"

#include <stdio.h>

/* False when writing failed: errno says why. Flushes, does not close. */
bool perf_json_write(FILE *out, const perf_options *options, int ranks, const perf_row *rows, size_t count);

/* One timing's object alone, on one line without its end. */
void perf_json_timing(FILE *out, const perf_timing *timing);

#endif
