/* engine.c - the state machine's step, and what breaks it. */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mpsc.h"
#include "engine/control.h"
#include "engine/negotiate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_PER_TURN = 16 };

/* A rank that only waits for the root's word lets its deadline pass by so much: who knows which rank is missing speaks first. */
#define FORWARDED_GRACE_NS (2 * KOLO_NS_PER_S)

struct kolo_engine {
    kolo_engine_options options;
    int32_t *ring;
    kolo_mpsc *queue;
    kolo_control control;
    kolo_negotiation negotiation;
    kolo_group_policy policy;
    kolo_runner_env env;
    kolo_runner *runners; /* options.groups_in_flight of them */
    kolo_group *waiting, **waiting_end;
    uint32_t next_group;
    kolo_request *live;   /* every request taken from the queue and not over */
    uint64_t live_count;
    _Atomic uint64_t under_way; /* submitted and not over */
    int64_t now_ns, deadline_ns, stall_check_ns;
    bool broken, leaving;
    kolo_error error;
    kolo_engine_counters counters;
};

/* ---- requests: taken, over ----------------------------------------------------------------------- */

static void link_live(kolo_engine *engine, kolo_request *request)
{
    engine->live_count++;
    request->live_prev = NULL;
    request->live_next = engine->live;
    if (engine->live != NULL)
        engine->live->live_prev = request;
    engine->live = request;
}

static void unlink_live(kolo_engine *engine, kolo_request *request)
{
    engine->live_count--;
    if (request->live_prev != NULL)
        request->live_prev->live_next = request->live_next;
    else
        engine->live = request->live_next;
    if (request->live_next != NULL)
        request->live_next->live_prev = request->live_prev;
}

static void break_job(kolo_engine *engine, const kolo_error *error, int32_t source);

/* Breaks the job with the thread's present error. */
static void break_with_last(kolo_engine *engine)
{
    kolo_error error = *kolo_error_current();
    break_job(engine, &error, -1);
}

static void finish(kolo_engine *engine, kolo_request *request, const kolo_error *error)
{
    unlink_live(engine, request);
    atomic_fetch_sub_explicit(&engine->under_way, 1, memory_order_seq_cst);
    if (!engine->broken && kolo_negotiation_release(&engine->negotiation, request) != KOLO_OK)
        break_with_last(engine);
    kolo_request_finish(request, error);
    if (engine->options.finished != NULL)
        engine->options.finished(engine->options.user, request);
    kolo_request_release(request);
}

/* The job's error, as this request tells it. */
static void finish_broken(kolo_engine *engine, kolo_request *request)
{
    kolo_error error = engine->error;
    snprintf(error.operation, sizeof(error.operation), "%s", kolo_collective_name(request->operation.collective));
    if (error.tensor[0] == '\0')
        snprintf(error.tensor, sizeof(error.tensor), "%s", request->name);
    finish(engine, request, &error);
}

bool kolo_engine_submit(kolo_engine *engine, kolo_request *request)
{
    kolo_request_retain(request);
    atomic_fetch_add_explicit(&engine->under_way, 1, memory_order_seq_cst);
    if (kolo_mpsc_push(engine->queue, request))
        return true;
    atomic_fetch_sub_explicit(&engine->under_way, 1, memory_order_seq_cst);
    kolo_request_release(request);
    return false;
}

static int drain_queue(kolo_engine *engine)
{
    int taken = 0;
    kolo_request *request;
    while ((request = kolo_mpsc_pop(engine->queue)) != NULL) {
        taken++;
        engine->counters.requests++;
        link_live(engine, request);
        if (engine->broken) {
            finish_broken(engine, request);
            continue;
        }
        if (request->deadline_ns < engine->deadline_ns)
            engine->deadline_ns = request->deadline_ns;
        if (engine->options.stall_ns > 0 && engine->stall_check_ns == INT64_MAX)
            engine->stall_check_ns = engine->now_ns + engine->options.stall_ns;
        if (kolo_negotiation_submit(&engine->negotiation, request) != KOLO_OK)
            break_with_last(engine);
    }
    return taken;
}

/* ---- a broken job --------------------------------------------------------------------------------- */

static void tell_neighbours(kolo_engine *engine, int32_t source)
{
    uint8_t body[2048];
    kolo_writer writer;
    kolo_writer_init(&writer, body, sizeof(body));
    kolo_abort_write(&writer, engine->options.rank, &engine->error);
    for (int32_t i = 0; writer.ok && i < engine->control.count; i++)
        if (i != source && kolo_control_send(&engine->control, i, KOLO_MESSAGE_ABORT, writer.data, writer.size) != KOLO_OK)
            kolo_log_write(engine->options.log, KOLO_LOG_DEBUG, "rank %d could not be told", engine->control.neighbours[i].rank);
}

