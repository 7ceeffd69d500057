/* tree.h - the negotiation tree: ranks as a heap of so many children a node, root 0. Arithmetic only.
 *
 * Where messages travel, eight children keep the tree shallow (2 levels at 73 ranks, 5 at 32,768) and one node's work per
 * operation small. Where all ranks share memory, up to 64 of them, it is flat: then the root alone knows who reported, which
 * the board needs (board.h). */
#ifndef KOLO_ENGINE_TREE_H
#define KOLO_ENGINE_TREE_H

#include "base/ranks.h"

enum {
    KOLO_TREE_FANOUT = 8,
    KOLO_TREE_FLAT_RANKS = 64,                            /* a node and its children are bits of a word */
    KOLO_TREE_CHILDREN_MAX = KOLO_TREE_FLAT_RANKS - 1,    /* of one node */
    KOLO_TREE_NEIGHBOURS_MAX = KOLO_TREE_CHILDREN_MAX + 1 /* and its parent */
};

typedef struct kolo_tree {
    int32_t size, fanout;
} kolo_tree;

/* The same on all ranks, as is_shared is. */
static inline kolo_tree kolo_tree_of(int32_t size, bool is_shared)
{
    bool is_flat = is_shared && size <= KOLO_TREE_FLAT_RANKS;
    return (kolo_tree){.size = size, .fanout = is_flat ? KOLO_TREE_CHILDREN_MAX : KOLO_TREE_FANOUT};
}

static inline int32_t kolo_tree_parent(kolo_tree tree, int32_t rank)
{
    return rank == 0 ? -1 : (rank - 1) / tree.fanout;
}

/* Child number `index` of rank, 0 <= index < kolo_tree_children(). */
static inline int32_t kolo_tree_child(kolo_tree tree, int32_t rank, int32_t index)
{
    return (int32_t)((int64_t)rank * tree.fanout + 1 + index);
}

static inline int32_t kolo_tree_children(kolo_tree tree, int32_t rank)
{
    int64_t first = (int64_t)rank * tree.fanout + 1;
    int64_t left = tree.size - first;
    return left <= 0 ? 0 : left < tree.fanout ? (int32_t)left : tree.fanout;
}

/* Adds rank and everyone below it. A subtree is one contiguous range of ranks per level. False when out of memory. */
static inline bool kolo_tree_subtree(kolo_tree tree, int32_t rank, kolo_ranks *ranks)
{
    int64_t first = rank, last = rank;
    while (first < tree.size) {
        if (!kolo_ranks_add(ranks, (int32_t)first, (int32_t)(last < tree.size ? last : tree.size - 1)))
            return false;
        first = first * tree.fanout + 1;
        last = last * tree.fanout + tree.fanout;
    }
    return true;
}

#endif
