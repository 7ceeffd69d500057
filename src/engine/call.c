/* call.c - see call.h. */
#include "engine/call.h"

#include "engine/state.h"

static const kolo_piece *piece_of(const kolo_request_spec *spec)
{
    return spec->operation.piece_count > 0 ? spec->pieces : NULL;
}

/* Anything under way is a reason to refuse: its progress and its order before this operation need the engine. */
static bool is_free(const kolo_engine *engine)
{
    return !engine->broken && engine->board.size != 0 && kolo_engine_idle(engine);
}

static bool goes_by_value(const kolo_entry *entry)
{
    return entry != NULL && entry->way == KOLO_WAY_VALUE && entry->head == NULL;
}

kolo_entry *kolo_call_begin(kolo_engine *engine, const kolo_request_spec *spec)
{
    if (!is_free(engine))
        return NULL;
    kolo_entry *entry = kolo_registry_find(&engine->negotiation.registry, spec->name);
    if (!goes_by_value(entry) || !kolo_request_is_described(spec, entry->agreed, entry->agreed_size))
        return NULL;
    kolo_post post = kolo_entry_post(entry);
    kolo_board_write_value(&engine->board, &post, &spec->operation, piece_of(spec));
    return entry;
}

bool kolo_call_is_complete(const kolo_engine *engine, const kolo_entry *entry)
{
    kolo_post post = kolo_entry_post(entry);
    return kolo_board_is_complete(&engine->board, &post);
}

void kolo_call_wake(kolo_engine *engine)
{
    engine->env.ops->flags_changed(engine->env.transport);
}

void kolo_call_finish(kolo_engine *engine, kolo_entry *entry, const kolo_request_spec *spec)
{
    kolo_post post = kolo_entry_post(entry);
    kolo_board_read_value(&engine->board, &post, &spec->operation, piece_of(spec));
    entry->round++;
}

/* The engine's reference is there already. */
static void take_over(kolo_engine *engine, kolo_entry *entry, kolo_request *request)
{
    atomic_fetch_add_explicit(&engine->under_way, 1, memory_order_seq_cst);
    kolo_engine_take(engine, request);
    kolo_negotiation_adopt(&engine->negotiation, entry, request);
    request->post = kolo_entry_post(entry);
    kolo_posted_add(&engine->posted, request);
}

void kolo_call_adopt(kolo_engine *engine, kolo_entry *entry, kolo_request *request, int64_t now_ns)
{
    engine->now_ns = engine->negotiation.now_ns = now_ns;
    kolo_request_retain(request);
    take_over(engine, entry, request);
}

/* ---- prepared ------------------------------------------------------------------------------------------------- */

bool kolo_call_start(kolo_engine *engine, kolo_request *request)
{
    if (!is_free(engine) || !goes_by_value(request->entry) || !kolo_entry_is_agreed(request->entry, request))
        return false;
    request->post = kolo_entry_post(request->entry);
    kolo_board_write_value(&engine->board, &request->post, &request->operation, kolo_request_piece(request));
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
    kolo_board_read_value(&engine->board, &request->post, &request->operation, kolo_request_piece(request));
    request->entry->round++;
    atomic_store_explicit(&engine->started, NULL, memory_order_release);
    kolo_request_end_lent(request);
}

void kolo_engine_take_started(kolo_engine *engine)
{
    kolo_request *request = atomic_load_explicit(&engine->started, memory_order_relaxed);
    if (request == NULL)
        return;
    kolo_request_count_from(request, engine->now_ns);
    take_over(engine, request->entry, request);
    atomic_store_explicit(&engine->started, NULL, memory_order_release);
}
