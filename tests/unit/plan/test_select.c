/* test_select.c - association classes, prices, and the choice of the cheapest. */
#include "plan/algorithm.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const kolo_price_model model = KOLO_PRICE_MODEL_DEFAULT;

enum { CHUNK_BYTES = 256 * 1024 };

static const kolo_algorithm *chosen(kolo_collective collective, kolo_association association, int32_t size,
                                    int64_t bytes)
{
    return kolo_algorithm_select(collective, association, size, bytes, CHUNK_BYTES, &model, NULL);
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

static void rounds__is_log2_rounded_up(void **state)
{
    (void)state;
    const int32_t sizes[] = {1, 2, 3, 4, 5, 8, 9, 64, 65, INT32_MAX}, rounds[] = {0, 1, 2, 2, 3, 3, 4, 6, 7, 31};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_int_equal(kolo_price_rounds(sizes[i]), rounds[i]);
}

static void check_prices(const kolo_algorithm *algorithm, kolo_collective collective, int32_t size, int64_t chunk_bytes)
{
    double before_ns = 0;
    for (int64_t bytes = 0; bytes < INT64_C(1) << 42; bytes += 1 + bytes / 7) {
        double price_ns = algorithm->price(collective, size, bytes, chunk_bytes, &model);
        if (!isfinite(price_ns) || price_ns <= 0 || price_ns < before_ns)
            fail_msg("%s %s, %d ranks, %lld bytes: %g ns after %g ns", algorithm->name,
                     kolo_collective_name(collective), size, (long long)bytes, price_ns, before_ns);
        before_ns = price_ns;
    }
}

static void price__finite_positive_monotone_in_bytes(void **state)
{
    (void)state;
    const int32_t sizes[] = {1, 2, 3, 4, 7, 8, 64, 1000, 100000};
    const int64_t chunks[] = {1, 4096, CHUNK_BYTES, INT64_C(1) << 40};
    for (size_t i = 0; i < kolo_algorithm_count(); i++)
        for (kolo_collective collective = 0; collective < KOLO_COLLECTIVE_COUNT; collective++)
            for (size_t j = 0; j < 9 * 4; j++)
                if (kolo_algorithm_at(i)->collectives & (1u << collective))
                    check_prices(kolo_algorithm_at(i), collective, sizes[j / 4], chunks[j % 4]);
}

static void price__reflects_what_is_sent(void **state)
{
    (void)state;
    const kolo_price_model wire = {.beta_ns_per_byte = 1};
    const int64_t bytes = 64000000;
    /* 2(N-1)/N of the tensor on the ring, all inputs of the others in one shot; step prices are below the tolerance. */
    double ring_ns = kolo_algorithm_find("ring")->price(KOLO_ALLREDUCE, 4, bytes, 64, &wire);
    double oneshot_ns = kolo_algorithm_find("oneshot")->price(KOLO_ALLREDUCE, 4, bytes, 64, &wire);
    double circulant_ns = kolo_algorithm_find("circulant")->price(KOLO_ALLREDUCE, 4, bytes, 64, &wire);
    assert_true(fabs(ring_ns / 96000000 - 1) < 0.001);
    assert_true(fabs(circulant_ns / 96000000 - 1) < 0.001);
    assert_true(fabs(oneshot_ns / 192000000 - 1) < 0.001);
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
                    bool is_direct =
                        chosen(collective, (kolo_association)association, size, bytes)->association ==
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
        double ring_ns = kolo_algorithm_find("ring")->price(KOLO_ALLREDUCE, 4, bytes, CHUNK_BYTES, &model);
        double oneshot_ns = kolo_algorithm_find("oneshot")->price(KOLO_ALLREDUCE, 4, bytes, CHUNK_BYTES, &model);
        assert_string_equal(chosen(KOLO_ALLREDUCE, KOLO_ASSOCIATION_RING, 4, bytes)->name,
                            oneshot_ns < ring_ns ? "oneshot" : "ring");
    }
}

static void select__forced(void **state)
{
    (void)state;
    const kolo_algorithm *circulant = kolo_algorithm_find("circulant");
    /* Against the price, and against the class. */
    assert_ptr_equal(
        kolo_algorithm_select(KOLO_ALLREDUCE, KOLO_ASSOCIATION_RING, 4, 1 << 30, CHUNK_BYTES, &model, circulant),
        circulant);
    /* With windows or without, but not windows without. */
    assert_ptr_equal(
        kolo_algorithm_select(KOLO_ALLREDUCE, KOLO_ASSOCIATION_DIRECT, 4, 4, CHUNK_BYTES, &model, circulant),
        circulant);
    const kolo_algorithm *direct = kolo_algorithm_find("direct");
    assert_ptr_equal(kolo_algorithm_select(KOLO_ALLREDUCE, KOLO_ASSOCIATION_DIRECT, 2, 4, CHUNK_BYTES, &model, direct),
                     direct);
    assert_string_equal(
        kolo_algorithm_select(KOLO_ALLREDUCE, KOLO_ASSOCIATION_RING, 2, 4, CHUNK_BYTES, &model, direct)->name,
        "oneshot");
    /* And not for what it can't do. */
    assert_string_equal(
        kolo_algorithm_select(KOLO_BROADCAST, KOLO_ASSOCIATION_NONE, 2, 4, CHUNK_BYTES, &model, circulant)->name,
        "binomial");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(association__is_frozen),
        cmocka_unit_test(find__by_name),
        cmocka_unit_test(collective_name__all),
        cmocka_unit_test(rounds__is_log2_rounded_up),
        cmocka_unit_test(price__finite_positive_monotone_in_bytes),
        cmocka_unit_test(price__reflects_what_is_sent),
        cmocka_unit_test(select__small_and_large),
        cmocka_unit_test(select__keeps_to_the_class),
        cmocka_unit_test(select__direct_is_for_shared_memory),
        cmocka_unit_test(select__always_answers),
        cmocka_unit_test(select__is_the_cheapest),
        cmocka_unit_test(select__forced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
