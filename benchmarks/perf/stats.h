/* stats.h - the figures of one measurement, from the times of its iterations. */
#ifndef PERF_STATS_H
#define PERF_STATS_H

#include "kinds.h"

typedef struct perf_stats {
    double min;
    double mean;
    double p50;
    double p99;
} perf_stats;

/* Of count >= 1 samples, which it sorts. Percentiles by nearest rank: the smallest sample that at least that share of
 * the samples does not exceed. So they are samples, never something in between. */
perf_stats perf_stats_of(double *samples, size_t count);

/* Bandwidth in GB/s (10^9 bytes a second) of `bytes` in `us` microseconds; 0 where no time passed. */
double perf_bandwidth_gbs(int64_t bytes, double us);

#endif
