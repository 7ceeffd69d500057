/* parts.h - the tensors of a fused group, worked on where they lie.
 *
 * The group's elements are numbered as plan/slice.h lays them out. A part is a run of numbers whose elements are
 * contiguous in memory, too, so an executor does a step part by part. It is a tensor; or several that are neighbours in all
 * the memory that is touched. Of a group that is laid out by slice, it is what one tensor has in one slice:
 *
 *     number    0  2  3        5  7  8         10 11 (total 12, three ranks)
 *               a0 b0 c0..     a1 b1 c1..      a2 c2..
 */
#ifndef KOLO_ENGINE_PARTS_H
#define KOLO_ENGINE_PARTS_H

#include <kolo/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kolo_part {
    int64_t start; /* the number of its first element */
    int64_t shift; /* added to a number: the index from the tensor's first element on */
    size_t tensor;
} kolo_part;

/* [row][tensor]: addresses of the first elements. One row for each rank; or, where peers' tensors are not touched, one
 * for this rank alone. */
typedef struct kolo_rows {
    const uintptr_t *inputs, *outputs;
    size_t count, own;
} kolo_rows;

typedef struct kolo_parts {
    int32_t size; /* slices */
    bool by_slice;
    size_t tensors;
    int64_t *counts; /* of the tensors */
    int64_t *slices; /* the number of each one's first element; then the total */
    kolo_part *list; /* none is empty; behind them one that starts at the total */
    size_t count;
    kolo_rows rows; /* not owned */
    size_t tensors_capacity, slices_capacity, list_capacity;
    bool changed; /* since it was cut, */
    bool listed;  /* or listed */
} kolo_parts;

void kolo_parts_init(kolo_parts *parts);
void kolo_parts_fini(kolo_parts *parts);

/* So many tensors, of which each one's count is set next. by_slice: the layout. */
KOLO_NODISCARD kolo_status kolo_parts_begin(kolo_parts *parts, size_t tensors, int32_t size, bool by_slice);
static inline void kolo_parts_set(kolo_parts *parts, size_t tensor, int64_t count)
{
    parts->changed |= parts->counts[tensor] != count;
    parts->counts[tensor] = count;
}
/* Into slices; nothing to do where all is as the last time. */
KOLO_NODISCARD kolo_status kolo_parts_cut(kolo_parts *parts);
/* Into the list. rows: where the tensors lie, kept until they are listed again; none: in no order that matters. */
KOLO_NODISCARD kolo_status kolo_parts_list(kolo_parts *parts, kolo_rows rows, size_t element_bytes);
/* The part that element `number` (0 .. total-1) is in. */
size_t kolo_parts_find(const kolo_parts *parts, int64_t number);

#endif
