/* fusion.c - which ready tensors travel together: one sweep per key, greedy in order. */
#include "plan/fusion.h"

#define UNASSIGNED UINT32_MAX

int64_t kolo_fusion_worth_bytes(int32_t size, bool is_shared, const kolo_price_model *model)
{
    if (size == 1)
        return 0; /* nobody to wait for: nothing is saved */
    if (is_shared)
        return INT64_MAX;
    /* The bytes travel either way. */
    kolo_plan_work work = {.collective = KOLO_ALLREDUCE, .size = size, .bytes = 1, .chunk_bytes = 1};
    kolo_association association = kolo_plan_association(KOLO_ALLREDUCE, work.bytes, size, false);
    double saved_ns = kolo_algorithm_select(&work, association, model, NULL)->price(&work, model);
    return (int64_t)(saved_ns / (2 * model->copy_ns));
}

static bool is_alone(const kolo_fusion_item *item, int64_t limit_bytes, int64_t worth_bytes)
{
    return !item->fusable || item->bytes > limit_bytes || item->bytes > worth_bytes;
}

/* Groups all items of items[first]'s key, first being the earliest of them. A group is called by the index of its first
 * item. */
static void group_key(kolo_fusion_item *items, size_t count, size_t first, int64_t limit_bytes, int64_t worth_bytes)
{
    uint32_t group = (uint32_t)first;
    int64_t sum_bytes = 0;
    for (size_t i = first; i < count; i++) {
        if (items[i].key != items[first].key || is_alone(&items[i], limit_bytes, worth_bytes))
            continue;
        if (items[i].bytes > limit_bytes - sum_bytes) {
            group = (uint32_t)i;
            sum_bytes = 0;
        }
        sum_bytes += items[i].bytes;
        items[i].group = group;
    }
}

size_t kolo_fusion_plan(kolo_fusion_item *items, size_t count, int64_t limit_bytes, int64_t worth_bytes)
{
    for (size_t i = 0; i < count; i++)
        items[i].group = UNASSIGNED;
    for (size_t i = 0; i < count; i++) {
        if (items[i].group != UNASSIGNED)
            continue;
        if (is_alone(&items[i], limit_bytes, worth_bytes))
            items[i].group = (uint32_t)i;
        else
            group_key(items, count, i, limit_bytes, worth_bytes);
    }
    /* From the first item's index to a running number. A first item comes before its followers, so they find it
     * renumbered. */
    size_t groups = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_first = items[i].group == i;
        items[i].group = is_first ? (uint32_t)groups : items[items[i].group].group;
        groups += is_first;
    }
    return groups;
}
