/* algorithm.h - the algorithms by name: each builds a schedule and knows its price.
 *
 * Association classes. Floating-point addition is not associative, so equal bits need an equal order of additions.
 * Every operation has a class, a pure function of (collective, bytes, size) - never of fitted constants, timing, or
 * fusion - and the selector chooses only among algorithms that add in that class's order:
 *
 *     RING       slice k = ((x[p+1] op x[p+2]) op ...) op x[p], where p is the owner's position on the ring and x[]
 *                goes round the ring: summed starting after its owner, the owner last.  (ring, oneshot)
 *     CIRCULANT  the nested order of Traeff's circulant reduce-scatter: see circulant.c.  (circulant)
 *     DIRECT     (x[0] op x[1]) op ..., x[] by rank, for every element, whoever adds it and wherever ranks run; in one pass,
 *                so that 16-bit floats are rounded once. Where all ranks share memory ("the shape of the topology").
 *                (direct, direct_oneshot, attach, shared; and values, engine/board.h)
 *
 * Collectives that add nothing (all-gather, broadcast) may use any algorithm; where memory is shared, those of DIRECT.
 */
#ifndef KOLO_PLAN_ALGORITHM_H
#define KOLO_PLAN_ALGORITHM_H

#include "plan/price.h"
#include "plan/schedule.h"

typedef enum kolo_collective {
    KOLO_ALLREDUCE,
    KOLO_REDUCE_SCATTER,
    KOLO_ALLGATHER,
    KOLO_BROADCAST,
    KOLO_BARRIER, /* negotiation alone; has no schedule */
    KOLO_COLLECTIVE_COUNT
} kolo_collective;

const char *kolo_collective_name(kolo_collective collective); /* "allreduce", "reduce_scatter", ... */

/* What a schedule is built from. */
typedef struct kolo_plan_spec {
    kolo_collective collective;
    int32_t rank, size;
    int32_t root;                 /* broadcast */
    const int32_t *ring;          /* ring[position] = rank, a permutation; near ranks are neighbours */
    const int64_t *slice_offsets; /* size+1 entries, as kolo_slice_layout makes them */
    int64_t chunk_count;   /* elements per pipelined piece, >= 1; a hint: enlarged to bound the number of steps */
    int64_t window_count;  /* elements each rank's window has room for; 0: there are no windows */
    bool shared_tensors;   /* all ranks' inputs and outputs lie in memory that everybody sees; */
    bool readable_tensors; /* or the transport reads them (transport.h: read_peer) */
} kolo_plan_spec;

typedef enum kolo_association {
    KOLO_ASSOCIATION_RING,
    KOLO_ASSOCIATION_CIRCULANT,
    KOLO_ASSOCIATION_DIRECT,
    KOLO_ASSOCIATION_NONE
} kolo_association;

/* The class of an operation. bytes: of the whole tensor, alone (not of a fused group). Up to 4 ranks, and for more than
 * 1 MiB, sums are of class RING; otherwise CIRCULANT. These numbers are part of the promise of equal bits, not tuning.
 * is_shared: all ranks share memory; then everything is DIRECT. */
kolo_association kolo_plan_association(kolo_collective collective, int64_t bytes, int32_t size, bool is_shared);

/* Whether the slice that an element is in decides the order in which it is summed. Two operands have one sum. */
static inline bool kolo_association_is_by_slice(kolo_association association, int32_t size)
{
    return association != KOLO_ASSOCIATION_DIRECT && size > 2;
}

/* What a price depends on. */
typedef struct kolo_plan_work {
    kolo_collective collective;
    int32_t size;
    int64_t bytes; /* of the group's whole buffer */
    int64_t chunk_bytes;
    int64_t window_bytes;  /* of each rank; 0: there are no windows */
    bool readable_tensors; /* as the spec's */
} kolo_plan_work;

typedef struct kolo_algorithm {
    const char *name;             /* "ring" */
    uint32_t collectives;         /* bit (1u << kolo_collective) */
    kolo_association association; /* of its sums; NONE where it adds nothing */
    bool shared_tensors;          /* needs spec's: so the selector never takes it */
    bool reads_tensors;           /* needs spec's readable_tensors, and work's */
    /* Appends this rank's steps and seals. size 1: a COPY with FINAL (or nothing where nothing is to be done). */
    kolo_status (*build)(const kolo_plan_spec *spec, kolo_schedule *schedule);
    /* Predicted nanoseconds of the slowest rank, for what build() would build. */
    double (*price)(const kolo_plan_work *work, const kolo_price_model *model);
} kolo_algorithm;

/* All of them: ring, oneshot (all inputs to everyone by a Bruck all-gather, then summed locally in ring order),
 * circulant (Traeff 2024), binomial and chain (broadcast); direct and direct_oneshot through shared windows; attach, where
 * ranks read each other's memory; shared, from tensor to tensor. */
size_t kolo_algorithm_count(void);
const kolo_algorithm *kolo_algorithm_at(size_t index);
const kolo_algorithm *kolo_algorithm_find(const char *name); /* NULL if unknown */

/* What a variable of the user's forces for a collective; NULL for "auto". KOLO_ERR_CONFIG, with what may be forced, where
 * the value names nothing of that. */
KOLO_NODISCARD kolo_status kolo_algorithm_forced(const char *variable, const char *value, kolo_collective collective,
                                                 const kolo_algorithm **forced);

/* The cheapest algorithm of the class; or `forced` where it can do this collective (a forced algorithm of another class
 * is taken too: forcing is a promise of its own, the same on all ranks; but DIRECT ones only in their class, as others
 * have no windows; and those that read tensors only where that is possible). forced may be NULL. Never NULL for the four
 * collectives that have schedules. */
const kolo_algorithm *kolo_algorithm_select(const kolo_plan_work *work, kolo_association association,
                                            const kolo_price_model *model, const kolo_algorithm *forced);

/* Where ranks share memory, and are not too many for a board (engine/board.h): whether an all-reduce by values (price.h)
 * costs no more than the algorithm that would do it otherwise, and what comes before that: agreeing on the order; or,
 * by_place, where that algorithm is `shared`, posts. Pure. */
enum {
    KOLO_PLAN_VALUE_RANKS = 64,     /* with more, there is no board */
    KOLO_PLAN_VALUE_BYTES = 262144, /* larger tensors never go by values: their room is better spent on small ones */
};
bool kolo_plan_values_pay(const kolo_plan_work *work, bool by_place, const kolo_price_model *model);

#endif
