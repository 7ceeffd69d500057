/* call.c - see call.h. */
#include "engine/call.h"

#include "base/error.h"
#include "engine/state.h"

/* Anything under way is a reason to refuse: its progress and its order before this operation need the engine. */
static bool is_free(const kolo_engine *engine)
{
    return !engine->broken && engine->board.size != 0 && kolo_engine_idle(engine);
}

/* Operations of this name are posted, and none is under way. */
static bool is_posted_now(const kolo_entry *entry)
{
    return entry != NULL && entry->way != KOLO_WAY_ORDER && entry->head == NULL;
}

/* False: it can not go this way from here. */
static bool post(kolo_engine *engine, const kolo_call *call, uint64_t serial)
{
    const kolo_post at = kolo_entry_post(call->entry);
    if (at.way == KOLO_WAY_PLACE)
        return kolo_board_write_place(&engine->board, &at, call->operation, call->pieces, serial, &call->entry->places);
    kolo_board_write_value(&engine->board, &at, call->operation, call->pieces);
    return true;
}

bool kolo_call_begin(kolo_engine *engine, const kolo_request_spec *spec, kolo_call *call)
{
    if (!is_free(engine))
        return false;
    kolo_entry *entry = kolo_registry_find(&engine->negotiation.registry, spec->name);
    if (!is_posted_now(entry) || !kolo_request_is_described(spec, entry->agreed, entry->agreed_size))
        return false;
    *call = (kolo_call){
        .entry = entry, .operation = &spec->operation, .pieces = spec->operation.piece_count > 0 ? spec->pieces : NULL};
    return post(engine, call, 0);
}

bool kolo_call_is_complete(const kolo_engine *engine, const kolo_call *call)
{
    const kolo_entry *entry = call->entry;
    kolo_post at = kolo_entry_post(entry);
    if (kolo_board_is_complete(&engine->board, &at))
        return true;
    if (entry->way == KOLO_WAY_VALUE && entry->cells.lines > 1)
        kolo_board_expect(&engine->board, &at, entry->cells.lines);
    return false;
}

bool kolo_call_is_by_value(const kolo_call *call)
{
    return call->entry->way == KOLO_WAY_VALUE;
}

void kolo_call_wake(kolo_engine *engine)
{
    engine->env.ops->flags_changed(engine->env.transport);
}

/* ---- once everybody has posted ----------------------------------------------------------------------------------- */

static kolo_status start_runner(kolo_engine *engine, kolo_call *call)
{
    const kolo_placed work = {.operation = call->operation,
                              .pieces = call->pieces,
                              .post = kolo_entry_post(call->entry),
                              .places = call->entry->places};
    kolo_runner *runner = kolo_posted_take_runner(&engine->posted);
    if (runner == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to begin '%s'", call->entry->name);
    kolo_status status = kolo_runner_start_at_places(runner, &engine->env, &engine->board, &work);
    if (status == KOLO_OK)
        call->runner = runner;
    else
        kolo_posted_give_runner(&engine->posted, runner);
    return status;
}

kolo_status kolo_call_work(kolo_engine *engine, kolo_call *call, bool *over)
{
    *over = false;
    if (kolo_call_is_by_value(call)) {
        kolo_post at = kolo_entry_post(call->entry);
        kolo_board_read_value(&engine->board, &at, call->operation, call->pieces);
        *over = true;
    } else {
        kolo_status status = call->runner != NULL ? KOLO_OK : start_runner(engine, call);
        if (status != KOLO_OK) {
            kolo_engine_break_with_last(engine);
            return status;
        }
        kolo_executor *executor = &call->runner->executor;
        (void)kolo_executor_advance(executor, KOLO_ENGINE_TURN);
        /* Else it becomes a request, which waits for the error. */
        if ((*over = kolo_executor_finished(executor) && kolo_board_is_sound(&engine->board)))
            kolo_posted_give_runner(&engine->posted, call->runner);
    }
    call->entry->round += *over;
    return KOLO_OK;
}

void kolo_call_drop(kolo_engine *engine, kolo_call *call)
{
    if (call->runner != NULL)
        kolo_posted_give_runner(&engine->posted, call->runner);
    call->runner = NULL;
}

bool kolo_call_awaits(const kolo_call *call)
{
    return call->runner->executor.blocked != KOLO_NO_STEP;
}

/* ---- it becomes a request ---------------------------------------------------------------------------------------- */

/* The engine's reference is there already. */
static void take_over(kolo_engine *engine, const kolo_call *call, kolo_request *request)
{
    kolo_engine_settle(engine, (size_t)-1);
    kolo_engine_take(engine, request);
    kolo_negotiation_adopt(&engine->negotiation, call->entry, request);
    request->post = kolo_entry_post(call->entry);
    if (call->runner == NULL) {
        kolo_posted_add(&engine->posted, request);
    } else if (kolo_posted_attend(engine, call->runner, request) != KOLO_OK) {
        kolo_posted_give_runner(&engine->posted, call->runner);
        kolo_engine_break_with_last(engine);
    }
}

/* The same of what was started. */
static void take_over_started(kolo_engine *engine, const kolo_call *call, kolo_request *request)
{
    kolo_request_count_from(request, engine->now_ns);
    take_over(engine, call, request);
    atomic_store_explicit(&engine->started, NULL, memory_order_release);
}

void kolo_call_adopt(kolo_engine *engine, const kolo_call *call, kolo_request *request, int64_t now_ns)
{
    engine->now_ns = engine->negotiation.now_ns = now_ns;
    if (kolo_call_is_started(engine, request)) {
        take_over_started(engine, call, request);
        return;
    }
    kolo_request_retain(request);
    take_over(engine, call, request);
}

/* ---- prepared ---------------------------------------------------------------------------------------------------- */

kolo_call kolo_call_of(const kolo_request *request)
{
    return (kolo_call){
        .entry = request->entry, .operation = &request->operation, .pieces = kolo_request_piece(request)};
}

bool kolo_call_start(kolo_engine *engine, kolo_request *request, bool by_place)
{
    const kolo_call call = kolo_call_of(request);
    if (!is_free(engine) || !is_posted_now(call.entry) || (!by_place && !kolo_call_is_by_value(&call)) ||
        !kolo_entry_is_agreed(call.entry, request) || !post(engine, &call, request->serial))
        return false;
    kolo_request_lend(request);
    atomic_store_explicit(&engine->started, request, memory_order_release);
    return true;
}

bool kolo_call_is_started(const kolo_engine *engine, const kolo_request *request)
{
    return atomic_load_explicit(&engine->started, memory_order_acquire) == request;
}

void kolo_call_end(kolo_engine *engine, kolo_request *request)
{
    atomic_store_explicit(&engine->started, NULL, memory_order_release);
    kolo_request_end_lent(request);
}

void kolo_engine_take_started(kolo_engine *engine)
{
    kolo_request *request = atomic_load_explicit(&engine->started, memory_order_relaxed);
    if (request == NULL)
        return;
    const kolo_call call = kolo_call_of(request);
    take_over_started(engine, &call, request);
}
