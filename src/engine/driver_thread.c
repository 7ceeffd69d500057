/* driver_thread.c - the communication thread. */
#include "engine/driver_state.h"

#include <sched.h>
#include <signal.h>
#include <time.h>

/* How long the thread stays aside after the last caller: longer than the pauses of a loop of synchronous calls. */
#define ASIDE_NS (5 * KOLO_NS_PER_MS)
/* On a core shared with the host's threads, the thread lets a burst of submissions pass before it steps, looking every
 * so often, and so often at most, whether it still goes on: otherwise it preempts the submitter for every few of them,
 * and what could travel together does not. */
#define BURST_NS (100 * KOLO_NS_PER_US)
enum { BURST_LOOKS = 10 };

static void let_burst_pass(const kolo_driver *driver)
{
    struct timespec span = {.tv_nsec = BURST_NS};
    bool own_core = driver->options.thread_spin_ns > 0;
    uint32_t before = atomic_load(&driver->submitted), now;
    for (int looks = 0;
         looks < BURST_LOOKS && !own_core && atomic_load(&driver->waiters) == 0 && !atomic_load(&driver->stop);
         looks++, before = now) {
        nanosleep(&span, NULL);
        if ((now = atomic_load(&driver->submitted)) == before)
            break;
    }
}

static void step_aside(kolo_driver *driver)
{
    for (;;) {
        atomic_store(&driver->thread_state, ASIDE);
        uint32_t seen = atomic_load(&driver->summons);
        uint32_t visits = atomic_load(&driver->visits);
        bool wanted = !atomic_load(&driver->rests) && atomic_load(&driver->waiters) == 0 &&
                      !kolo_engine_idle(driver->options.engine);
        if (wanted || atomic_load(&driver->stop))
            break;
        kolo_driver_futex_sleep(&driver->summons, seen, ASIDE_NS);
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
        if (!kolo_driver_take_token(driver)) {
            sched_yield();
            continue;
        }
        int64_t now_ns = kolo_clock_now_ns();
        if (kolo_engine_step(driver->options.engine, now_ns) > 0) {
            last_event_ns = now_ns;
            kolo_driver_release_token(driver);
        } else if (now_ns - last_event_ns < driver->options.thread_spin_ns) {
            kolo_driver_release_token(driver);
            kolo_driver_relax();
        } else {
            if (kolo_driver_sleep_armed(driver, &driver->thread_state, RUNNING, ASLEEP, driver->thread_fd, now_ns,
                                        INT64_MAX, true))
                let_burst_pass(driver);
        }
    }
    return NULL;
}

/* One waker pays for the system call; a burst of submissions pays once. */
void kolo_driver_wake_thread(kolo_driver *driver)
{
    uint32_t state = atomic_load(&driver->thread_state);
    if (state == ASIDE && atomic_load(&driver->rests))
        return;
    if (state == RUNNING || !atomic_compare_exchange_strong(&driver->thread_state, &state, RUNNING))
        return;
    if (state == ASLEEP) {
        kolo_driver_ring(driver->thread_fd, 1);
    } else {
        atomic_fetch_add(&driver->summons, 1);
        kolo_driver_futex_wake(&driver->summons);
    }
}

/* The host's signals are for the host's threads. */
int kolo_driver_start_thread(kolo_driver *driver)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&driver->thread, NULL, run_thread, driver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}
