/* test_driver.c - real threads around one engine: who drives, who waits, and that nobody is forgotten. */
#include "unit/engine/driven.h"

#include "base/clock.h"
#include "engine/driver_state.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 300 };

/* Both ways of driving: with spinning, and straight to sleep. */
static const int64_t spins[2] = {0, 50 * KOLO_NS_PER_US};

/* ---- many threads ------------------------------------------------------------------------------------------------ */

typedef struct worker {
    job *j;
    int number;
    pthread_t thread;
    int wrong;
} worker;

static void *submit_and_wait(void *argument)
{
    worker *w = argument;
    char name[2] = {(char)('a' + w->number), '\0'};
    for (int i = 0; i < ROUNDS; i++) {
        double value = i + w->number;
        kolo_request *request = job_submit(
            w->j,
            &(made_options){
                .name = name, .operation.prescale = 2.0, .type = KOLO_DTYPE_FLOAT64, .count = 1, .output = &value},
            i % 2 == 0);
        kolo_status status = kolo_driver_wait(w->j->driver, request, -1);
        w->wrong += status != KOLO_OK || request->status != KOLO_OK || value < 2.0 * (i + w->number) ||
                    value > 2.0 * (i + w->number);
        kolo_request_release(request);
    }
    return NULL;
}

static void *submit_a_burst_and_wait_for_all(void *argument)
{
    worker *w = argument;
    static float data[THREADS][ROUNDS];
    kolo_request *requests[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        requests[i] =
            job_submit(w->j, &(made_options){.name = "same", .count = 1, .output = &data[w->number][i]}, false);
    for (int i = ROUNDS - 1; i >= 0; i--) {
        w->wrong += kolo_driver_wait(w->j->driver, requests[i], -1) != KOLO_OK || requests[i]->status != KOLO_OK;
        kolo_request_release(requests[i]);
    }
    return NULL;
}

static void run_workers(job *j, void *(*work)(void *))
{
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.j = j, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
}

static void threads__submit_and_wait_each_for_its_own(void **state)
{
    (void)state;
    for (int s = 0; s < 2; s++) {
        job j;
        job_start(&j, 1, spins[s]);
        run_workers(&j, submit_and_wait);
        assert_true(kolo_engine_idle(j.engine));
        job_stop(&j);
    }
}

/* Bursts far beyond the queue: submitters drive until there is room. */
static void full_queue__is_driven_by_its_submitters(void **state)
{
    (void)state;
    for (int s = 0; s < 2; s++) {
        job j;
        job_start(&j, 1, spins[s]);
        run_workers(&j, submit_a_burst_and_wait_for_all);
        assert_true(kolo_engine_idle(j.engine));
        job_stop(&j);
    }
}

static void *wait_for_given(void *argument)
{
    worker *w = argument;
    return (void *)(uintptr_t)(kolo_driver_wait(w->j->driver, *(kolo_request **)(void *)(w + 1), -1) == KOLO_OK);
}

static void one_request__may_have_many_waiters(void **state)
{
    (void)state;
    job j;
    job_start(&j, 1, 0);
    for (int i = 0; i < 50; i++) {
        struct {
            worker w;
            kolo_request *request;
        } waiter = {.w = {.j = &j}};
        float data = 1.0f;
        pthread_t threads[THREADS];
        waiter.request = job_submit(&j, &(made_options){.count = 1, .output = &data}, false);
        for (int t = 0; t < THREADS; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, wait_for_given, &waiter), 0);
        for (int t = 0; t < THREADS; t++) {
            void *fine = NULL;
            pthread_join(threads[t], &fine);
            assert_non_null(fine);
        }
        kolo_request_release(waiter.request);
    }
    job_stop(&j);
}

/* ---- nobody waits: the communication thread does it -------------------------------------------------------------- */