/* source: the neighbour who told us, -1: found out here. */
static void break_job(kolo_engine *engine, const kolo_error *error, int32_t source)
{
    if (engine->broken)
        return;
    engine->broken = true;
    engine->error = *error;
    engine->error.struct_size = sizeof(*error);
    kolo_log_write(engine->options.log, KOLO_LOG_ERROR, "%s: %s", kolo_status_text(error->status), error->message);
    tell_neighbours(engine, source);
    engine->env.ops->cancel_all(engine->env.transport);
    for (int32_t i = 0; i < engine->options.groups_in_flight; i++)
        if (engine->runners[i].group != NULL)
            kolo_executor_cancel(&engine->runners[i].executor, error->status);
}

void kolo_engine_abort(kolo_engine *engine, const kolo_error *error)
{
    break_job(engine, error, -1);
}

const kolo_error *kolo_engine_error(const kolo_engine *engine)
{
    return engine->broken ? &engine->error : NULL;
}

void kolo_engine_leave(kolo_engine *engine)
{
    engine->leaving = true;
}

/* Once nothing of ours is at the transport any more, memory is the callers' again. */
static int settle_broken(kolo_engine *engine)
{
    for (int32_t i = 0; i < engine->options.groups_in_flight; i++)
        if (engine->runners[i].group != NULL)
            return 0;
    while (engine->waiting != NULL) {
        kolo_group *group = engine->waiting;
        engine->waiting = group->next;
        free(group);
    }
    engine->waiting_end = &engine->waiting;
    int failed = 0;
    for (; engine->live != NULL; failed++)
        finish_broken(engine, engine->live);
    return failed;
}

/* ---- upcalls --------------------------------------------------------------------------------------- */

static kolo_status on_abort(kolo_engine *engine, int32_t index, kolo_reader *body)
{
    int32_t origin;
    kolo_error error;
    if (!kolo_abort_read(body, &origin, &error))
        return kolo_fail(KOLO_ERR_PROTOCOL, "rank %d sent an abort that does not decode", engine->control.neighbours[index].rank);
    break_job(engine, &error, index);
    return KOLO_OK;
}

static kolo_status on_message(void *user, int32_t index, kolo_message_type type, kolo_reader *body)
{
    kolo_engine *engine = user;
    bool from_child = index >= engine->control.first_child;
    if (type == KOLO_MESSAGE_ABORT)
        return on_abort(engine, index, body);
    if (engine->broken)
        return KOLO_OK;
    if (engine->options.stall_ns > 0 && engine->stall_check_ns == INT64_MAX)
        engine->stall_check_ns = engine->now_ns + engine->options.stall_ns;
    if (type == KOLO_MESSAGE_UP && from_child)
        return kolo_negotiation_up(&engine->negotiation, index - engine->control.first_child, body);
    if (type == KOLO_MESSAGE_DOWN && !from_child)
        return kolo_negotiation_down(&engine->negotiation, body);
    return kolo_fail(KOLO_ERR_PROTOCOL, "rank %d sent a message of type %d, which is not its to send",
                     engine->control.neighbours[index].rank, (int)type);
}

static void on_control(void *user, int32_t peer, const void *bytes, size_t size)
{
    kolo_engine *engine = user;
    int32_t index = kolo_control_index(&engine->control, peer);
    kolo_status status = index < 0 ? kolo_fail(KOLO_ERR_PROTOCOL, "rank %d sent a control message, but is no neighbour of rank %d",
                                               peer, engine->options.rank)
                                   : kolo_control_receive(&engine->control, index, bytes, size, on_message, engine);
    if (status == KOLO_OK || engine->broken)
        return;
    kolo_error *error = kolo_error_current();
    if (status == KOLO_ERR_PROTOCOL)
        snprintf(error->ranks, sizeof(error->ranks), "%d", peer);
    break_with_last(engine);
}

static void on_complete(void *user, void *cookie, kolo_status status)
{
    (void)user;
    kolo_executor_completed(cookie, status);
}

static void on_peer_lost(void *user, int32_t peer, const char *why)
{
    kolo_engine *engine = user;
    if (engine->leaving)
        return;
    kolo_error error = {.struct_size = sizeof(error), .status = KOLO_ERR_PEER};
    snprintf(error.ranks, sizeof(error.ranks), "%d", peer);
    snprintf(error.message, sizeof(error.message), "rank %d is gone (%s); see its own output for the reason", peer, why);
    break_job(engine, &error, -1);
}

