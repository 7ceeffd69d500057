/* group.c - forming fusion groups out of a batch. */
#include "engine/group.h"

#include "base/error.h"

#include <stdlib.h>

static int64_t piece_bytes(const kolo_piece *piece)
{
    return piece->count * (int64_t)kolo_dtype_size(piece->type);
}

/* The batch, flattened to tensors that have elements. */
typedef struct batch {
    kolo_member *members;
    kolo_fusion_item *items;
    kolo_association *associations;
    size_t count;
} batch;

static bool same_work(const batch *all, size_t i, size_t j)
{
    const kolo_operation *a = &all->members[i].request->operation, *b = &all->members[j].request->operation;
    return all->members[i].piece->type == all->members[j].piece->type && all->associations[i] == all->associations[j] &&
           kolo_operation_is_alike(a, b);
}

/* The key of an item is the index of the first item with the same work: exact, and short to find, since a batch holds
 * few kinds. */
static uint64_t work_key(const batch *all, size_t index)
{
    uint64_t key = 0;
    for (size_t i = index; i > 0; i--)
        if (same_work(all, i - 1, index))
            return all->items[i - 1].key;
    for (size_t i = 0; i < index; i++)
        key = all->items[i].key >= key ? all->items[i].key + 1 : key;
    return key;
}

static void flatten(const kolo_group_policy *policy, kolo_request *const *requests, size_t count, batch *out)
{
    for (size_t r = 0; r < count; r++) {
        const kolo_operation *operation = &requests[r]->operation;
        for (size_t p = 0; p < operation->piece_count; p++) {
            const kolo_piece *piece = &requests[r]->pieces[p];
            if (piece->count == 0)
                continue;
            size_t i = out->count++;
            out->members[i] = (kolo_member){.request = requests[r], .piece = piece};
            out->associations[i] =
                kolo_plan_association(operation->collective, piece_bytes(piece), policy->size, policy->is_shared);
            out->items[i] = (kolo_fusion_item){
                .key = work_key(out, i),
                .bytes = piece_bytes(piece),
                .fusable = operation->collective == KOLO_ALLREDUCE && policy->fusion_bytes > 0,
            };
        }
    }
}

kolo_group *kolo_group_of(const kolo_group_policy *policy, kolo_request *first, size_t count)
{
    kolo_group *group = malloc(sizeof(*group) + count * sizeof(kolo_member));
    if (group == NULL)
        return NULL;
    *group = (kolo_group){
        .operation = first->operation,
        .type = first->pieces->type,
        .association = kolo_plan_association(first->operation.collective, piece_bytes(first->pieces), policy->size,
                                             policy->is_shared),
        .member_count = count,
    };
    for (size_t i = 0; i < count; i++, first = first->next_posted)
        group->members[i] = (kolo_member){.request = first, .piece = &first->pieces[0]};
    return group;
}