static void completion_fd__counts_what_asked_for_it(void **state)
{
    (void)state;
    for (int s = 0; s < 2; s++) {
        job j;
        job_start(&j, 1, spins[s]);
        int fd = kolo_driver_completion_fd(j.driver);
        for (int i = 0; i < 100; i++) {
            enum { BURST = 8 };
            float data[2 * BURST];
            kolo_request *requests[2 * BURST];
            for (int r = 0; r < 2 * BURST; r++)
                requests[r] = job_submit(
                    &j,
                    &(made_options){
                        .name = "n", .count = 1, .output = &data[r], .flags = r % 2 == 0 ? KOLO_NOTIFY_FD : 0},
                    false);
            for (uint64_t sum = 0, count = 0; sum < BURST; sum += count) {
                job_wait_readable(fd);
                assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
                assert_in_range(count, 1, BURST - sum);
            }
            assert_int_equal(kolo_driver_drain(j.driver, -1), KOLO_OK);
            uint64_t more;
            assert_true(read(fd, &more, sizeof(more)) < 0 && errno == EAGAIN);
            for (int r = 0; r < 2 * BURST; r++)
                kolo_request_release(requests[r]);
        }
        job_stop(&j);
    }
}

/* ---- callbacks --------------------------------------------------------------------------------------------------- */

typedef struct chain {
    job *j;
    float data;
    int left;
    _Atomic int done;
} chain;

static void submit_next(void *user, kolo_request *request, kolo_status status)
{
    chain *c = user;
    assert_int_equal(status, KOLO_OK);
    kolo_request_release(request); /* the handle */
    if (--c->left > 0)
        (void)job_submit(c->j,
                         &(made_options){.name = "link",
                                         .count = 1,
                                         .output = &c->data,
                                         .done = submit_next,
                                         .user = c,
                                         .flags = KOLO_NOTIFY_FD},
                         false);
    else
        atomic_store(&c->done, 1);
}

static void callback__may_submit(void **state)
{
    (void)state;
    job j;
    job_start(&j, 1, 0);
    chain c = {.j = &j, .left = ROUNDS};
    (void)job_submit(
        &j,
        &(made_options){
            .name = "link", .count = 1, .output = &c.data, .done = submit_next, .user = &c, .flags = KOLO_NOTIFY_FD},
        false);
    for (uint64_t sum = 0, count = 0; sum < ROUNDS; sum += count) {
        job_wait_readable(kolo_driver_completion_fd(j.driver));
        assert_int_equal(read(kolo_driver_completion_fd(j.driver), &count, sizeof(count)), sizeof(count));
    }
    assert_int_equal(atomic_load(&c.done), 1);
    job_stop(&j);
}

typedef struct misuse {
    job *j;
    kolo_request *other;
    kolo_status wait, drain, submit;
    int steps, queued;
} misuse;

static void misbehave(void *user, kolo_request *request, kolo_status status)
{
    misuse *m = user;
    (void)request;
    (void)status;
    static float data;
    m->other = job_submit(m->j, &(made_options){.name = "other", .count = 1, .output = &data}, false);
    m->wait = kolo_driver_wait(m->j->driver, m->other, -1);
    m->drain = kolo_driver_drain(m->j->driver, -1);
    m->steps = kolo_driver_step(m->j->driver);
}

static void callback__must_not_wait(void **state)
{
    (void)state;
    job j;
    job_start(&j, 1, 0);
    for (int caller_drives = 0; caller_drives < 2; caller_drives++) {
        misuse m = {.j = &j};
        float data = 1.0f;
        kolo_request *request =
            job_submit(&j, &(made_options){.count = 1, .output = &data, .done = misbehave, .user = &m}, caller_drives);
        assert_int_equal(kolo_driver_wait(j.driver, request, -1), KOLO_OK);
        assert_int_equal(m.wait, KOLO_ERR_STATE);
        assert_int_equal(m.drain, KOLO_ERR_STATE);
        assert_int_equal(m.steps, 0);
        assert_int_equal(kolo_driver_wait(j.driver, m.other, -1), KOLO_OK);
        kolo_request_release(m.other);
        kolo_request_release(request);
    }
    job_stop(&j);
}

