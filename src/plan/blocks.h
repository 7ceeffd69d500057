/* blocks.h - logarithmic algorithms move blocks: runs of slices that follow each other on the ring. For src/plan only.
 *
 * A rank numbers the slices from its own: block i is the slice at ring position (its own position + i). Neighbours on
 * the ring need not be neighbours in memory, and the ring closes: a run of blocks is one message for each stretch that
 * lies in one piece. Both ends cut it in the same places, because they see the same slices. */
#ifndef KOLO_PLAN_BLOCKS_H
#define KOLO_PLAN_BLOCKS_H

#include "plan/build.h"

/* A rank's view of the slices. */
typedef struct kolo_blocks {
    const kolo_plan_spec *spec;
    kolo_schedule *schedule;
    int32_t position;
    uint32_t *last; /* per block: the last step that used it, or KOLO_NO_STEP */
} kolo_blocks;

KOLO_NODISCARD kolo_status kolo_blocks_init(kolo_blocks *blocks, const kolo_plan_spec *spec, int32_t position,
                                            kolo_schedule *schedule);
void kolo_blocks_fini(kolo_blocks *blocks);

/* Blocks [first, end) that lie in one piece, at `range` of the full coordinates. */
typedef struct kolo_stretch {
    int64_t first, end;
    kolo_range range;
    uint32_t message; /* tells it from other stretches: the ring position of block `first` */
} kolo_stretch;

/* The next stretch of the blocks [stretch->end, end): call first with stretch->end = where to begin. False when none is
 * left. Slices without elements belong to no stretch, or to any. */
bool kolo_blocks_next(const kolo_blocks *blocks, int64_t end, kolo_stretch *stretch);

/* `step` waits for all steps that used the stretch last. And: it is now the last one itself. */
void kolo_blocks_wait(const kolo_blocks *blocks, const kolo_stretch *stretch, uint32_t step);
void kolo_blocks_used(const kolo_blocks *blocks, const kolo_stretch *stretch, uint32_t step);

/* One round: the distance to the peers, and how many blocks travel. */
typedef struct kolo_round {
    int32_t skip, count;
} kolo_round;

/* No more rounds than bits of a rank. */
#define KOLO_ROUNDS_MAX 31

/* All-gather. In each round a rank sends its blocks [0, count) to position - skip, and receives [skip, skip + count),
 * which are the same for that peer, from position + skip. own: where block 0 is sent from in the first round;
 * everything else is sent from OUTPUT. Messages are odd: a reduce-scatter between the same ranks uses even ones. */
void kolo_blocks_gather(const kolo_blocks *blocks, const kolo_round *rounds, size_t count, kolo_buffer own,
                        uint32_t first_hop);

/* A whole all-gather: the own slice from INPUT to OUTPUT, the rounds, sealed. */
KOLO_NODISCARD kolo_status kolo_blocks_build_allgather(const kolo_plan_spec *spec, int32_t position,
                                                       const kolo_round *rounds, size_t count, kolo_schedule *schedule);

/* What the messages of these rounds cost, with blocks of so many bytes; and the whole all-gather of `bytes`. */
double kolo_blocks_price_rounds(const kolo_round *rounds, size_t count, double block_bytes,
                                const kolo_price_model *model);
double kolo_blocks_price_allgather(int32_t size, const kolo_round *rounds, size_t count, double bytes,
                                   const kolo_price_model *model);

#endif
