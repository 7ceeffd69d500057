/* stats.c - order statistics and bandwidths. */
#include "stats.h"

#include <stdlib.h>

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Integer arithmetic, so that 99 of 100 samples is sample 99 and not, by a rounding, 100. */
static double percentile(const double *sorted, size_t count, size_t percent)
{
    size_t rank = (count / 100) * percent + ((count % 100) * percent + 99) / 100;
    return sorted[rank > 0 ? rank - 1 : 0];
}

perf_stats perf_stats_of(double *samples, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += samples[i];
    qsort(samples, count, sizeof *samples, compare_doubles);
    return (perf_stats){
        .min = samples[0],
        .mean = sum / (double)count,
        .p50 = percentile(samples, count, 50),
        .p99 = percentile(samples, count, 99),
    };
}

double perf_bandwidth_gbs(int64_t bytes, double us)
{
    return us > 0.0 ? (double)bytes / us / 1000.0 : 0.0;
}
