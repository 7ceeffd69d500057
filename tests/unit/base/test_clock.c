/* test_clock.c - the clock runs forward, in nanoseconds. */
#include "cmocka_all.h"

#include <pthread.h>
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

static int64_t ran_ns(void)
{
    struct timespec ran;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ran);
    return ran.tv_sec * KOLO_NS_PER_S + ran.tv_nsec;
}

static void *run_for_a_while(void *argument)
{
    (void)argument;
    while (ran_ns() < 5 * KOLO_NS_PER_MS)
        continue;
    return NULL;
}

static void other_threads__count_and_the_calling_one_does_not(void **state)
{
    (void)state;
    int64_t before = kolo_clock_other_threads_ns(), start = ran_ns();
    while (ran_ns() < start + 5 * KOLO_NS_PER_MS)
        continue;
    int64_t between = kolo_clock_other_threads_ns();
    assert_true(between - before < KOLO_NS_PER_MS);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_for_a_while, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(kolo_clock_other_threads_ns() - between > 4 * KOLO_NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(now__never_goes_back),
        cmocka_unit_test(now__is_the_system_s_monotonic_clock),
        cmocka_unit_test(other_threads__count_and_the_calling_one_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
