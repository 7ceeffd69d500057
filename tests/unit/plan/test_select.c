/* test_select.c - association classes, and the choice of the cheapest. */
#include "plan/algorithm.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const kolo_price_model model = KOLO_PRICE_MODEL_DEFAULT;

enum { CHUNK_BYTES = 256 * 1024 };

enum { WINDOW_BYTES = 3 << 20 };

static kolo_plan_work work_of(kolo_collective collective, int32_t size, int64_t bytes)
{
    return (kolo_plan_work){.collective = collective,
                            .size = size,
                            .bytes = bytes,
                            .chunk_bytes = CHUNK_BYTES,
                            .window_bytes = WINDOW_BYTES};
}

static const kolo_algorithm *chosen(kolo_collective collective, kolo_association association, int32_t size,
                                    int64_t bytes)
{
    kolo_plan_work work = work_of(collective, size, bytes);
    return kolo_algorithm_select(&work, association, &model, NULL);
}

/* A change of these answers changes the bits that users get. */
static void association__is_frozen(void **state)
{
    (void)state;
    const int64_t limit = 1024 * 1024;
    kolo_collective sums[] = {KOLO_ALLREDUCE, KOLO_REDUCE_SCATTER};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(kolo_plan_association(sums[i], 0, 1, false), KOLO_ASSOCIATION_RING);
        assert_int_equal(kolo_plan_association(sums[i], 4, 4, false), KOLO_ASSOCIATION_RING);
        assert_int_equal(kolo_plan_association(sums[i], 4, 5, false), KOLO_ASSOCIATION_CIRCULANT);
        assert_int_equal(kolo_plan_association(sums[i], limit, 5, false), KOLO_ASSOCIATION_CIRCULANT);
        assert_int_equal(kolo_plan_association(sums[i], limit + 1, 5, false), KOLO_ASSOCIATION_RING);
    }
    for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++)
        for (int64_t bytes = 1; bytes <= 4 * limit; bytes *= 4)
            for (int32_t size = 1; size <= 9; size++)
                assert_int_equal(kolo_plan_association(collective, bytes, size, true), KOLO_ASSOCIATION_DIRECT);
    assert_int_equal(kolo_plan_association(KOLO_ALLGATHER, 4, 5, false), KOLO_ASSOCIATION_NONE);
    assert_int_equal(kolo_plan_association(KOLO_BROADCAST, 4, 5, false), KOLO_ASSOCIATION_NONE);
    assert_int_equal(kolo_plan_association(KOLO_BARRIER, 0, 5, false), KOLO_ASSOCIATION_NONE);
}

static void forced__by_name_and_collective(void **state)
{
    (void)state;
    const kolo_algorithm *forced = kolo_algorithm_find("ring");
    assert_int_equal(kolo_algorithm_forced("V", "auto", KOLO_ALLREDUCE, &forced), KOLO_OK);
    assert_null(forced);
    assert_int_equal(kolo_algorithm_forced("V", "direct", KOLO_BROADCAST, &forced), KOLO_OK);
    assert_ptr_equal(forced, kolo_algorithm_find("direct"));
    static const char *const wrong[] = {"", "rings", "binomial", "shared"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(kolo_algorithm_forced("V", wrong[i], KOLO_ALLREDUCE, &forced), KOLO_ERR_CONFIG);
        assert_null(forced);
    }
    assert_string_equal(kolo_error_current()->message, "V=shared names no algorithm for allreduce; one of auto, ring, "
                                                       "oneshot, circulant, direct, direct_oneshot, attach "
                                                       "('shared' is how tensors from kolo_alloc go on one host; it "
                                                       "cannot be forced)");
    static const struct {
        const char *value, *hint;
        kolo_collective collective;
    } shown[] = {{"values", "attach ('values' is how small", KOLO_ALLREDUCE},
                 {"chain", "attach (that is one of KOLO_BROADCAST's)", KOLO_ALLREDUCE},
                 {"ring", "direct (that is one of KOLO_ALGORITHM's)", KOLO_BROADCAST}};
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        assert_int_equal(kolo_algorithm_forced("V", shown[i].value, shown[i].collective, &forced), KOLO_ERR_CONFIG);
        assert_non_null(strstr(kolo_error_current()->message, shown[i].hint));
    }
}

static void find__by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < kolo_algorithm_count(); i++)
        assert_ptr_equal(kolo_algorithm_find(kolo_algorithm_at(i)->name), kolo_algorithm_at(i));
    assert_null(kolo_algorithm_find("rings"));
    assert_null(kolo_algorithm_find(""));
}

