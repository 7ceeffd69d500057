/* engine.c - the state machine's step: requests in, groups through executors, requests over. */
#include "engine/state.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void kolo_engine_finish(kolo_engine *engine, kolo_request *request, const kolo_error *error)
{
    unlink_live(engine, request);
    if (request->posted)
        kolo_posted_drop(&engine->posted, request);
    engine->over++;
    if (engine->options.finished != NULL)
        engine->options.finished(engine->options.user, request);
    if (!engine->broken && kolo_negotiation_release(&engine->negotiation, request) != KOLO_OK)
        kolo_engine_break_with_last(engine);
    kolo_request_finish(request, error);
    kolo_request_release(request);
}

void kolo_engine_settle(kolo_engine *engine, size_t over)
{
    size_t settled = atomic_load_explicit(&engine->settled, memory_order_relaxed) + over;
    atomic_store_explicit(&engine->settled, settled, memory_order_seq_cst);
}

/* The end of a step. */
static void settle_count(kolo_engine *engine)
{
    if (engine->over == 0)
        return;
    kolo_engine_settle(engine, engine->over);
    engine->over = 0;
    if (engine->options.settled != NULL)
        engine->options.settled(engine->options.user);
}

bool kolo_engine_submit(kolo_engine *engine, kolo_request *request)
{
    if (request->entry != NULL)
        kolo_entry_prefetch(request->entry);
    kolo_request_lend(request);
    if (kolo_mpsc_push(engine->queue, request))
        return true;
    kolo_request_release(request);
    return false;
}

size_t kolo_engine_queue_length(const kolo_engine *engine)
{
    return kolo_mpsc_length(engine->queue);
}

void kolo_engine_take(kolo_engine *engine, kolo_request *request)
{
    link_live(engine, request);
    if (request->deadline_ns == KOLO_COUNT_LATER)
        kolo_request_count_from(request, engine->now_ns);
    if (request->deadline_ns < engine->deadline_ns)
        engine->deadline_ns = request->deadline_ns;
    if (engine->options.stall_ns > 0 && engine->stall_check_ns == INT64_MAX)
        engine->stall_check_ns = engine->now_ns + engine->options.stall_ns;
}

static void begin(kolo_engine *engine, kolo_request *request)
{
    kolo_engine_take(engine, request);
    if (engine->broken)
        kolo_engine_finish_broken(engine, request);
    else if (kolo_negotiation_submit(&engine->negotiation, request) != KOLO_OK)
        kolo_engine_break_with_last(engine);
}

static int drain_queue(kolo_engine *engine)
{
    int taken = 0;
    kolo_request *request;
    /* At most a queue full: callbacks of a broken job, called from here, may submit again and again. */
    while ((size_t)taken < engine->options.queue_depth && (request = kolo_mpsc_pop(engine->queue)) != NULL) {
        taken++;
        begin(engine, request);
    }
    kolo_burst_publish(engine);
    return taken;
}

void kolo_engine_accept(kolo_engine *engine, int64_t now_ns)
{
    if (now_ns > engine->now_ns)
        engine->now_ns = engine->negotiation.now_ns = now_ns;
    kolo_engine_take_started(engine);
    kolo_request *request;
    for (size_t left = engine->options.queue_depth;
         left > 0 && !engine->broken && (request = kolo_mpsc_pop(engine->queue)) != NULL; left--)
        begin(engine, request);
    kolo_burst_publish(engine);
    settle_count(engine);
}

/* ---- groups at work --------------------------------------------------------------------------------- */

