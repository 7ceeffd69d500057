/* ranges.c - see ranges.h. */
#include "base/ranges.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void kolo_ranges_init(kolo_ranges *ranges, size_t size)
{
    *ranges = (kolo_ranges){.size = size};
}

void kolo_ranges_fini(kolo_ranges *ranges)
{
    free(ranges->taken);
    *ranges = (kolo_ranges){0};
}

static bool reserve_one(kolo_ranges *ranges)
{
    if (ranges->count < ranges->capacity)
        return true;
    size_t capacity = ranges->capacity > 0 ? 2 * ranges->capacity : 16;
    kolo_range *taken = realloc(ranges->taken, capacity * sizeof(*taken));
    if (taken == NULL)
        return false;
    ranges->taken = taken;
    ranges->capacity = capacity;
    return true;
}

/* The end of the gap before the range with that index. */
static size_t gap_end(const kolo_ranges *ranges, size_t index)
{
    return index < ranges->count ? ranges->taken[index].offset : ranges->size;
}

bool kolo_ranges_take(kolo_ranges *ranges, size_t unit, size_t *bytes, size_t *offset)
{
    if (*bytes > ranges->size || ranges->size > SIZE_MAX - unit)
        return false;
    size_t wanted = (*bytes + unit - 1) & ~(unit - 1), start = 0, i = 0;
    while (start > gap_end(ranges, i) || gap_end(ranges, i) - start < wanted) {
        if (i == ranges->count)
            return false;
        start = (ranges->taken[i].offset + ranges->taken[i].bytes + unit - 1) & ~(unit - 1);
        i++;
    }
    if (!reserve_one(ranges))
        return false;
    memmove(ranges->taken + i + 1, ranges->taken + i, (ranges->count - i) * sizeof(*ranges->taken));
    ranges->taken[i] = (kolo_range){.offset = start, .bytes = wanted};
    ranges->count++;
    *bytes = wanted;
    *offset = start;
    return true;
}

/* Index of the first range at offset or later. */
static size_t find(const kolo_ranges *ranges, size_t offset)
{
    size_t low = 0, high = ranges->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->taken[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t kolo_ranges_at(const kolo_ranges *ranges, size_t offset)
{
    size_t i = find(ranges, offset);
    return i < ranges->count && ranges->taken[i].offset == offset ? ranges->taken[i].bytes : 0;
}

void kolo_ranges_around(const kolo_ranges *ranges, size_t offset, size_t *begin, size_t *end)
{
    size_t i = find(ranges, offset);
    *begin = i > 0 ? ranges->taken[i - 1].offset + ranges->taken[i - 1].bytes : 0;
    *end = gap_end(ranges, i + 1);
}

void kolo_ranges_give(kolo_ranges *ranges, size_t offset)
{
    if (kolo_ranges_at(ranges, offset) == 0)
        return;
    size_t i = find(ranges, offset);
    ranges->count--;
    memmove(ranges->taken + i, ranges->taken + i + 1, (ranges->count - i) * sizeof(*ranges->taken));
}
