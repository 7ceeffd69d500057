/* negotiate.h - which tensors are ready on every rank, in one agreed order, without a timer.
 *
 *                          root: all there ─► decide: same description? ─► batch
 *      UP  ▲  "my subtree is ready for slot 7"                │ DOWN "run 7, 9, 12" / "these disagree"
 *          │                                                  ▼
 *      node: own submission + all children's reports       forward to children, then apply
 *
 * A node speaks only when something changed: an idle job sends nothing. What becomes ready while a step runs travels in
 * one message. Cost of an operation: one way up, one way down. Bytes from neighbours are checked; a violation is
 * KOLO_ERR_PROTOCOL. */
#ifndef KOLO_ENGINE_NEGOTIATE_H
#define KOLO_ENGINE_NEGOTIATE_H

#include "engine/registry.h"
#include "engine/tree.h"

/* What the negotiation asks of its owner. */
typedef struct kolo_negotiation_hooks {
    void *user;
    kolo_status (*send_up)(void *user, const void *body, size_t size);   /* to the parent */
    kolo_status (*send_down)(void *user, const void *body, size_t size); /* to all children */
    /* These requests are agreed on, in this order on all ranks; they may be fused with each other. */
    kolo_status (*run)(void *user, kolo_request *const *requests, size_t count);
    /* This request failed on all ranks alike. */
    void (*fail)(void *user, kolo_request *request, const kolo_error *error);
    /* The board (board.h); all NULL where there is none. is_private: the request's tensor does not lie where all ranks
     * see it. way: which way operations like this one, with this slot, go, and with which cells, given whether that is so on
     * any rank; asked whenever a slot is agreed on, so in the same order on all ranks. post: to all ranks,
     * now; false: it cannot go this way from here. withdraw: the root has decided about a posted request. tell_report:
     * this rank reports the entry's round to the root, and the others may have posted it. posted: bit r is set if rank
     * r has posted it; arrived: if it has posted or reported it. places: how many posts by place there were, of all
     * ranks. */
    bool (*is_private)(void *user, const kolo_request *request);
    kolo_way (*way)(void *user, const kolo_request *request, uint32_t slot, bool has_private, kolo_cells *cells);
    bool (*post)(void *user, const kolo_entry *entry, kolo_request *request);
    void (*withdraw)(void *user, kolo_request *request);
    void (*tell_report)(void *user, const kolo_entry *entry);
    uint64_t (*posted)(void *user, const kolo_entry *entry);
    uint64_t (*arrived)(void *user, const kolo_entry *entry);
    uint64_t (*places)(void *user);
    /* Somebody's deadline for this name has passed, and this node knows which ranks are missing. */
    void (*expired)(void *user, const char *name, const char *missing);
    /* `waiting` have submitted this name, and `left` never will: they wait in KOLO_FAREWELL. */
    void (*deserted)(void *user, const char *name, const char *left, const char *waiting);
} kolo_negotiation_hooks;

typedef struct kolo_negotiation {
    kolo_tree tree;
    int32_t rank, children;
    uint64_t all;         /* `have` of a complete subtree */
    kolo_entry *farewell; /* of KOLO_FAREWELL */
    uint64_t left;        /* those of `have` whose whole subtree waits in it */
    kolo_negotiation_hooks hooks;
    kolo_registry registry;
    uint8_t *out;               /* UP entries (below the root) or DOWN entries (root) since the last flush */
    kolo_writer writer;         /* over out */
    kolo_entry *watched;        /* root: reported by some, maybe posted by others; two lists: by value, and by place, */
    kolo_entry *watched_places; /* which is long, but empty of news unless `places` has changed or watch_again is set */
    uint64_t places;
    bool watch_again;
    kolo_entry **decided; /* root: complete, not yet sent down; in order */
    size_t decided_count, decided_capacity;
    kolo_request **batch; /* of the DOWN message being applied */
    size_t batch_count, batch_capacity;
    int64_t now_ns;
} kolo_negotiation;

KOLO_NODISCARD kolo_status kolo_negotiation_init(kolo_negotiation *negotiation, kolo_tree tree, int32_t rank,
                                                 const kolo_negotiation_hooks *hooks);
void kolo_negotiation_fini(kolo_negotiation *negotiation);

/* A request of this rank, after those of its name before it. */
KOLO_NODISCARD kolo_status kolo_negotiation_submit(kolo_negotiation *negotiation, kolo_request *request);
/* The same of a request whose input was posted already, for an entry without others. */
void kolo_negotiation_adopt(kolo_negotiation *negotiation, kolo_entry *entry, kolo_request *request);
/* A run (or failed) request is over: its name's next submission takes its turn. */
KOLO_NODISCARD kolo_status kolo_negotiation_release(kolo_negotiation *negotiation, kolo_request *request);

