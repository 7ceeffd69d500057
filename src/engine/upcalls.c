/* upcalls.c - what the transport and the negotiation call back into the engine. */
#include "engine/state.h"

#include "base/error.h"

#include <stdio.h>

/* ---- upcalls --------------------------------------------------------------------------------------- */

static kolo_status on_abort(kolo_engine *engine, int32_t index, kolo_reader *body)
{
    int32_t origin;
    kolo_error error;
    if (!kolo_abort_read(body, &origin, &error))
        return kolo_fail(KOLO_ERR_PROTOCOL, "rank %d sent an abort that does not decode",
                         engine->control.neighbours[index].rank);
    kolo_engine_break(engine, &error, index);
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
    kolo_status status =
        index < 0 ? kolo_fail(KOLO_ERR_PROTOCOL, "rank %d sent a control message, but is no neighbour of rank %d", peer,
                              engine->options.rank)
                  : kolo_control_receive(&engine->control, index, bytes, size, on_message, engine);
    if (status == KOLO_OK || engine->broken)
        return;
    kolo_error *error = kolo_error_current();
    if (status == KOLO_ERR_PROTOCOL)
        snprintf(error->ranks, sizeof(error->ranks), "%d", peer);
    kolo_engine_break_with_last(engine);
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
    snprintf(error.message, sizeof(error.message), "rank %d is gone (%s); see its own output for the reason", peer,
             why);
    kolo_engine_break(engine, &error, -1);
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

static void on_place(void *user, void *memory, size_t bytes)
{
    const kolo_engine *engine = user;
    if (engine->options.place != NULL)
        engine->options.place(engine->options.user, memory, bytes);
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
    env->place = on_place;
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
    kolo_engine_finish(engine, request, error);
}

static kolo_status run_batch(void *user, kolo_request *const *requests, size_t count)
{
    kolo_engine *engine = user;
    kolo_group *first = NULL;
    KOLO_TRY(kolo_groups_form(&engine->policy, requests, count, &engine->next_group, &first));
    for (*engine->waiting_end = first; *engine->waiting_end != NULL;
         engine->waiting_end = &(*engine->waiting_end)->next)
        continue;
    for (size_t i = 0; i < count; i++) {
        kolo_request *request = requests[i];
        request->pieces_left = 0;
        for (size_t p = 0; p < request->operation.piece_count; p++)
            request->pieces_left += request->pieces[p].count > 0;
        if (request->pieces_left == 0)
            kolo_engine_finish(engine, request, NULL);
    }
    return KOLO_OK;
}

kolo_negotiation_hooks kolo_engine_hooks(kolo_engine *engine)
{
    return (kolo_negotiation_hooks){.user = engine,
                                    .send_up = send_up,
                                    .send_down = send_down,
                                    .run = run_batch,
                                    .fail = fail_request,
                                    .is_private = kolo_posted_is_private,
                                    .way = kolo_posted_way,
                                    .post = kolo_posted_post,
                                    .withdraw = kolo_posted_withdraw,
                                    .tell_report = kolo_posted_tell_report,
                                    .posted = kolo_posted_by,
                                    .arrived = kolo_posted_arrived,
                                    .places = kolo_posted_places,
                                    .expired = kolo_engine_expired,
                                    .deserted = kolo_engine_deserted};
}
