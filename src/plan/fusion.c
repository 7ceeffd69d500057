/* fusion.c - which ready tensors travel together: one sweep per key, greedy in order. */
#include "plan/fusion.h"

#define UNASSIGNED UINT32_MAX

bool kolo_fusion_worth(int64_t bytes, int32_t size, const kolo_price_model *model)
{
    if (bytes == 0)
        return true;
    /* A tensor that joins a group saves a reduce-scatter and an all-gather of its own, of which only the latency
     * counts: its bytes travel either way. It pays with one copy in and one copy out. */
    double saved_ns = 2.0 * kolo_price_rounds(size) * model->alpha_ns;
    return saved_ns > 2.0 * (double)bytes * model->copy_ns_per_byte;
}

static bool is_alone(const kolo_fusion_item *item, int64_t limit_bytes, int32_t size, const kolo_price_model *model)
{
    return !item->fusable || item->bytes > limit_bytes || !kolo_fusion_worth(item->bytes, size, model);
}

/* Groups all items of items[first]'s key, first being the earliest of them. A group is called by the index of its first
 * item. */
static void group_key(kolo_fusion_item *items, size_t count, size_t first, int64_t limit_bytes, int32_t size,
                      const kolo_price_model *model)
{
    uint32_t group = (uint32_t)first;
    int64_t sum_bytes = 0;
    for (size_t i = first; i < count; i++) {
        if (items[i].key != items[first].key || is_alone(&items[i], limit_bytes, size, model))
            continue;
        if (items[i].bytes > limit_bytes - sum_bytes) {
            group = (uint32_t)i;
            sum_bytes = 0;
        }
        sum_bytes += items[i].bytes;
        items[i].group = group;
    }
}

size_t kolo_fusion_plan(kolo_fusion_item *items, size_t count, int64_t limit_bytes, int32_t size,
                        const kolo_price_model *model)
{
    for (size_t i = 0; i < count; i++)
        items[i].group = UNASSIGNED;
    for (size_t i = 0; i < count; i++) {
        if (items[i].group != UNASSIGNED)
            continue;
        if (is_alone(&items[i], limit_bytes, size, model))
            items[i].group = (uint32_t)i;
        else
            group_key(items, count, i, limit_bytes, size, model);
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
