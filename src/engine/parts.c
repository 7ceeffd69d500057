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
    free(parts->starts);
    memset(parts, 0, sizeof(*parts));
}

static bool reserve(int64_t **array, size_t count, size_t *capacity)
{
    if (count <= *capacity)
        return true;
    free(*array);
    *array = calloc(count, sizeof(**array));
    *capacity = *array != NULL ? count : 0;
    return *array != NULL;
}

static kolo_status no_memory(size_t tensors)
{
    return kolo_fail(KOLO_ERR_MEMORY, "no memory for a group of %zu tensors", tensors);
}

kolo_status kolo_parts_begin(kolo_parts *parts, size_t tensors, int32_t size)
{
    size_t had = parts->tensors_capacity;
    if (!reserve(&parts->counts, tensors, &parts->tensors_capacity))
        return no_memory(tensors);
    parts->changed |= parts->tensors != tensors || parts->size != size || parts->tensors_capacity != had;
    parts->tensors = tensors;
    parts->size = size;
    return KOLO_OK;
}

kolo_status kolo_parts_lay_out(kolo_parts *parts)
{
    int64_t number = 0;
    size_t count = parts->tensors * (size_t)parts->size, part = 0;
    if (!parts->changed)
        return KOLO_OK;
    if (!reserve(&parts->starts, 2 * count + 1, &parts->parts_capacity))
        return no_memory(parts->tensors);
    parts->shifts = parts->starts + count + 1;
    for (int32_t k = 0; k < parts->size; k++)
        for (size_t tensor = 0; tensor < parts->tensors; tensor++, part++) {
            kolo_range range = kolo_slice_of(parts->counts[tensor], parts->size, k);
            parts->starts[part] = number;
            parts->shifts[part] = range.offset - number;
            number += range.count;
        }
    parts->starts[part] = number;
    parts->changed = false;
    return KOLO_OK;
}

/* The last one that starts at or before it: those before it that start there, too, are empty. */
size_t kolo_parts_find(const kolo_parts *parts, int64_t number)
{
    size_t low = 0, high = parts->tensors * (size_t)parts->size; /* starts[low] <= number < starts[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (parts->starts[middle] <= number)
            low = middle;
        else
            high = middle;
    }
    return low;
}
