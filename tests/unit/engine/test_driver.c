/* test_driver.c - real threads around one engine: who drives, who waits, and that nobody is forgotten. One job of a single rank, where
 * everything completes at once; and one whose only peer never answers. */
#include "unit/engine/made.h"

#include "api/alone.h"
#include "base/clock.h"
#include "engine/driver.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 300, QUEUE = 16 };

/* ---- a peer that never answers ------------------------------------------------------------------------------------- */

static kolo_status swallow_control(kolo_transport *transport, int32_t peer, const void *bytes, size_t size)
{
    (void)transport;
    (void)peer;
    (void)bytes;
    (void)size;
    return KOLO_OK;
}

/* ---- the job ------------------------------------------------------------------------------------------------------- */

typedef struct job {
    kolo_engine *engine;
    kolo_driver *driver;
    kolo_transport_ops ops;
    kolo_log log;
    _Atomic int lines;
} job;

static void on_finished(void *user, kolo_request *request)
{
    job *j = user;
    if (j->driver != NULL)
        kolo_driver_finished(j->driver, request);
}

static void on_line(void *user, kolo_log_level level, const char *line)
{
    job *j = user;
    (void)level;
    (void)line;
    atomic_fetch_add(&j->lines, 1);
}

static void start(job *j, int32_t size, int64_t spin_ns)
{
    static const int32_t ring[2] = {0, 1};
    memset(j, 0, sizeof(*j));
    j->log = (kolo_log){.write = on_line, .user = j, .level = KOLO_LOG_WARN};
    j->ops = *kolo_alone_transport();
    j->ops.send_control = swallow_control;
    kolo_engine_options options = {.size = size,
                                   .ring = ring,
                                   .log = &j->log,
                                   .queue_depth = QUEUE,
                                   .groups_in_flight = 2,
                                   .chunk_bytes = 4096,
                                   .fusion_bytes = 1 << 16,
                                   .model = KOLO_PRICE_MODEL_DEFAULT,
                                   .finished = on_finished,
                                   .user = j};
    assert_int_equal(kolo_engine_create(&options, &j->engine), KOLO_OK);
    kolo_transport *transport = NULL;
    kolo_transport_env env = {0};
    kolo_engine_fill_env(j->engine, &env);
    env.size = 1;
    assert_int_equal(j->ops.create(&env, &transport), KOLO_OK);
    kolo_engine_attach(j->engine, &j->ops, transport);
    kolo_driver_options driver_options = {.engine = j->engine, .ops = &j->ops, .transport = transport, .caller_spin_ns = spin_ns, .thread_spin_ns = spin_ns};
    assert_int_equal(kolo_driver_create(&driver_options, &j->driver), KOLO_OK);
}

static void stop(job *j)
{
    kolo_driver_stop(j->driver);
    kolo_driver_destroy(j->driver);
    j->driver = NULL;
    kolo_engine_destroy(j->engine);
}

static kolo_request *submit(job *j, const made_options *options, bool caller_drives)
{
    kolo_request *request = made_request(options);
    request->driver = j->driver;
    assert_int_equal(kolo_driver_submit(j->driver, request, caller_drives), KOLO_OK);
    return request;
}

/* Both ways of driving: with spinning, and straight to sleep. */
static const int64_t spins[2] = {0, 50 * KOLO_NS_PER_US};

/* ---- many threads ---------------------------------------------------------------------------------------------------- */

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
        kolo_request *request = submit(w->j, &(made_options){.name = name, .operation.prescale = 2.0, .type = KOLO_DTYPE_FLOAT64, .count = 1, .output = &value}, i % 2 == 0);
        kolo_status status = kolo_driver_wait(w->j->driver, request, -1);
        w->wrong += status != KOLO_OK || request->status != KOLO_OK || value < 2.0 * (i + w->number) || value > 2.0 * (i + w->number);
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
        requests[i] = submit(w->j, &(made_options){.name = "same", .count = 1, .output = &data[w->number][i]}, false);
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
        start(&j, 1, spins[s]);
        run_workers(&j, submit_and_wait);
        assert_true(kolo_engine_idle(j.engine));
        stop(&j);
    }
}