static void on_log(void *user, kolo_log_level level, const char *line)
{
    const kolo_engine *engine = user;
    kolo_log_write(engine->options.log, level, "%s", line);
}

static void on_explain(void *user, kolo_status status, int sys_errno, const char *message)
{
    (void)user;
    if (sys_errno != 0)
        (void)kolo_fail_errno(status, sys_errno, "%s", message);
    else
        (void)kolo_fail(status, "%s", message);
}

static const char *on_option(void *user, const char *name)
{
    const kolo_engine *engine = user;
    return engine->options.option != NULL ? engine->options.option(engine->options.user, name) : NULL;
}

void kolo_engine_fill_env(kolo_engine *engine, kolo_transport_env *env)
{
    env->struct_size = sizeof(*env);
    env->rank = engine->options.rank;
    env->size = engine->options.size;
    env->user = engine;
    env->on_control = on_control;
    env->on_complete = on_complete;
    env->on_peer_lost = on_peer_lost;
    env->log = on_log;
    env->explain = on_explain;
    env->option = on_option;
}

/* ---- the negotiation's hooks ------------------------------------------------------------------------ */

static kolo_status send_up(void *user, const void *body, size_t size)
{
    kolo_engine *engine = user;
    return kolo_control_send(&engine->control, 0, KOLO_MESSAGE_UP, body, size);
}

static kolo_status send_down(void *user, const void *body, size_t size)
{
    kolo_engine *engine = user;
    for (int32_t i = engine->control.first_child; i < engine->control.count; i++)
        KOLO_TRY(kolo_control_send(&engine->control, i, KOLO_MESSAGE_DOWN, body, size));
    return KOLO_OK;
}

static void fail_request(void *user, kolo_request *request, const kolo_error *error)
{
    kolo_engine *engine = user;
    kolo_log_write(engine->options.log, KOLO_LOG_WARN, "%s", error->message);
    finish(engine, request, error);
}

static kolo_status run_batch(void *user, kolo_request *const *requests, size_t count)
{
    kolo_engine *engine = user;
    kolo_group *first = NULL;
    KOLO_TRY(kolo_groups_form(&engine->policy, requests, count, &engine->next_group, &first));
    for (*engine->waiting_end = first; *engine->waiting_end != NULL; engine->waiting_end = &(*engine->waiting_end)->next)
        continue;
    for (size_t i = 0; i < count; i++) {
        kolo_request *request = requests[i];
        request->pieces_left = 0;
        for (size_t p = 0; p < request->operation.piece_count; p++)
            request->pieces_left += request->pieces[p].count > 0;
        if (request->pieces_left == 0)
            finish(engine, request, NULL);
    }
    return KOLO_OK;
}

/* ---- groups at work --------------------------------------------------------------------------------- */

static void fail_group(kolo_engine *engine, kolo_runner *runner)
{
    const kolo_group *group = runner->group;
    const kolo_step *step = &runner->schedule.steps[runner->executor.failed_step];
    kolo_error error = *kolo_error_current();
    error.struct_size = sizeof(error);
    error.status = runner->executor.status;
    snprintf(error.operation, sizeof(error.operation), "%s", kolo_collective_name(group->operation.collective));
    snprintf(error.tensor, sizeof(error.tensor), "%s", group->members[0].request->name);
    snprintf(error.ranks, sizeof(error.ranks), "%d", step->peer);
    snprintf(error.hop, sizeof(error.hop), "%s step %u, %s rank %d", runner->algorithm->name, step->hop,
             step->kind == KOLO_STEP_SEND ? "to" : "from", step->peer);
    char detail[400];
    snprintf(detail, sizeof(detail), "%.399s", error.message);
    snprintf(error.message, sizeof(error.message), "%s of '%.100s' failed at %s: %s", error.operation, error.tensor, error.hop,
             detail[0] != '\0' ? detail : kolo_status_text(error.status));
    break_job(engine, &error, -1);
}

static void finish_group(kolo_engine *engine, kolo_runner *runner)
{
    kolo_group *group = runner->group;
    kolo_runner_unpack(runner, &engine->env);
    runner->group = NULL;
    engine->counters.groups++;
    if (group->member_count > 1)
        engine->counters.fused_tensors += group->member_count;
    for (size_t i = 0; i < group->member_count; i++)
        if (--group->members[i].request->pieces_left == 0)
            finish(engine, group->members[i].request, NULL);
    free(group);
}

