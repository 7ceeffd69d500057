/* call.c - see call.h. */
#include "engine/call.h"

#include "engine/state.h"

static const kolo_piece *piece_of(const kolo_request_spec *spec)
{
    return spec->operation.piece_count > 0 ? spec->pieces : NULL;
}

/* Anything under way is a reason to refuse: its progress and its order before this operation need the engine. */
kolo_entry *kolo_call_begin(kolo_engine *engine, const kolo_request_spec *spec)
{
    if (engine->broken || engine->board.size == 0 || !kolo_engine_idle(engine))
        return NULL;
    kolo_entry *entry = kolo_registry_find(&engine->negotiation.registry, spec->name);
    if (entry == NULL || entry->way != KOLO_WAY_VALUE || entry->head != NULL ||
        !kolo_request_is_described(spec, entry->agreed, entry->agreed_size))
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

void kolo_call_adopt(kolo_engine *engine, kolo_entry *entry, kolo_request *request, int64_t now_ns)
{
    engine->now_ns = engine->negotiation.now_ns = now_ns;
    kolo_request_retain(request);
    atomic_fetch_add_explicit(&engine->under_way, 1, memory_order_seq_cst);
    kolo_engine_take(engine, request);
    kolo_negotiation_adopt(&engine->negotiation, entry, request);
    request->post = kolo_entry_post(entry);
    kolo_posted_add(&engine->posted, request);
}
