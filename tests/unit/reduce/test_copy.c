/* test_copy.c - copies on every instruction set: each byte, and not one beside them. */
#include "reference.h"

#include <string.h>

enum { GUARD = 64, BYTES_MAX = 9000, ROOM = GUARD + BYTES_MAX + 2 * GUARD, FILLER = 0xa5 };

static uint8_t source[ROOM], target[ROOM], expected[ROOM];

static void (*copy)(void *dst, const void *src, size_t bytes);

static void copy_around(void *dst, const void *src, size_t bytes)
{
    kolo_reduce_copy_around(dst, src, bytes);
    kolo_reduce_end_around();
}

static void check_once(size_t src_offset, size_t dst_offset, size_t bytes)
{
    memset(target, FILLER, sizeof(target));
    memset(expected, FILLER, sizeof(expected));
    memcpy(expected + GUARD + dst_offset, source + GUARD + src_offset, bytes);
    copy(target + GUARD + dst_offset, source + GUARD + src_offset, bytes);
    assert_memory_equal(target, expected, sizeof(target));
}

static void for_all_sets(void (*check)(void))
{
    kolo_rng rng = {1};
    for (size_t i = 0; i < sizeof(source); i++)
        source[i] = (uint8_t)kolo_rng_below(&rng, 256);
    for (size_t isa = 0; isa < kolo_reduce_isa_count(); isa++) {
        assert_true(kolo_reduce_force(kolo_reduce_isa_name(isa)));
        copy = kolo_reduce_copy;
        check();
        copy = copy_around;
        check();
    }
    assert_true(kolo_reduce_force(NULL));
}

static void check_alignments(void)
{
    static const size_t sizes[] = {1024, 1027, 1088, 1215};
    for (size_t src = 0; src < GUARD; src++)
        for (size_t dst = 0; dst < GUARD; dst++)
            check_once(src, dst, sizes[(src + dst) % (sizeof(sizes) / sizeof(*sizes))]);
}

static void copy__all_alignments(void **state)
{
    (void)state;
    for_all_sets(check_alignments);
}

static void check_sizes(void)
{
    for (size_t bytes = 0; bytes <= 1024 + 600; bytes++)
        check_once(bytes % 17, bytes % 61, bytes);
    for (size_t bytes = 0; bytes <= 300; bytes++)
        for (size_t dst = 0; dst < GUARD; dst += 9)
            check_once(bytes % 17, dst, bytes);
    for (size_t bytes = 4000; bytes <= BYTES_MAX; bytes += 97)
        check_once(bytes % 61, bytes % 17, bytes);
}

static void copy__sizes(void **state)
{
    (void)state;
    for_all_sets(check_sizes);
}

static void check_to_itself(void)
{
    memcpy(expected, source, sizeof(source));
    kolo_reduce_copy(source + 5, source + 5, BYTES_MAX);
    assert_memory_equal(source, expected, sizeof(source));
    kolo_reduce_copy(NULL, NULL, 0);
}

static void copy__to_itself_and_nothing(void **state)
{
    (void)state;
    for_all_sets(check_to_itself);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy__all_alignments),
        cmocka_unit_test(copy__sizes),
        cmocka_unit_test(copy__to_itself_and_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
