/* test_ranges.c - against a model that knows of every page whether it is taken. */
#include "cmocka_all.h"

#include <stdint.h>
#include <string.h>

#include "base/ranges.h"
#include "base/rng.h"
#include "fail_alloc.h"

enum { PAGES = 300 };

/* A page is 16 bytes here. */
typedef struct model {
    kolo_ranges ranges;
    bool taken[PAGES];
} model;

/* The lowest multiple of unit pages with so many free ones behind it; -1: none. */
static int first_fit(const model *m, int pages, int unit)
{
    for (int start = 0; start + pages <= PAGES; start += unit) {
        int free = 0;
        while (free < pages && !m->taken[start + free])
            free++;
        if (free == pages)
            return start;
    }
    return -1;
}

/* Takes it from both; the page, or -1 where both say no. */
static int take(model *m, size_t bytes, int unit)
{
    size_t got = bytes, offset = SIZE_MAX, page_bytes = (size_t)unit * 16;
    int pages = (int)((bytes + page_bytes - 1) / page_bytes) * unit, expected = first_fit(m, pages, unit);
    bool took = kolo_ranges_take(&m->ranges, page_bytes, &got, &offset);
    assert_int_equal(took, expected >= 0);
    if (!took) {
        assert_int_equal(got, bytes);
        assert_int_equal(offset, SIZE_MAX);
        return -1;
    }
    assert_int_equal(offset, 16 * (size_t)expected);
    assert_int_equal(got, 16 * (size_t)pages);
    assert_int_equal(kolo_ranges_at(&m->ranges, offset), got);
    memset(m->taken + expected, true, (size_t)pages);
    return expected;
}

static void give(model *m, int page)
{
    size_t bytes = kolo_ranges_at(&m->ranges, 16 * (size_t)page), begin, end;
    assert_true(bytes > 0);
    int first = page, last = page + (int)(bytes / 16);
    while (first > 0 && !m->taken[first - 1])
        first--;
    while (last < PAGES && !m->taken[last])
        last++;
    kolo_ranges_around(&m->ranges, 16 * (size_t)page, &begin, &end);
    assert_int_equal(begin, 16 * (size_t)first);
    assert_int_equal(end, 16 * (size_t)last);
    memset(m->taken + page, false, bytes / 16);
    kolo_ranges_give(&m->ranges, 16 * (size_t)page);
    assert_int_equal(kolo_ranges_at(&m->ranges, 16 * (size_t)page), 0);
}

static void take__and_give_at_random(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        model m = {.taken = {false}};
        kolo_rng rng = {.state = seed};
        int live[PAGES], count = 0;
        uint64_t refused = 0;
        kolo_ranges_init(&m.ranges, 16 * (size_t)PAGES);
        for (int i = 0; i < 1000; i++) {
            if (count > 0 && kolo_rng_below(&rng, 100) < 45) {
                int victim = (int)kolo_rng_below(&rng, (uint64_t)count);
                give(&m, live[victim]);
                live[victim] = live[--count];
                continue;
            }
            int page = take(&m, 1 + kolo_rng_below(&rng, 16 * 12), 1 << kolo_rng_below(&rng, 4));
            if (page >= 0)
                live[count++] = page;
            refused += page < 0;
        }
        assert_int_equal(m.ranges.count, count);
        assert_true(refused > 0); /* it was full now and then */
        while (count > 0)
            give(&m, live[--count]);
        assert_int_equal(take(&m, 16 * PAGES, 1), 0); /* what was free in parts is free as a whole */
        kolo_ranges_fini(&m.ranges);
    }
}

static void take__sizes_at_the_edge(void **state)
{
    (void)state;
    kolo_ranges ranges;
    size_t offset = 7;
    const size_t too_much[] = {4097, 8192, SIZE_MAX / 2, SIZE_MAX - 1, SIZE_MAX};
    kolo_ranges_init(&ranges, 4096);
    for (size_t i = 0; i < 5; i++) {
        size_t bytes = too_much[i];
        assert_false(kolo_ranges_take(&ranges, 4096, &bytes, &offset));
    }
    size_t bytes = 1;
    assert_false(kolo_ranges_take(&ranges, 8192, &bytes, &offset)); /* a unit does not fit */
    assert_true(kolo_ranges_take(&ranges, 4096, &bytes, &offset));
    assert_int_equal(bytes, 4096);
    assert_int_equal(offset, 0);
    kolo_ranges_fini(&ranges);
    kolo_ranges_init(&ranges, 0);
    bytes = 1;
    assert_false(kolo_ranges_take(&ranges, 4096, &bytes, &offset));
    kolo_ranges_fini(&ranges);
}

static void at__only_where_a_range_begins(void **state)
{
    (void)state;
    kolo_ranges ranges;
    size_t bytes = 100, offset;
    kolo_ranges_init(&ranges, 1000);
    assert_true(kolo_ranges_take(&ranges, 4, &bytes, &offset));
    assert_int_equal(kolo_ranges_at(&ranges, 0), 100);
    assert_int_equal(kolo_ranges_at(&ranges, 4), 0);
    assert_int_equal(kolo_ranges_at(&ranges, 100), 0);
    assert_int_equal(kolo_ranges_at(&ranges, SIZE_MAX), 0);
    kolo_ranges_give(&ranges, 4); /* nothing */
    assert_int_equal(kolo_ranges_at(&ranges, 0), 100);
    kolo_ranges_fini(&ranges);
}

static void take__out_of_memory_changes_nothing(void **state)
{
    (void)state;
    kolo_ranges ranges;
    size_t bytes = 3, offset;
    kolo_ranges_init(&ranges, 1000);
    fail_alloc_at(1);
    assert_false(kolo_ranges_take(&ranges, 4, &bytes, &offset));
    assert_int_equal(bytes, 3);
    assert_int_equal(ranges.count, 0);
    fail_alloc_at(0);
    assert_true(kolo_ranges_take(&ranges, 4, &bytes, &offset));
    assert_int_equal(offset, 0);
    kolo_ranges_fini(&ranges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take__and_give_at_random),
        cmocka_unit_test(take__sizes_at_the_edge),
        cmocka_unit_test(at__only_where_a_range_begins),
        cmocka_unit_test(take__out_of_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
