/* test_tree.c - parent, child and subtree tell the same tree. */
#include "unit/base/cmocka_all.h"

#include "engine/tree.h"

#include <string.h>

enum { SIZE_MAX_TESTED = 700 };

static void parent_and_child__agree_for_every_size(void **state)
{
    (void)state;
    for (int32_t size = 1; size <= SIZE_MAX_TESTED; size++) {
        int8_t seen[SIZE_MAX_TESTED] = {0};
        for (int32_t rank = 0; rank < size; rank++) {
            int32_t children = kolo_tree_children(rank, size);
            assert_in_range(children, 0, KOLO_TREE_FANOUT);
            for (int32_t i = 0; i < children; i++) {
                int32_t child = kolo_tree_child(rank, i);
                assert_in_range(child, rank + 1, size - 1);
                assert_int_equal(kolo_tree_parent(child), rank);
                seen[child]++;
            }
        }
        for (int32_t rank = 1; rank < size; rank++)
            assert_int_equal(seen[rank], 1);
    }
    assert_int_equal(kolo_tree_parent(0), -1);
}

static void check_subtrees(int32_t size)
{
    for (int32_t top = 0; top < size; top++) {
        kolo_ranks ranks;
        kolo_ranks_init(&ranks);
        assert_true(kolo_tree_subtree(top, size, &ranks));
        for (int32_t rank = 0; rank < size + 9; rank++) {
            int32_t at = rank;
            while (at > top)
                at = kolo_tree_parent(at);
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
    for (int32_t size = 1; size <= 90; size++)
        check_subtrees(size);
    static const int32_t large[] = {584, 585, 586, 700};
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
        check_subtrees(large[i]);
}

static void largest_ranks__do_not_overflow(void **state)
{
    (void)state;
    assert_int_equal(kolo_tree_children(INT32_MAX - 1, INT32_MAX), 0);
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    assert_true(kolo_tree_subtree(0, INT32_MAX, &ranks));
    assert_true(kolo_ranks_contains(&ranks, INT32_MAX - 1));
    assert_int_equal(ranks.count, 1);
    kolo_ranks_fini(&ranks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parent_and_child__agree_for_every_size),
        cmocka_unit_test(subtree__is_everybody_whose_way_up_passes),
        cmocka_unit_test(largest_ranks__do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
