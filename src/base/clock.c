/* clock.c - CLOCK_MONOTONIC: never set back, the same for all processes of a host. */
#include "base/clock.h"

#include <time.h>

/* Which can't fail for the clocks of this file. */
static int64_t read_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * KOLO_NS_PER_S + (int64_t)now.tv_nsec;
}

int64_t kolo_clock_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t kolo_clock_coarse_ns(void)
{
    return read_ns(CLOCK_MONOTONIC_COARSE);
}

int64_t kolo_clock_other_threads_ns(void)
{
    int64_t own_ns = read_ns(CLOCK_THREAD_CPUTIME_ID);
    return read_ns(CLOCK_PROCESS_CPUTIME_ID) - own_ns;
}
