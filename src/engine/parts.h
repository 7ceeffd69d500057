/* parts.h - the tensors of a fused group, worked on where they lie instead of packed.
 *
 * The group's elements are numbered slice-major, as plan/slice.h has them: slice 0 of every tensor, then slice 1, ... So
 * what one tensor has in one slice, a part, is contiguous in both, and an executor does a step part by part:
 *
 *     number    0      3    5         9   11 12       (total 12, two ranks)
 *               a0 a0 a0 b0 b0 c0..c0 a1 a1  b1 ...    part = slice * tensors + tensor
 */
#ifndef KOLO_ENGINE_PARTS_H
#define KOLO_ENGINE_PARTS_H

#include <kolo/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kolo_parts {
    int32_t size; /* slices */
    size_t tensors;
    int64_t *counts; /* of the tensors */
    int64_t *starts; /* by part: the number of its first element; then the total */
    int64_t *shifts; /* by part: added to a number, the index among its tensor's elements */
    size_t tensors_capacity, parts_capacity;
    bool changed; /* since they were laid out */
    /* [row][tensor]: addresses of the first elements; not owned. One row for each rank; or, where peers' tensors are not
     * touched, one for this rank alone. */
    const uintptr_t *inputs, *outputs;
    int32_t own_row;
} kolo_parts;

void kolo_parts_init(kolo_parts *parts);
void kolo_parts_fini(kolo_parts *parts);

/* So many tensors, of which each one's count is set next. */
KOLO_NODISCARD kolo_status kolo_parts_begin(kolo_parts *parts, size_t tensors, int32_t size);
static inline void kolo_parts_set(kolo_parts *parts, size_t tensor, int64_t count)
{
    parts->changed |= parts->counts[tensor] != count;
    parts->counts[tensor] = count;
}
/* Into starts and shifts; nothing to do where all is as the last time. */
KOLO_NODISCARD kolo_status kolo_parts_lay_out(kolo_parts *parts);
/* The part that element `number` (0 .. total-1) is in. */
size_t kolo_parts_find(const kolo_parts *parts, int64_t number);

#endif
