/* windows.h - two ranks that touch the same elements, of a window or of a tensor that all see, one of them writing,
 * need an order between them. For src/plan only. */
#ifndef KOLO_PLAN_WINDOWS_H
#define KOLO_PLAN_WINDOWS_H

#include "plan/schedule.h"

/* KOLO_ERR_INTERNAL naming two ranks' steps that race for an element, whatever the timing of a real run: where no chain
 * of NOTIFYs and WAITs orders one before the other; or a WAIT that is never over. KOLO_ERR_MEMORY. The schedules of all
 * `size` ranks must be well-formed, which covers what runs before and after them. in_place[rank]: its INPUT and OUTPUT
 * are one. */
KOLO_NODISCARD kolo_status kolo_windows_check(const kolo_schedule *schedules, int32_t size, const bool *in_place);

#endif
