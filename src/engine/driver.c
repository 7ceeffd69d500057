/* driver.c - callers that drive, submit and wait, and the driver's life. */
#include "engine/driver_state.h"

#include "base/error.h"
#include "engine/call.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Nobody sleeps longer than this at a time where another thread holds the token: a bound, not a timer of an idle job.
 */
#define SLEEP_MAX_NS (100 * KOLO_NS_PER_MS)

enum { ACCEPT_AT = 64 };

/* A caller comes to drive: the thread's arming will be used up, so it must not stay asleep on it. */
static void enter(kolo_driver *driver)
{
    uint32_t asleep = ASLEEP;
    if (atomic_load(&driver->thread_state) == ASLEEP &&
        atomic_compare_exchange_strong(&driver->thread_state, &asleep, RUNNING))
        kolo_driver_ring(driver->thread_fd, 1);
}

/* It goes. What counts is a visit that left nothing under way. */
static void leave(kolo_driver *driver)
{
    if (kolo_engine_idle(driver->options.engine))
        atomic_fetch_add(&driver->visits, 1);
}

/* What a caller waits for: its request, or that nothing is under way (NULL). */
static bool is_over(const kolo_driver *driver, const kolo_request *request)
{
    return request != NULL ? kolo_request_is_done(request) : kolo_engine_idle(driver->options.engine);
}

/* Gives the core away, and learns what that costs where it is not a peer's gain. */
static void yield_core(kolo_driver *driver)
{
    if (kolo_patience_shares(&driver->patience)) {
        sched_yield();
        return;
    }
    int64_t own_ns = kolo_clock_other_threads_ns(), before_ns = kolo_clock_now_ns();
    sched_yield();
    int64_t now_ns = kolo_clock_now_ns(), cost_ns = now_ns - before_ns;
    if (cost_ns > driver->patience.usual_ns)
        kolo_patience_yielded(&driver->patience, now_ns, cost_ns, kolo_clock_other_threads_ns() - own_ns);
}

/* With the token: steps until that or deadline_ns. */
static void drive(kolo_driver *driver, const kolo_request *request, int64_t deadline_ns)
{
    kolo_patience *patience = &driver->patience;
    int64_t now_ns = kolo_clock_now_ns(), last_event_ns = now_ns;
    uint32_t yields = 0; /* since the last event */
    kolo_patience_begin(patience, now_ns);
    for (bool is_quiet = false;; now_ns = kolo_clock_now_ns()) {
        int events = kolo_engine_step(driver->options.engine, now_ns);
        int64_t quiet_ns = now_ns - last_event_ns;
        if (events > 0 && is_quiet)
            kolo_patience_end(patience, yields, quiet_ns - patience->spin_ns);
        if (is_over(driver, request) || now_ns >= deadline_ns)
            return;
        is_quiet = events == 0;
        if (events > 0) {
            last_event_ns = now_ns;
            yields = 0;
        } else if (quiet_ns < patience->spin_ns) {
            kolo_driver_relax();
        } else if (quiet_ns < patience->usual_ns + driver->options.caller_yield_ns) {
            yield_core(driver);
            yields++;
        } else {
            (void)kolo_driver_sleep_armed(driver, &driver->caller_sleeps, 0, 1, driver->caller_fd, now_ns,
                                          deadline_ns == INT64_MAX ? INT64_MAX : deadline_ns - now_ns, false);
        }
    }
}

/* Somebody else drives: sleep until that changes or the request is done. */
static void sleep_until_change(kolo_driver *driver, kolo_request *request, int64_t deadline_ns)
{
    if (request != NULL)
        atomic_store(&request->waited, 1);
    atomic_fetch_add(&driver->sleepers, 1);
    atomic_fetch_add(&driver->sleeps, 1);
    (void)kolo_engine_idle(driver->options.engine); /* what was settled before this was seen is seen from here on */
    uint32_t seen = atomic_load(&driver->change);
    if (!is_over(driver, request) && atomic_load(&driver->token) != 0) {
        int64_t now_ns = kolo_clock_now_ns();
        int64_t left_ns = deadline_ns == INT64_MAX ? SLEEP_MAX_NS : deadline_ns - now_ns;
        if (left_ns > 0)
            kolo_driver_futex_sleep(&driver->change, seen, left_ns < SLEEP_MAX_NS ? left_ns : SLEEP_MAX_NS);
    }
    atomic_fetch_sub(&driver->sleepers, 1);
}

