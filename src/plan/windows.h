/* windows.h - two ranks that touch the same elements of a window, one of them writing, need an order between them. For
 * src/plan only. */
#ifndef KOLO_PLAN_WINDOWS_H
#define KOLO_PLAN_WINDOWS_H

#include "plan/schedule.h"

/* KOLO_ERR_INTERNAL naming two ranks' steps that race for an element of a window, whatever the timing of a real run: where
 * no chain of NOTIFYs and WAITs orders one before the other; or a WAIT that is never over. KOLO_ERR_MEMORY. The schedules
 * of all `size` ranks must be well-formed, which covers what runs before and after them. */
KOLO_NODISCARD kolo_status kolo_windows_check(const kolo_schedule *schedules, int32_t size);

#endif
