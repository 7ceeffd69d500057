/* engine.h - the one state machine: queue -> agreed on? -> group -> run -> complete.
 *
 *      submit (any thread)
 *         │ bounded lock-free queue
 *         ▼                                                            ┌─────────► DONE
 *      submitted ──► negotiated (negotiate.h) ──► grouped (group.h) ──► run by an executor
 *         │                │                         │                       │
 *         └────────────────┴───────── job broken ────┴── canceled, drained ──┴──► DONE with the job's error
 *
 * kolo_engine_step never blocks, reads no clock, starts no thread and draws no random number. Everything except submit
 * and idle is for the holder of the engine's token (driver.h), or the simulator. */
#ifndef KOLO_ENGINE_ENGINE_H
#define KOLO_ENGINE_ENGINE_H

#include "base/log.h"
#include "engine/group.h"
#include "engine/request.h"
#include <kolo/transport.h>

typedef struct kolo_engine kolo_engine;

typedef struct kolo_engine_options {
    int32_t rank, size;
    const int32_t *ring; /* ring[position] = rank; copied */
    const kolo_log *log; /* outlives the engine */
    size_t queue_depth;
    int32_t groups_in_flight;
    int64_t chunk_bytes;
    int64_t fusion_bytes;                            /* 0: no fusion */
    int64_t stall_ns;                                /* 0: no warnings */
    kolo_price_model model;                          /* the same on all ranks */
    const kolo_algorithm *forced, *forced_broadcast; /* NULL: by price */
    /* A clock for comparing ways to copy, which changes no result: the engine decides nothing by it. May be NULL. */
    int64_t (*now_ns)(void);
    /* A request is about to be over: before its callback, and before anybody can see it. And: those of this step are. May be
     * NULL. */
    void (*finished)(void *user, const kolo_request *request);
    void (*settled)(void *user);
    /* The configured value of KOLO_<name> for the transport, or NULL. May be NULL. */
    const char *(*option)(void *user, const char *name);
    /* Memory that the transport shares, before it has pages. May be NULL. */
    void (*place)(void *user, void *memory, size_t bytes);
    void *user;
} kolo_engine_options;

KOLO_NODISCARD kolo_status kolo_engine_create(const kolo_engine_options *options, kolo_engine **engine);
/* The transport must be destroyed or closed before. Requests that are not over fail with KOLO_ERR_STATE. */
void kolo_engine_destroy(kolo_engine *engine);

/* Fills in rank, size, user and the upcalls of a transport's environment. */
void kolo_engine_fill_env(kolo_engine *engine, kolo_transport_env *env);
/* The connected transport; once, before the first step. */
KOLO_NODISCARD kolo_status kolo_engine_attach(kolo_engine *engine, const kolo_transport_ops *ops,
                                              kolo_transport *transport);
/* Whether all ranks share windows, so that algorithms use them. After attach. */
bool kolo_engine_shares(const kolo_engine *engine);
/* Other prices than the options'; before the first step, and the same on all ranks. */
void kolo_engine_set_prices(kolo_engine *engine, const kolo_price_model *model);
/* Whether all ranks can have the transport read the others' memory (they can not, until this is said); as above. */
void kolo_engine_set_readable(kolo_engine *engine, bool readable);

/* Queues a request; the engine takes a reference of its own. False when the queue is full. Any thread. */
KOLO_NODISCARD bool kolo_engine_submit(kolo_engine *engine, kolo_request *request);

/* How many requests wait in the queue about now. Any thread. */
size_t kolo_engine_queue_length(const kolo_engine *engine);
/* Takes what is queued, and posts or reports it; no more, and nothing in a broken job, so that no callback is called. For
 * the token's holder, as a step. */
void kolo_engine_accept(kolo_engine *engine, int64_t now_ns);

/* One step at `now_ns`. Returns how much happened; 0, and kolo_engine_awake says no: nothing to do until a message, a
 * submission, or the next alarm.
 */
int kolo_engine_step(kolo_engine *engine, int64_t now_ns);
/* Work has turned up without a message: look after arming the transport, and do not sleep then. */
bool kolo_engine_awake(const kolo_engine *engine);
/* When the engine wants to be stepped even if nothing happens; INT64_MAX: never. */
int64_t kolo_engine_alarm_ns(const kolo_engine *engine);

/* No request of this rank is under way or queued. Any thread: a snapshot. */
bool kolo_engine_idle(const kolo_engine *engine);
/* Something was submitted that no step has taken yet. A submitter is counted before it pushes, so that one who sets "I
 * sleep" and then sees false cannot miss it, if the submitter looks for sleepers after submitting. */
bool kolo_engine_queued(const kolo_engine *engine);

/* Breaks the job on purpose: every rank's requests fail with this error. */
void kolo_engine_abort(kolo_engine *engine, const kolo_error *error);
/* The error that broke the job, or NULL. Any thread, but the error is for the token's holder to read. */
const kolo_error *kolo_engine_error(const kolo_engine *engine);
/* From now on a peer that goes is not an error: everybody is leaving. */
void kolo_engine_leave(kolo_engine *engine);

#endif