/* Bursts far beyond the queue: submitters drive until there is room. */
static void full_queue__is_driven_by_its_submitters(void **state)
{
    (void)state;
    for (int s = 0; s < 2; s++) {
        job j;
        start(&j, 1, spins[s]);
        run_workers(&j, submit_a_burst_and_wait_for_all);
        assert_true(kolo_engine_idle(j.engine));
        stop(&j);
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
    start(&j, 1, 0);
    for (int i = 0; i < 50; i++) {
        struct {
            worker w;
            kolo_request *request;
        } waiter = {.w = {.j = &j}};
        float data = 1.0f;
        pthread_t threads[THREADS];
        waiter.request = submit(&j, &(made_options){.count = 1, .output = &data}, false);
        for (int t = 0; t < THREADS; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, wait_for_given, &waiter), 0);
        for (int t = 0; t < THREADS; t++) {
            void *fine = NULL;
            pthread_join(threads[t], &fine);
            assert_non_null(fine);
        }
        kolo_request_release(waiter.request);
    }
    stop(&j);
}

/* ---- nobody waits: the communication thread does it ---------------------------------------------------------------------- */

static void wait_for_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready;
    while ((ready = poll(&p, 1, 60000)) < 0 && errno == EINTR)
        continue;
    if (ready != 1)
        fail_msg("nothing has completed for a minute");
}

static void completion_fd__counts_what_asked_for_it(void **state)
{
    (void)state;
    for (int s = 0; s < 2; s++) {
        job j;
        start(&j, 1, spins[s]);
        int fd = kolo_driver_completion_fd(j.driver);
        for (int i = 0; i < 100; i++) {
            enum { BURST = 8 };
            float data[2 * BURST];
            kolo_request *requests[2 * BURST];
            for (int r = 0; r < 2 * BURST; r++)
                requests[r] = submit(&j, &(made_options){.name = "n", .count = 1, .output = &data[r], .flags = r % 2 == 0 ? KOLO_NOTIFY_FD : 0}, false);
            for (uint64_t sum = 0, count = 0; sum < BURST; sum += count) {
                wait_for_readable(fd);
                assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
                assert_in_range(count, 1, BURST - sum);
            }
            assert_int_equal(kolo_driver_drain(j.driver, -1), KOLO_OK);
            uint64_t more;
            assert_true(read(fd, &more, sizeof(more)) < 0 && errno == EAGAIN);
            for (int r = 0; r < 2 * BURST; r++)
                kolo_request_release(requests[r]);
        }
        stop(&j);
    }
}

/* ---- callbacks -------------------------------------------------------------------------------------------------------------- */

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
        (void)submit(c->j, &(made_options){.name = "link", .count = 1, .output = &c->data, .done = submit_next, .user = c, .flags = KOLO_NOTIFY_FD}, false);
    else
        atomic_store(&c->done, 1);
}

static void callback__may_submit(void **state)
{
    (void)state;
    job j;
    start(&j, 1, 0);
    chain c = {.j = &j, .left = ROUNDS};
    (void)submit(&j, &(made_options){.name = "link", .count = 1, .output = &c.data, .done = submit_next, .user = &c, .flags = KOLO_NOTIFY_FD}, false);
    for (uint64_t sum = 0, count = 0; sum < ROUNDS; sum += count) {
        wait_for_readable(kolo_driver_completion_fd(j.driver));
        assert_int_equal(read(kolo_driver_completion_fd(j.driver), &count, sizeof(count)), sizeof(count));
    }
    assert_int_equal(atomic_load(&c.done), 1);
    stop(&j);
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
    m->other = submit(m->j, &(made_options){.name = "other", .count = 1, .output = &data}, false);
    m->wait = kolo_driver_wait(m->j->driver, m->other, -1);
    m->drain = kolo_driver_drain(m->j->driver, -1);
    m->steps = kolo_driver_step(m->j->driver);
}

static void callback__must_not_wait(void **state)
{
    (void)state;
    job j;
    start(&j, 1, 0);
    for (int caller_drives = 0; caller_drives < 2; caller_drives++) {
        misuse m = {.j = &j};
        float data = 1.0f;
        kolo_request *request = submit(&j, &(made_options){.count = 1, .output = &data, .done = misbehave, .user = &m}, caller_drives);
        assert_int_equal(kolo_driver_wait(j.driver, request, -1), KOLO_OK);
        assert_int_equal(m.wait, KOLO_ERR_STATE);
        assert_int_equal(m.drain, KOLO_ERR_STATE);
        assert_int_equal(m.steps, 0);
        assert_int_equal(kolo_driver_wait(j.driver, m.other, -1), KOLO_OK);
        kolo_request_release(m.other);
        kolo_request_release(request);
    }
    stop(&j);
}

