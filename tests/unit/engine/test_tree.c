/* test_tree.c - parent, child and subtree tell the same tree. */
#include "unit/base/cmocka_all.h"

#include "engine/tree.h"

#include <string.h>

enum { SIZE_MAX_TESTED = 700 };

static void check_children(bool is_shared)
{
    for (int32_t size = 1; size <= SIZE_MAX_TESTED; size++) {
        kolo_tree tree = kolo_tree_of(size, is_shared);
        int8_t seen[SIZE_MAX_TESTED] = {0};
        for (int32_t rank = 0; rank < size; rank++) {
            int32_t children = kolo_tree_children(tree, rank);
            assert_in_range(children, 0, tree.fanout);
            for (int32_t i = 0; i < children; i++) {
                int32_t child = kolo_tree_child(tree, rank, i);
                assert_in_range(child, rank + 1, size - 1);
                assert_int_equal(kolo_tree_parent(tree, child), rank);
                seen[child]++;
            }
        }
        for (int32_t rank = 1; rank < size; rank++)
            assert_int_equal(seen[rank], 1);
        assert_int_equal(kolo_tree_parent(tree, 0), -1);
    }
}

static void parent_and_child__agree_for_every_size(void **state)
{
    (void)state;
    check_children(false);
    check_children(true);
}

/* Where memory is shared, up to as many ranks as a node has bits for; one more, and it is as deep as any. */
static void shared_memory__flattens_the_tree(void **state)
{
    (void)state;
    for (int32_t size = 2; size <= KOLO_TREE_FLAT_RANKS; size++)
        assert_int_equal(kolo_tree_children(kolo_tree_of(size, true), 0), size - 1);
    assert_int_equal(kolo_tree_children(kolo_tree_of(KOLO_TREE_FLAT_RANKS + 1, true), 0), KOLO_TREE_FANOUT);
    assert_int_equal(kolo_tree_children(kolo_tree_of(KOLO_TREE_FLAT_RANKS, false), 0), KOLO_TREE_FANOUT);
}

static void check_subtrees(kolo_tree tree)
{
    int32_t size = tree.size;
    for (int32_t top = 0; top < size; top++) {
        kolo_ranks ranks;
        kolo_ranks_init(&ranks);
        assert_true(kolo_tree_subtree(tree, top, &ranks));
        for (int32_t rank = 0; rank < size + 9; rank++) {
            int32_t at = rank;
            while (at > top)
                at = kolo_tree_parent(tree, at);
            bool below = rank < size && at == top;
            if (kolo_ranks_contains(&ranks, rank) != below)
                fail_msg("size %d, subtree of %d: rank %d should %sbe in it", size, top, rank, below ? "" : "not ");
        }
        kolo_ranks_fini(&ranks);
    }
}

static void subtree__is_everybody_whose_way_up_passes(void **state)
{
    (void)state;
    for (int32_t size = 1; size <= 90; size++) {
        check_subtrees(kolo_tree_of(size, false));
        check_subtrees(kolo_tree_of(size, true));
    }
    static const int32_t large[] = {584, 585, 586, 700};
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
        check_subtrees(kolo_tree_of(large[i], false));
}

static void largest_ranks__do_not_overflow(void **state)
{
    (void)state;
    kolo_tree tree = kolo_tree_of(INT32_MAX, false);
    assert_int_equal(kolo_tree_children(tree, INT32_MAX - 1), 0);
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    assert_true(kolo_tree_subtree(tree, 0, &ranks));
    assert_true(kolo_ranks_contains(&ranks, INT32_MAX - 1));
    assert_int_equal(ranks.count, 1);
    kolo_ranks_fini(&ranks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parent_and_child__agree_for_every_size),
        cmocka_unit_test(shared_memory__flattens_the_tree),
        cmocka_unit_test(subtree__is_everybody_whose_way_up_passes),
        cmocka_unit_test(largest_ranks__do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
