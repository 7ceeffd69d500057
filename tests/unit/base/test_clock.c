/* test_clock.c - the clock runs forward, in nanoseconds. */
#include "cmocka_all.h"

#include <time.h>

#include "base/clock.h"

static void now__never_goes_back(void **state)
{
    (void)state;
    int64_t before = kolo_clock_now_ns();
    for (int i = 0; i < 10000; i++) {
        int64_t now = kolo_clock_now_ns();
        assert_true(now >= before);
        before = now;
    }
}

static void now__is_the_system_s_monotonic_clock(void **state)
{
    (void)state;
    struct timespec first, second;
    clock_gettime(CLOCK_MONOTONIC, &first);
    int64_t now = kolo_clock_now_ns();
    clock_gettime(CLOCK_MONOTONIC, &second);
    assert_true(now >= first.tv_sec * KOLO_NS_PER_S + first.tv_nsec);
    assert_true(now <= second.tv_sec * KOLO_NS_PER_S + second.tv_nsec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(now__never_goes_back),
        cmocka_unit_test(now__is_the_system_s_monotonic_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