static int start_group(kolo_engine *engine, kolo_runner *runner)
{
    kolo_group *group = engine->waiting;
    if (group == NULL || engine->broken)
        return 0;
    engine->waiting = group->next;
    if (engine->waiting == NULL)
        engine->waiting_end = &engine->waiting;
    if (kolo_runner_start(runner, &engine->env, group) != KOLO_OK) {
        free(group);
        break_with_last(engine);
    }
    return 1;
}

static int work_runner(kolo_engine *engine, kolo_runner *runner)
{
    int events = runner->group == NULL ? start_group(engine, runner) : 0;
    if (runner->group == NULL)
        return events;
    events += kolo_executor_advance(&runner->executor, STEPS_PER_TURN);
    if (runner->executor.canceled && !engine->broken)
        fail_group(engine, runner);
    if (!kolo_executor_finished(&runner->executor))
        return events;
    if (!runner->executor.canceled) {
        finish_group(engine, runner);
    } else {
        free(runner->group);
        runner->group = NULL;
    }
    return events + 1;
}

static bool runner_free(const kolo_engine *engine)
{
    if (engine->waiting != NULL)
        return false;
    for (int32_t i = 0; i < engine->options.groups_in_flight; i++)
        if (engine->runners[i].group == NULL)
            return true;
    return false;
}

/* ---- alarms ------------------------------------------------------------------------------------------ */

static int64_t effective_deadline(const kolo_engine *engine, const kolo_request *request)
{
    char ranks[128];
    if (request->deadline_ns == INT64_MAX || engine->options.rank == 0 || request->running ||
        kolo_negotiation_missing(&engine->negotiation, request, ranks, sizeof(ranks)))
        return request->deadline_ns;
    return request->deadline_ns > INT64_MAX - FORWARDED_GRACE_NS ? INT64_MAX : request->deadline_ns + FORWARDED_GRACE_NS;
}

static void expire(kolo_engine *engine, const kolo_request *request)
{
    kolo_error error = {.struct_size = sizeof(error), .status = KOLO_ERR_TIMEOUT};
    const char *operation = kolo_collective_name(request->operation.collective);
    bool missing = kolo_negotiation_missing(&engine->negotiation, request, error.ranks, sizeof(error.ranks));
    snprintf(error.operation, sizeof(error.operation), "%s", operation);
    snprintf(error.tensor, sizeof(error.tensor), "%s", request->name);
    const char *why = missing ? "these ranks have not submitted it: " : request->running ? "its data did not arrive" : "other ranks have not submitted it";
    snprintf(error.message, sizeof(error.message),
             "%s of '%.100s' passed its deadline on rank %d: %s%s; raise KOLO_TIMEOUT if they are only slow", operation,
             request->name, engine->options.rank, why, error.ranks);
    break_job(engine, &error, -1);
}

static void check_deadlines(kolo_engine *engine)
{
    engine->deadline_ns = INT64_MAX;
    for (kolo_request *request = engine->live; request != NULL; request = request->live_next) {
        int64_t deadline = effective_deadline(engine, request);
        if (deadline <= engine->now_ns) {
            expire(engine, request);
            return;
        }
        if (deadline < engine->deadline_ns)
            engine->deadline_ns = deadline;
    }
}

static void report_stall(void *user, const kolo_entry *entry, const char *ranks)
{
    kolo_engine *engine = user;
    const char *what = entry->head != NULL ? kolo_collective_name(entry->head->operation.collective) : "an operation";
    kolo_log_write(engine->options.log, KOLO_LOG_WARN, "%s of '%s' has waited %.1f s for rank %s; is it stuck, or doing other work?",
                   what, entry->name, (double)(engine->now_ns - entry->since_ns) / 1e9, ranks);
}

static void check_alarms(kolo_engine *engine)
{
    if (engine->broken)
        return;
    if (engine->now_ns >= engine->deadline_ns)
        check_deadlines(engine);
    if (engine->now_ns >= engine->stall_check_ns) {
        bool waiting = kolo_negotiation_stalls(&engine->negotiation, engine->now_ns - engine->options.stall_ns, report_stall, engine);
        engine->stall_check_ns = waiting || engine->live != NULL ? engine->now_ns + engine->options.stall_ns : INT64_MAX;
    }
}

int64_t kolo_engine_alarm_ns(const kolo_engine *engine)
{
    if (engine->broken)
        return INT64_MAX;
    return engine->deadline_ns < engine->stall_check_ns ? engine->deadline_ns : engine->stall_check_ns;
}

/* ---- the step ---------------------------------------------------------------------------------------- */

