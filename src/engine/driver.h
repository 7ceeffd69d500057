/* driver.h - who steps the engine: the communication thread, or a caller that waits anyway. One at a time, by a token.
 *
 *     communication thread                                       callers in kolo_wait
 *
 *        ┌──────► RUNNING: token, step ◄─────────┐               token free: take it, step until done:
 *        │          │ nothing to do              │                   spin ─► yield ─► arm, sleep on the transport's fd
 *        │          ▼                            │ summoned      token taken: sleep until done or the token is free
 *        │       ASLEEP: armed, in poll          │ or quiet      leaving with work under way: summon the thread
 *        │          │ fd, submission, alarm      │ for 5 ms
 *        │          │                            │
 *        └──────────┴── a caller drives ──► ASIDE: on a futex
 *
 * So a synchronous operation pays no hand-off, the thread costs nothing while nothing moves, and it never runs against
 * a caller. Nor against a caller that computes between submitting and waiting, where both share a core and all ranks are
 * on one host: each summons would take 20 to 40 us from the computation, and what the thread does then, the caller does as
 * fast when it waits. A caller that drives kicks the thread out of ASLEEP first: progress by others uses up the arming. */
#ifndef KOLO_ENGINE_DRIVER_H
#define KOLO_ENGINE_DRIVER_H

#include "engine/engine.h"

typedef struct kolo_driver kolo_driver;

typedef struct kolo_driver_options {
    kolo_engine *engine;
    const kolo_transport_ops *ops;
    kolo_transport *transport;
    int64_t caller_spin_ns;       /* how long a waiting caller spins at most before it yields; */
    int64_t caller_most_spin_ns;  /* and where a stranger takes the core at each yield: as above where ranks share it */
    int64_t caller_yield_ns;      /* how long it yields before it sleeps */
    int64_t thread_spin_ns;       /* as the first, for the communication thread, before it sleeps */
    bool thread_yields_core;      /* it shares a core with callers, and nothing moves but by that core: what they leave
                                   * under way rests until they come back, but no longer than some 5 ms */
    void (*on_start)(void *user); /* first thing in the thread: binding. May be NULL. */
    void *user;
} kolo_driver_options;

/* Starts the thread. */
KOLO_NODISCARD kolo_status kolo_driver_create(const kolo_driver_options *options, kolo_driver **driver);
/* Stops and joins the thread. No caller may be inside. After it the engine is the caller's own. */
void kolo_driver_stop(kolo_driver *driver);
void kolo_driver_destroy(kolo_driver *driver);

/* Queues a request. caller_drives: the caller will wait for it at once, so the thread need not be woken. A full queue
 * is driven from here; inside a completion callback that is not possible: KOLO_ERR_STATE. Any thread. */
KOLO_NODISCARD kolo_status kolo_driver_submit(kolo_driver *driver, kolo_request *request, bool caller_drives);

/* The same of one that is renewed; its deadline counts from now. One on the board is posted at once, where it can be (call.h);
 * caller_waits: and attended to. */
KOLO_NODISCARD kolo_status kolo_driver_start(kolo_driver *driver, kolo_request *request, bool caller_waits);

/* A small operation at once (call.h), for a caller that would wait for it. *over: it is done. Else *request is it, with
 * the caller's reference: wait for it; or NULL: nothing has happened, make and submit a request. spec's deadline counts
 * from now. An error: the operation has failed, and with it the job. Any thread, not inside a callback. */
KOLO_NODISCARD kolo_status kolo_driver_call(kolo_driver *driver, const kolo_request_spec *spec, kolo_request **request,
                                            bool *over);

/* Until request is done or timeout_ns (< 0: none) has passed: KOLO_ERR_TIMEOUT. Any thread, but not inside a callback:
 * KOLO_ERR_STATE. */
KOLO_NODISCARD kolo_status kolo_driver_wait(kolo_driver *driver, kolo_request *request, int64_t timeout_ns);

/* Until no request of this rank is under way, or timeout_ns (< 0: none) has passed: KOLO_ERR_TIMEOUT. Any thread, not
 * inside a callback. */
KOLO_NODISCARD kolo_status kolo_driver_drain(kolo_driver *driver, int64_t timeout_ns);

/* Callers look whether requests are done, or are told, and need not come to drive: from now on what is under way does not
 * rest, nor does now what is left to a waiter. Any thread. */
void kolo_driver_do_not_rest(kolo_driver *driver);

/* One step if nobody else drives; how much happened. Any thread. */
int kolo_driver_step(kolo_driver *driver);

/* The calling thread is inside a callback of a step, where nothing may wait. */
bool kolo_driver_is_inside(const kolo_driver *driver);

/* The engine's hooks `finished` and `settled`: wake who waits. */
void kolo_driver_finished(kolo_driver *driver, const kolo_request *request);
void kolo_driver_settled(kolo_driver *driver);

/* Counts completions of requests with KOLO_NOTIFY_FD; non-blocking, owned by the driver. */
int kolo_driver_completion_fd(const kolo_driver *driver);

#endif
