/* driver.c - the token, the communication thread, and callers that drive.
 *
 * Every "I sleep" flag follows one rule: the sleeper sets it and then looks for work; the other side makes work and
 * then looks for the flag; both with sequential consistency, so at least one sees the other. */
#include "engine/driver.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/call.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* How long the thread stays aside after the last caller: longer than the pauses of a loop of synchronous calls. */
#define ASIDE_NS     (5 * KOLO_NS_PER_MS)
/* Between spinning and sleeping a caller yields for so long. A sleeper takes 5 to 25 us to wake, and up to 400 us where
 * its virtual core sleeps too: who gives up earlier than that falls asleep while the other wakes, and so on in turn. */
#define YIELD_NS     (1 * KOLO_NS_PER_MS)
/* Nobody sleeps longer than this at a time where another thread holds the token: a bound, not a timer of an idle job.
 */
#define SLEEP_MAX_NS (100 * KOLO_NS_PER_MS)

/* On a core shared with the host's threads, the thread lets a burst of submissions pass for so long before it steps:
 * otherwise it preempts the submitter for every few of them, and what could travel together does not. */
#define BURST_NS (100 * KOLO_NS_PER_US)

/* How often the caller of a small operation looks for the others before it steps the engine: some 20 us. */
enum { CALL_SPINS = 1000, CALL_YIELDS = 32 };
enum { CACHE_LINE = 64 };
enum thread_state { RUNNING, ASLEEP, ASIDE };

struct kolo_driver {
    kolo_driver_options options;
    pthread_t thread;
    bool thread_runs;
    int caller_fd; /* wakes a caller that sleeps with the token */
    int thread_fd; /* wakes the communication thread from ASLEEP */
    int completion_fd;
    _Alignas(CACHE_LINE) _Atomic uint32_t token;    /* 1: held */
    _Atomic uintptr_t holder;                       /* address of a thread-local of the thread that drives; 0: nobody */
    _Alignas(CACHE_LINE) _Atomic uint32_t waiters;  /* callers inside kolo_driver_wait */
    _Atomic uint32_t visits;                        /* callers that drove, ever */
    _Atomic uint32_t caller_sleeps;                 /* the token's holder is a caller, in poll */
    _Alignas(CACHE_LINE) _Atomic uint32_t sleepers; /* callers on the futex `change` */
    _Atomic uint32_t change;                        /* a waited-for request is done, or the token became free */
    _Alignas(CACHE_LINE) _Atomic uint32_t thread_state;
    _Atomic uint32_t summons; /* futex of the thread when ASIDE */
    _Atomic bool stop;
};

static _Thread_local char thread_identity;