static void fail_group(kolo_engine *engine, kolo_runner *runner)
{
    const kolo_group *group = runner->group;
    const kolo_step *step = &runner->schedule.steps[runner->executor.failed_step];
    char title[KOLO_TITLE_BYTES];
    const char *name = group->members[0].request->name;
    kolo_error error = *kolo_error_current();
    if (error.status != runner->executor.status) /* an older one: the transport did not explain this failure */
        error = (kolo_error){.status = runner->executor.status};
    error.struct_size = sizeof(error);
    snprintf(error.operation, sizeof(error.operation), "%s", kolo_collective_name(group->operation.collective));
    snprintf(error.tensor, sizeof(error.tensor), "%s", kolo_request_label(name, title));
    snprintf(error.ranks, sizeof(error.ranks), "%d", runner->executor.failed_peer);
    snprintf(error.hop, sizeof(error.hop), "%s step %u, %s rank %d", runner->algorithm->name, step->hop,
             step->kind == KOLO_STEP_SEND ? "to" : "from", runner->executor.failed_peer);
    char detail[400];
    snprintf(detail, sizeof(detail), "%.399s", error.message);
    snprintf(error.message, sizeof(error.message), "%s of %s failed at %s: %s", error.operation,
             kolo_request_title(name, title), error.hop, detail[0] != '\0' ? detail : kolo_status_text(error.status));
    kolo_engine_break(engine, &error, -1);
}

/* After a group's data, nothing else is near any more: so what ends the members is fetched ahead. */
static void prefetch_end(const kolo_group *group, size_t now)
{
    enum { REQUESTS_AHEAD = 12, ENTRIES_AHEAD = 6 };
    if (now + REQUESTS_AHEAD < group->member_count)
        kolo_request_prefetch(group->members[now + REQUESTS_AHEAD].request);
    if (now + ENTRIES_AHEAD < group->member_count)
        kolo_entry_prefetch(group->members[now + ENTRIES_AHEAD].request->entry);
}

static void finish_group(kolo_engine *engine, kolo_runner *runner)
{
    kolo_group *group = runner->group;
    kolo_runner_finish(runner);
    runner->group = NULL;
    for (size_t i = 0; i < group->member_count; i++) {
        prefetch_end(group, i);
        if (--group->members[i].request->pieces_left == 0)
            kolo_engine_finish(engine, group->members[i].request, NULL);
    }
    free(group);
}

/* The same on all ranks: runners share memory with their likes there. */
static kolo_runner *runner_of(const kolo_engine *engine, uint32_t number)
{
    return &engine->runners[number % (uint32_t)engine->options.groups_in_flight];
}

static int start_group(kolo_engine *engine, kolo_runner *runner)
{
    kolo_group *group = engine->waiting;
    if (group == NULL || engine->broken || runner != runner_of(engine, group->number))
        return 0;
    engine->waiting = group->next;
    if (engine->waiting == NULL)
        engine->waiting_end = &engine->waiting;
    runner->moved_ns = engine->now_ns;
    runner->warned = false;
    if (kolo_runner_start(runner, &engine->env, group) != KOLO_OK) {
        free(group);
        kolo_engine_break_with_last(engine);
    }
    return 1;
}

/* At places, a late rank may have found others' tensors as they were after the job had broken there: it will hear of that. */
static bool is_over(const kolo_engine *engine, const kolo_runner *runner)
{
    return kolo_executor_finished(&runner->executor) &&
           (runner->executor.canceled || !runner->planned.shared_tensors || kolo_board_is_sound(&engine->board));
}

int kolo_engine_work(kolo_engine *engine, kolo_runner *runner)
{
    int events = kolo_executor_advance(&runner->executor, KOLO_ENGINE_TURN);
    if (runner->executor.steps_left != runner->seen_left) {
        runner->seen_left = runner->executor.steps_left;
        runner->moved_ns = engine->now_ns;
        runner->warned = false;
    }
    if (runner->executor.canceled && !engine->broken)
        fail_group(engine, runner);
    if (!is_over(engine, runner))
        return events;
    if (!runner->executor.canceled) {
        finish_group(engine, runner);
    } else {
        free(runner->group);
        runner->group = NULL;
    }
    return events + 1;
}

static int work_runner(kolo_engine *engine, kolo_runner *runner)
{
    int events = runner->group == NULL ? start_group(engine, runner) : 0;
    return runner->group != NULL ? events + kolo_engine_work(engine, runner) : events;
}

kolo_runner *kolo_engine_next_busy(const kolo_engine *engine, const kolo_runner *after)
{
    int32_t count = engine->options.groups_in_flight;
    bool is_ordered = after == NULL || (after >= engine->runners && after < engine->runners + count);
    for (int32_t i = after == NULL ? 0 : (int32_t)(after - engine->runners) + 1; is_ordered && i < count; i++)
        if (engine->runners[i].group != NULL)
            return &engine->runners[i];
    kolo_runner *runner = is_ordered ? engine->at_places : after->next;
    while (runner != NULL && runner->group == NULL)
        runner = runner->next;
    return runner;
}

