/* fit.h - the cost model's numbers, measured here and now.
 *
 * All ranks measure at the same time, the same things in the same order, each on its own: so what they see is what they
 * will have while all of them work. Nothing is timed once: each number is the median of some samples, so that a single
 * pause does not matter; and what takes too long ends early for everybody, with the samples there are.
 *
 *     every rank          steps, copies and reductions of its own memory, cached and not
 *     windows shared      flags there and back; copies into the own window, out of the others', and folds of them; what
 *                         the transport reads of peers' own memory, where it may
 *     no windows          messages round the ring, of every size that the model has
 *
 * The transport is connected, and its user does nothing with it meanwhile. Messages have numbers from the end of the
 * tags. The windows' first KOLO_FIT_WINDOW_BYTES are zero before; each rank zeroes its own when all have come back. */
#ifndef KOLO_FIT_FIT_H
#define KOLO_FIT_FIT_H

#include "plan/price.h"
#include <kolo/transport.h>

/* The part of each window that is written to, a piece and a line of flags; smaller windows are not measured. */
enum { KOLO_FIT_PIECE_BYTES = 65536, KOLO_FIT_WINDOW_BYTES = KOLO_FIT_PIECE_BYTES + 64 };

typedef struct kolo_fit_options {
    const kolo_transport_ops *ops; /* NULL: measure what one rank can alone */
    kolo_transport *transport;     /* its postings' cookies are kolo_postings (engine/executor.h) */
    int32_t rank, size;
    const int32_t *ring;        /* ring[position] = rank */
    bool is_shared;             /* all ranks share windows */
    int64_t spin_ns;            /* how long to look for a peer before yielding to it; 0: it may need this very core */
    int32_t crowd;              /* ranks on one core, at least 1: what a rank does itself takes so many times as long */
    int64_t budget_ns;          /* after this, what has not been measured keeps its value */
    int64_t patience_ns;        /* for a peer that does not answer */
    bool (*failed)(void *user); /* the job is over: then do not wait; may be NULL */
    void *user;
} kolo_fit_options;

/* Replaces the numbers of *model that could be measured, cache_bytes never. KOLO_ERR_TIMEOUT when a peer did not
 * answer, KOLO_ERR_PEER when `failed` said so, KOLO_ERR_MEMORY, or the transport's own error: then *model is untouched,
 * and the transport may not be used any more, since what was under way had to be taken back. */
KOLO_NODISCARD kolo_status kolo_fit(const kolo_fit_options *options, kolo_price_model *model);

#endif