static void futex_sleep(_Atomic uint32_t *word, uint32_t seen, int64_t timeout_ns)
{
    struct timespec span = {.tv_sec = (time_t)(timeout_ns / KOLO_NS_PER_S),
                            .tv_nsec = (long)(timeout_ns % KOLO_NS_PER_S)};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, &span, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static void ring_fd(int fd)
{
    uint64_t one = 1;
    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static void drain_fd(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- the token ------------------------------------------------------------------------------------ */

static bool take_token(kolo_driver *driver)
{
    if (atomic_load_explicit(&driver->token, memory_order_relaxed) != 0 || atomic_exchange(&driver->token, 1) != 0)
        return false;
    atomic_store_explicit(&driver->holder, (uintptr_t)&thread_identity, memory_order_relaxed);
    return true;
}

static void release_token(kolo_driver *driver)
{
    atomic_store_explicit(&driver->holder, 0, memory_order_relaxed);
    atomic_store(&driver->token, 0);
    if (atomic_load(&driver->sleepers) > 0) {
        atomic_fetch_add(&driver->change, 1);
        futex_wake_all(&driver->change);
    }
}

bool kolo_driver_is_inside(const kolo_driver *driver)
{
    return atomic_load_explicit(&driver->holder, memory_order_relaxed) == (uintptr_t)&thread_identity;
}

static int step(kolo_driver *driver, int64_t now_ns)
{
    return kolo_engine_step(driver->options.engine, now_ns);
}

/* Sleeps until the transport, `fd`, or the engine's alarm has something, at most limit_ns. The token is held; release:
 * while asleep, it is not. `flag` says "I sleep" to those who would ring fd. True if somebody did. */
static bool sleep_armed(kolo_driver *driver, _Atomic uint32_t *flag, uint32_t awake, uint32_t asleep, int fd,
                        int64_t now_ns, int64_t limit_ns, bool release)
{
    bool armed = false;
    atomic_store(flag, asleep);
    if (!kolo_engine_queued(driver->options.engine) && !(release && atomic_load(&driver->waiters) > 0) &&
        driver->options.ops->arm(driver->options.transport, &armed) != KOLO_OK) {
        armed = true; /* progress will report what is wrong; do not spin until it does */
        limit_ns = limit_ns < KOLO_NS_PER_MS ? limit_ns : KOLO_NS_PER_MS;
    }
    if (armed && kolo_engine_awake(driver->options.engine))
        armed = false;
    int64_t alarm_ns = kolo_engine_alarm_ns(driver->options.engine);
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                            {.fd = driver->options.ops->event_fd(driver->options.transport), .events = POLLIN}};
    if (release)
        release_token(driver);
    if (armed && !atomic_load(&driver->stop)) {
        if (alarm_ns != INT64_MAX && alarm_ns - now_ns < limit_ns)
            limit_ns = alarm_ns > now_ns ? alarm_ns - now_ns : 0;
        struct timespec span = {.tv_sec = (time_t)(limit_ns / KOLO_NS_PER_S),
                                .tv_nsec = (long)(limit_ns % KOLO_NS_PER_S)};
        ppoll(fds, 2, limit_ns == INT64_MAX ? NULL : &span, NULL);
    }
    atomic_store(flag, awake);
    if (fds[0].revents != 0)
        drain_fd(fd);
    return fds[0].revents != 0;
}

/* ---- the communication thread ------------------------------------------------------------------------ */

static void let_burst_pass(const kolo_driver *driver)
{
    struct timespec span = {.tv_nsec = BURST_NS};
    bool own_core = driver->options.thread_spin_ns > 0;
    if (!own_core && atomic_load(&driver->waiters) == 0 && !atomic_load(&driver->stop))
        nanosleep(&span, NULL);
}

static void step_aside(kolo_driver *driver)
{
    for (;;) {
        atomic_store(&driver->thread_state, ASIDE);
        uint32_t seen = atomic_load(&driver->summons);
        uint32_t visits = atomic_load(&driver->visits);
        bool wanted = atomic_load(&driver->waiters) == 0 && !kolo_engine_idle(driver->options.engine);
        if (wanted || atomic_load(&driver->stop))
            break;
        futex_sleep(&driver->summons, seen, ASIDE_NS);
        if (atomic_load(&driver->waiters) == 0 && atomic_load(&driver->visits) == visits)
            break;
    }
    atomic_store(&driver->thread_state, RUNNING);
    let_burst_pass(driver);
}

static void *run_thread(void *argument)
{
    kolo_driver *driver = argument;
    if (driver->options.on_start != NULL)
        driver->options.on_start(driver->options.user);
    int64_t last_event_ns = kolo_clock_now_ns();
    while (!atomic_load(&driver->stop)) {
        if (atomic_load(&driver->waiters) > 0) {
            step_aside(driver);
            continue;
        }
        if (!take_token(driver)) {
            sched_yield();
            continue;
        }
        int64_t now_ns = kolo_clock_now_ns();
        if (step(driver, now_ns) > 0) {
            last_event_ns = now_ns;
            release_token(driver);
        } else if (now_ns - last_event_ns < driver->options.thread_spin_ns) {
            release_token(driver);
            relax();
        } else {
            if (sleep_armed(driver, &driver->thread_state, RUNNING, ASLEEP, driver->thread_fd, now_ns, INT64_MAX, true))
                let_burst_pass(driver);
        }
    }
    return NULL;
}

/* The thread is to drive: nobody else does. One waker pays for the system call; a burst of submissions pays once. */
static void wake_thread(kolo_driver *driver)
{
    uint32_t state = atomic_load(&driver->thread_state);
    if (state == RUNNING || !atomic_compare_exchange_strong(&driver->thread_state, &state, RUNNING))
        return;
    if (state == ASLEEP) {
        ring_fd(driver->thread_fd);
    } else {
        atomic_fetch_add(&driver->summons, 1);
        futex_wake_all(&driver->summons);
    }
}

/* ---- callers ------------------------------------------------------------------------------------------ */

/* A caller comes to drive: the thread's arming will be used up, so it must not stay asleep on it. */
static void enter(kolo_driver *driver)
{
    uint32_t asleep = ASLEEP;
    atomic_fetch_add(&driver->visits, 1);
    if (atomic_load(&driver->thread_state) == ASLEEP &&
        atomic_compare_exchange_strong(&driver->thread_state, &asleep, RUNNING))
        ring_fd(driver->thread_fd);
}

/* What a caller waits for: its request, or that nothing is under way (NULL). */
static bool is_over(const kolo_driver *driver, const kolo_request *request)
{
    return request != NULL ? kolo_request_is_done(request) : kolo_engine_idle(driver->options.engine);
}

/* With the token: steps until that or deadline_ns. */
static void drive(kolo_driver *driver, const kolo_request *request, int64_t deadline_ns)
{
    int64_t now_ns = kolo_clock_now_ns(), last_event_ns = now_ns;
    for (;; now_ns = kolo_clock_now_ns()) {
        int events = step(driver, now_ns);
        if (is_over(driver, request) || now_ns >= deadline_ns)
            return;
        int64_t quiet_ns = now_ns - last_event_ns;
        if (events > 0)
            last_event_ns = now_ns;
        else if (quiet_ns < driver->options.caller_spin_ns)
            relax();
        else if (quiet_ns < driver->options.caller_spin_ns + YIELD_NS)
            sched_yield();
        else
            (void)sleep_armed(driver, &driver->caller_sleeps, 0, 1, driver->caller_fd, now_ns,
                              deadline_ns == INT64_MAX ? INT64_MAX : deadline_ns - now_ns, false);
    }
}

/* Somebody else drives: sleep until that changes or the request is done. */
static void sleep_until_change(kolo_driver *driver, kolo_request *request, int64_t deadline_ns)
{
    if (request != NULL)
        atomic_store(&request->waited, 1);
    atomic_fetch_add(&driver->sleepers, 1);
    uint32_t seen = atomic_load(&driver->change);
    if (!is_over(driver, request) && atomic_load(&driver->token) != 0) {
        int64_t now_ns = kolo_clock_now_ns();
        int64_t left_ns = deadline_ns == INT64_MAX ? SLEEP_MAX_NS : deadline_ns - now_ns;
        if (left_ns > 0)
            futex_sleep(&driver->change, seen, left_ns < SLEEP_MAX_NS ? left_ns : SLEEP_MAX_NS);
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
        if (take_token(driver)) {
            drive(driver, request, deadline_ns);
            release_token(driver);
        } else {
            sleep_until_change(driver, request, deadline_ns);
        }
    } while (!is_over(driver, request) && (deadline_ns == INT64_MAX || kolo_clock_now_ns() < deadline_ns));
    if (atomic_fetch_sub(&driver->waiters, 1) == 1 && !kolo_engine_idle(driver->options.engine))
        wake_thread(driver);
    *over = is_over(driver, request);
    return KOLO_OK;
}

kolo_status kolo_driver_wait(kolo_driver *driver, kolo_request *request, int64_t timeout_ns)
{
    bool over = kolo_request_is_done(request);
    if (!over)
        KOLO_TRY(wait_until_over(driver, request, timeout_ns, &over));
    if (over)
        return KOLO_OK;
    return kolo_fail(KOLO_ERR_TIMEOUT, "'%s' is not complete after %.3f s; it goes on", request->name,
                     (double)timeout_ns / 1e9);
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
    if (kolo_driver_is_inside(driver) || !take_token(driver))
        return 0;
    enter(driver);
    int events = step(driver, kolo_clock_now_ns());
    release_token(driver);
    return events;
}

/* Looks whether a posted operation is complete, as long as that is likely to be soon. */
static bool watch(const kolo_driver *driver, const kolo_entry *entry)
{
    kolo_engine *engine = driver->options.engine;
    bool spins = driver->options.caller_spin_ns > 0;
    bool is_complete = kolo_call_is_complete(engine, entry);
    kolo_call_wake(engine);
    for (int looks = 0; !is_complete && looks < (spins ? CALL_SPINS : CALL_YIELDS); looks++) {
        if (spins)
            relax();
        else
            sched_yield();
        is_complete = kolo_call_is_complete(engine, entry);
    }
    return is_complete;
}

/* It was posted, and takes longer: it becomes a request like others. */
static kolo_status adopt(kolo_driver *driver, kolo_entry *entry, const kolo_request_spec *spec, kolo_request **request)
{
    int64_t now_ns = kolo_clock_now_ns();
    kolo_status status = kolo_request_create(spec, now_ns, request);
    if (status == KOLO_OK)
        kolo_call_adopt(driver->options.engine, entry, *request, now_ns);
    else
        kolo_engine_abort(driver->options.engine, kolo_error_current()); /* the others count on this rank */
    return status;
}

kolo_status kolo_driver_call(kolo_driver *driver, const kolo_request_spec *spec, kolo_request **request, bool *over)
{
    /* Whoever sleeps armed must not go on doing so while callers keep posting: the peers would wake it in vain. */
    if (spec->done != NULL || spec->flags != 0 ||
        atomic_load_explicit(&driver->thread_state, memory_order_relaxed) == ASLEEP || !take_token(driver))
        return KOLO_OK;
    kolo_status status = KOLO_OK;
    kolo_entry *entry = kolo_call_begin(driver->options.engine, spec);
    if (entry != NULL) {
        atomic_store_explicit(&driver->visits, atomic_load_explicit(&driver->visits, memory_order_relaxed) + 1,
                              memory_order_relaxed);
        *over = watch(driver, entry);
        if (*over)
            kolo_call_finish(driver->options.engine, entry, spec);
        else
            status = adopt(driver, entry, spec, request);
    }
    release_token(driver);
    return status;
}

kolo_status kolo_driver_submit(kolo_driver *driver, kolo_request *request, bool caller_drives)
{
    while (!kolo_engine_submit(driver->options.engine, request)) {
        if (kolo_driver_is_inside(driver))
            return kolo_fail(KOLO_ERR_STATE, "the submit queue is full, and this is a completion callback, which "
                                             "cannot wait; raise KOLO_QUEUE_DEPTH");
        if (kolo_driver_step(driver) == 0)
            sched_yield();
    }
    if (atomic_load(&driver->caller_sleeps) != 0)
        ring_fd(driver->caller_fd);
    else if (!caller_drives && atomic_load(&driver->waiters) == 0)
        wake_thread(driver);
    return KOLO_OK;
}

void kolo_driver_finished(kolo_driver *driver, const kolo_request *request)
{
    if ((request->flags & KOLO_NOTIFY_FD) != 0)
        ring_fd(driver->completion_fd);
    if (atomic_load(&request->waited) != 0) {
        atomic_fetch_add(&driver->change, 1);
        if (atomic_load(&driver->sleepers) > 0)
            futex_wake_all(&driver->change);
    }
}

int kolo_driver_completion_fd(const kolo_driver *driver)
{
    return driver->completion_fd;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

/* The host's signals are for the host's threads. */
static int start_thread(kolo_driver *driver)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&driver->thread, NULL, run_thread, driver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

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
    made->caller_fd = made->thread_fd = made->completion_fd = -1;
    kolo_status status = open_fds(made);
    if (status == KOLO_OK) {
        int error = start_thread(made);
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
    ring_fd(driver->thread_fd);
    atomic_fetch_add(&driver->summons, 1);
    futex_wake_all(&driver->summons);
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
