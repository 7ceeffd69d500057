/* registry.h - the tensors this rank knows by name, their slots, and how far the present round of each has come.
 *
 * A round is one operation on one name:
 *
 *     own submission, ──► all of the subtree there ──► reported up ──► decided by the root ──► run ──► popped
 *     children's reports       `have` is full           `forwarded`     RUN, ASSIGN or FAIL
 *         `have` fills
 *
 * Children may already report the next round while this one runs here; they cannot report twice before it is decided.
 */
#ifndef KOLO_ENGINE_REGISTRY_H
#define KOLO_ENGINE_REGISTRY_H

#include "engine/message.h"
#include "engine/places.h"
#include "engine/request.h"

#include <string.h>

#define HASH_NONFATAL_OOM 1 /* else uthash exits the process */
#include <uthash.h>

#define KOLO_NO_SLOT UINT32_MAX

/* What a round on the board needs lies together at the end, beside the name: of thousands of tensors, in two cache lines
 * each. */
typedef struct kolo_entry {
    UT_hash_handle hh;
    kolo_variant variants[KOLO_VARIANTS_MAX]; /* descriptions given in this round; owned */
    size_t variant_count;
    int64_t since_ns;                /* when `have` became non-zero */
    uint64_t have;                   /* bit 0: this rank; bit 1+i: child i */
    uint64_t unchanged;              /* those of `have` that named the slot instead of describing */
    struct kolo_entry *next_watched; /* root: some reported, so that posts count as reports */
    kolo_places *places;             /* of a group that goes by place; or NULL */
    struct kolo_entry *next_found;   /* what was looked up after it the last time */
    uint8_t *agreed;                 /* the description behind the slot, */
    size_t agreed_size;
    uint32_t agreement;        /* and which one that is, of its name: 1, 2, ... */
    kolo_request *head, *tail; /* own submissions in order; head is being negotiated or run */
    uint64_t round;            /* of head: operations on this name that are over, plus one */
    uint32_t slot;             /* KOLO_NO_SLOT until first agreed */
    kolo_way way;              /* of operations as agreed (board.h) */
    kolo_cells cells;
    bool announced; /* head is in `have` or was forwarded */
    bool forwarded; /* this subtree is complete; the root's word is awaited */
    bool posted;    /* head was posted to all instead of reported */
    bool watched;
    bool has_private; /* of those who described, some rank's tensor lies in its own memory */
    bool warned;      /* about the stall, this round */
    char name[];
} kolo_entry;

/* A round on it is about to begin. */
static inline void kolo_entry_prefetch(const kolo_entry *entry)
{
    enum { LINE_BYTES = 64 };
    __builtin_prefetch(&entry->next_found, 1);
    __builtin_prefetch((const char *)&entry->next_found + LINE_BYTES, 1);
}

typedef struct kolo_registry {
    kolo_entry *by_name;
    kolo_entry *last_found; /* programs name the same tensors in the same order, step after step */
    kolo_entry **slots;
    uint32_t slot_count, slot_capacity;
} kolo_registry;

void kolo_registry_init(kolo_registry *registry);
void kolo_registry_fini(kolo_registry *registry);

kolo_entry *kolo_registry_find(kolo_registry *registry, const char *name); /* NULL if unknown */
/* Finds or makes; NULL when out of memory. */
kolo_entry *kolo_registry_get(kolo_registry *registry, const char *name);
/* NULL for a slot that was never assigned. */
kolo_entry *kolo_registry_slot(const kolo_registry *registry, uint32_t slot);
/* entry now stands for `slot` (< KOLO_SLOTS_MAX) with the description. */
KOLO_NODISCARD kolo_status kolo_registry_assign(kolo_registry *registry, kolo_entry *entry, uint32_t slot,
                                                const uint8_t *description, size_t size);
/* The next slot nobody has; for the root. */
uint32_t kolo_registry_free_slot(const kolo_registry *registry);

/* The entry's round on the board. Field by field: a copy would read at once what was just stored in parts, for which it must
 * wait until all stores before are through, those to the board, too. */
static inline void kolo_entry_set_post(const kolo_entry *entry, kolo_post *post)
{
    const kolo_cells *cells = &entry->cells;
    uint32_t half = (uint32_t)(entry->round & 1), turn = (uint32_t)(entry->round >> 1) & (cells->count - 1u);
    post->way = entry->way;
    post->slot = entry->slot;
    post->cell = cells->at + turn * cells->lines + half * cells->half;
    post->round = entry->round;
    post->burst = 0;
}

static inline kolo_post kolo_entry_post(const kolo_entry *entry)
{
    kolo_post post;
    kolo_entry_set_post(entry, &post);
    return post;
}

/* The request is what was agreed on for its slot; one that comes again is compared once. */
static inline bool kolo_entry_is_agreed(const kolo_entry *entry, kolo_request *request)
{
    if (entry->slot == KOLO_NO_SLOT)
        return false;
    if (request->agreement == entry->agreement)
        return true;
    if (entry->agreed_size != request->description_size ||
        memcmp(entry->agreed, request->description, request->description_size) != 0)
        return false;
    request->agreement = entry->agreement;
    return true;
}

/* Calls fn for every entry. */
void kolo_registry_each(const kolo_registry *registry, void (*fn)(void *user, kolo_entry *entry), void *user);

/* A round's variants: adds `ranks` to the variant with this description, or makes it. Beyond KOLO_VARIANTS_MAX
 * descriptions ranks are not recorded (the disagreement is). False when out of memory. */
bool kolo_entry_add_variant(kolo_entry *entry, const uint8_t *description, size_t size, const kolo_ranks *ranks);
/* Empties the round. */
void kolo_entry_reset_round(kolo_entry *entry);

enum { KOLO_SLOTS_MAX = 1 << 24 };

#endif