static void collective_name__all(void **state)
{
    (void)state;
    const char *const names[] = {"allreduce", "reduce_scatter", "allgather", "broadcast", "barrier", "?"};
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(kolo_collective_name((kolo_collective)i), names[i]);
}

static void select__small_and_large(void **state)
{
    (void)state;
    for (int32_t size = 2; size <= 4; size++) {
        assert_string_equal(chosen(KOLO_ALLREDUCE, KOLO_ASSOCIATION_RING, size, 4)->name, "oneshot");
        assert_string_equal(chosen(KOLO_ALLREDUCE, KOLO_ASSOCIATION_RING, size, 1 << 26)->name, "ring");
    }
    assert_string_equal(chosen(KOLO_BROADCAST, KOLO_ASSOCIATION_NONE, 8, 4)->name, "binomial");
    assert_string_equal(chosen(KOLO_BROADCAST, KOLO_ASSOCIATION_NONE, 8, 1 << 28)->name, "chain");
    assert_string_equal(chosen(KOLO_ALLGATHER, KOLO_ASSOCIATION_NONE, 64, 4)->name, "oneshot");
}

static void select__keeps_to_the_class(void **state)
{
    (void)state;
    for (int64_t bytes = 1; bytes < INT64_C(1) << 36; bytes *= 4) {
        for (int32_t size = 1; size <= 200; size += 7) {
            assert_int_equal(chosen(KOLO_ALLREDUCE, KOLO_ASSOCIATION_RING, size, bytes)->association,
                             KOLO_ASSOCIATION_RING);
            assert_string_equal(chosen(KOLO_REDUCE_SCATTER, KOLO_ASSOCIATION_CIRCULANT, size, bytes)->name,
                                "circulant");
        }
    }
}

/* Shared windows: nothing but the direct ones, and these nowhere else. */
static void select__direct_is_for_shared_memory(void **state)
{
    (void)state;
    for (int64_t bytes = 1; bytes < INT64_C(1) << 36; bytes *= 4) {
        for (int32_t size = 2; size <= 64; size += 31) {
            for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++) {
                for (int association = KOLO_ASSOCIATION_RING; association <= KOLO_ASSOCIATION_NONE; association++) {
                    bool is_direct = chosen(collective, (kolo_association)association, size, bytes)->association ==
                                     KOLO_ASSOCIATION_DIRECT;
                    assert_int_equal(is_direct, association == KOLO_ASSOCIATION_DIRECT);
                }
            }
        }
    }
    assert_string_equal(chosen(KOLO_ALLREDUCE, KOLO_ASSOCIATION_DIRECT, 2, 4)->name, "direct_oneshot");
    assert_string_equal(chosen(KOLO_ALLREDUCE, KOLO_ASSOCIATION_DIRECT, 4, 1 << 26)->name, "direct");
}

static void select__always_answers(void **state)
{
    (void)state;
    for (int association = KOLO_ASSOCIATION_RING; association <= KOLO_ASSOCIATION_NONE; association++) {
        for (int32_t size = 1; size <= 9; size++) {
            for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++) {
                const kolo_algorithm *algorithm = chosen(collective, (kolo_association)association, size, 0);
                assert_non_null(algorithm);
                assert_true(algorithm->collectives & (1u << collective));
            }
        }
    }
    assert_null(chosen(KOLO_BARRIER, KOLO_ASSOCIATION_NONE, 2, 0));
}

static void select__is_the_cheapest(void **state)
{
    (void)state;
    for (int64_t bytes = 1; bytes < INT64_C(1) << 32; bytes *= 2) {
        kolo_plan_work work = work_of(KOLO_ALLREDUCE, 4, bytes);
        double ring_ns = kolo_algorithm_find("ring")->price(&work, &model);
        double oneshot_ns = kolo_algorithm_find("oneshot")->price(&work, &model);
        assert_string_equal(chosen(KOLO_ALLREDUCE, KOLO_ASSOCIATION_RING, 4, bytes)->name,
                            oneshot_ns < ring_ns ? "oneshot" : "ring");
    }
}

static const kolo_algorithm *forced(kolo_collective collective, kolo_association association, const char *name)
{
    kolo_plan_work work = work_of(collective, 4, 4);
    return kolo_algorithm_select(&work, association, &model, kolo_algorithm_find(name));
}

