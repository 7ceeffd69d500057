/* ranks.h - sets of ranks as people read them. */
#ifndef KOLO_BASE_RANKS_H
#define KOLO_BASE_RANKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A set as sorted, disjoint, inclusive ranges. */
typedef struct kolo_rank_range {
    int32_t first, last;
} kolo_rank_range;
typedef struct kolo_ranks {
    kolo_rank_range *ranges;
    size_t count, capacity;
} kolo_ranks;

void kolo_ranks_init(kolo_ranks *ranks);
void kolo_ranks_fini(kolo_ranks *ranks);
/* Adds first..last, merging neighbours. False when out of memory. */
bool kolo_ranks_add(kolo_ranks *ranks, int32_t first, int32_t last);
bool kolo_ranks_contains(const kolo_ranks *ranks, int32_t rank);
/* "0-2,5"; cut with "..." to fit capacity (>= 8). Returns text. */
char *kolo_ranks_format(const kolo_ranks *ranks, char *text, size_t capacity);
/* "rank 5" or "ranks 0-2,5", cut likewise (capacity >= 14). Whether it is one. */
bool kolo_ranks_phrase(const kolo_ranks *ranks, char *text, size_t capacity);

#endif
