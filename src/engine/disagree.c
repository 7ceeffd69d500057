/* disagree.c - who sent what, in words, when ranks describe one tensor in several ways. */
#include "engine/negotiate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a text, kept free for what to do. */
enum { ADVICE_BYTES = 128 };

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

/* What to do about it. */
static const char *advice(const kolo_entry *entry, const kolo_variant *first, const kolo_variant *second)
{
    size_t one = kolo_description_pieces(first->description, first->description_size),
           other = kolo_description_pieces(second->description, second->description_size);
    bool are_alike = first->description[0] == second->description[0]; /* the collective */
    if (are_alike && one != other && one > 0 && other > 0)
        return "submit the same tensors together on every rank (args.outputs), or each by itself everywhere";
    if (!kolo_request_is_named(entry->name))
        return "without names, operations match in the order of their calls: make the same calls everywhere, or name "
               "them";
    return "give it the same operation, factors, type and shape everywhere, or two names";
}

/* "ranks 0-2: allreduce sum float32 [512, 784]; rank 3: allreduce sum float32 [784, 512]; give it ...": by lowest rank,
 * whoever came first. The fewest are blamed. */
void kolo_entry_explain(kolo_entry *entry, kolo_down *down)
{
    qsort(entry->variants, entry->variant_count, sizeof(entry->variants[0]), compare_variants);
    const kolo_variant *first = &entry->variants[0], *second = &entry->variants[1], *odd = second;
    size_t focus = kolo_description_difference(first->description, first->description_size, second->description,
                                               second->description_size);
    size_t used = 0, room = sizeof(down->text) - ADVICE_BYTES;
    for (size_t i = 0; i < entry->variant_count && used < room; i++) {
        const kolo_variant *variant = &entry->variants[i];
        char ranks[128], what[320];
        kolo_ranks_format(&variant->ranks, ranks, sizeof(ranks));
        kolo_description_format(variant->description, variant->description_size, focus, what, sizeof(what));
        bool one = strpbrk(ranks, ",-.") == NULL;
        int n = snprintf(down->text + used, room - used, "%s%s %s: %s", i > 0 ? "; " : "", one ? "rank" : "ranks",
                         ranks, what);
        used += n > 0 ? (size_t)n : 0;
        odd = rank_count(&variant->ranks) < rank_count(&odd->ranks) ? variant : odd;
    }
    used = strlen(down->text);
    snprintf(down->text + used, sizeof(down->text) - used, "; %s", advice(entry, first, second));
    kolo_ranks_format(&odd->ranks, down->ranks, sizeof(down->ranks));
}