static void fill_the_queue(void *user, kolo_request *request, kolo_status status)
{
    misuse *m = user;
    (void)request;
    (void)status;
    static float data[4 * QUEUE];
    for (; m->submit == KOLO_OK && m->queued < 4 * QUEUE; m->queued++) {
        kolo_request *one = made_request(&(made_options){.name = "one", .count = 1, .output = &data[m->queued]});
        m->submit = kolo_driver_submit(m->j->driver, one, false);
        kolo_request_release(one);
    }
}

static void callback__that_fills_the_queue_gets_an_error(void **state)
{
    (void)state;
    job j;
    start(&j, 1, 0);
    misuse m = {.j = &j};
    float data = 1.0f;
    kolo_request *request = submit(&j, &(made_options){.count = 1, .output = &data, .done = fill_the_queue, .user = &m}, true);
    assert_int_equal(kolo_driver_wait(j.driver, request, -1), KOLO_OK);
    assert_int_equal(m.submit, KOLO_ERR_STATE);
    assert_in_range(m.queued, QUEUE, QUEUE + 1); /* QUEUE fit, and one was refused */
    assert_int_equal(kolo_driver_drain(j.driver, -1), KOLO_OK);
    kolo_request_release(request);
    stop(&j);
}

/* ---- time ------------------------------------------------------------------------------------------------------------------------ */

static void wait__passes_and_the_operation_goes_on(void **state)
{
    (void)state;
    for (int s = 0; s < 2; s++) {
        job j;
        start(&j, 2, spins[s]);
        float data = 1.0f;
        kolo_request *request = submit(&j, &(made_options){.name = "never", .count = 1, .output = &data}, false);
        made_expect_error(kolo_driver_wait(j.driver, request, 0), KOLO_ERR_TIMEOUT, "'never' is not complete after 0.000 s; it goes on");
        made_expect_error(kolo_driver_wait(j.driver, request, 5 * KOLO_NS_PER_MS), KOLO_ERR_TIMEOUT, "'never' is not complete after 0.005 s; it goes on");
        made_expect_error(kolo_driver_drain(j.driver, KOLO_NS_PER_MS), KOLO_ERR_TIMEOUT, "operations are still under way");
        assert_false(kolo_request_is_done(request));
        assert_false(kolo_engine_idle(j.engine));
        stop(&j);
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
        start(&j, 2, 0);
        float data = 1.0f;
        kolo_request *request = submit(&j, &(made_options){.name = "late", .count = 1, .output = &data, .flags = KOLO_NOTIFY_FD, .timeout_ns = kolo_clock_now_ns() + 20 * KOLO_NS_PER_MS}, false);
        pthread_t threads[THREADS];
        for (int t = 0; t < waiters; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, wait_for_the_error, request), 0);
        wait_for_readable(kolo_driver_completion_fd(j.driver));
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
        stop(&j);
    }
}

static void stop__ends_a_thread_in_any_state(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        job j;
        float data = 1.0f;
        start(&j, 1, i % 3 == 0 ? 50 * KOLO_NS_PER_US : 0);
        if (i % 2 == 0) {
            kolo_request *request = submit(&j, &(made_options){.count = 1, .output = &data}, i % 4 == 0);
            assert_int_equal(kolo_driver_wait(j.driver, request, -1), KOLO_OK);
            kolo_request_release(request);
        }
        if (i % 5 == 0)
            (void)kolo_driver_step(j.driver);
        stop(&j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads__submit_and_wait_each_for_its_own),
        cmocka_unit_test(full_queue__is_driven_by_its_submitters),
        cmocka_unit_test(one_request__may_have_many_waiters),
        cmocka_unit_test(completion_fd__counts_what_asked_for_it),
        cmocka_unit_test(callback__may_submit),
        cmocka_unit_test(callback__must_not_wait),
        cmocka_unit_test(callback__that_fills_the_queue_gets_an_error),
        cmocka_unit_test(wait__passes_and_the_operation_goes_on),
        cmocka_unit_test(deadline__ends_the_wait_of_all),
        cmocka_unit_test(stop__ends_a_thread_in_any_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
