/* dryrun.h - executes all ranks' schedules together, on expressions. For src/plan only. */
#ifndef KOLO_PLAN_DRYRUN_H
#define KOLO_PLAN_DRYRUN_H

#include "plan/algorithm.h"

/* For each step that sends or receives: the step at the other end. */
typedef struct kolo_partner {
    int32_t rank;
    uint32_t step;
} kolo_partner;

/* Runs schedules[rank] of all ranks from inputs x[rank] until nothing can go on, and compares the outputs with what
 * collective and association promise. partners[rank][step]. The schedules must be well-formed and their messages
 * paired. KOLO_ERR_INTERNAL for a deadlock, a read of undefined elements, elements that do not match, a wrong result;
 * KOLO_ERR_MEMORY. in_place[rank]: its INPUT and OUTPUT are one. seed: the order of
 * runnable steps. */
KOLO_NODISCARD kolo_status kolo_dryrun(const kolo_schedule *schedules, kolo_partner *const *partners,
                                       const kolo_plan_spec *spec, kolo_association association, const bool *in_place,
                                       uint64_t seed);

#endif
