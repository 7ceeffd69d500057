/* layout.h - specs for the tests of src/plan: rings and slices, drawn from a seed. */
#ifndef KOLO_TESTS_UNIT_PLAN_LAYOUT_H
#define KOLO_TESTS_UNIT_PLAN_LAYOUT_H

#include "base/rng.h"
#include "plan/algorithm.h"

enum { LAYOUT_SIZE_MAX = 64 };

typedef struct layout {
    kolo_plan_spec spec; /* points into the arrays below: do not copy a layout */
    int32_t ring[LAYOUT_SIZE_MAX];
    int64_t offsets[LAYOUT_SIZE_MAX + 1];
} layout;

/* rank 0, root 0, ring 0, 1, 2, ..., one tensor of count elements, huge windows, shared and readable tensors.
 * size <= LAYOUT_SIZE_MAX. */
void layout_init(layout *l, kolo_collective collective, int32_t size, int64_t count, int64_t chunk_count);
void layout_shuffle_ring(layout *l, kolo_rng *rng);
/* Slices of any lengths up to longest, a third of them empty. */
void layout_draw_slices(layout *l, kolo_rng *rng, int64_t longest);

/* Builds all ranks' schedules: an array of size, fails the test if it can't. */
kolo_schedule *layout_build(const layout *l, const kolo_algorithm *algorithm);
void layout_free(const layout *l, kolo_schedule *schedules);

#endif
