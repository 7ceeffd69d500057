/* late.c - who has not come yet, or never will: for deadlines, for warnings while a round waits, and when ranks leave.
 */
#include "engine/negotiate.h"

#include <string.h>

/* Formats and frees `ranks`, with a remark behind them. */
static void write_ranks(kolo_ranks *ranks, const char *remark, char text[KOLO_MISSING_BYTES])
{
    size_t bytes = strlen(remark) + 1;
    kolo_ranks_format(ranks, text, KOLO_MISSING_BYTES - bytes);
    memcpy(text + strlen(text), remark, bytes);
    kolo_ranks_fini(ranks);
}

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
        int32_t rank = bit == 0 ? negotiation->rank : kolo_tree_child(negotiation->tree, negotiation->rank, bit - 1);
        (void)kolo_ranks_add(&ranks, rank, rank);
        if (bit > 0 && kolo_tree_children(negotiation->tree, rank) > 0)
            kind = KOLO_MISSING_UNSURE;
    }
    write_ranks(&ranks, kind == KOLO_MISSING_UNSURE ? " (or those below in the tree)" : "", text);
    return kind;
}

/* Of a round that goes over the board: bit r is set if rank r has posted or reported it. Everybody sees that; of who
 * describes it anew just now, the root may hear a little earlier. */
static uint64_t arrived(const kolo_negotiation *negotiation, const kolo_entry *entry)
{
    return negotiation->hooks.arrived(negotiation->hooks.user, entry) | (negotiation->rank == 0 ? entry->have : 0);
}

