/* test_fusion.c - which tensors travel together. */
#include "plan/fusion.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { WORTH_BYTES = 999 };

static kolo_fusion_item item(uint64_t key, int64_t bytes)
{
    return (kolo_fusion_item){.key = key, .bytes = bytes, .fusable = true, .group = 77};
}

static void expect_groups(kolo_fusion_item *items, size_t count, int64_t limit_bytes, const uint32_t *groups,
                          size_t group_count)
{
    assert_int_equal(kolo_fusion_plan(items, count, limit_bytes, WORTH_BYTES), group_count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(items[i].group, groups[i]);
}

static void plan__no_items(void **state)
{
    (void)state;
    assert_int_equal(kolo_fusion_plan(NULL, 0, 100, WORTH_BYTES), 0);
}

static void plan__limit_is_reached(void **state)
{
    (void)state;
    kolo_fusion_item items[] = {item(1, 40), item(1, 60), item(1, 1), item(1, 99), item(1, 1)};
    expect_groups(items, 5, 100, (uint32_t[]){0, 0, 1, 1, 2}, 3);
}

static void plan__keys_do_not_mix(void **state)
{
    (void)state;
    kolo_fusion_item items[] = {item(1, 10), item(2, 10), item(1, 10), item(3, 10),
                                item(2, 90), item(2, 90), item(1, 1)};
    expect_groups(items, 7, 100, (uint32_t[]){0, 1, 0, 2, 1, 3, 0}, 4);
}

static void plan__alone_if_not_fusable_too_large_or_not_worth_it(void **state)
{
    (void)state;
    kolo_fusion_item items[] = {item(1, 10), item(1, 10), item(1, 501), item(1, WORTH_BYTES + 1), item(1, 10)};
    items[1].fusable = false;
    expect_groups(items, 5, 500, (uint32_t[]){0, 1, 2, 3, 0}, 4);
    kolo_fusion_item large[] = {item(1, WORTH_BYTES), item(1, WORTH_BYTES + 1), item(1, WORTH_BYTES)};
    expect_groups(large, 3, 1 << 20, (uint32_t[]){0, 1, 0}, 2);
}

static void plan__zero_bytes_join_a_full_group(void **state)
{
    (void)state;
    kolo_fusion_item items[] = {item(1, 0), item(1, 100), item(1, 0), item(2, 0), item(1, 1), item(1, 0)};
    expect_groups(items, 6, 100, (uint32_t[]){0, 0, 0, 1, 2, 2}, 3);
}

static void plan__no_limit_overflows(void **state)
{
    (void)state;
    kolo_fusion_item items[] = {item(1, INT64_MAX), item(1, INT64_MAX), item(1, 0)};
    assert_int_equal(kolo_fusion_plan(items, 3, INT64_MAX, INT64_MAX), 2);
    assert_int_equal(items[2].group, 1);
}

/* What must hold for any batch. */
static void plan__any_batch(void **state)
{
    (void)state;
    enum { COUNT = 60, LIMIT = 300 };
    for (uint64_t seed = 0; seed < 300; seed++) {
        kolo_rng rng = {.state = seed};
        kolo_fusion_item items[COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            items[i] = item(kolo_rng_below(&rng, 3), (int64_t)kolo_rng_below(&rng, 350));
            items[i].fusable = kolo_rng_below(&rng, 10) > 0;
        }
        size_t groups = kolo_fusion_plan(items, COUNT, LIMIT, WORTH_BYTES);
        int64_t sums[COUNT] = {0};
        size_t members[COUNT] = {0}, firsts[COUNT] = {0}, seen = 0;
        for (size_t i = 0; i < COUNT; i++) {
            uint32_t group = items[i].group;
            assert_true(group <= seen && group < groups); /* numbered as they appear */
            if (group == seen)
                firsts[seen++] = i;
            assert_int_equal(items[i].key, items[firsts[group]].key);
            sums[group] += items[i].bytes;
            members[group]++;
        }
        assert_int_equal(seen, groups);
        for (size_t i = 0; i < COUNT; i++)
            if (!items[i].fusable || items[i].bytes > LIMIT)
                assert_int_equal(members[items[i].group], 1);
        for (size_t group = 0; group < groups; group++)
            assert_true(members[group] == 1 || sums[group] <= LIMIT);
    }
}

/* Packing and unpacking at 1 ns a byte each, against what an operation costs that moves next to nothing. */
static void worth__what_an_operation_of_its_own_would_cost(void **state)
{
    (void)state;
    const kolo_price_model model = {.message_ns = {1000, 1000, 1000, 1000, 1000}, .flight_ns = 400, .copy_ns = 1};
    assert_int_equal(kolo_fusion_worth_bytes(2, false, &model), 500);      /* one round */
    assert_int_equal(kolo_fusion_worth_bytes(4, false, &model), 1000);     /* two */
    assert_int_equal(kolo_fusion_worth_bytes(2, true, &model), INT64_MAX); /* nothing is packed */
    assert_int_equal(kolo_fusion_worth_bytes(1, false, &model), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan__no_items),
        cmocka_unit_test(plan__limit_is_reached),
        cmocka_unit_test(plan__keys_do_not_mix),
        cmocka_unit_test(plan__alone_if_not_fusable_too_large_or_not_worth_it),
        cmocka_unit_test(plan__zero_bytes_join_a_full_group),
        cmocka_unit_test(plan__no_limit_overflows),
        cmocka_unit_test(plan__any_batch),
        cmocka_unit_test(worth__what_an_operation_of_its_own_would_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
