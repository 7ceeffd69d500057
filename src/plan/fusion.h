/* fusion.h - which ready tensors travel together. Pure: all ranks see the same batch, so they form the same groups. */
#ifndef KOLO_PLAN_FUSION_H
#define KOLO_PLAN_FUSION_H

#include "plan/algorithm.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kolo_fusion_item {
    uint64_t key; /* equal keys may share a group (collective, type, operator, factors, association class) */
    int64_t bytes;
    bool fusable;   /* false: always alone */
    uint32_t group; /* out: 0 .. groups-1, numbered in order of each group's first item */
} kolo_fusion_item;

/* Fills in items[].group; returns the number of groups. Greedy in order: an item joins the open group of its key if the
 * sum stays within limit_bytes, else it opens a new one. An item is alone if not fusable, or larger than limit_bytes or
 * worth_bytes. */
size_t kolo_fusion_plan(kolo_fusion_item *items, size_t count, int64_t limit_bytes, int64_t worth_bytes);

/* The largest tensor whose packing and unpacking costs no more than what an all-reduce of its own would, however few
 * bytes it had. is_shared: all ranks share memory, where groups are not packed (engine/parts.h). */
int64_t kolo_fusion_worth_bytes(int32_t size, bool is_shared, const kolo_price_model *model);

#endif
