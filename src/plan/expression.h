/* expression.h - sums written down instead of computed: what the checker has in place of numbers. For src/plan only.
 *
 * Expressions are hash-consed: two are the same tree, operand order included, exactly if they have the same number. */
#ifndef KOLO_PLAN_EXPRESSION_H
#define KOLO_PLAN_EXPRESSION_H

#include "plan/algorithm.h"

typedef uint32_t kolo_expression;
#define KOLO_EXPRESSION_NONE 0u /* undefined; or, from the calls that make one, out of memory */

typedef struct kolo_expressions {
    int32_t size; /* ranks */
    struct kolo_expression_node {
        kolo_expression left, right; /* right NONE: left made final. Both NONE: a rank's input. */
    } * nodes;
    size_t count, capacity;
    uint32_t *table; /* node numbers by hash, 0 = free */
    size_t table_size;
} kolo_expressions;

KOLO_NODISCARD kolo_status kolo_expressions_init(kolo_expressions *all, int32_t size);
void kolo_expressions_fini(kolo_expressions *all);

static inline kolo_expression kolo_expression_input(int32_t rank)
{
    return (kolo_expression)rank + 1;
}
kolo_expression kolo_expression_sum(kolo_expressions *all, kolo_expression left, kolo_expression right);
kolo_expression kolo_expression_final(kolo_expressions *all, kolo_expression of);
bool kolo_expression_is_final(const kolo_expressions *all, kolo_expression expression);

/* The sum, not final, of the slice owned by the rank at ring position `owner`, as the association class promises it.
 * Written from the promise, not from the algorithms. */
kolo_expression kolo_expression_promised(kolo_expressions *all, const kolo_plan_spec *spec,
                                         kolo_association association, int32_t owner);

/* How often rank's input occurs in it; saturates. -1: out of memory. */
int64_t kolo_expression_uses(const kolo_expressions *all, kolo_expression expression, int32_t rank);

/* "final((1 op 2) op 0)", cut to capacity. Returns text. */
char *kolo_expression_format(const kolo_expressions *all, kolo_expression expression, char *text, size_t capacity);

#endif
