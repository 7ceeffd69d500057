/* check.h - proves schedules right, symbolically: runs all ranks' schedules of one collective on expressions instead of
 * numbers.
 *
 * Found are: an output element that does not hold every rank's input exactly once; sums in another order than the
 * association class promises, or different on two ranks; a FINAL that is missing, early, or doubled; deadlock, with
 * sends that complete only once their receive is posted (the strictest rendezvous); sends and receives that do not pair
 * up; two steps without an order between them that touch the same memory, one of them writing (in place and out of
 * place); reads of undefined memory; ranges out of bounds. Of windows and of tensors that all ranks see: two ranks that
 * race for an element, whatever the timing; and what could disturb the schedule before or after, of whatever
 * collective, on the same windows, or touch a tensor whose operation is complete.
 *
 * Without a race, the values do not depend on who runs when: one run shows them all. */
#ifndef KOLO_PLAN_CHECK_H
#define KOLO_PLAN_CHECK_H

#include "plan/algorithm.h"

/* Whether a rank's INPUT and OUTPUT are the same memory. MIXED: on some ranks, as the seed draws. */
typedef enum kolo_placement { KOLO_OUT_OF_PLACE, KOLO_IN_PLACE, KOLO_PLACEMENT_MIXED } kolo_placement;

/* Checks `algorithm` for spec's collective, size, root, ring, slice_offsets, chunk and what is shared (spec->rank is
 * ignored: all are built). KOLO_OK, or KOLO_ERR_INTERNAL with kolo_last_error() telling rank, step and element;
 * KOLO_ERR_MEMORY; or what build answered; KOLO_ERR_INVALID for a spec that makes no sense. `seed` draws the order in
 * which runnable steps are executed, and the placement where it is mixed. Cost: O(size * (steps^2 / 64 + elements)):
 * for tests and tools. */
KOLO_NODISCARD kolo_status kolo_schedule_check(const kolo_algorithm *algorithm, const kolo_plan_spec *spec,
                                               kolo_placement placement, uint64_t seed);

/* The same for schedules that are there already: schedules[rank], spec->size of them, that add in the order of
 * `association`. */
KOLO_NODISCARD kolo_status kolo_schedules_check(const kolo_schedule *schedules, const kolo_plan_spec *spec,
                                                kolo_association association, kolo_placement placement, uint64_t seed);

#endif