static void fill_the_queue(void *user, kolo_request *request, kolo_status status)
{
    misuse *m = user;
    (void)request;
    (void)status;
    static float data[4 * JOB_QUEUE];
    for (; m->submit == KOLO_OK && m->queued < 4 * JOB_QUEUE; m->queued++) {
        kolo_request *one = made_request(&(made_options){.name = "one", .count = 1, .output = &data[m->queued]});
        m->submit = kolo_driver_submit(m->j->driver, one, false);
        kolo_request_release(one);
    }
}

static void callback__that_fills_the_queue_gets_an_error(void **state)
{
    (void)state;
    job j;
    job_start(&j, 1, 0);
    misuse m = {.j = &j};
    float data = 1.0f;
    kolo_request *request =
        job_submit(&j, &(made_options){.count = 1, .output = &data, .done = fill_the_queue, .user = &m}, true);
    assert_int_equal(kolo_driver_wait(j.driver, request, -1), KOLO_OK);
    assert_int_equal(m.submit, KOLO_ERR_STATE);
    assert_in_range(m.queued, JOB_QUEUE, JOB_QUEUE + 1); /* JOB_QUEUE fit, and one was refused */
    assert_int_equal(kolo_driver_drain(j.driver, -1), KOLO_OK);
    kolo_request_release(request);
    job_stop(&j);
}

/* ---- the end of a step -------------------------------------------------------------------------------------------- */

/* Whoever sleeps for a request that has ended in the step is woken, and whoever began to sleep meanwhile; nobody else. The
 * token is taken, so that nobody else drives. */
static void settled__wakes_who_may_wait_for_what_has_ended(void **state)
{
    (void)state;
    job j;
    job_start(&j, 1, 0);
    kolo_driver *driver = j.driver;
    while (!kolo_driver_take_token(driver))
        sched_yield();
    kolo_request *request = made_request(&(made_options){.count = 1});
    kolo_driver_settled(driver);
    uint32_t before = atomic_load(&driver->change);
    kolo_driver_finished(driver, request);
    kolo_driver_settled(driver);
    assert_int_equal(atomic_load(&driver->change), before);
    atomic_store(&request->waited, 1);
    kolo_driver_finished(driver, request);
    kolo_driver_settled(driver);
    assert_int_equal(atomic_load(&driver->change), before + 1);
    atomic_store(&request->waited, 0);
    atomic_fetch_add(&driver->sleeps, 1);
    for (int i = 0; i < 2; i++) {
        kolo_driver_finished(driver, request);
        kolo_driver_settled(driver);
        assert_int_equal(atomic_load(&driver->change), before + 2);
    }
    kolo_driver_release_token(driver);
    kolo_request_release(request);
    job_stop(&j);
}

static void settled__counts_all_that_have_ended(void **state)
{
    (void)state;
    enum { ENDED = 3 };
    job j;
    uint64_t number = 0;
    job_start(&j, 1, 0);
    while (!kolo_driver_take_token(j.driver))
        sched_yield();
    kolo_request *request = made_request(&(made_options){.count = 1, .flags = KOLO_NOTIFY_FD});
    for (int i = 0; i < ENDED; i++)
        kolo_driver_finished(j.driver, request);
    kolo_driver_settled(j.driver);
    kolo_driver_settled(j.driver);
    assert_int_equal(read(kolo_driver_completion_fd(j.driver), &number, sizeof(number)), sizeof(number));
    assert_int_equal(number, ENDED);
    kolo_driver_release_token(j.driver);
    kolo_request_release(request);
    job_stop(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads__submit_and_wait_each_for_its_own),
        cmocka_unit_test(full_queue__is_driven_by_its_submitters),
        cmocka_unit_test(one_request__may_have_many_waiters),
        cmocka_unit_test(completion_fd__counts_what_asked_for_it),
        cmocka_unit_test(settled__wakes_who_may_wait_for_what_has_ended),
        cmocka_unit_test(settled__counts_all_that_have_ended),
        cmocka_unit_test(callback__may_submit),
        cmocka_unit_test(callback__must_not_wait),
        cmocka_unit_test(callback__that_fills_the_queue_gets_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
