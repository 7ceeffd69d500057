/* hazard.h - two steps that touch the same memory, one of them writing, need an order between them. For src/plan only.
 */
#ifndef KOLO_PLAN_HAZARD_H
#define KOLO_PLAN_HAZARD_H

#include "plan/schedule.h"

/* KOLO_ERR_INTERNAL naming two steps of `rank` that touch the same elements, at least one writing, where the
 * dependencies order neither before the other; or a step whose own ranges overlap in part. KOLO_ERR_MEMORY. The
 * schedule's dependencies must point forward. in_place: INPUT and OUTPUT are one. */
KOLO_NODISCARD kolo_status kolo_hazards_check(const kolo_schedule *schedule, int32_t rank, bool in_place);

#endif
