/* test_ranks.c - sets against a plain array of flags, and the text of them. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/ranks.h"
#include "base/rng.h"
#include "fail_alloc.h"

static const char *text_of(const kolo_ranks *ranks)
{
    static char text[256];
    return kolo_ranks_format(ranks, text, sizeof(text));
}

static void add__merges_neighbours(void **state)
{
    (void)state;
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    assert_string_equal(text_of(&ranks), "");
    assert_true(kolo_ranks_add(&ranks, 5, 5));
    assert_true(kolo_ranks_add(&ranks, 0, 0));
    assert_string_equal(text_of(&ranks), "0,5");
    assert_true(kolo_ranks_add(&ranks, 1, 2));
    assert_string_equal(text_of(&ranks), "0-2,5");
    assert_true(kolo_ranks_add(&ranks, 4, 4));
    assert_string_equal(text_of(&ranks), "0-2,4-5");
    assert_true(kolo_ranks_add(&ranks, 3, 3));
    assert_string_equal(text_of(&ranks), "0-5");
    assert_int_equal(ranks.count, 1);
    kolo_ranks_fini(&ranks);
}

static void add__covers_and_is_covered(void **state)
{
    (void)state;
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    assert_true(kolo_ranks_add(&ranks, 10, 20));
    assert_true(kolo_ranks_add(&ranks, 12, 13));
    assert_string_equal(text_of(&ranks), "10-20");
    assert_true(kolo_ranks_add(&ranks, 30, 40));
    assert_true(kolo_ranks_add(&ranks, 50, 60));
    assert_true(kolo_ranks_add(&ranks, 15, 55));
    assert_string_equal(text_of(&ranks), "10-60");
    assert_true(kolo_ranks_add(&ranks, 9, 8)); /* empty */
    assert_string_equal(text_of(&ranks), "10-60");
    kolo_ranks_fini(&ranks);
}

static void add__largest_numbers(void **state)
{
    (void)state;
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    assert_true(kolo_ranks_add(&ranks, INT32_MAX, INT32_MAX));
    assert_true(kolo_ranks_add(&ranks, INT32_MIN, INT32_MIN));
    assert_true(kolo_ranks_contains(&ranks, INT32_MAX));
    assert_true(kolo_ranks_contains(&ranks, INT32_MIN));
    assert_false(kolo_ranks_contains(&ranks, 0));
    assert_int_equal(ranks.count, 2);
    assert_true(kolo_ranks_add(&ranks, INT32_MIN, INT32_MAX));
    assert_int_equal(ranks.count, 1);
    kolo_ranks_fini(&ranks);
}

static void add__out_of_memory_changes_nothing(void **state)
{
    (void)state;
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    fail_alloc_at(1);
    assert_false(kolo_ranks_add(&ranks, 1, 1));
    assert_int_equal(ranks.count, 0);
    for (int32_t i = 0; i < 8; i++)
        assert_true(kolo_ranks_add(&ranks, 2 * i, 2 * i));
    fail_alloc_at(1);
    assert_false(kolo_ranks_add(&ranks, 100, 100));
    assert_string_equal(text_of(&ranks), "0,2,4,6,8,10,12,14");
    fail_alloc_at(0);
    assert_true(kolo_ranks_add(&ranks, 100, 100));
    kolo_ranks_fini(&ranks);
}

static void add__agrees_with_flags(void **state)
{
    (void)state;
    enum { SIZE = 64 };
    for (uint64_t seed = 0; seed < 200; seed++) {
        kolo_rng rng = {seed};
        kolo_ranks ranks;
        bool flags[SIZE] = {false};
        kolo_ranks_init(&ranks);
        for (int i = 0; i < 20; i++) {
            int32_t first = (int32_t)kolo_rng_below(&rng, SIZE);
            int32_t last = first + (int32_t)kolo_rng_below(&rng, 5);
            last = last < SIZE ? last : SIZE - 1;
            assert_true(kolo_ranks_add(&ranks, first, last));
            for (int32_t r = first; r <= last; r++)
                flags[r] = true;
        }
        for (int32_t r = 0; r < SIZE; r++)
            assert_int_equal(kolo_ranks_contains(&ranks, r), flags[r]);
        for (size_t i = 1; i < ranks.count; i++) /* sorted, and with a gap between them */
            assert_true(ranks.ranges[i - 1].last + 1 < ranks.ranges[i].first);
        kolo_ranks_fini(&ranks);
    }
}

static void format__cut_to_every_capacity(void **state)
{
    (void)state;
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    for (int32_t i = 0; i < 10; i++)
        assert_true(kolo_ranks_add(&ranks, 10 * i, 10 * i + i % 2));
    static const char full[] = "0,10-11,20,30-31,40,50-51,60,70-71,80,90-91";
    for (size_t capacity = 8; capacity <= sizeof(full); capacity++) {
        char *text = malloc(capacity);
        assert_non_null(text);
        assert_ptr_equal(kolo_ranks_format(&ranks, text, capacity), text);
        size_t length = strlen(text);
        assert_true(length < capacity);
        if (capacity < sizeof(full)) {
            assert_string_equal(text + length - 4, ",...");
            assert_memory_equal(text, full, length - 3); /* whole numbers only */
        } else {
            assert_string_equal(text, full);
        }
        free(text);
    }
    kolo_ranks_fini(&ranks);
}

static void format__not_even_the_first_fits(void **state)
{
    (void)state;
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    assert_true(kolo_ranks_add(&ranks, 1000000, 2000000));
    char text[8];
    assert_string_equal(kolo_ranks_format(&ranks, text, sizeof(text)), "...");
    kolo_ranks_fini(&ranks);
}

static void phrase__one_or_several(void **state)
{
    (void)state;
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    char text[14];
    assert_true(kolo_ranks_add(&ranks, 7, 7));
    assert_true(kolo_ranks_phrase(&ranks, text, sizeof(text)));
    assert_string_equal(text, "rank 7");
    assert_true(kolo_ranks_add(&ranks, 8, 8));
    assert_false(kolo_ranks_phrase(&ranks, text, sizeof(text)));
    assert_string_equal(text, "ranks 7-8");
    assert_true(kolo_ranks_add(&ranks, 10, 2000000));
    assert_false(kolo_ranks_phrase(&ranks, text, sizeof(text)));
    assert_string_equal(text, "ranks 7-8,...");
    kolo_ranks_fini(&ranks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add__merges_neighbours),
        cmocka_unit_test(add__covers_and_is_covered),
        cmocka_unit_test(add__largest_numbers),
        cmocka_unit_test(add__out_of_memory_changes_nothing),
        cmocka_unit_test(add__agrees_with_flags),
        cmocka_unit_test(format__cut_to_every_capacity),
        cmocka_unit_test(format__not_even_the_first_fits),
        cmocka_unit_test(phrase__one_or_several),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