/* The same as above, of a round that goes over the board. */
static kolo_missing missing_on_board(const kolo_negotiation *negotiation, const kolo_entry *entry,
                                     char text[KOLO_MISSING_BYTES])
{
    uint64_t there = arrived(negotiation, entry);
    int32_t count = 0;
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    for (int32_t rank = 0; rank < negotiation->tree.size; rank++)
        if ((there >> rank & 1) == 0) {
            (void)kolo_ranks_add(&ranks, rank, rank);
            count++;
        }
    write_ranks(&ranks, "", text);
    return count == 0 ? KOLO_MISSING_NOBODY : KOLO_MISSING_SURE;
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

/* ---- stalls ------------------------------------------------------------------------------------- */

typedef struct stall_scan {
    const kolo_negotiation *negotiation;
    int64_t since_ns;
    kolo_stall_fn fn;
    void *user;
    int64_t oldest_ns; /* of those that wait, and not so long */
} stall_scan;

/* Whether this node should speak of the entry; of a round that goes over the board the first rank that is there does. */
static bool waits_for_others(const kolo_negotiation *negotiation, const kolo_entry *entry)
{
    if (entry->way == KOLO_WAY_ORDER)
        return entry->have != 0 && entry->have != negotiation->all;
    if (!entry->announced || entry->head->running)
        return false;
    uint64_t arrived = negotiation->hooks.arrived(negotiation->hooks.user, entry);
    return (arrived & ((UINT64_C(1) << negotiation->rank) - 1)) == 0;
}

static void check_stall(void *user, kolo_entry *entry)
{
    stall_scan *scan = user;
    if (!waits_for_others(scan->negotiation, entry))
        return;
    char ranks[KOLO_MISSING_BYTES];
    if (!entry->warned && entry->since_ns <= scan->since_ns) {
        entry->warned = true;
        if (kolo_entry_missing(scan->negotiation, entry, ranks) != KOLO_MISSING_NOBODY)
            scan->fn(scan->user, entry, ranks);
    }
    int64_t since_ns = entry->warned ? scan->negotiation->now_ns : entry->since_ns;
    scan->oldest_ns = since_ns < scan->oldest_ns ? since_ns : scan->oldest_ns;
}

int64_t kolo_negotiation_stalls(kolo_negotiation *negotiation, int64_t since_ns, kolo_stall_fn fn, void *user)
{
    stall_scan scan = {
        .negotiation = negotiation, .since_ns = since_ns, .fn = fn, .user = user, .oldest_ns = INT64_MAX};
    kolo_registry_each(&negotiation->registry, check_stall, &scan);
    return scan.oldest_ns;
}

/* ---- ranks that wait for each other ---------------------------------------------------------------- */

typedef struct crossing_scan {
    const kolo_negotiation *negotiation;
    const kolo_entry *entry;
    uint64_t all, lacking;
    const kolo_entry *other;
    uint64_t waiting; /* for the other, of those lacking */
} crossing_scan;

/* Who is there, as this node knows: at the root by its own children, else by rank, of what goes over the board alone. */
static bool is_known(const kolo_negotiation *negotiation, const kolo_entry *entry)
{
    return entry != negotiation->farewell && (negotiation->rank == 0 || entry->way != KOLO_WAY_ORDER);
}

static uint64_t present(const kolo_negotiation *negotiation, const kolo_entry *entry)
{
    return entry->way != KOLO_WAY_ORDER ? arrived(negotiation, entry) : entry->have;
}

static void check_crossing(void *user, kolo_entry *entry)
{
    crossing_scan *scan = user;
    if (scan->other != NULL || entry == scan->entry || !is_known(scan->negotiation, entry))
        return;
    uint64_t there = present(scan->negotiation, entry);
    if (there == scan->all || (there & scan->lacking) == 0)
        return;
    scan->other = entry;
    scan->waiting = there & scan->lacking;
}

/* Bits as `present` has them, as text. */
static void format_present(const kolo_negotiation *negotiation, uint64_t bits, char text[KOLO_MISSING_BYTES])
{
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    if (negotiation->rank == 0)
        (void)kolo_negotiation_contributors(negotiation, bits, &ranks);
    for (int32_t rank = 0; negotiation->rank != 0 && rank < negotiation->tree.size; rank++)
        if ((bits >> rank & 1) != 0)
            (void)kolo_ranks_add(&ranks, rank, rank);
    write_ranks(&ranks, "", text);
}

bool kolo_negotiation_crossed(kolo_negotiation *negotiation, const char *name, kolo_crossing *other)
{
    const kolo_entry *entry = kolo_registry_find(&negotiation->registry, name);
    if (entry == NULL || !is_known(negotiation, entry))
        return false;
    uint64_t everybody = UINT64_MAX >> (64 - (negotiation->tree.size < 64 ? negotiation->tree.size : 64));
    crossing_scan scan = {
        .negotiation = negotiation, .entry = entry, .all = negotiation->rank == 0 ? negotiation->all : everybody};
    scan.lacking = scan.all & ~present(negotiation, entry);
    kolo_registry_each(&negotiation->registry, check_crossing, &scan);
    if (scan.other == NULL)
        return false;
    other->name = scan.other->name;
    format_present(negotiation, scan.waiting, other->waiting);
    return kolo_entry_missing(negotiation, scan.other, other->missing) != KOLO_MISSING_NOBODY;
}

/* ---- ranks that have left ------------------------------------------------------------------------ */

/* Those of `left` that others wait for in this entry; *waiting: the others. */
static uint64_t deserters(const kolo_negotiation *negotiation, const kolo_entry *entry, uint64_t *waiting)
{
    bool posts = negotiation->rank == 0 && entry->way != KOLO_WAY_ORDER;
    *waiting = posts ? arrived(negotiation, entry) : entry->have;
    return *waiting != 0 && entry != negotiation->farewell ? negotiation->left & ~*waiting : 0;
}

bool kolo_negotiation_contributors(const kolo_negotiation *negotiation, uint64_t have, kolo_ranks *ranks)
{
    bool ok = (have & 1) == 0 || kolo_ranks_add(ranks, negotiation->rank, negotiation->rank);
    for (int32_t i = 0; ok && i < negotiation->children; i++)
        if ((have >> (i + 1) & 1) != 0)
            ok = kolo_tree_subtree(negotiation->tree, kolo_tree_child(negotiation->tree, negotiation->rank, i), ranks);
    return ok;
}

static void format_contributors(const kolo_negotiation *negotiation, uint64_t have, char text[KOLO_MISSING_BYTES])
{
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    (void)kolo_negotiation_contributors(negotiation, have, &ranks);
    write_ranks(&ranks, "", text);
}

void kolo_entry_check_deserted(const kolo_negotiation *negotiation, const kolo_entry *entry)
{
    char left[KOLO_MISSING_BYTES], others[KOLO_MISSING_BYTES];
    uint64_t waiting, gone = deserters(negotiation, entry, &waiting);
    if (gone == 0)
        return;
    format_contributors(negotiation, gone, left);
    format_contributors(negotiation, waiting, others);
    negotiation->hooks.deserted(negotiation->hooks.user, entry->name, left, others);
}

static void check_deserted(void *user, kolo_entry *entry)
{
    kolo_entry_check_deserted(user, entry);
}

void kolo_negotiation_check_deserted(kolo_negotiation *negotiation)
{
    kolo_registry_each(&negotiation->registry, check_deserted, negotiation);
}

const kolo_entry *kolo_negotiation_posted_deserted(const kolo_negotiation *negotiation)
{
    uint64_t waiting;
    for (uint32_t slot = 0; negotiation->left != 0 && slot < negotiation->registry.slot_count; slot++) {
        const kolo_entry *entry = negotiation->registry.slots[slot];
        if (entry != NULL && entry->way != KOLO_WAY_ORDER && deserters(negotiation, entry, &waiting) != 0)
            return entry;
    }
    return NULL;
}
