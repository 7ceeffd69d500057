/* driver_call.c - a caller's operation on the board: posted and attended to by the caller itself (call.h). What takes longer
 * becomes a request like others. */
#include "engine/call.h"
#include "engine/driver_state.h"

#include "base/error.h"

#include <sched.h>

/* How often the caller of a small operation looks for the others before it steps the engine: some 20 us; and the first
 * times without a pause in between. Where it yields, not for long: beside strangers each time may take milliseconds, and
 * other threads of the program wait for the token. */
enum { CALL_SPINS = 1000, CALL_LOOKS = 64, CALL_YIELDS = 32 };
#define CALL_YIELD_NS KOLO_NS_PER_MS
/* It does so where callers spin for long. Where that was in vain, it yields, but for every 64th, to find out. */
#define CALL_SPIN_NS  (10 * KOLO_NS_PER_US)
enum { CALL_TRIES_EVERY = 64 };

/* What was posted is announced to the peers that sleep, after a first look whether it is complete. */
static bool announce(kolo_driver *driver, const kolo_call *call)
{
    bool is_complete = kolo_call_is_complete(driver->options.engine, call);
    kolo_call_wake(driver->options.engine);
    atomic_store_explicit(&driver->visits, atomic_load_explicit(&driver->visits, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    return is_complete;
}

/* Whether the caller of an operation spins for the others, rather than yield. */
static bool call_spins(const kolo_driver *driver)
{
    int64_t spin_ns = driver->patience.spin_ns;
    bool tries = atomic_load_explicit(&driver->visits, memory_order_relaxed) % CALL_TRIES_EVERY == 0;
    return spin_ns > 0 && (spin_ns >= CALL_SPIN_NS || tries);
}

/* How a caller looks for the others: again and again, or giving the core away in between. */
typedef struct lookout {
    bool spins;
    int looks;
    int64_t until_ns; /* where it yields, from the second time on */
} lookout;

static lookout lookout_of(const kolo_driver *driver)
{
    return (lookout){.spins = call_spins(driver)};
}

/* The first yield is enough, as a rule. So it is timed by the coarse clock, which moves on by some milliseconds at once:
 * reading the other before and after cost 3 ranks on 2 cores 5 to 7 % of 4 to 256 bytes. */
static bool yield(lookout *out, int yields)
{
    if (yields == 0) {
        int64_t before_ns = kolo_clock_coarse_ns();
        sched_yield();
        return kolo_clock_coarse_ns() == before_ns;
    }
    if (yields == 1)
        out->until_ns = kolo_clock_now_ns() + CALL_YIELD_NS;
    sched_yield();
    return yields < CALL_YIELDS && kolo_clock_now_ns() < out->until_ns;
}

/* Before the next look. False: there were many, and it is not likely to be soon. */
static bool pause_between(lookout *out)
{
    int looks = out->looks++;
    if (!out->spins)
        return yield(out, looks);
    if (looks >= CALL_LOOKS)
        kolo_driver_relax();
    return looks < CALL_SPINS;
}

/* Looks again whether a posted operation is complete, as long as that is likely to be soon, and does the rest. */
static kolo_status attend(kolo_driver *driver, kolo_call *call, bool is_complete, bool *over)
{
    kolo_engine *engine = driver->options.engine;
    lookout out = lookout_of(driver);
    *over = false;
    while (!is_complete && pause_between(&out))
        is_complete = kolo_call_is_complete(engine, call);
    if (is_complete)
        KOLO_TRY(kolo_call_work(engine, call, over));
    out = lookout_of(driver);
    while (is_complete && !*over && kolo_call_awaits(call) && pause_between(&out))
        KOLO_TRY(kolo_call_work(engine, call, over));
    if (*over && out.spins)
        kolo_patience_end(&driver->patience, 0, 0);
    return KOLO_OK;
}

/* It was posted, and takes longer: it becomes a request like others. */
static kolo_status adopt(kolo_driver *driver, kolo_call *call, const kolo_request_spec *spec, kolo_request **request)
{
    int64_t now_ns = kolo_clock_now_ns();
    kolo_status status = kolo_request_create(spec, now_ns, request);
    if (status == KOLO_OK) {
        kolo_call_adopt(driver->options.engine, call, *request, now_ns);
    } else {
        kolo_call_drop(driver->options.engine, call);
        kolo_engine_abort(driver->options.engine, kolo_error_current()); /* the others count on this rank */
    }
    return status;
}

kolo_status kolo_driver_call(kolo_driver *driver, const kolo_request_spec *spec, kolo_request **request, bool *over)
{
    /* Whoever sleeps armed must not go on doing so while callers keep posting: the peers would wake it in vain. */
    if (spec->done != NULL || spec->flags != 0 ||
        atomic_load_explicit(&driver->thread_state, memory_order_relaxed) == ASLEEP || !kolo_driver_take_token(driver))
        return KOLO_OK;
    kolo_status status = KOLO_OK;
    kolo_call call;
    if (kolo_call_begin(driver->options.engine, spec, &call)) {
        status = attend(driver, &call, announce(driver, &call), over);
        if (status == KOLO_OK && !*over)
            status = adopt(driver, &call, spec, request);
    }
    kolo_driver_release_token(driver);
    return status;
}

/* ---- prepared ---------------------------------------------------------------------------------------------------- */

/* Attends to what was started, on the waiter's behalf. What is not over then stays as it was left; or if its work has
 * begun, it becomes a request like others. Where the work fails, so has the job, and the next step ends the request. */
static bool attend_started(kolo_driver *driver, kolo_request *request, kolo_call *call, bool is_complete)
{
    kolo_engine *engine = driver->options.engine;
    bool over = false;
    kolo_status status = attend(driver, call, is_complete, &over);
    if (over)
        kolo_call_end(engine, request);
    else if (status == KOLO_OK && call->runner != NULL)
        kolo_call_adopt(engine, call, request, kolo_clock_now_ns());
    return over;
}

/* Posts a prepared request; false: not possible. Nobody is to be told of its end. Who waits at once attends to it; else it
 * is left to the waiter, after a first look. Its deadline is far then, and counts from when a step takes it over: the
 * thread's, which comes when no caller has driven for some 5 ms, if nobody else's. By place, there is work to be done, which
 * a thread that does not rest does meanwhile. */
static bool start_at_once(kolo_driver *driver, kolo_request *request, bool caller_waits)
{
    kolo_engine *engine = driver->options.engine;
    if (request->done != NULL || request->flags != 0 || !kolo_engine_idle(engine) || !kolo_driver_take_token(driver))
        return false;
    bool by_place = caller_waits || atomic_load_explicit(&driver->rests, memory_order_relaxed), over = false;
    bool is_posted = atomic_load(&driver->thread_state) != ASLEEP && kolo_call_start(engine, request, by_place);
    if (is_posted) {
        kolo_call call = kolo_call_of(request);
        bool is_complete = announce(driver, &call);
        if (caller_waits)
            (void)attend_started(driver, request, &call, is_complete);
        else if (is_complete && kolo_call_is_by_value(&call) && kolo_call_work(engine, &call, &over) == KOLO_OK)
            kolo_call_end(engine, request);
    }
    kolo_driver_release_token(driver);
    return is_posted;
}

kolo_status kolo_driver_start(kolo_driver *driver, kolo_request *request, bool caller_waits)
{
    bool is_near = request->timeout_ns > 0 && request->timeout_ns < KOLO_NS_PER_S;
    if ((caller_waits || !is_near) && start_at_once(driver, request, caller_waits))
        return KOLO_OK;
    kolo_request_count_from(request, is_near ? kolo_clock_now_ns() : KOLO_COUNT_LATER);
    return kolo_driver_submit(driver, request, caller_waits);
}

/* The waiter of what was left to it. */
bool kolo_driver_end_started(kolo_driver *driver, kolo_request *request)
{
    kolo_engine *engine = driver->options.engine;
    if (!kolo_call_is_started(engine, request) || !kolo_driver_take_token(driver))
        return false;
    bool over = false;
    if (kolo_call_is_started(engine, request)) {
        kolo_call call = kolo_call_of(request);
        over = attend_started(driver, request, &call, kolo_call_is_complete(engine, &call));
    }
    kolo_driver_release_token(driver);
    return over;
}
