/* test_parts.c - a group's parts: numbered as plan/slice.h lays them out, and found by number. */
#include "unit/engine/made.h"

#include "engine/parts.h"
#include "plan/slice.h"

static void lay_out(kolo_parts *parts, const int64_t *counts, size_t tensors, int32_t size)
{
    assert_int_equal(kolo_parts_begin(parts, tensors, size), KOLO_OK);
    for (size_t i = 0; i < tensors; i++)
        kolo_parts_set(parts, i, counts[i]);
    assert_int_equal(kolo_parts_lay_out(parts), KOLO_OK);
}

/* Every element of every tensor, by its number; and starts, against the reference. */
static void check(const kolo_parts *parts, const int64_t *counts, size_t tensors, int32_t size)
{
    int64_t offsets[8];
    assert_in_range(size, 1, 7);
    kolo_slice_layout(counts, tensors, size, offsets);
    assert_int_equal(parts->starts[tensors * (size_t)size], offsets[size]);
    for (int32_t k = 0; k < size; k++)
        for (size_t t = 0; t < tensors; t++) {
            size_t part = (size_t)k * tensors + t;
            kolo_range range = kolo_slice_of(counts[t], size, k);
            assert_int_equal(parts->starts[part], kolo_slice_fused_offset(counts, t, size, k, offsets));
            for (int64_t i = 0; i < range.count; i++) {
                int64_t number = parts->starts[part] + i;
                assert_int_equal(kolo_parts_find(parts, number), part);
                assert_int_equal(number + parts->shifts[part], range.offset + i);
            }
        }
}

/* One after another with the same memory, larger and smaller, with tensors without elements anywhere. */
static void random_groups__are_laid_out_as_slices_are(void **state)
{
    (void)state;
    kolo_parts parts;
    kolo_rng rng = {.state = 5};
    kolo_parts_init(&parts);
    for (int round = 0; round < 500; round++) {
        int64_t counts[40];
        size_t tensors = 1 + kolo_rng_below(&rng, 40);
        int32_t size = 1 + (int32_t)kolo_rng_below(&rng, 7);
        for (size_t i = 0; i < tensors; i++)
            counts[i] = kolo_rng_below(&rng, 3) == 0 ? 0 : (int64_t)kolo_rng_below(&rng, 30);
        counts[kolo_rng_below(&rng, tensors)]++;
        lay_out(&parts, counts, tensors, size);
        check(&parts, counts, tensors, size);
        lay_out(&parts, counts, tensors, size); /* the same again */
        check(&parts, counts, tensors, size);
        counts[kolo_rng_below(&rng, tensors)]++; /* and almost the same */
        lay_out(&parts, counts, tensors, size);
        check(&parts, counts, tensors, size);
    }
    kolo_parts_fini(&parts);
}

static void counts__need_64_bits(void **state)
{
    (void)state;
    const int64_t huge = INT64_C(1) << 40, counts[] = {huge + 1, 3, huge};
    kolo_parts parts;
    kolo_parts_init(&parts);
    lay_out(&parts, counts, 3, 2);
    assert_int_equal(parts.starts[6], 2 * huge + 4);
    assert_int_equal(kolo_parts_find(&parts, huge / 2), 0); /* the longer half */
    assert_int_equal(kolo_parts_find(&parts, huge / 2 + 1), 1);
    assert_int_equal(kolo_parts_find(&parts, 2 * huge + 3), 5);
    assert_int_equal(2 * huge + 3 + parts.shifts[5], huge - 1);
    kolo_parts_fini(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_groups__are_laid_out_as_slices_are),
        cmocka_unit_test(counts__need_64_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
