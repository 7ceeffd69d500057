/* extent.h - which part of a tensor a rank's input and output hold, in full coordinates (plan/schedule.h). Header
 * only. */
#ifndef KOLO_ENGINE_EXTENT_H
#define KOLO_ENGINE_EXTENT_H

#include "plan/algorithm.h"
#include "plan/slice.h"

#include <stdbool.h>

typedef struct kolo_extent {
    kolo_range input, output;
} kolo_extent;

/* The whole, but for an all-gather's input and a reduce-scatter's output, which are the rank's slice alone unless in
 * place. */
static inline kolo_extent kolo_extent_of(kolo_collective collective, int64_t count, int32_t size, int32_t rank,
                                         bool in_place)
{
    kolo_range whole = {.offset = 0, .count = count}, slice = whole;
    if (!in_place && (collective == KOLO_ALLGATHER || collective == KOLO_REDUCE_SCATTER))
        slice = kolo_slice_of(count, size, rank);
    return (kolo_extent){.input = collective == KOLO_ALLGATHER ? slice : whole,
                         .output = collective == KOLO_REDUCE_SCATTER ? slice : whole};
}

#endif