/* *over: false when timeout_ns has passed. */
static kolo_status wait_until_over(kolo_driver *driver, kolo_request *request, int64_t timeout_ns, bool *over)
{
    if (kolo_driver_is_inside(driver))
        return kolo_fail(KOLO_ERR_STATE,
                         "a completion callback must not wait: it runs on the thread that everybody waits for");
    int64_t deadline_ns = INT64_MAX;
    if (timeout_ns >= 0 && __builtin_add_overflow(kolo_clock_now_ns(), timeout_ns, &deadline_ns))
        deadline_ns = INT64_MAX;
    atomic_fetch_add(&driver->waiters, 1);
    enter(driver);
    do {
        if (kolo_driver_take_token(driver)) {
            drive(driver, request, deadline_ns);
            kolo_driver_release_token(driver);
        } else {
            sleep_until_change(driver, request, deadline_ns);
        }
    } while (!is_over(driver, request) && (deadline_ns == INT64_MAX || kolo_clock_now_ns() < deadline_ns));
    leave(driver);
    if (atomic_fetch_sub(&driver->waiters, 1) == 1 && !kolo_engine_idle(driver->options.engine))
        kolo_driver_wake_thread(driver);
    *over = is_over(driver, request);
    return KOLO_OK;
}

kolo_status kolo_driver_drain(kolo_driver *driver, int64_t timeout_ns)
{
    bool over = false;
    KOLO_TRY(wait_until_over(driver, NULL, timeout_ns, &over));
    if (over)
        return KOLO_OK;
    return kolo_fail(KOLO_ERR_TIMEOUT, "operations are still under way after %.3f s", (double)timeout_ns / 1e9);
}

int kolo_driver_step(kolo_driver *driver)
{
    if (kolo_driver_is_inside(driver) || !kolo_driver_take_token(driver))
        return 0;
    enter(driver);
    int events = kolo_engine_step(driver->options.engine, kolo_clock_now_ns());
    kolo_driver_release_token(driver);
    leave(driver);
    return events;
}

kolo_status kolo_driver_wait(kolo_driver *driver, kolo_request *request, int64_t timeout_ns)
{
    bool over = kolo_request_is_done(request) || (timeout_ns < 0 && kolo_driver_end_started(driver, request));
    if (!over)
        KOLO_TRY(wait_until_over(driver, request, timeout_ns, &over));
    if (over)
        return KOLO_OK;
    char title[KOLO_TITLE_BYTES];
    return kolo_fail(KOLO_ERR_TIMEOUT, "%s is not complete after %.3f s; it goes on",
                     kolo_request_title(request->name, title), (double)timeout_ns / 1e9);
}

/* A burst of submissions does not wait for its end, nor for the thread, which would have to share the core: when many
 * are queued, the submitter takes them to the engine itself. On all ranks as many, as far as they do the same: what goes
 * together there, is a group (burst.h). A thread with a core of its own does that meanwhile. */
static void accept_burst(kolo_driver *driver)
{
    uint32_t count = atomic_load_explicit(&driver->submitted, memory_order_relaxed) + 1;
    atomic_store_explicit(&driver->submitted, count, memory_order_relaxed);
    if (driver->options.thread_spin_ns > 0 || kolo_engine_queue_length(driver->options.engine) < ACCEPT_AT ||
        !kolo_driver_take_token(driver))
        return;
    kolo_engine_accept(driver->options.engine, kolo_clock_now_ns());
    kolo_driver_release_token(driver);
}