/* The usual case without the lists: one tensor, alone. */
static kolo_status form_single(const kolo_group_policy *policy, kolo_request *request, uint32_t *next_number,
                               kolo_group **first)
{
    const kolo_piece *piece = &request->pieces[0];
    if (piece->count == 0)
        return KOLO_OK;
    if ((*first = kolo_group_of(policy, request, 1)) == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a fusion group");
    (*first)->number = (*next_number)++;
    return KOLO_OK;
}

/* A list whose tensors go together anyway: where nothing is packed, those of one type do, up to the limit. */
static bool is_whole(const kolo_group_policy *policy, const kolo_request *request)
{
    const kolo_operation *operation = &request->operation;
    int64_t left = policy->fusion_bytes;
    if (!policy->is_shared || operation->collective != KOLO_ALLREDUCE)
        return false;
    for (size_t i = 0; i < operation->piece_count && left >= 0; i++) {
        const kolo_piece *piece = &request->pieces[i];
        if (piece->type != request->pieces[0].type)
            return false;
        left = piece_bytes(piece) <= left ? left - piece_bytes(piece) : -1;
    }
    return left >= 0;
}

static kolo_status form_whole(const kolo_group_policy *policy, kolo_request *request, uint32_t *next_number,
                              kolo_group **first)
{
    size_t pieces = request->operation.piece_count;
    kolo_group *group = malloc(sizeof(*group) + pieces * sizeof(kolo_member));
    if (group == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a fusion group");
    *group = (kolo_group){
        .operation = request->operation,
        .type = request->pieces[0].type,
        .association = kolo_plan_association(KOLO_ALLREDUCE, 0, policy->size, true),
    };
    for (size_t i = 0; i < pieces; i++)
        if (request->pieces[i].count > 0)
            group->members[group->member_count++] = (kolo_member){.request = request, .piece = &request->pieces[i]};
    if (group->member_count == 0) {
        free(group);
        return KOLO_OK;
    }
    group->number = (*next_number)++;
    *first = group;
    return KOLO_OK;
}

static kolo_group *group_create(const batch *all, size_t first, size_t members)
{
    kolo_group *group = calloc(1, sizeof(*group) + members * sizeof(kolo_member));
    if (group == NULL)
        return NULL;
    group->operation = all->members[first].request->operation;
    group->type = all->members[first].piece->type;
    group->association = all->associations[first];
    return group;
}

/* Groups are numbered by their first item, so one pass finds each group's first item in order. */
static kolo_status link_groups(const batch *all, const size_t *sizes, kolo_group **groups, uint32_t *next_number,
                               kolo_group **first)
{
    kolo_group **end = first;
    for (size_t i = 0; i < all->count; i++) {
        uint32_t index = all->items[i].group;
        if (groups[index] == NULL) {
            if ((groups[index] = group_create(all, i, sizes[index])) == NULL)
                return kolo_fail(KOLO_ERR_MEMORY, "no memory for a fusion group");
            groups[index]->number = (*next_number)++;
            *end = groups[index];
            end = &groups[index]->next;
        }
        groups[index]->members[groups[index]->member_count++] = all->members[i];
    }
    return KOLO_OK;
}

static kolo_status make_groups(const batch *all, size_t count, uint32_t *next_number, kolo_group **first)
{
    size_t *sizes = calloc(count + 1, sizeof(*sizes));
    kolo_group **groups = calloc(count + 1, sizeof(*groups));
    kolo_status status = KOLO_OK;
    if (sizes == NULL || groups == NULL) {
        status = kolo_fail(KOLO_ERR_MEMORY, "no memory for %zu fusion groups", count);
    } else {
        for (size_t i = 0; i < all->count; i++)
            sizes[all->items[i].group]++;
        status = link_groups(all, sizes, groups, next_number, first);
    }
    free(sizes);
    free(groups);
    return status;
}

kolo_status kolo_groups_form(const kolo_group_policy *policy, kolo_request *const *requests, size_t count,
                             uint32_t *next_number, kolo_group **first)
{
    size_t pieces = 0;
    *first = NULL;
    for (size_t r = 0; r < count; r++)
        pieces += requests[r]->operation.piece_count;
    if (pieces == 0)
        return KOLO_OK;
    if (pieces == 1 && count == 1)
        return form_single(policy, requests[0], next_number, first);
    if (count == 1 && is_whole(policy, requests[0]))
        return form_whole(policy, requests[0], next_number, first);
    batch all = {.members = malloc(pieces * sizeof(kolo_member)),
                 .items = malloc(pieces * sizeof(kolo_fusion_item)),
                 .associations = malloc(pieces * sizeof(kolo_association))};
    kolo_status status = KOLO_OK;
    if (all.members == NULL || all.items == NULL || all.associations == NULL) {
        status = kolo_fail(KOLO_ERR_MEMORY, "no memory for a batch of %zu tensors", pieces);
    } else {
        flatten(policy, requests, count, &all);
        int64_t worth_bytes = kolo_fusion_worth_bytes(policy->size, policy->is_shared, &policy->model);
        size_t groups = kolo_fusion_plan(all.items, all.count, policy->fusion_bytes, worth_bytes);
        status = make_groups(&all, groups, next_number, first);
    }
    while (status != KOLO_OK && *first != NULL) {
        kolo_group *next = (*first)->next;
        free(*first);
        *first = next;
    }
    free(all.members);
    free(all.items);
    free(all.associations);
    return status;
}

kolo_status kolo_memory_reserve(kolo_memory *memory, size_t bytes)
{
    enum { PAGE = 4096 };
    if (bytes <= memory->bytes)
        return KOLO_OK;
    size_t rounded = (bytes + PAGE - 1) / PAGE * PAGE;
    free(memory->data);
    *memory = (kolo_memory){0};
    if ((memory->data = aligned_alloc(PAGE, rounded)) == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory: a buffer of %zu bytes for tensors under way", rounded);
    memory->bytes = rounded;
    return KOLO_OK;
}

void kolo_memory_fini(kolo_memory *memory)
{
    free(memory->data);
    *memory = (kolo_memory){0};
}
