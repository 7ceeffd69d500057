/* call.h - an operation over the board (board.h) whose caller waits for it, or that is started again: with no queue or step
 * of the engine, as long as nothing stands in the way. A caller that waits does all in one go, without a request:
 *
 *     begin ──► refused: nothing has happened; submit it
 *       │
 *       ▼
 *     posted ──► is_complete, after a few looks ──► work: by value, over
 *       │ not                                        │ by place: the own part is done; after a few looks, over
 *       ▼                                            ▼ not, or there is more of it
 *     adopt: from here on it is a request like any other that was posted, or is at work at its places
 *
 * A prepared request is posted by its start; then it is for whoever comes first: a waiter, who does the same with it, or
 * a step. By value, the other ranks need neither to go on.
 *
 *     start ──► refused: nothing has happened; submit it
 *       │
 *       ▼
 *     started ──► is_complete ──► work ──► end: over
 *       │ a step                   │ adopt
 *       ▼                          ▼
 *     a request like any other that was posted, or is at work
 *
 * For the holder of the engine's token, who steps nothing in between. */
#ifndef KOLO_ENGINE_CALL_H
#define KOLO_ENGINE_CALL_H

#include "engine/engine.h"

typedef struct kolo_entry kolo_entry;
typedef struct kolo_runner kolo_runner;

/* One that is posted. What it points to is the caller's, until it is over or adopted. */
typedef struct kolo_call {
    kolo_entry *entry;
    const kolo_operation *operation;
    const kolo_piece *pieces; /* NULL: of a barrier */
    kolo_runner *runner;      /* by place, at work; else NULL */
} kolo_call;

/* Posts the operation. False: refused. */
bool kolo_call_begin(kolo_engine *engine, const kolo_request_spec *spec, kolo_call *call);
/* Everybody has posted it. */
bool kolo_call_is_complete(const kolo_engine *engine, const kolo_call *call);
/* Then there is no more to it than to add up what has come. */
bool kolo_call_is_by_value(const kolo_call *call);
/* Wakes the ranks that sleep, whom the post may concern; once, after the first look. */
void kolo_call_wake(kolo_engine *engine);
/* Once complete: works as long as a turn of the engine at most. *over: so is the operation. On an error it failed, and with
 * it the job. */
KOLO_NODISCARD kolo_status kolo_call_work(kolo_engine *engine, kolo_call *call, bool *over);
/* Leaves it where it is, in a job that is about to break. */
void kolo_call_drop(kolo_engine *engine, kolo_call *call);
/* What is not over: only other ranks are missing, for which one may look by working. Else much is left to do. */
bool kolo_call_awaits(const kolo_call *call);
/* The request, made from the same spec, goes on from here; the engine takes a reference of its own. Or the one that was
 * started. */
void kolo_call_adopt(kolo_engine *engine, const kolo_call *call, kolo_request *request, int64_t now_ns);

/* Posts a prepared request, which was submitted before, and is renewed; the engine takes a reference of its own. Its deadline
 * counts from when it is adopted. by_place: also where that is its way, and its waiter has the work to do. False:
 * refused. */
bool kolo_call_start(kolo_engine *engine, kolo_request *request, bool by_place);
/* It was, and no step has come since. Any thread; the answer holds for the token's holder. */
bool kolo_call_is_started(const kolo_engine *engine, const kolo_request *request);
/* What was started, as a call. And: its work is over. */
kolo_call kolo_call_of(const kolo_request *request);
void kolo_call_end(kolo_engine *engine, kolo_request *request);

#endif