kolo_status kolo_driver_submit(kolo_driver *driver, kolo_request *request, bool caller_drives)
{
    bool is_told =
        request->done != NULL || request->flags != 0; /* read now: once submitted it may be over, and freed */
    while (!kolo_engine_submit(driver->options.engine, request)) {
        if (kolo_driver_is_inside(driver))
            return kolo_fail(KOLO_ERR_STATE, "the submit queue is full, and this is a completion callback, which "
                                             "cannot wait; raise KOLO_QUEUE_DEPTH");
        if (kolo_driver_step(driver) == 0)
            sched_yield();
    }
    accept_burst(driver);
    if (is_told)
        kolo_driver_do_not_rest(driver);
    if (atomic_load(&driver->caller_sleeps) != 0)
        kolo_driver_ring(driver->caller_fd, 1);
    else if (!caller_drives && atomic_load(&driver->waiters) == 0)
        kolo_driver_wake_thread(driver);
    return KOLO_OK;
}

void kolo_driver_do_not_rest(kolo_driver *driver)
{
    bool rests = atomic_load_explicit(&driver->rests, memory_order_relaxed);
    if (!rests && kolo_call_is_started(driver->options.engine, NULL))
        return;
    if (rests)
        atomic_store(&driver->rests, false);
    kolo_driver_wake_thread(driver);
}

void kolo_driver_finished(kolo_driver *driver, const kolo_request *request)
{
    driver->completed += (request->flags & KOLO_NOTIFY_FD) != 0;
    driver->wakes |= atomic_load(&request->waited) != 0;
}

/* Who began to sleep while the step was at work may have been too late for the above to see, and too early to see the end of
 * its request: so it is woken, too. */
void kolo_driver_settled(kolo_driver *driver)
{
    uint32_t sleeps = atomic_load(&driver->sleeps);
    if (driver->completed > 0)
        kolo_driver_ring(driver->completion_fd, driver->completed);
    if (driver->wakes || sleeps != driver->sleeps_seen) {
        atomic_fetch_add(&driver->change, 1);
        if (atomic_load(&driver->sleepers) > 0)
            kolo_driver_futex_wake(&driver->change);
    }
    driver->sleeps_seen = sleeps;
    driver->completed = 0;
    driver->wakes = false;
}

int kolo_driver_completion_fd(const kolo_driver *driver)
{
    return driver->completion_fd;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static kolo_status open_fds(kolo_driver *driver)
{
    int *fds[3] = {&driver->caller_fd, &driver->thread_fd, &driver->completion_fd};
    for (int i = 0; i < 3; i++)
        if ((*fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
            return kolo_fail_errno(KOLO_ERR_SYSTEM, errno,
                                   "cannot make an event fd; is the limit of open files (ulimit -n) too low?");
    return KOLO_OK;
}

kolo_status kolo_driver_create(const kolo_driver_options *options, kolo_driver **driver)
{
    kolo_driver *made = aligned_alloc(CACHE_LINE, (sizeof(*made) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    if (made == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for the driver");
    memset(made, 0, sizeof(*made));
    made->options = *options;
    made->rests = options->thread_yields_core;
    made->patience = kolo_patience_of(options->caller_spin_ns, options->caller_most_spin_ns);
    made->caller_fd = made->thread_fd = made->completion_fd = -1;
    kolo_status status = open_fds(made);
    if (status == KOLO_OK) {
        int error = kolo_driver_start_thread(made);
        made->thread_runs = error == 0;
        if (error != 0)
            status = kolo_fail_errno(KOLO_ERR_SYSTEM, error, "cannot start the communication thread");
    }
    if (status != KOLO_OK) {
        kolo_driver_destroy(made);
        return status;
    }
    *driver = made;
    return KOLO_OK;
}

void kolo_driver_stop(kolo_driver *driver)
{
    if (!driver->thread_runs)
        return;
    atomic_store(&driver->stop, true);
    kolo_driver_ring(driver->thread_fd, 1);
    atomic_fetch_add(&driver->summons, 1);
    kolo_driver_futex_wake(&driver->summons);
    pthread_join(driver->thread, NULL);
    driver->thread_runs = false;
}

void kolo_driver_destroy(kolo_driver *driver)
{
    if (driver == NULL)
        return;
    kolo_driver_stop(driver);
    int fds[3] = {driver->caller_fd, driver->thread_fd, driver->completion_fd};
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(driver);
}
