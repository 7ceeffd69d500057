/* timing.h - what the parts of kolo-kernel-bench share. */
#ifndef BENCHMARKS_KERNELS_TIMING_H
#define BENCHMARKS_KERNELS_TIMING_H

#include <stddef.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_ROUNDS = 101 };

static inline double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline int compare_seconds(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Sorts them. */
static inline double median(double *seconds, size_t count)
{
    qsort(seconds, count, sizeof(*seconds), compare_seconds);
    return seconds[count / 2];
}

/* copies.c: a table of copies of so many bytes, over where source and destination lie. */
void copies_run(const char *title, size_t bytes, int rounds);

/* few.c: a table of folds of a few bytes. */
void few_run(int rounds);

#endif
