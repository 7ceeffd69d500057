/* late.c - who has not come yet: for deadlines, and for warnings while a round waits. */
#include "engine/negotiate.h"

#include <string.h>

/* Whom this node still waits for in the round, as text. */
static kolo_missing missing_reports(const kolo_negotiation *negotiation, const kolo_entry *entry,
                                    char text[KOLO_MISSING_BYTES])
{
    kolo_missing kind = KOLO_MISSING_SURE;
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    for (int32_t bit = 0; bit <= negotiation->children; bit++) {
        if ((entry->have >> bit & 1) != 0)
            continue;
        int32_t rank = bit == 0 ? negotiation->rank : kolo_tree_child(negotiation->rank, bit - 1);
        (void)kolo_ranks_add(&ranks, rank, rank);
        if (bit > 0 && kolo_tree_children(rank, negotiation->size) > 0)
            kind = KOLO_MISSING_UNSURE;
    }
    static const char below[] = " (or those below in the tree)";
    kolo_ranks_format(&ranks, text, KOLO_MISSING_BYTES - sizeof(below));
    if (kind == KOLO_MISSING_UNSURE)
        memcpy(text + strlen(text), below, sizeof(below));
    kolo_ranks_fini(&ranks);
    return kind;
}

/* The same of a round that goes over the board: everybody sees who has neither posted nor reported it. */
static kolo_missing missing_on_board(const kolo_negotiation *negotiation, const kolo_entry *entry,
                                     char text[KOLO_MISSING_BYTES])
{
    uint32_t arrived = negotiation->hooks.arrived(negotiation->hooks.user, entry);
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    for (int32_t rank = 0; rank < negotiation->size; rank++)
        if ((arrived >> rank & 1) == 0)
            (void)kolo_ranks_add(&ranks, rank, rank);
    kolo_ranks_format(&ranks, text, KOLO_MISSING_BYTES);
    kolo_ranks_fini(&ranks);
    return text[0] != '\0' ? KOLO_MISSING_SURE : KOLO_MISSING_NOBODY;
}

kolo_missing kolo_entry_missing(const kolo_negotiation *negotiation, const kolo_entry *entry,
                                char ranks[KOLO_MISSING_BYTES])
{
    return entry->way != KOLO_WAY_ORDER ? missing_on_board(negotiation, entry, ranks)
                                        : missing_reports(negotiation, entry, ranks);
}

kolo_missing kolo_negotiation_missing(const kolo_negotiation *negotiation, const kolo_request *request,
                                      char ranks[KOLO_MISSING_BYTES])
{
    const kolo_entry *entry = request->entry;
    ranks[0] = '\0';
    if (entry == NULL || entry->head != request || request->running)
        return KOLO_MISSING_NOBODY;
    if (entry->way == KOLO_WAY_ORDER && (entry->forwarded || entry->have == negotiation->all))
        return KOLO_MISSING_NOBODY;
    return kolo_entry_missing(negotiation, entry, ranks);
}

typedef struct stall_scan {
    const kolo_negotiation *negotiation;
    int64_t since_ns;
    kolo_stall_fn fn;
    void *user;
    bool waiting;
} stall_scan;

/* Whether this node should speak of the entry; of a round that goes over the board the first rank that is there does. */
static bool waits_for_others(const kolo_negotiation *negotiation, const kolo_entry *entry)
{
    if (entry->way == KOLO_WAY_ORDER)
        return entry->have != 0 && entry->have != negotiation->all;
    if (!entry->announced || entry->head->running)
        return false;
    uint32_t arrived = negotiation->hooks.arrived(negotiation->hooks.user, entry);
    return (arrived & ((1u << negotiation->rank) - 1)) == 0;
}

static void check_stall(void *user, kolo_entry *entry)
{
    stall_scan *scan = user;
    if (!waits_for_others(scan->negotiation, entry))
        return;
    scan->waiting = true;
    if (entry->warned || entry->since_ns > scan->since_ns)
        return;
    char ranks[KOLO_MISSING_BYTES];
    (void)kolo_entry_missing(scan->negotiation, entry, ranks);
    entry->warned = true;
    if (ranks[0] != '\0')
        scan->fn(scan->user, entry, ranks);
}

bool kolo_negotiation_stalls(kolo_negotiation *negotiation, int64_t since_ns, kolo_stall_fn fn, void *user)
{
    stall_scan scan = {.negotiation = negotiation, .since_ns = since_ns, .fn = fn, .user = user};
    kolo_registry_each(&negotiation->registry, check_stall, &scan);
    return scan.waiting;
}
