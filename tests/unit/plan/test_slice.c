/* test_slice.c - slices cover a tensor; in a fused group an element stays in the slice it has alone. */
#include "plan/slice.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static void slice_of__covers_every_element_once(void **state)
{
    (void)state;
    for (int32_t size = 1; size <= 64; size++) {
        for (int64_t count = 0; count <= 3 * size + 2; count++) {
            int64_t end = 0;
            for (int32_t rank = 0; rank < size; rank++) {
                kolo_range slice = kolo_slice_of(count, size, rank);
                assert_int_equal(slice.offset, end);
                assert_int_equal(slice.count, count / size + (rank < count % size));
                end += slice.count;
            }
            assert_int_equal(end, count);
        }
    }
}

static void slice_of__largest_count(void **state)
{
    (void)state;
    kolo_range last = kolo_slice_of(INT64_MAX, 3, 2);
    assert_int_equal(last.offset + last.count, INT64_MAX);
    assert_int_equal(kolo_slice_of(INT64_MAX, 1, 0).count, INT64_MAX);
}

static void layout__one_tensor_is_not_moved(void **state)
{
    (void)state;
    int64_t count = 17, offsets[6];
    for (int by_slice = 0; by_slice < 2; by_slice++) {
        kolo_slice_layout(&count, 1, 5, by_slice != 0, offsets);
        for (int32_t rank = 0; rank < 5; rank++)
            assert_int_equal(offsets[rank], kolo_slice_of(count, 5, rank).offset);
        assert_int_equal(offsets[5], 17);
    }
}

static void layout__no_tensors(void **state)
{
    (void)state;
    int64_t offsets[] = {7, 7, 7};
    kolo_slice_layout(NULL, 0, 2, false, offsets);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(offsets[i], 0);
    offsets[1] = 7;
    kolo_slice_layout(NULL, 0, 2, true, offsets);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(offsets[i], 0);
}

enum { TENSORS_MAX = 8, SIZE_MAX_DRAWN = 20, TOTAL_MAX = TENSORS_MAX * 50 };

/* Every place of the group is one element of one tensor, and lies in the slice that owns this element when its tensor
 * travels alone. So its place in the sum is the same, and with it its bits. */
static void check_group(const int64_t *counts, size_t tensors, int32_t size)
{
    int64_t offsets[SIZE_MAX_DRAWN + 1];
    int taken[TOTAL_MAX] = {0};
    kolo_slice_layout(counts, tensors, size, true, offsets);
    for (size_t tensor = 0; tensor < tensors; tensor++) {
        for (int32_t rank = 0; rank < size; rank++) {
            kolo_range alone = kolo_slice_of(counts[tensor], size, rank);
            int64_t fused = offsets[rank];
            for (size_t before = 0; before < tensor; before++)
                fused += kolo_slice_of(counts[before], size, rank).count;
            assert_true(fused >= offsets[rank] && fused + alone.count <= offsets[rank + 1]);
            for (int64_t i = 0; i < alone.count; i++)
                taken[fused + i]++;
        }
    }
    int64_t total = 0;
    for (size_t tensor = 0; tensor < tensors; tensor++)
        total += counts[tensor];
    assert_int_equal(offsets[size], total);
    for (int64_t i = 0; i < TOTAL_MAX; i++)
        assert_int_equal(taken[i], i < total ? 1 : 0);
}

static void layout__fused_elements_stay_in_their_slice(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        kolo_rng rng = {.state = seed};
        int64_t counts[TENSORS_MAX];
        size_t tensors = 1 + (size_t)kolo_rng_below(&rng, TENSORS_MAX);
        for (size_t i = 0; i < tensors; i++)
            counts[i] = (int64_t)kolo_rng_below(&rng, 51);
        check_group(counts, tensors, 1 + (int32_t)kolo_rng_below(&rng, SIZE_MAX_DRAWN));
    }
}

/* The group is cut like one tensor. */
static void layout__of_whole_tensors(void **state)
{
    (void)state;
    const int64_t counts[] = {7, 0, 1, 5};
    int64_t offsets[4];
    kolo_slice_layout(counts, 4, 2, false, offsets);
    assert_int_equal(offsets[0], 0);
    assert_int_equal(offsets[1], 7);
    assert_int_equal(offsets[2], 13);
    kolo_slice_layout(counts, 4, 3, false, offsets);
    assert_int_equal(offsets[1], 5);
    assert_int_equal(offsets[2], 9);
    assert_int_equal(offsets[3], 13);
    kolo_slice_layout(counts, 4, 1, false, offsets);
    assert_int_equal(offsets[1], 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slice_of__covers_every_element_once),
        cmocka_unit_test(slice_of__largest_count),
        cmocka_unit_test(layout__one_tensor_is_not_moved),
        cmocka_unit_test(layout__no_tensors),
        cmocka_unit_test(layout__fused_elements_stay_in_their_slice),
        cmocka_unit_test(layout__of_whole_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
