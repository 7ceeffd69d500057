/* slice.h - who owns which part of a tensor, and of a fused group of tensors. Pure arithmetic.
 *
 * A tensor of `count` elements is cut in `size` slices; the first count % size of them have one element more. In a fused
 * group tensors are laid out whole, one after another, and the group is cut as one tensor would be: what is contiguous in
 * memory stays so. But where the slice that an element is in decides the order of its sum (plan/algorithm.h), a group is laid
 * out by slice: slice 0 of every tensor, then slice 1 of every tensor, ... So rank k's slice of the group is rank k's slice
 * of each tensor, and an element's place in the sum does not depend on what its tensor was fused with. */
#ifndef KOLO_PLAN_SLICE_H
#define KOLO_PLAN_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kolo_range {
    int64_t offset;
    int64_t count;
} kolo_range;

/* Slice `rank` of count elements: 0 <= rank < size, count >= 0. */
kolo_range kolo_slice_of(int64_t count, int32_t size, int32_t rank);

/* The layout of a group of tensors: offsets[k] .. offsets[k+1] is slice k of the group; offsets has size+1 entries,
 * offsets[size] is the total. */
void kolo_slice_layout(const int64_t *counts, size_t tensors, int32_t size, bool by_slice, int64_t *offsets);

#endif
