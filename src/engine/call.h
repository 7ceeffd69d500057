/* call.h - a small operation whose caller waits for it, or that is started again: through the cells (board.h) with no
 * queue or step of the engine, as long as nothing stands in the way. A caller that waits does all in one go, without a
 * request:
 *
 *     begin ──► REFUSED: nothing has happened; submit it
 *       │
 *       ▼
 *     posted ──► is_complete, after a few looks ──► finish: over
 *       │ not
 *       ▼
 *     adopt: from here on it is a request like any other that was posted
 *
 * A prepared request is posted by its start; then it is for whoever comes first: a waiter, who ends it when it is complete,
 * or a step. The other ranks need neither to go on.
 *
 *     start ──► REFUSED: nothing has happened; submit it
 *       │
 *       ▼
 *     started ──► is_complete ──► end: over
 *       │ a step
 *       ▼
 *     a request like any other that was posted
 *
 * For the holder of the engine's token, who steps nothing in between. */
#ifndef KOLO_ENGINE_CALL_H
#define KOLO_ENGINE_CALL_H

#include "engine/engine.h"

/* The entry of an operation that is posted. */
typedef struct kolo_entry kolo_entry;

/* Posts the operation. NULL: refused. */
kolo_entry *kolo_call_begin(kolo_engine *engine, const kolo_request_spec *spec);
bool kolo_call_is_complete(const kolo_engine *engine, const kolo_entry *entry);
/* Wakes the ranks that sleep, whom the post may concern; once, after the first look. */
void kolo_call_wake(kolo_engine *engine);
/* The result into the output. */
void kolo_call_finish(kolo_engine *engine, kolo_entry *entry, const kolo_request_spec *spec);
/* The request, made from the same spec, goes on from here; the engine takes a reference of its own. */
void kolo_call_adopt(kolo_engine *engine, kolo_entry *entry, kolo_request *request, int64_t now_ns);

/* Posts a prepared request, which was submitted before, and is renewed; the engine takes a reference of its own. Its deadline
 * counts from the step that takes it over. False: refused. */
bool kolo_call_start(kolo_engine *engine, kolo_request *request);
/* It was, and no step has come since. Any thread; the answer holds for the token's holder. */
bool kolo_call_is_started(const kolo_engine *engine, const kolo_request *request);
/* It is complete, and over. */
void kolo_call_end(kolo_engine *engine, kolo_request *request);

#endif