static bool runner_free(const kolo_engine *engine)
{
    return engine->waiting == NULL && runner_of(engine, engine->next_group)->group == NULL;
}

/* ---- the step ---------------------------------------------------------------------------------------- */

int kolo_engine_step(kolo_engine *engine, int64_t now_ns)
{
    engine->now_ns = engine->negotiation.now_ns = now_ns;
    kolo_engine_take_started(engine);
    int events = drain_queue(engine);
    events += engine->env.ops->progress(engine->env.transport);
    if (now_ns >= engine->deadline_ns || now_ns >= engine->stall_check_ns)
        kolo_engine_check_alarms(engine);
    /* Before the decisions: a description of the next round counts only after this one is over here too. */
    events += kolo_posted_work(engine);
    /* Decisions wait while all runners are busy: what becomes ready meanwhile makes one larger batch. */
    int sent = 0;
    if (!engine->broken && kolo_negotiation_flush(&engine->negotiation, runner_free(engine), &sent) != KOLO_OK)
        kolo_engine_break_with_last(engine);
    events += sent;
    for (int32_t i = 0; i < engine->options.groups_in_flight; i++)
        events += work_runner(engine, &engine->runners[i]);
    kolo_posted_wake(engine);
    if (engine->broken)
        events += kolo_engine_settle_broken(engine);
    settle_count(engine);
    return events;
}

bool kolo_engine_awake(const kolo_engine *engine)
{
    if (engine->broken)
        return false;
    if (kolo_posted_any_complete(engine) || kolo_negotiation_awake(&engine->negotiation))
        return true;
    for (kolo_runner *runner = NULL; (runner = kolo_engine_next_busy(engine, runner)) != NULL;)
        if (kolo_executor_awake(&runner->executor))
            return true;
    return false;
}

/* Of those that were queued, or came another way, how many are not over. */
static size_t under_way(const kolo_engine *engine)
{
    size_t settled = atomic_load_explicit(&engine->settled, memory_order_seq_cst);
    return kolo_mpsc_pushed(engine->queue) - settled;
}

bool kolo_engine_idle(const kolo_engine *engine)
{
    return atomic_load_explicit(&engine->started, memory_order_acquire) == NULL && under_way(engine) == 0;
}

bool kolo_engine_queued(const kolo_engine *engine)
{
    return under_way(engine) != engine->live_count;
}

/* ---- life -------------------------------------------------------------------------------------------- */

/* Least window of a runner, for each rank: a few chunks of a line. With less, no schedule for windows can be built. */
enum { WINDOW_LEAST_PER_RANK = 256 };

static bool all_share(const kolo_engine *engine)
{
    const kolo_transport_ops *ops = engine->env.ops;
    if (ops->window == NULL || engine->options.size == 1 ||
        engine->options.groups_in_flight > KOLO_TRANSPORT_FLAG_LINES)
        return false;
    size_t least = WINDOW_LEAST_PER_RANK * (size_t)engine->options.size * (size_t)engine->options.groups_in_flight;
    if (ops->window_bytes(engine->env.transport) < least)
        return false;
    for (int32_t rank = 0; rank < engine->options.size; rank++)
        if (ops->window(engine->env.transport, rank) == NULL)
            return false;
    return true;
}

/* Which tree it is depends on whether ranks share memory; so there is none before the transport. */
static kolo_status join_tree(kolo_engine *engine)
{
    kolo_negotiation_hooks hooks = kolo_engine_hooks(engine);
    kolo_tree tree = kolo_tree_of(engine->options.size, engine->policy.is_shared);
    KOLO_TRY(kolo_control_init(&engine->control, tree, engine->options.rank));
    engine->control.ops = engine->env.ops;
    engine->control.transport = engine->env.transport;
    return kolo_negotiation_init(&engine->negotiation, tree, engine->options.rank, &hooks);
}

