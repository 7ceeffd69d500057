/* measure.h - times one operation of one size, in place and out of place, and checks its results. */
#ifndef PERF_MEASURE_H
#define PERF_MEASURE_H

#include "buffers.h"
#include "stats.h"

enum { PERF_NOT_CHECKED = -1 };

typedef struct perf_timing {
    perf_stats us;    /* per iteration, over the ranks as the mode says */
    double time_us;   /* the figure of the table: isolated: the median, else the mean */
    double algbw_gbs; /* bytes of all tensors over time_us */
    double busbw_gbs;
    int iterations; /* that were timed */
    int64_t wrong;  /* elements, over all ranks; PERF_NOT_CHECKED */
} perf_timing;

typedef struct perf_row {
    perf_op op;
    perf_type type;
    perf_redop redop;
    int root;
    int64_t count; /* of one tensor, like bytes */
    int64_t bytes;
    perf_timing out_of_place;
    perf_timing in_place;
} perf_row;

/* Measures row's op, type, redop, root and count; fills in the rest. Collective. samples: room for options->iterations,
 * and for options->warmup. False when an operation failed (reported). */
bool perf_measure(const perf_options *options, const perf_backend *backend, const perf_memory *memory, double *samples,
                  perf_row *row);

/* Its parts, for who measures the same again and again: the inputs, and one place. */
void perf_measure_fill(const perf_options *options, const perf_backend *backend, const perf_memory *memory,
                       const perf_row *row);
bool perf_measure_placed(const perf_options *options, const perf_backend *backend, const perf_memory *memory,
                         double *samples, const perf_row *row, bool in_place, perf_timing *timing);

#endif
