/* clock.c - CLOCK_MONOTONIC: never set back, the same for all processes of a host. */
#include "base/clock.h"

#include <time.h>

int64_t kolo_clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* can't fail for this clock */
    return (int64_t)now.tv_sec * KOLO_NS_PER_S + (int64_t)now.tv_nsec;
}

int64_t kolo_clock_coarse_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * KOLO_NS_PER_S + (int64_t)now.tv_nsec;
}