kolo_status kolo_engine_attach(kolo_engine *engine, const kolo_transport_ops *ops, kolo_transport *transport)
{
    engine->env.ops = ops;
    engine->env.transport = transport;
    engine->policy.is_shared = all_share(engine);
    KOLO_TRY(join_tree(engine));
    if (engine->policy.is_shared)
        kolo_board_share(&engine->board, engine->options.rank, engine->options.size, &engine->publisher, ops,
                         transport);
    engine->env.reserved_bytes = engine->board.bytes;
    for (int32_t i = 0; engine->policy.is_shared && i < engine->options.groups_in_flight; i++)
        KOLO_TRY(kolo_runner_share(&engine->runners[i], &engine->env, i, engine->options.groups_in_flight));
    return KOLO_OK;
}

bool kolo_engine_shares(const kolo_engine *engine)
{
    return engine->policy.is_shared;
}

void kolo_engine_set_prices(kolo_engine *engine, const kolo_price_model *model)
{
    engine->options.model = engine->policy.model = engine->env.model = *model;
}

void kolo_engine_set_readable(kolo_engine *engine, bool readable)
{
    engine->env.readable_tensors = readable && engine->policy.is_shared;
}

static kolo_status build_parts(kolo_engine *engine)
{
    const kolo_engine_options *options = &engine->options;
    engine->ring = malloc((size_t)options->size * sizeof(*engine->ring));
    engine->runners = calloc((size_t)options->groups_in_flight, sizeof(*engine->runners));
    if (engine->ring == NULL || engine->runners == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for an engine of %d ranks", options->size);
    memcpy(engine->ring, options->ring, (size_t)options->size * sizeof(*engine->ring));
    for (int32_t i = 0; i < options->groups_in_flight; i++)
        kolo_runner_init(&engine->runners[i]);
    return kolo_mpsc_create(options->queue_depth, &engine->queue);
}

kolo_status kolo_engine_create(const kolo_engine_options *options, kolo_engine **engine)
{
    kolo_engine *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for an engine");
    made->options = *options;
    made->publisher.now_ns = options->now_ns;
    made->waiting_end = &made->waiting;
    made->at_places_end = &made->at_places;
    kolo_posted_init(&made->posted);
    made->deadline_ns = made->stall_check_ns = INT64_MAX;
    made->policy =
        (kolo_group_policy){.size = options->size, .fusion_bytes = options->fusion_bytes, .model = options->model};
    kolo_status status = build_parts(made);
    if (status != KOLO_OK) {
        kolo_engine_destroy(made);
        return status;
    }
    made->env = (kolo_runner_env){.rank = options->rank,
                                  .size = options->size,
                                  .ring = made->ring,
                                  .chunk_bytes = options->chunk_bytes,
                                  .publisher = &made->publisher,
                                  .model = options->model,
                                  .forced = options->forced,
                                  .forced_broadcast = options->forced_broadcast};
    *engine = made;
    return KOLO_OK;
}

static void fail_leftovers(kolo_engine *engine)
{
    engine->broken = true;
    engine->error = (kolo_error){.struct_size = sizeof(engine->error), .status = KOLO_ERR_STATE};
    snprintf(engine->error.message, sizeof(engine->error.message),
             "the context was finalized while this operation was under way");
    for (kolo_runner *runner = NULL; (runner = kolo_engine_next_busy(engine, runner)) != NULL;) {
        free(runner->group);
        runner->group = NULL;
    }
    kolo_engine_take_started(engine);
    if (engine->queue != NULL)
        drain_queue(engine);
    kolo_engine_settle_broken(engine);
    settle_count(engine);
}

void kolo_engine_destroy(kolo_engine *engine)
{
    if (engine == NULL)
        return;
    if (engine->runners != NULL)
        fail_leftovers(engine);
    for (int32_t i = 0; engine->runners != NULL && i < engine->options.groups_in_flight; i++)
        kolo_runner_fini(&engine->runners[i]);
    kolo_posted_fini(&engine->posted);
    free(engine->runners);
    free(engine->ring);
    kolo_negotiation_fini(&engine->negotiation);
    kolo_control_fini(&engine->control);
    kolo_mpsc_destroy(engine->queue);
    free(engine);
}
