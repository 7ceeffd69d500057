/* disagree.c - who sent what, in words, when ranks describe one tensor in several ways. */
#include "engine/negotiate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_variants(const void *left, const void *right)
{
    const kolo_variant *a = left, *b = right;
    return a->ranks.ranges[0].first < b->ranks.ranges[0].first ? -1 : 1;
}

static int64_t rank_count(const kolo_ranks *ranks)
{
    int64_t count = 0;
    for (size_t i = 0; i < ranks->count; i++)
        count += (int64_t)ranks->ranges[i].last - ranks->ranges[i].first + 1;
    return count;
}

/* "ranks 0-2: allreduce sum float32 [512, 784]; rank 3: allreduce sum float32 [784, 512]": by lowest rank, whoever came
 * first. The fewest are blamed. */
void kolo_entry_explain(kolo_entry *entry, kolo_down *down)
{
    qsort(entry->variants, entry->variant_count, sizeof(entry->variants[0]), compare_variants);
    const kolo_variant *first = &entry->variants[0], *second = &entry->variants[1], *odd = second;
    size_t focus = kolo_description_difference(first->description, first->description_size, second->description,
                                               second->description_size);
    size_t used = 0;
    for (size_t i = 0; i < entry->variant_count && used < sizeof(down->text); i++) {
        const kolo_variant *variant = &entry->variants[i];
        char ranks[128], what[320];
        kolo_ranks_format(&variant->ranks, ranks, sizeof(ranks));
        kolo_description_format(variant->description, variant->description_size, focus, what, sizeof(what));
        bool one = strpbrk(ranks, ",-.") == NULL;
        int n = snprintf(down->text + used, sizeof(down->text) - used, "%s%s %s: %s", i > 0 ? "; " : "",
                         one ? "rank" : "ranks", ranks, what);
        used += n > 0 ? (size_t)n : 0;
        odd = rank_count(&variant->ranks) < rank_count(&odd->ranks) ? variant : odd;
    }
    kolo_ranks_format(&odd->ranks, down->ranks, sizeof(down->ranks));
}
