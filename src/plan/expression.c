/* expression.c - hash-consed sums, and the sums that the association classes promise. */
#include "plan/expression.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

kolo_status kolo_expressions_init(kolo_expressions *all, int32_t size)
{
    size_t inputs = (size_t)size + 1; /* and NONE */
    *all = (kolo_expressions){.size = size, .count = inputs, .capacity = 2 * inputs + 64, .table_size = 256};
    all->nodes = calloc(all->capacity, sizeof(*all->nodes));
    all->table = calloc(all->table_size, sizeof(*all->table));
    if (all->nodes && all->table)
        return KOLO_OK;
    kolo_expressions_fini(all);
    return kolo_fail(KOLO_ERR_MEMORY, "no memory to check a schedule of %d ranks", size);
}

void kolo_expressions_fini(kolo_expressions *all)
{
    free(all->nodes);
    free(all->table);
    *all = (kolo_expressions){0};
}

/* Where the node is in the table, or the free place where it belongs. */
static size_t table_place(const kolo_expressions *all, kolo_expression left, kolo_expression right)
{
    uint64_t hash = ((uint64_t)left << 32 | right) * UINT64_C(0x9e3779b97f4a7c15);
    size_t place = (size_t)(hash >> 32) & (all->table_size - 1);
    while (all->table[place] != 0 &&
           (all->nodes[all->table[place]].left != left || all->nodes[all->table[place]].right != right))
        place = (place + 1) & (all->table_size - 1);
    return place;
}

static bool grow(kolo_expressions *all)
{
    if (all->count == all->capacity) {
        void *nodes = reallocarray(all->nodes, 2 * all->capacity, sizeof(*all->nodes));
        if (!nodes)
            return false;
        all->nodes = nodes;
        all->capacity *= 2;
    }
    if (2 * all->count < all->table_size)
        return true;
    uint32_t *table = calloc(2 * all->table_size, sizeof(*table));
    if (!table)
        return false;
    free(all->table);
    all->table = table;
    all->table_size *= 2;
    for (size_t i = (size_t)all->size + 1; i < all->count; i++)
        all->table[table_place(all, all->nodes[i].left, all->nodes[i].right)] = (uint32_t)i;
    return true;
}

kolo_expression kolo_expression_sum(kolo_expressions *all, kolo_expression left, kolo_expression right)
{
    if (left == KOLO_EXPRESSION_NONE)
        return KOLO_EXPRESSION_NONE;
    size_t place = table_place(all, left, right);
    if (all->table[place] != 0)
        return all->table[place];
    if (!grow(all))
        return KOLO_EXPRESSION_NONE;
    all->nodes[all->count].left = left;
    all->nodes[all->count].right = right;
    all->table[table_place(all, left, right)] = (uint32_t)all->count;
    return (kolo_expression)all->count++;
}

kolo_expression kolo_expression_final(kolo_expressions *all, kolo_expression of)
{
    return kolo_expression_sum(all, of, KOLO_EXPRESSION_NONE);
}

bool kolo_expression_is_final(const kolo_expressions *all, kolo_expression expression)
{
    return all->nodes[expression].left != KOLO_EXPRESSION_NONE && all->nodes[expression].right == KOLO_EXPRESSION_NONE;
}

static kolo_expression promised_direct(kolo_expressions *all, int32_t size)
{
    kolo_expression sum = kolo_expression_input(0);
    for (int32_t rank = 1; rank < size; rank++)
        sum = kolo_expression_sum(all, sum, kolo_expression_input(rank));
    return sum;
}

static kolo_expression promised_ring(kolo_expressions *all, const kolo_plan_spec *spec, int32_t owner)
{
    kolo_expression sum = kolo_expression_input(spec->ring[(owner + 1) % spec->size]);
    for (int32_t i = 2; i <= spec->size; i++)
        sum = kolo_expression_sum(all, sum, kolo_expression_input(spec->ring[(owner + i) % spec->size]));
    return sum;
}

/* What the rank at `position` has for the slice `block` places on, when so many slices are left in work: a round halved
 * a greater number, rounded up, and added what came from `blocks` places back to the front part. */
static kolo_expression promised_circulant(kolo_expressions *all, const kolo_plan_spec *spec, int32_t blocks,
                                          int32_t position, int32_t block)
{
    if (blocks == spec->size)
        return kolo_expression_input(spec->ring[position]);
    /* The halvings of size that lead to `blocks`. */
    int32_t before = spec->size;
    while ((before + 1) / 2 != blocks)
        before = (before + 1) / 2;
    kolo_expression own = promised_circulant(all, spec, before, position, block);
    if (block + blocks >= before)
        return own;
    int32_t source = (position - blocks + spec->size) % spec->size;
    kolo_expression added = promised_circulant(all, spec, before, source, block + blocks);
    return added == KOLO_EXPRESSION_NONE ? added : kolo_expression_sum(all, own, added);
}

kolo_expression kolo_expression_promised(kolo_expressions *all, const kolo_plan_spec *spec,
                                         kolo_association association, int32_t owner)
{
    if (association == KOLO_ASSOCIATION_CIRCULANT)
        return promised_circulant(all, spec, 1, owner, 0);
    if (association == KOLO_ASSOCIATION_DIRECT)
        return promised_direct(all, spec->size);
    return promised_ring(all, spec, owner);
}

int64_t kolo_expression_uses(const kolo_expressions *all, kolo_expression expression, int32_t rank)
{
    /* Operands have smaller numbers than what they are part of: from the top down, each one's uses are known in time.
     */
    int64_t *uses = calloc((size_t)expression + 1, sizeof(*uses));
    if (!uses)
        return -1;
    uses[expression] = 1;
    for (kolo_expression i = expression; i > kolo_expression_input(rank); i--) {
        kolo_expression operands[] = {all->nodes[i].left, all->nodes[i].right};
        for (size_t k = 0; k < 2; k++)
            if (operands[k] != KOLO_EXPRESSION_NONE &&
                __builtin_add_overflow(uses[operands[k]], uses[i], &uses[operands[k]]))
                uses[operands[k]] = INT64_MAX;
    }
    kolo_expression input = kolo_expression_input(rank);
    int64_t result = input <= expression ? uses[input] : 0;
    free(uses);
    return result;
}

/* Appends text at *at, as far as there is room. */
static void append(char *text, size_t capacity, size_t *at, const char *more)
{
    while (*more != '\0' && *at + 1 < capacity)
        text[(*at)++] = *more++;
    text[*at] = '\0';
}

static void format(const kolo_expressions *all, kolo_expression expression, char *text, size_t capacity, size_t *at)
{
    if (*at + 1 >= capacity) /* also the end of trees too large to walk */
        return;
    kolo_expression left = all->nodes[expression].left, right = all->nodes[expression].right;
    char number[16];
    if (expression == KOLO_EXPRESSION_NONE) {
        append(text, capacity, at, "undefined");
    } else if (left == KOLO_EXPRESSION_NONE) {
        snprintf(number, sizeof(number), "%u", expression - 1);
        append(text, capacity, at, number);
    } else {
        append(text, capacity, at, right == KOLO_EXPRESSION_NONE ? "final(" : "(");
        format(all, left, text, capacity, at);
        if (right != KOLO_EXPRESSION_NONE) {
            append(text, capacity, at, " op ");
            format(all, right, text, capacity, at);
        }
        append(text, capacity, at, ")");
    }
}

char *kolo_expression_format(const kolo_expressions *all, kolo_expression expression, char *text, size_t capacity)
{
    size_t at = 0;
    text[0] = '\0';
    format(all, expression, text, capacity, &at);
    return text;
}
