/* slice.c - who owns which part of a tensor, and of a fused group of tensors. */
#include "plan/slice.h"

kolo_range kolo_slice_of(int64_t count, int32_t size, int32_t rank)
{
    int64_t share = count / size;
    int64_t longer = count % size; /* slices with one element more */
    int64_t extra = rank < longer ? rank : longer;
    return (kolo_range){.offset = rank * share + extra, .count = share + (rank < longer ? 1 : 0)};
}

/* Tensor by tensor, so that the counts are divided once each: first the slices' lengths, then their running sum. */
static void layout_slices(const int64_t *counts, size_t tensors, int32_t size, int64_t *offsets)
{
    for (int32_t rank = 0; rank <= size; rank++)
        offsets[rank] = 0;
    for (size_t tensor = 0; tensor < tensors; tensor++) {
        int64_t share = counts[tensor] / size;
        int64_t longer = counts[tensor] % size;
        for (int32_t rank = 0; rank < size; rank++)
            offsets[rank + 1] += share + (rank < longer ? 1 : 0);
    }
    for (int32_t rank = 0; rank < size; rank++)
        offsets[rank + 1] += offsets[rank];
}

void kolo_slice_layout(const int64_t *counts, size_t tensors, int32_t size, bool by_slice, int64_t *offsets)
{
    if (by_slice) {
        layout_slices(counts, tensors, size, offsets);
        return;
    }
    int64_t total = 0;
    for (size_t tensor = 0; tensor < tensors; tensor++)
        total += counts[tensor];
    for (int32_t rank = 0; rank < size; rank++)
        offsets[rank] = kolo_slice_of(total, size, rank).offset;
    offsets[size] = total;
}
