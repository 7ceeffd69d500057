/* state.h - the engine's inside, shared by the files that make it up: engine.c (the step), broken.c (what ends a job
 * early), upcalls.c (what the transport and the negotiation call). */
#ifndef KOLO_ENGINE_STATE_H
#define KOLO_ENGINE_STATE_H

#include "base/mpsc.h"
#include "engine/burst.h"
#include "engine/control.h"
#include "engine/engine.h"
#include "engine/negotiate.h"
#include "engine/posted.h"

/* Steps of a schedule that are done at a time. */
enum { KOLO_ENGINE_TURN = 16 };

struct kolo_engine {
    kolo_engine_options options;
    int32_t *ring;
    kolo_mpsc *queue;
    kolo_control control;
    kolo_negotiation negotiation;
    kolo_group_policy policy;
    kolo_runner_env env;
    kolo_runner *runners;                    /* options.groups_in_flight of them, for groups in the agreed order */
    kolo_runner *at_places, **at_places_end; /* a list: those that work on posted places, the oldest first */
    kolo_board board;
    kolo_publisher publisher;
    kolo_posted posted;
    kolo_group *waiting, **waiting_end;
    uint32_t next_group;
    kolo_request *live;              /* every request taken from the queue and not over */
    _Atomic(kolo_request *) started; /* posted by its start (call.h), and not seen by a step yet */
    size_t live_count;
    _Atomic size_t
        settled; /* of those that were queued: over, less those that came another way; the token's holder's, */
    size_t over; /* but for these, which the step adds at its end */
    int64_t now_ns, deadline_ns, stall_check_ns;
    atomic_bool broken; /* set by the token's holder, read by anyone */
    bool leaving;
    kolo_error error;
};

/* engine.c: a request has come; and is over. */
void kolo_engine_take(kolo_engine *engine, kolo_request *request);
void kolo_engine_finish(kolo_engine *engine, kolo_request *request, const kolo_error *error);
/* So many are over; or, if it is negative, have come that were not queued. */
void kolo_engine_settle(kolo_engine *engine, size_t over);
/* Moves the runner's group on; the runner is free when it is over. Returns how much happened. */
int kolo_engine_work(kolo_engine *engine, kolo_runner *runner);
/* The next runner that has a group, of either kind; after NULL: the first; NULL: none. */
kolo_runner *kolo_engine_next_busy(const kolo_engine *engine, const kolo_runner *after);

/* call.c: takes over what was started; first thing in a step, before what was submitted later. */
void kolo_engine_take_started(kolo_engine *engine);

/* broken.c: breaks the job; source: the neighbour who told us, -1: found out here. Once: later errors are consequences.
 */
void kolo_engine_break(kolo_engine *engine, const kolo_error *error, int32_t source);
/* With the thread's present error. */
void kolo_engine_break_with_last(kolo_engine *engine);
/* A request of a broken job is over. */
void kolo_engine_finish_broken(kolo_engine *engine, kolo_request *request);
/* Once nothing is at the transport any more, ends what is under way; returns how many requests. */
int kolo_engine_settle_broken(kolo_engine *engine);
void kolo_engine_check_alarms(kolo_engine *engine);
/* The negotiation's hook: another rank's deadline passed, and it is known here who is late. */
void kolo_engine_expired(void *user, const char *name, const char *missing);
/* The same: ranks that have left will never submit what others wait for. */
void kolo_engine_deserted(void *user, const char *name, const char *left, const char *waiting);

/* upcalls.c */
kolo_negotiation_hooks kolo_engine_hooks(kolo_engine *engine);

#endif
