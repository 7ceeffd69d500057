/* ranks.c - a set of ranks as an array of ranges: jobs are large, but their ranks come in few runs. */
#include "base/ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void kolo_ranks_init(kolo_ranks *ranks)
{
    *ranks = (kolo_ranks){0};
}

void kolo_ranks_fini(kolo_ranks *ranks)
{
    free(ranks->ranges);
    *ranks = (kolo_ranks){0};
}

/* Index of the first range that ends at `rank` or later. */
static size_t find(const kolo_ranks *ranks, int64_t rank)
{
    size_t low = 0, high = ranks->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranks->ranges[middle].last < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool reserve_one(kolo_ranks *ranks)
{
    if (ranks->count < ranks->capacity)
        return true;
    size_t capacity = ranks->capacity > 0 ? 2 * ranks->capacity : 8;
    kolo_rank_range *ranges = realloc(ranks->ranges, capacity * sizeof(*ranges));
    if (ranges == NULL)
        return false;
    ranks->ranges = ranges;
    ranks->capacity = capacity;
    return true;
}

bool kolo_ranks_add(kolo_ranks *ranks, int32_t first, int32_t last)
{
    if (first > last)
        return true;
    /* [begin, end): the ranges that touch first..last, neighbours included. */
    size_t begin = find(ranks, (int64_t)first - 1);
    size_t end = begin;
    while (end < ranks->count && ranks->ranges[end].first <= (int64_t)last + 1)
        end++;
    if (begin == end && !reserve_one(ranks))
        return false;
    if (begin < end) {
        if (ranks->ranges[begin].first < first)
            first = ranks->ranges[begin].first;
        if (ranks->ranges[end - 1].last > last)
            last = ranks->ranges[end - 1].last;
    }
    memmove(ranks->ranges + begin + 1, ranks->ranges + end, (ranks->count - end) * sizeof(*ranks->ranges));
    ranks->ranges[begin] = (kolo_rank_range){first, last};
    ranks->count = ranks->count - (end - begin) + 1;
    return true;
}

bool kolo_ranks_contains(const kolo_ranks *ranks, int32_t rank)
{
    size_t index = find(ranks, rank);
    return index < ranks->count && ranks->ranges[index].first <= rank;
}

char *kolo_ranks_format(const kolo_ranks *ranks, char *text, size_t capacity)
{
    static const char cut[] = ",...";
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ranks->count; i++) {
        kolo_rank_range range = ranks->ranges[i];
        char item[32];
        int length = range.first == range.last
                         ? snprintf(item, sizeof(item), "%s%d", i > 0 ? "," : "", range.first)
                         : snprintf(item, sizeof(item), "%s%d-%d", i > 0 ? "," : "", range.first, range.last);
        /* The last one needs no room for the dots. */
        size_t reserve = i + 1 < ranks->count ? sizeof(cut) : 1;
        if (size + (size_t)length + reserve > capacity) {
            snprintf(text + size, capacity - size, "%s", i > 0 ? cut : cut + 1);
            break;
        }
        memcpy(text + size, item, (size_t)length + 1);
        size += (size_t)length;
    }
    return text;
}

bool kolo_ranks_phrase(const kolo_ranks *ranks, char *text, size_t capacity)
{
    bool one = ranks->count == 1 && ranks->ranges[0].first == ranks->ranges[0].last;
    int used = snprintf(text, capacity, one ? "rank " : "ranks ");
    kolo_ranks_format(ranks, text + used, capacity - (size_t)used);
    return one;
}