int kolo_engine_step(kolo_engine *engine, int64_t now_ns)
{
    engine->now_ns = engine->negotiation.now_ns = now_ns;
    int events = drain_queue(engine);
    events += engine->env.ops->progress(engine->env.transport);
    /* Decisions wait while all runners are busy: what becomes ready meanwhile makes one larger batch. */
    int sent = 0;
    if (!engine->broken && kolo_negotiation_flush(&engine->negotiation, runner_free(engine), &sent) != KOLO_OK)
        break_with_last(engine);
    events += sent;
    for (int32_t i = 0; i < engine->options.groups_in_flight; i++)
        events += work_runner(engine, &engine->runners[i]);
    if (engine->now_ns >= engine->deadline_ns || engine->now_ns >= engine->stall_check_ns)
        check_alarms(engine);
    if (engine->broken)
        events += settle_broken(engine);
    return events;
}

bool kolo_engine_idle(const kolo_engine *engine)
{
    return atomic_load_explicit(&engine->under_way, memory_order_seq_cst) == 0;
}

bool kolo_engine_queued(const kolo_engine *engine)
{
    return atomic_load_explicit(&engine->under_way, memory_order_seq_cst) != engine->live_count;
}

void kolo_engine_count(const kolo_engine *engine, kolo_engine_counters *counters)
{
    *counters = engine->counters;
    counters->control_messages = engine->control.sent;
}

/* ---- life -------------------------------------------------------------------------------------------- */

void kolo_engine_attach(kolo_engine *engine, const kolo_transport_ops *ops, kolo_transport *transport)
{
    engine->control.ops = engine->env.ops = ops;
    engine->control.transport = engine->env.transport = transport;
}

static kolo_status build_parts(kolo_engine *engine)
{
    const kolo_engine_options *options = &engine->options;
    kolo_negotiation_hooks hooks = {
        .user = engine, .send_up = send_up, .send_down = send_down, .run = run_batch, .fail = fail_request};
    engine->ring = malloc((size_t)options->size * sizeof(*engine->ring));
    engine->runners = calloc((size_t)options->groups_in_flight, sizeof(*engine->runners));
    if (engine->ring == NULL || engine->runners == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for an engine of %d ranks", options->size);
    memcpy(engine->ring, options->ring, (size_t)options->size * sizeof(*engine->ring));
    for (int32_t i = 0; i < options->groups_in_flight; i++)
        KOLO_TRY(kolo_runner_init(&engine->runners[i], options->size));
    KOLO_TRY(kolo_mpsc_create(options->queue_depth, &engine->queue));
    KOLO_TRY(kolo_control_init(&engine->control, options->rank, options->size));
    return kolo_negotiation_init(&engine->negotiation, options->rank, options->size, &hooks);
}

kolo_status kolo_engine_create(const kolo_engine_options *options, kolo_engine **engine)
{
    kolo_engine *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for an engine");
    made->options = *options;
    made->waiting_end = &made->waiting;
    made->deadline_ns = made->stall_check_ns = INT64_MAX;
    made->policy = (kolo_group_policy){.size = options->size, .fusion_bytes = options->fusion_bytes, .model = options->model};
    kolo_status status = build_parts(made);
    if (status != KOLO_OK) {
        kolo_engine_destroy(made);
        return status;
    }
    made->env = (kolo_runner_env){
        .rank = options->rank, .size = options->size, .ring = made->ring, .chunk_bytes = options->chunk_bytes,
        .model = options->model, .forced = options->forced, .forced_broadcast = options->forced_broadcast};
    *engine = made;
    return KOLO_OK;
}

static void fail_leftovers(kolo_engine *engine)
{
    engine->broken = true;
    engine->error = (kolo_error){.struct_size = sizeof(engine->error), .status = KOLO_ERR_STATE};
    snprintf(engine->error.message, sizeof(engine->error.message), "the context was finalized while this operation was under way");
    for (int32_t i = 0; i < engine->options.groups_in_flight; i++) {
        free(engine->runners[i].group);
        engine->runners[i].group = NULL;
    }
    if (engine->queue != NULL)
        drain_queue(engine);
    settle_broken(engine);
}

void kolo_engine_destroy(kolo_engine *engine)
{
    if (engine == NULL)
        return;
    if (engine->runners != NULL)
        fail_leftovers(engine);
    for (int32_t i = 0; engine->runners != NULL && i < engine->options.groups_in_flight; i++)
        kolo_runner_fini(&engine->runners[i]);
    free(engine->runners);
    free(engine->ring);
    kolo_negotiation_fini(&engine->negotiation);
    kolo_control_fini(&engine->control);
    kolo_mpsc_destroy(engine->queue);
    free(engine);
}