static void select__forced(void **state)
{
    (void)state;
    /* Against the price, and against the class. */
    assert_string_equal(forced(KOLO_ALLREDUCE, KOLO_ASSOCIATION_RING, "circulant")->name, "circulant");
    /* With windows or without, but not windows without. */
    assert_string_equal(forced(KOLO_ALLREDUCE, KOLO_ASSOCIATION_DIRECT, "circulant")->name, "circulant");
    assert_string_equal(forced(KOLO_ALLREDUCE, KOLO_ASSOCIATION_DIRECT, "direct")->name, "direct");
    assert_string_equal(forced(KOLO_ALLREDUCE, KOLO_ASSOCIATION_RING, "direct")->name, "oneshot");
    /* And not for what it can't do, or what depends on where tensors lie. */
    assert_string_equal(forced(KOLO_BROADCAST, KOLO_ASSOCIATION_NONE, "circulant")->name, "binomial");
    assert_string_equal(forced(KOLO_ALLREDUCE, KOLO_ASSOCIATION_DIRECT, "shared")->name, "direct_oneshot");
}

/* Where a flight takes long, as between ranks that share a core, fewer of them win; where bytes count, fewer bytes. */
static void select__follows_the_prices(void **state)
{
    (void)state;
    kolo_plan_work work = work_of(KOLO_ALLREDUCE, 4, 65536);
    kolo_price_model crowded = model, roomy = model;
    crowded.flight_ns = 1e6;
    roomy.flight_ns = 1;
    assert_string_equal(kolo_algorithm_select(&work, KOLO_ASSOCIATION_DIRECT, &crowded, NULL)->name, "direct_oneshot");
    assert_string_equal(kolo_algorithm_select(&work, KOLO_ASSOCIATION_DIRECT, &roomy, NULL)->name, "direct");
    kolo_price_model slow = model, fast = model;
    for (size_t i = 0; i < KOLO_PRICE_MESSAGES; i++) {
        slow.message_ns[i] = 1e6 + 0.1 * (double)kolo_price_message_bytes[i];
        fast.message_ns[i] = 10 + 0.1 * (double)kolo_price_message_bytes[i];
    }
    assert_string_equal(kolo_algorithm_select(&work, KOLO_ASSOCIATION_RING, &slow, NULL)->name, "oneshot");
    assert_string_equal(kolo_algorithm_select(&work, KOLO_ASSOCIATION_RING, &fast, NULL)->name, "ring");
}

static void values__pay_where_words_are_dear(void **state)
{
    (void)state;
    kolo_plan_work work = {
        .collective = KOLO_ALLREDUCE, .size = 3, .bytes = 64, .chunk_bytes = 65536, .window_bytes = 1 << 20};
    for (int by_place = 0; by_place < 2; by_place++) {
        kolo_price_model crowded = model, roomy = model;
        crowded.flight_ns = 1e6;
        roomy.flight_ns = roomy.step_ns = 1;
        work.bytes = 64;
        assert_true(kolo_plan_values_pay(&work, by_place, &model));
        work.bytes = KOLO_PLAN_VALUE_BYTES;
        assert_true(kolo_plan_values_pay(&work, by_place, &crowded));
        assert_false(kolo_plan_values_pay(&work, by_place, &roomy));
        work.bytes++;
        assert_false(kolo_plan_values_pay(&work, by_place, &crowded));
    }
    /* An order is dearer than a post, and windows are than places. */
    work.bytes = 2 * 8192;
    assert_true(kolo_plan_values_pay(&work, false, &model));
    assert_false(kolo_plan_values_pay(&work, true, &model));
    work.bytes = 64;
    work.size = KOLO_PLAN_VALUE_RANKS + 1;
    assert_false(kolo_plan_values_pay(&work, false, &model));
    work.size = 3;
    work.collective = KOLO_REDUCE_SCATTER;
    assert_false(kolo_plan_values_pay(&work, false, &model));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(association__is_frozen),
        cmocka_unit_test(find__by_name),
        cmocka_unit_test(forced__by_name_and_collective),
        cmocka_unit_test(collective_name__all),
        cmocka_unit_test(select__small_and_large),
        cmocka_unit_test(select__keeps_to_the_class),
        cmocka_unit_test(select__direct_is_for_shared_memory),
        cmocka_unit_test(select__always_answers),
        cmocka_unit_test(select__is_the_cheapest),
        cmocka_unit_test(select__forced),
        cmocka_unit_test(select__follows_the_prices),
        cmocka_unit_test(values__pay_where_words_are_dear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
