/* driver_state.h - the driver's inside, shared by the files that make it up: driver_token.c (who drives, and sleeping),
 * driver_thread.c (the communication thread), driver.c (callers), driver_call.c (callers' operations on the board).
 *
 * Every "I sleep" flag follows one rule: the sleeper sets it and then looks for work; the other side makes work and
 * then looks for the flag; both with sequential consistency, so at least one sees the other. */
#ifndef KOLO_ENGINE_DRIVER_STATE_H
#define KOLO_ENGINE_DRIVER_STATE_H

#include "base/clock.h"
#include "engine/driver.h"
#include "engine/patience.h"

#include <pthread.h>
#include <stdatomic.h>

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
    _Atomic uintptr_t holder;                       /* the thread that drives, as pthread_self has it; 0: nobody */
    _Alignas(CACHE_LINE) _Atomic uint32_t waiters;  /* callers inside kolo_driver_wait */
    _Atomic uint32_t visits;                        /* of callers that drove, and left nothing under way, ever */
    _Atomic uint32_t submitted;                     /* requests, ever; some may go uncounted */
    _Atomic uint32_t caller_sleeps;                 /* the token's holder is a caller, in poll */
    kolo_patience patience;                         /* of callers; the token's holder's */
    _Alignas(CACHE_LINE) _Atomic uint32_t sleepers; /* callers on the futex `change` */
    _Atomic uint32_t change;                        /* a waited-for request is done, or the token became free */
    _Atomic uint32_t sleeps;                        /* on it, ever; */
    uint32_t sleeps_seen;                           /* and at the end of the last step that finished something */
    uint64_t completed;                             /* in this one: to be counted on completion_fd at its end; */
    bool wakes;                                     /* and somebody sleeps for one of them */
    _Alignas(CACHE_LINE) _Atomic uint32_t thread_state;
    _Atomic uint32_t summons; /* futex of the thread when ASIDE */
    _Atomic bool rests;       /* nobody summons it from ASIDE: it comes when no caller has driven for a while */
    _Atomic bool stop;
};

/* driver_token.c: a try-lock. Releasing it wakes the callers that sleep for it. */
bool kolo_driver_take_token(kolo_driver *driver);
void kolo_driver_release_token(kolo_driver *driver);
/* Sleeps until the transport, `fd`, or the engine's alarm has something, at most limit_ns. The token is held; release:
 * while asleep, it is not. `flag` says "I sleep" to those who would ring fd. True if somebody did. */
bool kolo_driver_sleep_armed(kolo_driver *driver, _Atomic uint32_t *flag, uint32_t awake, uint32_t asleep, int fd,
                             int64_t now_ns, int64_t limit_ns, bool release);
void kolo_driver_futex_sleep(_Atomic uint32_t *word, uint32_t seen, int64_t timeout_ns);
void kolo_driver_futex_wake(_Atomic uint32_t *word); /* all of them */
void kolo_driver_ring(int fd, uint64_t count);       /* adds so many to an eventfd */

/* driver_call.c: does the rest of what was started and left to its waiter. True: it is over. */
bool kolo_driver_end_started(kolo_driver *driver, kolo_request *request);

/* driver_thread.c: an errno, or 0. And: it is to drive, since nobody else does. */
int kolo_driver_start_thread(kolo_driver *driver);
void kolo_driver_wake_thread(kolo_driver *driver);

static inline void kolo_driver_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
