/* test_publish.c - which way a publisher goes, by a clock that says what the test wants; and that all bytes arrive. */
#include "reduce/publish.h"
#include "reference.h"

#include <string.h>

/* As long as what is compared at once, so that each copy is one phase; how often until it compares again. */
enum { BYTES = 128 * 1024, COPIES = 16 * 1024 * 1024 / BYTES };

static uint8_t source[BYTES + 64], target[BYTES + 64];
static int64_t clock_ns, takes_ns[2]; /* around; through the caches */
static const kolo_publisher *watched;
static int readings;

/* Read before and after a copy. */
static int64_t fake_now_ns(void)
{
    bool around = watched->around ^ (watched->phase == KOLO_PUBLISH_THAT);
    if (readings++ % 2 == 1)
        clock_ns += takes_ns[around ? 0 : 1];
    return clock_ns;
}

static void set_up(kolo_publisher *publisher, int64_t around_ns, int64_t cached_ns)
{
    *publisher = (kolo_publisher){.now_ns = fake_now_ns};
    watched = publisher;
    readings = 0;
    takes_ns[0] = around_ns;
    takes_ns[1] = cached_ns;
}

static void publish(kolo_publisher *publisher, size_t bytes)
{
    memset(target, 0, sizeof(target));
    kolo_publish(publisher, target + 3, source, bytes);
    assert_memory_equal(target + 3, source, bytes);
    assert_int_equal(target[2], 0);
    assert_int_equal(target[bytes + 3], 0);
}

static void compare_once(kolo_publisher *publisher)
{
    publish(publisher, BYTES);
    publish(publisher, BYTES);
}

static void publish__stays_with_the_caches_unless_around_is_clearly_faster(void **state)
{
    (void)state;
    kolo_publisher publisher;
    set_up(&publisher, 700, 1000);
    for (int i = 0; i < 4 * COPIES; i++) {
        publish(&publisher, BYTES);
        assert_false(publisher.around);
    }
    assert_int_equal(readings, 4 * (4 * COPIES / (COPIES + 2) + 1)); /* two copies, once in a while */
}

static void publish__changes_over_and_back(void **state)
{
    (void)state;
    kolo_publisher publisher;
    set_up(&publisher, 300, 1000);
    compare_once(&publisher);
    assert_false(publisher.around); /* once may be chance */
    compare_once(&publisher);
    assert_true(publisher.around);
    takes_ns[1] = 400;
    for (int i = 0; i < COPIES; i++)
        publish(&publisher, BYTES);
    compare_once(&publisher);
    assert_true(publisher.around);
    compare_once(&publisher);
    assert_false(publisher.around);
}

static void publish__one_disturbed_comparison_changes_nothing(void **state)
{
    (void)state;
    kolo_publisher publisher;
    set_up(&publisher, 300, 1000);
    compare_once(&publisher);
    takes_ns[1] = 300;
    for (int i = 0; i < 3; i++) {
        compare_once(&publisher);
        assert_false(publisher.around);
    }
    assert_int_equal(publisher.phase, KOLO_PUBLISH_ON);
}

static void publish__short_copies_and_no_clock(void **state)
{
    (void)state;
    kolo_publisher publisher;
    set_up(&publisher, 300, 1000);
    for (size_t bytes = 0; bytes < 4096; bytes += 61)
        publish(&publisher, bytes);
    assert_int_equal(readings, 0);
    publisher.now_ns = NULL;
    for (int i = 0; i < 8; i++)
        publish(&publisher, BYTES);
    assert_false(publisher.around);
    assert_int_equal(readings, 0);
}

/* They are one copy: short ones go its way, and only the ends of it are timed. */
static void publish__in_pieces(void **state)
{
    (void)state;
    enum { PIECE = 300 };
    kolo_publisher publisher;
    set_up(&publisher, 300, 1000);
    for (int i = 0; i < 5; i++) {
        memset(target, 0, sizeof(target));
        kolo_publish_begin(&publisher, BYTES);
        for (size_t at = 0; at < BYTES; at += PIECE)
            kolo_publish_piece(&publisher, target + at, source + at, BYTES - at < PIECE ? BYTES - at : PIECE);
        kolo_publish_end(&publisher);
        assert_memory_equal(target, source, BYTES);
    }
    assert_true(publisher.around);
    assert_int_equal(readings, 2 * 4);
}

static void publish__all_sizes_both_ways(void **state)
{
    (void)state;
    kolo_publisher publisher;
    set_up(&publisher, 300, 1000);
    for (size_t bytes = 4096; bytes < 70000; bytes += 997)
        publish(&publisher, bytes);
    assert_true(publisher.around);
}

int main(void)
{
    kolo_rng rng = {1};
    for (size_t i = 0; i < sizeof(source); i++)
        source[i] = (uint8_t)kolo_rng_below(&rng, 256);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publish__stays_with_the_caches_unless_around_is_clearly_faster),
        cmocka_unit_test(publish__changes_over_and_back),
        cmocka_unit_test(publish__one_disturbed_comparison_changes_nothing),
        cmocka_unit_test(publish__short_copies_and_no_clock),
        cmocka_unit_test(publish__in_pieces),
        cmocka_unit_test(publish__all_sizes_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
