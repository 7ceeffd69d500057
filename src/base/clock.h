/* clock.h - the real clock. Drivers read it and hand the time in; the engine and the plan never do. */
#ifndef KOLO_BASE_CLOCK_H
#define KOLO_BASE_CLOCK_H

#include <stdint.h>

#define KOLO_NS_PER_US INT64_C(1000)
#define KOLO_NS_PER_MS INT64_C(1000000)
#define KOLO_NS_PER_S  INT64_C(1000000000)

/* Monotonic time in nanoseconds. Any thread. */
int64_t kolo_clock_now_ns(void);
/* The same, up to 10 ms late, at a fraction of the price: for deadlines that are far off. */
int64_t kolo_clock_coarse_ns(void);
/* What the other threads of this process have run for, ever. */
int64_t kolo_clock_other_threads_ns(void);

#endif
