/* reference.h - inputs that every rank can compute for every other rank, and the results that follow from them.
 *
 * The inputs of floating types are small whole numbers whose sums and products are exact in the type, whatever the
 * order; so a result is compared bit by bit. An average is the exact sum divided by the number of ranks, rounded once
 * to nearest even. Integers take their whole range and wrap. */
#ifndef PERF_REFERENCE_H
#define PERF_REFERENCE_H

#include "kinds.h"

typedef struct perf_pattern {
    perf_type type;
    perf_redop redop; /* inputs depend on it: what is exact in a sum may not be so in a product */
    int ranks;
    uint64_t seed; /* another tensor or another iteration, other inputs */
} perf_pattern;

/* Writes rank's input elements [offset, offset + count) to out. */
void perf_reference_fill(const perf_pattern *pattern, int rank, int64_t offset, int64_t count, void *out);

/* How many of data's elements differ from the reduction of all ranks' elements [offset, offset + count). */
int64_t perf_reference_check_reduced(const perf_pattern *pattern, int64_t offset, int64_t count, const void *data);

/* How many of data's elements differ from rank's input elements [offset, offset + count). */
int64_t perf_reference_check_copied(const perf_pattern *pattern, int rank, int64_t offset, int64_t count,
                                    const void *data);

/* Round to nearest even. */
uint16_t perf_half_from_float(float value);
uint16_t perf_bfloat16_from_float(float value);

#endif
