/* tree.h - the negotiation tree: ranks as an 8-ary heap, root 0. Arithmetic only.
 *
 * Eight children keep the tree flat (2 levels at 73 ranks, 5 at 32,768) and one node's work per operation small. */
#ifndef KOLO_ENGINE_TREE_H
#define KOLO_ENGINE_TREE_H

#include "base/ranks.h"

enum { KOLO_TREE_FANOUT = 8, KOLO_TREE_NEIGHBOURS = KOLO_TREE_FANOUT + 1 };

static inline int32_t kolo_tree_parent(int32_t rank)
{
    return rank == 0 ? -1 : (rank - 1) / KOLO_TREE_FANOUT;
}

/* Child number `index` of rank, 0 <= index < kolo_tree_children(). */
static inline int32_t kolo_tree_child(int32_t rank, int32_t index)
{
    return (int32_t)((int64_t)rank * KOLO_TREE_FANOUT + 1 + index);
}

static inline int32_t kolo_tree_children(int32_t rank, int32_t size)
{
    int64_t first = (int64_t)rank * KOLO_TREE_FANOUT + 1;
    int64_t left = size - first;
    return left <= 0 ? 0 : left < KOLO_TREE_FANOUT ? (int32_t)left : KOLO_TREE_FANOUT;
}

/* Adds rank and everyone below it. A subtree is one contiguous range of ranks per level. False when out of memory. */
static inline bool kolo_tree_subtree(int32_t rank, int32_t size, kolo_ranks *ranks)
{
    int64_t first = rank, last = rank;
    while (first < size) {
        if (!kolo_ranks_add(ranks, (int32_t)first, (int32_t)(last < size ? last : size - 1)))
            return false;
        first = first * KOLO_TREE_FANOUT + 1;
        last = last * KOLO_TREE_FANOUT + KOLO_TREE_FANOUT;
    }
    return true;
}

#endif