/* A message of child `child` (0 ..), or of the parent. */
KOLO_NODISCARD kolo_status kolo_negotiation_up(kolo_negotiation *negotiation, int32_t child, kolo_reader *body);
KOLO_NODISCARD kolo_status kolo_negotiation_down(kolo_negotiation *negotiation, kolo_reader *body);

/* Sends what has gathered: upward reports always; the root's decisions only if `decide`, so that while data moves,
 * decisions gather to larger batches. *sent counts messages. */
KOLO_NODISCARD kolo_status kolo_negotiation_flush(kolo_negotiation *negotiation, bool decide, int *sent);

/* A rank has posted a round that others described, or that others will never submit, and no flush has seen it yet. */
bool kolo_negotiation_awake(const kolo_negotiation *negotiation);

/* Whom this node still waits for in the request's round. NOBODY: its subtree is complete, so it is somebody elsewhere.
 * SURE: the ranks in `ranks` ("3,5") have not submitted. UNSURE: only some of them, or somebody below one of them in
 * the tree; `ranks` says so. */
typedef enum kolo_missing { KOLO_MISSING_NOBODY, KOLO_MISSING_SURE, KOLO_MISSING_UNSURE } kolo_missing;
enum { KOLO_MISSING_BYTES = 128 };
kolo_missing kolo_negotiation_missing(const kolo_negotiation *negotiation, const kolo_request *request,
                                      char ranks[KOLO_MISSING_BYTES]);

/* The same of an entry whose round has begun. */
kolo_missing kolo_entry_missing(const kolo_negotiation *negotiation, const kolo_entry *entry,
                                char ranks[KOLO_MISSING_BYTES]);

/* Another name that waits, too: for whom, and who has submitted it, of those that `name` lacks. Ranks often wait for each
 * other, where they call things by other names, or in another order. False: this node knows of none. */
typedef struct kolo_crossing {
    const char *name; /* the entry's */
    char waiting[KOLO_MISSING_BYTES], missing[KOLO_MISSING_BYTES];
} kolo_crossing;
bool kolo_negotiation_crossed(kolo_negotiation *negotiation, const char *name, kolo_crossing *other);

/* Fills in ranks and text of a FAIL from an entry with several variants, which it sorts. */
void kolo_entry_explain(kolo_entry *entry, kolo_down *down);

/* Asks up the tree who is late with the request's name; the first node that knows calls its `expired` hook. Not at the
 * root. */
KOLO_NODISCARD kolo_status kolo_negotiation_ask(kolo_negotiation *negotiation, const char *name);

/* Adds the ranks behind the bits of `have`. False when out of memory. */
bool kolo_negotiation_contributors(const kolo_negotiation *negotiation, uint64_t have, kolo_ranks *ranks);

/* Calls the `deserted` hook if some have submitted this entry and others, who have left, never will. */
void kolo_entry_check_deserted(const kolo_negotiation *negotiation, const kolo_entry *entry);
/* The same of all entries. */
void kolo_negotiation_check_deserted(kolo_negotiation *negotiation);
/* At the root: a posted entry that is deserted, which no report tells of; NULL if there is none. */
const kolo_entry *kolo_negotiation_posted_deserted(const kolo_negotiation *negotiation);

/* Calls fn once a round for entries that have waited for some ranks since `since_ns` or before. Returns since when the oldest
 * of the others has waited; now, where there are none but those; INT64_MAX: nothing waits for ranks. */
typedef void (*kolo_stall_fn)(void *user, const kolo_entry *entry, const char *ranks);
int64_t kolo_negotiation_stalls(kolo_negotiation *negotiation, int64_t since_ns, kolo_stall_fn fn, void *user);

/* ---- between the files of the negotiation ---- */

/* negotiate.c: everybody below has reported or posted the entry's round. */
KOLO_NODISCARD kolo_status kolo_negotiation_complete(kolo_negotiation *negotiation, kolo_entry *entry);

/* watch.c, at the root. A round has been reported by some, and others may have posted it. Counts such posts. And: from
 * now on the entry's operations go the way of this request. */
void kolo_watch(kolo_negotiation *negotiation, kolo_entry *entry);
KOLO_NODISCARD kolo_status kolo_watch_count(kolo_negotiation *negotiation);
void kolo_watch_set_way(kolo_negotiation *negotiation, kolo_entry *entry, const kolo_request *request,
                        bool has_private);

#endif
