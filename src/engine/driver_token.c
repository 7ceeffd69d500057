/* driver_token.c - who drives: the token, and how its holder sleeps. */
#include "engine/driver_state.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Cheaper to ask for than a thread-local variable's address. */
static uintptr_t this_thread(void)
{
    return (uintptr_t)pthread_self();
}

void kolo_driver_futex_sleep(_Atomic uint32_t *word, uint32_t seen, int64_t timeout_ns)
{
    struct timespec span = {.tv_sec = (time_t)(timeout_ns / KOLO_NS_PER_S),
                            .tv_nsec = (long)(timeout_ns % KOLO_NS_PER_S)};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, &span, NULL, 0);
}

void kolo_driver_futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

void kolo_driver_ring(int fd, uint64_t count)
{
    while (write(fd, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
}

static void drain_fd(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
}

bool kolo_driver_take_token(kolo_driver *driver)
{
    if (atomic_load_explicit(&driver->token, memory_order_relaxed) != 0 || atomic_exchange(&driver->token, 1) != 0)
        return false;
    atomic_store_explicit(&driver->holder, this_thread(), memory_order_relaxed);
    return true;
}

void kolo_driver_release_token(kolo_driver *driver)
{
    atomic_store_explicit(&driver->holder, 0, memory_order_relaxed);
    atomic_store(&driver->token, 0);
    if (atomic_load(&driver->sleepers) > 0) {
        atomic_fetch_add(&driver->change, 1);
        kolo_driver_futex_wake(&driver->change);
    }
}

bool kolo_driver_is_inside(const kolo_driver *driver)
{
    return atomic_load_explicit(&driver->holder, memory_order_relaxed) == this_thread();
}

bool kolo_driver_sleep_armed(kolo_driver *driver, _Atomic uint32_t *flag, uint32_t awake, uint32_t asleep, int fd,
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
        kolo_driver_release_token(driver);
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
