/* negotiate.c - rounds: contributions fill, complete subtrees report up, decisions come down. */
#include "engine/negotiate.h"

#include "base/error.h"
#include "engine/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

kolo_status kolo_negotiation_init(kolo_negotiation *negotiation, kolo_tree tree, int32_t rank,
                                  const kolo_negotiation_hooks *hooks)
{
    memset(negotiation, 0, sizeof(*negotiation));
    negotiation->tree = tree;
    negotiation->rank = rank;
    negotiation->children = kolo_tree_children(tree, rank);
    negotiation->all = ~UINT64_C(0) >> (KOLO_TREE_CHILDREN_MAX - negotiation->children);
    negotiation->hooks = *hooks;
    kolo_registry_init(&negotiation->registry);
    if ((negotiation->out = malloc(KOLO_CONTROL_BODY_BYTES)) == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for the negotiation's messages");
    kolo_writer_init(&negotiation->writer, negotiation->out, KOLO_CONTROL_BODY_BYTES);
    if ((negotiation->farewell = kolo_registry_get(&negotiation->registry, KOLO_FAREWELL)) == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for the list of tensors");
    return KOLO_OK;
}

void kolo_negotiation_fini(kolo_negotiation *negotiation)
{
    kolo_registry_fini(&negotiation->registry);
    free(negotiation->out);
    free(negotiation->decided);
    free(negotiation->batch);
    memset(negotiation, 0, sizeof(*negotiation));
}

static void rewind_out(kolo_negotiation *negotiation)
{
    kolo_writer_init(&negotiation->writer, negotiation->out, KOLO_CONTROL_BODY_BYTES);
}

/* Grows an array of pointers to hold one more. */
static bool reserve(void *array_of_pointers, size_t count, size_t *capacity)
{
    void ***array = array_of_pointers;
    if (count < *capacity)
        return true;
    size_t wanted = *capacity > 0 ? *capacity * 2 : 64;
    void **grown = realloc(*array, wanted * sizeof(void *));
    if (grown == NULL)
        return false;
    *array = grown;
    *capacity = wanted;
    return true;
}

/* ---- a round fills ---------------------------------------------------------------------------- */

/* Some described the tensor anew, others named its slot: spell the slot out, so that all can be compared. */
static kolo_status spell_out_unchanged(kolo_negotiation *negotiation, kolo_entry *entry)
{
    if (entry->unchanged == 0)
        return KOLO_OK;
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    bool ok = kolo_negotiation_contributors(negotiation, entry->unchanged, &ranks) &&
              kolo_entry_add_variant(entry, entry->agreed, entry->agreed_size, &ranks);
    kolo_ranks_fini(&ranks);
    entry->unchanged = 0;
    return ok ? KOLO_OK : kolo_fail(KOLO_ERR_MEMORY, "no memory to compare descriptions of tensor '%s'", entry->name);
}

static void write_report(kolo_writer *writer, const kolo_entry *entry)
{
    if (entry->variant_count == 0)
        kolo_up_write_ready(writer, entry->slot);
    else
        kolo_up_write_describe(writer, entry->name, entry->has_private, entry->variants, entry->variant_count);
}

static void write_question(kolo_writer *writer, const kolo_entry *entry)
{
    kolo_up_write_expired(writer, entry->name);
}

/* Appends to the message for the parent, sending it first when full. */
static kolo_status append_up(kolo_negotiation *negotiation, const kolo_entry *entry,
                             void (*write)(kolo_writer *writer, const kolo_entry *entry))
{
    kolo_writer before = negotiation->writer;
    write(&negotiation->writer, entry);
    if (negotiation->writer.ok)
        return KOLO_OK;
    KOLO_TRY(negotiation->hooks.send_up(negotiation->hooks.user, before.data, before.size));
    rewind_out(negotiation);
    write(&negotiation->writer, entry);
    return negotiation->writer.ok
               ? KOLO_OK
               : kolo_fail(KOLO_ERR_INTERNAL, "tensor '%s' does not fit in a control message", entry->name);
}

static kolo_status report(kolo_negotiation *negotiation, kolo_entry *entry)
{
    KOLO_TRY(append_up(negotiation, entry, write_report));
    entry->forwarded = true;
    kolo_entry_reset_round(entry);
    return KOLO_OK;
}

kolo_status kolo_negotiation_complete(kolo_negotiation *negotiation, kolo_entry *entry)
{
    if (entry->variant_count > 0)
        KOLO_TRY(spell_out_unchanged(negotiation, entry));
    if (negotiation->rank != 0)
        return report(negotiation, entry);
    if (!reserve(&negotiation->decided, negotiation->decided_count, &negotiation->decided_capacity))
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for the list of ready tensors");
    negotiation->decided[negotiation->decided_count++] = entry;
    return KOLO_OK;
}

static kolo_status contribute(kolo_negotiation *negotiation, kolo_entry *entry, int32_t bit)
{
    if (entry->have == 0)
        entry->since_ns = negotiation->now_ns;
    entry->have |= UINT64_C(1) << bit;
    if (entry == negotiation->farewell) {
        negotiation->left = entry->have;
        kolo_negotiation_check_deserted(negotiation);
    }
    if (entry->have == negotiation->all)
        return kolo_negotiation_complete(negotiation, entry);
    kolo_watch(negotiation, entry);
    kolo_entry_check_deserted(negotiation, entry);
    return KOLO_OK;
}

/* ---- this rank's own submissions ---------------------------------------------------------------- */

static void set_posted(const kolo_negotiation *negotiation, kolo_entry *entry)
{
    entry->announced = true;
    entry->posted = true;
    entry->warned = false;
    entry->since_ns = negotiation->now_ns;
}

static kolo_status announce(kolo_negotiation *negotiation, kolo_entry *entry)
{
    kolo_request *request = entry->head;
    entry->announced = true;
    bool same = kolo_entry_is_agreed(entry, request);
    if (same && entry->way != KOLO_WAY_ORDER && negotiation->hooks.post(negotiation->hooks.user, entry, request)) {
        set_posted(negotiation, entry);
        return KOLO_OK;
    }
    if (entry->way != KOLO_WAY_ORDER)
        negotiation->hooks.tell_report(negotiation->hooks.user, entry);
    if (same) {
        entry->unchanged |= 1;
        return contribute(negotiation, entry, 0);
    }
    entry->has_private |=
        negotiation->hooks.is_private != NULL && negotiation->hooks.is_private(negotiation->hooks.user, request);
    kolo_ranks self;
    kolo_ranks_init(&self);
    bool ok = kolo_ranks_add(&self, negotiation->rank, negotiation->rank) &&
              kolo_entry_add_variant(entry, request->description, request->description_size, &self);
    kolo_ranks_fini(&self);
    if (!ok)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to describe tensor '%s'", entry->name);
    return contribute(negotiation, entry, 0);
}

kolo_status kolo_negotiation_submit(kolo_negotiation *negotiation, kolo_request *request)
{
    kolo_entry *entry = request->entry; /* since it was submitted before; entries stay */
    if (entry == NULL)
        entry = kolo_registry_get(&negotiation->registry, request->name);
    if (entry == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for tensor '%s'", request->name);
    request->next_same_name = NULL;
    request->entry = entry;
    if (entry->head != NULL) {
        entry->tail->next_same_name = request;
        entry->tail = request;
        return KOLO_OK;
    }
    entry->head = entry->tail = request;
    return announce(negotiation, entry);
}

void kolo_negotiation_adopt(kolo_negotiation *negotiation, kolo_entry *entry, kolo_request *request)
{
    request->next_same_name = NULL;
    request->entry = entry;
    entry->head = entry->tail = request;
    set_posted(negotiation, entry);
}

kolo_status kolo_negotiation_release(kolo_negotiation *negotiation, kolo_request *request)
{
    kolo_entry *entry = request->entry;
    if (entry == NULL || entry->head != request)
        return kolo_fail(KOLO_ERR_INTERNAL, "request '%s' is not at the head of its name", request->name);
    entry->head = request->next_same_name;
    if (entry->head == NULL)
        entry->tail = NULL;
    entry->announced = entry->forwarded = entry->posted = false;
    entry->round++;
    negotiation->watch_again |= entry->watched;
    return entry->head != NULL ? announce(negotiation, entry) : KOLO_OK;
}

/* ---- children's reports ------------------------------------------------------------------------- */

/* In this round already; `have` is empty again once the complete round was forwarded. */
static bool reported(const kolo_entry *entry, int32_t bit)
{
    return entry->forwarded || (entry->have >> bit & 1) != 0;
}

static kolo_status child_ready(kolo_negotiation *negotiation, int32_t bit, uint32_t slot)
{
    kolo_entry *entry = kolo_registry_slot(&negotiation->registry, slot);
    if (entry == NULL || reported(entry, bit))
        return kolo_fail(KOLO_ERR_PROTOCOL, "rank %d is ready for slot %u, which %s",
                         kolo_tree_child(negotiation->tree, negotiation->rank, bit - 1), slot,
                         entry == NULL ? "does not exist" : "it said before");
    entry->unchanged |= UINT64_C(1) << bit;
    return contribute(negotiation, entry, bit);
}

static kolo_status child_describes(kolo_negotiation *negotiation, int32_t bit, const kolo_up *up)
{
    int32_t child = kolo_tree_child(negotiation->tree, negotiation->rank, bit - 1);
    kolo_entry *entry = kolo_registry_get(&negotiation->registry, up->name);
    if (entry == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for tensor '%s'", up->name);
    if (reported(entry, bit))
        return kolo_fail(KOLO_ERR_PROTOCOL, "rank %d describes tensor '%s' twice", child, up->name);
    for (size_t i = 0; i < up->variant_count; i++) {
        const kolo_variant *variant = &up->variants[i];
        if (!kolo_entry_add_variant(entry, variant->description, variant->description_size, &variant->ranks))
            return kolo_fail(KOLO_ERR_MEMORY, "no memory to describe tensor '%s'", up->name);
    }
    entry->has_private |= up->has_private;
    return contribute(negotiation, entry, bit);
}

/* Who asks has submitted the round it asks about; of one on the board, the root sees that, unless it is over meanwhile. */
static bool is_over_for(const kolo_negotiation *negotiation, const kolo_entry *entry, int32_t child)
{
    int32_t rank = kolo_tree_child(negotiation->tree, negotiation->rank, child);
    return entry->way != KOLO_WAY_ORDER &&
           (negotiation->hooks.arrived(negotiation->hooks.user, entry) >> rank & 1) == 0;
}

static kolo_status child_asks(kolo_negotiation *negotiation, int32_t child, const char *name)
{
    kolo_entry *entry = kolo_registry_find(&negotiation->registry, name);
    char missing[KOLO_MISSING_BYTES];
    if (entry == NULL || entry->have == negotiation->all || is_over_for(negotiation, entry, child))
        return KOLO_OK; /* decided meanwhile */
    if (entry->have == 0 && entry->way == KOLO_WAY_ORDER)
        return entry->forwarded && negotiation->rank != 0 ? append_up(negotiation, entry, write_question) : KOLO_OK;
    if (kolo_entry_missing(negotiation, entry, missing) == KOLO_MISSING_SURE)
        negotiation->hooks.expired(negotiation->hooks.user, name, missing);
    return KOLO_OK; /* unsure: the child that is missing knows more, and will be asked, or this node's own deadline ends
                       it */
}

kolo_status kolo_negotiation_ask(kolo_negotiation *negotiation, const char *name)
{
    const kolo_entry *entry = kolo_registry_find(&negotiation->registry, name);
    bool elsewhere = entry != NULL && (entry->forwarded || entry->posted);
    return elsewhere && negotiation->rank != 0 ? append_up(negotiation, entry, write_question) : KOLO_OK;
}

kolo_status kolo_negotiation_up(kolo_negotiation *negotiation, int32_t child, kolo_reader *body)
{
    kolo_up up;
    while (body->offset < body->size) {
        bool ok = kolo_up_read(body, negotiation->tree.size, &up);
        kolo_status status = KOLO_OK;
        if (!ok)
            status = kolo_fail(KOLO_ERR_PROTOCOL, "rank %d sent a report that does not decode",
                               kolo_tree_child(negotiation->tree, negotiation->rank, child));
        else if (up.kind == KOLO_UP_READY)
            status = child_ready(negotiation, child + 1, up.slot);
        else if (up.kind == KOLO_UP_EXPIRED)
            status = child_asks(negotiation, child, up.name);
        else
            status = child_describes(negotiation, child + 1, &up);
        kolo_up_fini(&up);
        KOLO_TRY(status);
    }
    return KOLO_OK;
}

/* ---- decisions, at the root ----------------------------------------------------------------------- */

static void decide(kolo_entry *entry, uint32_t *free_slot, kolo_down *down)
{
    down->slot = entry->slot;
    down->kind = KOLO_DOWN_RUN;
    down->has_private = entry->has_private;
    if (entry->variant_count > 0)
        snprintf(down->name, sizeof(down->name), "%s", entry->name);
    if (entry->variant_count == 1) {
        down->kind = KOLO_DOWN_ASSIGN;
        if (entry->slot == KOLO_NO_SLOT)
            down->slot = (*free_slot)++;
    } else if (entry->variant_count > 1) {
        down->kind = KOLO_DOWN_FAIL;
        kolo_entry_explain(entry, down);
    }
    kolo_entry_reset_round(entry);
    entry->forwarded = true;
}

/* Sends a batch down, and applies it here. */
static kolo_status emit(kolo_negotiation *negotiation, const void *body, size_t size)
{
    KOLO_TRY(negotiation->hooks.send_down(negotiation->hooks.user, body, size));
    kolo_reader reader;
    kolo_reader_init(&reader, body, size);
    return kolo_negotiation_down(negotiation, &reader);
}

static kolo_status flush_decisions(kolo_negotiation *negotiation, int *sent)
{
    kolo_down down;
    uint32_t free_slot = kolo_registry_free_slot(&negotiation->registry);
    size_t count = negotiation->decided_count;
    for (size_t i = 0; i < count; i++) {
        kolo_writer before = negotiation->writer;
        decide(negotiation->decided[i], &free_slot, &down);
        kolo_down_write(&negotiation->writer, &down);
        if (negotiation->writer.ok)
            continue;
        KOLO_TRY(emit(negotiation, before.data, before.size));
        (*sent)++;
        rewind_out(negotiation);
        kolo_down_write(&negotiation->writer, &down);
    }
    KOLO_TRY(emit(negotiation, negotiation->writer.data, negotiation->writer.size));
    (*sent)++;
    rewind_out(negotiation);
    /* Applying may have completed new rounds; they stay for the next flush. */
    negotiation->decided_count -= count;
    memmove(negotiation->decided, negotiation->decided + count, negotiation->decided_count * sizeof(kolo_entry *));
    return KOLO_OK;
}

kolo_status kolo_negotiation_flush(kolo_negotiation *negotiation, bool decide_now, int *sent)
{
    *sent = 0;
    KOLO_TRY(kolo_watch_count(negotiation));
    const kolo_entry *deserted = kolo_negotiation_posted_deserted(negotiation);
    if (deserted != NULL)
        kolo_entry_check_deserted(negotiation, deserted);
    if (negotiation->rank == 0)
        return decide_now && negotiation->decided_count > 0 ? flush_decisions(negotiation, sent) : KOLO_OK;
    if (negotiation->writer.size == 0)
        return KOLO_OK;
    KOLO_TRY(negotiation->hooks.send_up(negotiation->hooks.user, negotiation->writer.data, negotiation->writer.size));
    rewind_out(negotiation);
    *sent = 1;
    return KOLO_OK;
}

/* ---- decisions, everywhere ------------------------------------------------------------------------ */

static void fail_head(kolo_negotiation *negotiation, kolo_entry *entry, const kolo_down *down)
{
    char title[KOLO_TITLE_BYTES];
    kolo_error error = {.struct_size = sizeof(error), .status = KOLO_ERR_MISMATCH};
    snprintf(error.operation, sizeof(error.operation), "%s", kolo_collective_name(entry->head->operation.collective));
    snprintf(error.tensor, sizeof(error.tensor), "%s", kolo_request_label(entry->name, title));
    snprintf(error.ranks, sizeof(error.ranks), "%s", down->ranks);
    snprintf(error.message, sizeof(error.message), "ranks disagree about %.40s: %s",
             kolo_request_title(entry->name, title), down->text);
    negotiation->hooks.fail(negotiation->hooks.user, entry->head, &error);
}

/* Of a posted round the root decides where others reported it: they disagree, or their tensor has no place. */
static bool may_be_decided(const kolo_entry *entry, kolo_down_kind kind)
{
    bool posted = entry->posted && (kind == KOLO_DOWN_FAIL || entry->way == KOLO_WAY_PLACE);
    return entry->announced && !entry->head->running && (entry->forwarded || posted);
}

static kolo_status apply(kolo_negotiation *negotiation, const kolo_down *down)
{
    kolo_entry *entry = down->kind == KOLO_DOWN_RUN ? kolo_registry_slot(&negotiation->registry, down->slot)
                                                    : kolo_registry_find(&negotiation->registry, down->name);
    if (entry == NULL || entry->head == NULL || !may_be_decided(entry, down->kind))
        return kolo_fail(KOLO_ERR_PROTOCOL, "the root decided about '%s' (slot %u), which this rank has not reported",
                         entry != NULL ? entry->name : down->name, down->slot);
    entry->forwarded = false;
    if (down->kind == KOLO_DOWN_FAIL) {
        fail_head(negotiation, entry, down);
        return KOLO_OK;
    }
    kolo_request *request = entry->head;
    if (entry->posted)
        negotiation->hooks.withdraw(negotiation->hooks.user, request);
    entry->posted = false;
    if (down->kind == KOLO_DOWN_ASSIGN) {
        KOLO_TRY(kolo_registry_assign(&negotiation->registry, entry, down->slot, request->description,
                                      request->description_size));
        kolo_watch_set_way(negotiation, entry, request, down->has_private);
    }
    if (!reserve(&negotiation->batch, negotiation->batch_count, &negotiation->batch_capacity))
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a batch of tensors");
    request->running = true;
    negotiation->batch[negotiation->batch_count++] = request;
    return KOLO_OK;
}

kolo_status kolo_negotiation_down(kolo_negotiation *negotiation, kolo_reader *body)
{
    if (negotiation->rank != 0)
        KOLO_TRY(negotiation->hooks.send_down(negotiation->hooks.user, body->data + body->offset,
                                              body->size - body->offset));
    kolo_down down;
    negotiation->batch_count = 0;
    while (body->offset < body->size) {
        if (!kolo_down_read(body, &down))
            return kolo_fail(KOLO_ERR_PROTOCOL, "rank %d sent decisions that do not decode",
                             kolo_tree_parent(negotiation->tree, negotiation->rank));
        KOLO_TRY(apply(negotiation, &down));
    }
    if (negotiation->batch_count == 0)
        return KOLO_OK;
    return negotiation->hooks.run(negotiation->hooks.user, negotiation->batch, negotiation->batch_count);
}
