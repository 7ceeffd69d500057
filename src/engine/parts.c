/* parts.c - see parts.h. */
#include "engine/parts.h"

#include "base/error.h"
#include "plan/slice.h"

#include <stdlib.h>
#include <string.h>

void kolo_parts_init(kolo_parts *parts)
{
    memset(parts, 0, sizeof(*parts));
}

void kolo_parts_fini(kolo_parts *parts)
{
    free(parts->counts);
    free(parts->slices);
    free(parts->list);
    memset(parts, 0, sizeof(*parts));
}

/* Room for so many; what was there is lost. */
static bool reserve(void *array_of_anything, size_t count, size_t bytes, size_t *capacity)
{
    void **array = array_of_anything;
    if (count <= *capacity)
        return true;
    free(*array);
    *array = calloc(count, bytes);
    *capacity = *array != NULL ? count : 0;
    return *array != NULL;
}

static kolo_status no_memory(size_t tensors)
{
    return kolo_fail(KOLO_ERR_MEMORY, "no memory for a group of %zu tensors", tensors);
}

kolo_status kolo_parts_begin(kolo_parts *parts, size_t tensors, int32_t size, bool by_slice)
{
    size_t had = parts->tensors_capacity;
    if (!reserve(&parts->counts, tensors, sizeof(*parts->counts), &parts->tensors_capacity))
        return no_memory(tensors);
    parts->changed |= parts->tensors != tensors || parts->size != size || parts->by_slice != by_slice ||
                      parts->tensors_capacity != had;
    parts->tensors = tensors;
    parts->size = size;
    parts->by_slice = by_slice;
    return KOLO_OK;
}

kolo_status kolo_parts_cut(kolo_parts *parts)
{
    if (!parts->changed)
        return KOLO_OK;
    if (!reserve(&parts->slices, (size_t)parts->size + 1, sizeof(*parts->slices), &parts->slices_capacity))
        return no_memory(parts->tensors);
    kolo_slice_layout(parts->counts, parts->tensors, parts->size, parts->by_slice, parts->slices);
    parts->changed = parts->listed = false;
    return KOLO_OK;
}

/* ---- the list ------------------------------------------------------------------------------------------- */

static void end_list(kolo_parts *parts, int64_t total)
{
    parts->list[parts->count] = (kolo_part){.start = total};
    parts->listed = true;
}

static void list_slices(kolo_parts *parts)
{
    int64_t number = 0;
    parts->count = 0;
    for (int32_t k = 0; k < parts->size; k++)
        for (size_t tensor = 0; tensor < parts->tensors; tensor++) {
            kolo_range range = kolo_slice_of(parts->counts[tensor], parts->size, k);
            if (range.count > 0)
                parts->list[parts->count++] =
                    (kolo_part){.start = number, .shift = range.offset - number, .tensor = tensor};
            number += range.count;
        }
    end_list(parts, number);
}

/* Whether, so many bytes behind where tensor `first` begins, `tensor` begins: in all rows. */
static bool is_neighbour(const kolo_rows *rows, size_t tensors, size_t first, size_t tensor, uintptr_t bytes)
{
    for (size_t row = 0; row < rows->count; row++) {
        const uintptr_t *inputs = rows->inputs + row * tensors, *outputs = rows->outputs + row * tensors;
        if (inputs[tensor] - inputs[first] != bytes || outputs[tensor] - outputs[first] != bytes)
            return false;
    }
    return rows->count > 0;
}

static void list_tensors(kolo_parts *parts, size_t element_bytes)
{
    int64_t number = 0;
    kolo_part *last = NULL;
    parts->count = 0;
    for (size_t tensor = 0; tensor < parts->tensors; number += parts->counts[tensor++]) {
        if (parts->counts[tensor] == 0)
            continue;
        if (last != NULL && is_neighbour(&parts->rows, parts->tensors, last->tensor, tensor,
                                         (uintptr_t)(number - last->start) * element_bytes))
            continue;
        last = &parts->list[parts->count++];
        *last = (kolo_part){.start = number, .shift = -number, .tensor = tensor};
    }
    end_list(parts, number);
}

kolo_status kolo_parts_list(kolo_parts *parts, kolo_rows rows, size_t element_bytes)
{
    bool by_slice = parts->by_slice;
    size_t most = (by_slice ? (size_t)parts->size : 1) * parts->tensors + 1;
    parts->rows = rows;
    if (by_slice && parts->listed)
        return KOLO_OK;
    if (!reserve(&parts->list, most, sizeof(*parts->list), &parts->list_capacity))
        return no_memory(parts->tensors);
    if (by_slice)
        list_slices(parts);
    else
        list_tensors(parts, element_bytes);
    return KOLO_OK;
}

size_t kolo_parts_find(const kolo_parts *parts, int64_t number)
{
    size_t low = 0, high = parts->count; /* starts of low <= number < start of high */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (parts->list[middle].start <= number)
            low = middle;
        else
            high = middle;
    }
    return low;
}
