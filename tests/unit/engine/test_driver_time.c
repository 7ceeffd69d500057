/* test_driver_time.c - waits that pass, deadlines that end them, and the end of the thread. */
#include "unit/engine/driven.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { THREADS = 4 };

/* Both ways of driving: with spinning, and straight to sleep. */
static const int64_t spins[2] = {0, 50 * KOLO_NS_PER_US};

static void wait__passes_and_the_operation_goes_on(void **state)
{
    (void)state;
    for (int s = 0; s < 2; s++) {
        job j;
        job_start(&j, 2, spins[s]);
        float data = 1.0f;
        kolo_request *request = job_submit(&j, &(made_options){.name = "never", .count = 1, .output = &data}, false);
        made_expect_error(kolo_driver_wait(j.driver, request, 0), KOLO_ERR_TIMEOUT,
                          "'never' is not complete after 0.000 s; it goes on");
        made_expect_error(kolo_driver_wait(j.driver, request, 5 * KOLO_NS_PER_MS), KOLO_ERR_TIMEOUT,
                          "'never' is not complete after 0.005 s; it goes on");
        made_expect_error(kolo_driver_drain(j.driver, KOLO_NS_PER_MS), KOLO_ERR_TIMEOUT,
                          "operations are still under way");
        assert_false(kolo_request_is_done(request));
        assert_false(kolo_engine_idle(j.engine));
        job_stop(&j);
        assert_true(kolo_request_is_done(request)); /* with the engine's end */
        assert_int_equal(request->status, KOLO_ERR_STATE);
        kolo_request_release(request);
    }
}

static void *wait_for_the_error(void *argument)
{
    kolo_request *request = argument;
    return (void *)(uintptr_t)(kolo_driver_wait(request->driver, request, -1) == KOLO_OK);
}

/* The deadline wakes sleepers, whoever of them drives, and the thread when nobody waits. */
static void deadline__ends_the_wait_of_all(void **state)
{
    (void)state;
    for (int waiters = 0; waiters <= THREADS; waiters += 2) {
        job j;
        job_start(&j, 2, 0);
        float data = 1.0f;
        kolo_request *request = job_submit(&j,
                                           &(made_options){.name = "late",
                                                           .count = 1,
                                                           .output = &data,
                                                           .flags = KOLO_NOTIFY_FD,
                                                           .timeout_ns = kolo_clock_now_ns() + 20 * KOLO_NS_PER_MS},
                                           false);
        pthread_t threads[THREADS];
        for (int t = 0; t < waiters; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, wait_for_the_error, request), 0);
        job_wait_readable(kolo_driver_completion_fd(j.driver));
        for (int t = 0; t < waiters; t++) {
            void *fine = NULL;
            pthread_join(threads[t], &fine);
            assert_non_null(fine);
        }
        assert_int_equal(kolo_driver_wait(j.driver, request, -1), KOLO_OK);
        assert_int_equal(request->status, KOLO_ERR_TIMEOUT);
        assert_non_null(strstr(request->error->message, "it was not submitted by rank 1"));
        assert_true(atomic_load(&j.lines) > 0);
        kolo_request_release(request);
        job_stop(&j);
    }
}

static void stop__ends_a_thread_in_any_state(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        job j;
        float data = 1.0f;
        job_start(&j, 1, i % 3 == 0 ? 50 * KOLO_NS_PER_US : 0);
        if (i % 2 == 0) {
            kolo_request *request = job_submit(&j, &(made_options){.count = 1, .output = &data}, i % 4 == 0);
            assert_int_equal(kolo_driver_wait(j.driver, request, -1), KOLO_OK);
            kolo_request_release(request);
        }
        if (i % 5 == 0)
            (void)kolo_driver_step(j.driver);
        job_stop(&j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wait__passes_and_the_operation_goes_on),
        cmocka_unit_test(deadline__ends_the_wait_of_all),
        cmocka_unit_test(stop__ends_a_thread_in_any_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
