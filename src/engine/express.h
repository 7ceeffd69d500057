/* express.h - small all-reduces and barriers on one host: the payload rides in the same cache lines as the readiness
 * flag.
 *
 * Each rank has a cell for each slot and parity of the round, which it alone writes and all others read:
 *
 *     u64 round | payload, at most KOLO_EXPRESS_BYTES
 *
 * A rank that submits a tensor whose slot is agreed writes its input and then the round into its cell, and is done once
 * it has seen this round in everybody's cell: one flight of a cache line, no order, no decision, no second message. Two
 * parities are enough: who posts round n+2 has completed n+1, for which everybody had to be through with n.
 *
 * A rank that disagrees (another shape, say) describes the tensor to the root instead; the root takes posted cells as
 * "unchanged" reports, so that the disagreement is found and told as ever (negotiate.h). Only where all ranks are the
 * root's children: up to 9. */
#ifndef KOLO_ENGINE_EXPRESS_H
#define KOLO_ENGINE_EXPRESS_H

#include "engine/request.h"
#include "engine/tree.h"

enum {
    KOLO_EXPRESS_RANKS_MAX = KOLO_TREE_FANOUT + 1,
    KOLO_EXPRESS_CELL_BYTES = 4096 + 64, /* up to 4 KiB and the flag */
    KOLO_EXPRESS_BYTES = KOLO_EXPRESS_CELL_BYTES - 8,
    KOLO_EXPRESS_SLOTS = 256,
    KOLO_EXPRESS_WINDOW_BYTES = KOLO_EXPRESS_SLOTS * 2 * KOLO_EXPRESS_CELL_BYTES
};

typedef struct kolo_express {
    int32_t rank, size; /* size 0: not in use */
    const int32_t *ring;
    char *cells[KOLO_EXPRESS_RANKS_MAX]; /* per rank: KOLO_EXPRESS_WINDOW_BYTES */
    kolo_request *first, **end;          /* posted and not over, the oldest first */
} kolo_express;

/* Not in use. */
void kolo_express_init(kolo_express *express);

/* Whether this operation goes this way, once its slot is agreed: a pure function, the same on all ranks. piece: the
 * only one; not looked at for a barrier. */
bool kolo_express_takes(const kolo_express *express, const kolo_operation *operation, const kolo_piece *piece,
                        uint32_t slot);

/* ---- one round of one slot; piece: NULL for a barrier ---- */

/* Writes the input into the own cell. Afterwards the other ranks must be woken. */
void kolo_express_write(const kolo_express *express, uint32_t slot, uint64_t round, const kolo_operation *operation,
                        const kolo_piece *piece);
/* Everybody else has posted it. */
bool kolo_express_is_complete(const kolo_express *express, uint32_t slot, uint64_t round);
/* Bit r: rank r has posted it. */
uint32_t kolo_express_posted(const kolo_express *express, uint32_t slot, uint64_t round);
/* Folds what all have posted into the output. */
void kolo_express_read(const kolo_express *express, uint32_t slot, uint64_t round, const kolo_operation *operation,
                       const kolo_piece *piece);

/* ---- requests whose input is written ---- */

void kolo_express_add(kolo_express *express, kolo_request *request, uint32_t slot, uint64_t round);
/* One pass over the requests: the next that everybody has posted, its result in its output, and no longer in the list;
 * NULL at the end. *last_open is where the pass is, NULL at its beginning; the pass is over when one is dropped. */
kolo_request *kolo_express_next_done(kolo_express *express, kolo_request **last_open);
bool kolo_express_any_done(const kolo_express *express);
/* Forgets a posted request: it failed. */
void kolo_express_drop(kolo_express *express, kolo_request *request);

#endif
