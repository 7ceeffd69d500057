/* form.h - is a schedule well-formed, taken by itself? For src/plan only. */
#ifndef KOLO_PLAN_FORM_H
#define KOLO_PLAN_FORM_H

#include "plan/algorithm.h"

/* Checks rank's schedule, schedules[rank]: kinds, peers, ranges, dependencies; and where it uses windows, flags or
 * peers' tensors, the rules that schedule.h gives for them. KOLO_ERR_INTERNAL naming rank and step; KOLO_ERR_MEMORY. */
KOLO_NODISCARD kolo_status kolo_form_check(const kolo_schedule *schedules, const kolo_plan_spec *spec, int32_t rank);

/* Are there windows or flags? */
bool kolo_form_is_windowed(const kolo_schedule *schedule);

/* What a buffer is to the rank whose memory it is: PEER_INPUT is its INPUT. */
kolo_buffer kolo_form_home(uint8_t buffer);

/* KOLO_ERR_INTERNAL, "rank 1, step 2 (copy ...): what". */
KOLO_NODISCARD kolo_status kolo_form_fail(const kolo_schedule *schedule, int32_t rank, uint32_t step, const char *what);

#endif
