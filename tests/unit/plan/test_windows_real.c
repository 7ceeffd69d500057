/* test_windows_real.c - the algorithms' own schedules on shared windows and tensors: one after another on the same ones,
 * and windows of any size. */
#include "plan/windows.h"

#include "base/error.h"
#include "plan/build.h"
#include "plan/check.h"
#include "unit/plan/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- one schedule after another -------------------------------------------------------------- */

/* A schedule on tensors is started when all are ready: here a flag says so. */
static void append_start(kolo_schedule *both)
{
    both->flag_total[KOLO_FLAG_COPIED]++;
    kolo_build_notify(both, KOLO_FLAG_COPIED, (int64_t)both->flag_total[KOLO_FLAG_COPIED]);
    kolo_build_wait(both, KOLO_FLAG_COPIED, -1, (int64_t)both->flag_total[KOLO_FLAG_COPIED]);
}

/* Appends a schedule to a chain, with its flags counted from where the one before has left them. */
static void append(kolo_schedule *both, const kolo_schedule *more, uint32_t skipped)
{
    if (more->window_count == 0)
        append_start(both);
    for (uint32_t i = 0; i < more->step_count; i++) {
        kolo_step step = more->steps[i];
        if (i == skipped)
            continue;
        if (step.kind == KOLO_STEP_NOTIFY || step.kind == KOLO_STEP_WAIT)
            step.count += (int64_t)both->flag_total[step.message];
        kolo_build_chained(both, step);
    }
    for (int flag = 0; flag < KOLO_FLAG_COUNT; flag++)
        both->flag_total[flag] += more->flag_total[flag];
    both->window_count = more->window_count > both->window_count ? more->window_count : both->window_count;
}

/* skipped: a step of the second one of rank 0, or KOLO_NO_STEP. */
static kolo_status check_both(int32_t size, const kolo_schedule *first, const kolo_schedule *second, uint32_t skipped)
{
    kolo_schedule both[LAYOUT_SIZE_MAX] = {0};
    bool in_place[LAYOUT_SIZE_MAX] = {false};
    for (int32_t rank = 0; rank < size; rank++) {
        kolo_schedule_init(&both[rank]);
        append(&both[rank], &first[rank], KOLO_NO_STEP);
        append(&both[rank], &second[rank], rank == 0 ? skipped : KOLO_NO_STEP);
        assert_int_equal(kolo_schedule_seal(&both[rank]), KOLO_OK);
        in_place[rank] = rank % 2 == 0;
    }
    kolo_status status = kolo_windows_check(both, size, in_place);
    for (int32_t rank = 0; rank < size; rank++)
        kolo_schedule_fini(&both[rank]);
    return status;
}

static kolo_schedule *draw(layout *l, int32_t size, kolo_rng *rng)
{
    kolo_collective collective = (kolo_collective)kolo_rng_below(rng, KOLO_BARRIER);
    bool shared = kolo_rng_below(rng, 3) == 0;
    bool oneshot = collective == KOLO_ALLREDUCE && kolo_rng_below(rng, 2) == 0;
    layout_init(l, collective, size, 0, 1 + (int64_t)kolo_rng_below(rng, 4));
    layout_draw_slices(l, rng, 20);
    layout_shuffle_ring(l, rng);
    l->spec.root = (int32_t)kolo_rng_below(rng, (uint64_t)size);
    l->spec.window_count = 4 * size + (int64_t)kolo_rng_below(rng, 100);
    return layout_build(l, kolo_algorithm_find(shared ? "shared" : oneshot ? "direct_oneshot" : "direct"));
}

/* The checker proves each schedule alone; that any two may follow each other is its rules' promise: here it is seen. */
static void follow__any_two(void **state)
{
    (void)state;
    kolo_rng rng = {.state = 5};
    for (int round = 0; round < 400; round++) {
        layout one, other;
        int32_t size = 2 + (int32_t)kolo_rng_below(&rng, 6);
        kolo_schedule *first = draw(&one, size, &rng), *second = draw(&other, size, &rng);
        if (check_both(size, first, second, KOLO_NO_STEP) != KOLO_OK)
            fail_msg("%s after %s, %d ranks: %s", kolo_collective_name(other.spec.collective),
                     kolo_collective_name(one.spec.collective), size, kolo_error_current()->message);
        layout_free(&one, first);
        layout_free(&other, second);
    }
}

/* The first WAIT is what keeps them apart. */
static void follow__without_the_first_wait(void **state)
{
    (void)state;
    const struct {
        const char *algorithm;
        kolo_collective collective;
    } first_ones[] = {{"direct", KOLO_REDUCE_SCATTER}, {"direct_oneshot", KOLO_ALLREDUCE}},
      second_ones[] = {
          {"direct", KOLO_ALLREDUCE}, {"direct", KOLO_REDUCE_SCATTER}, {"direct_oneshot", KOLO_ALLREDUCE}};
    for (int32_t size = 2; size <= 5; size++) {
        for (size_t i = 0; i < 6; i++) {
            layout l;
            layout_init(&l, first_ones[i / 3].collective, size, size, 1);
            kolo_schedule *first = layout_build(&l, kolo_algorithm_find(first_ones[i / 3].algorithm));
            l.spec.collective = second_ones[i % 3].collective;
            kolo_schedule *second = layout_build(&l, kolo_algorithm_find(second_ones[i % 3].algorithm));
            assert_int_equal(check_both(size, first, second, KOLO_NO_STEP), KOLO_OK);
            assert_int_equal(check_both(size, first, second, 0), KOLO_ERR_INTERNAL);
            layout_free(&l, first);
            layout_free(&l, second);
        }
    }
}

/* ---- windows of any size --------------------------------------------------------------------- */

static void expect_refused(const layout *l, const char *name, const char *what)
{
    kolo_schedule schedule;
    kolo_schedule_init(&schedule);
    assert_int_equal(kolo_algorithm_find(name)->build(&l->spec, &schedule), KOLO_ERR_UNSUPPORTED);
    assert_non_null(strstr(kolo_error_current()->message, what));
    kolo_schedule_fini(&schedule);
}

static void build__windows_are_too_small(void **state)
{
    (void)state;
    const char *const names[] = {"direct", "direct_oneshot"};
    for (size_t i = 0; i < 2; i++) {
        layout l;
        layout_init(&l, KOLO_ALLREDUCE, 5, 100, 10);
        l.spec.window_count = 0;
        expect_refused(&l, names[i], "share, and there is none");
        l.spec.window_count = 4 * 5 - 1;
        expect_refused(&l, names[i], "windows of 19 elements are too small for 100 elements on 5 ranks");
        l.spec.window_count++;
        kolo_schedule *schedules = layout_build(&l, kolo_algorithm_find(names[i]));
        assert_int_equal(schedules[0].window_count, 20);
        layout_free(&l, schedules);
    }
}

/* Gigabytes through a window of a few bytes: refused, before there are millions of steps. */
static void build__windows_are_tiny(void **state)
{
    (void)state;
    layout l;
    for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++) {
        layout_init(&l, collective, 4, INT64_C(1) << 32, 1 << 16);
        l.spec.window_count = 64;
        expect_refused(&l, "direct", "windows of 64 elements are too small");
    }
}

static int64_t window_of(kolo_collective collective, int32_t size, int64_t count, int64_t chunk)
{
    layout l;
    layout_init(&l, collective, size, count, chunk);
    kolo_schedule *schedules = layout_build(&l, kolo_algorithm_find("direct"));
    int64_t window = schedules[0].window_count;
    layout_free(&l, schedules);
    return window;
}

/* One place per chunk in use, however large the tensor: the window is as large as the chunks make it, no larger. */
static void build__window_holds_a_few_chunks(void **state)
{
    (void)state;
    assert_int_equal(window_of(KOLO_ALLREDUCE, 4, 4 * 30, 16), 4 * 4 * 16);
    assert_int_equal(window_of(KOLO_ALLGATHER, 4, 4 * 30, 16), 4 * 16);
    assert_int_equal(window_of(KOLO_ALLREDUCE, 4, 4 * 10, 16), 4 * 4 * 10);
}

/* Where there are many chunks, windows stay in a core's own cache, unless there are too many ranks for that. */
static void build__window_of_a_large_tensor_stays_in_the_cache(void **state)
{
    (void)state;
    const int64_t hint = 1024, large = INT64_C(1) << 20;
    for (int32_t size = 2; size <= 8; size++)
        for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++)
            assert_in_range(window_of(collective, size, large, hint), hint, 2 * hint);
    assert_int_equal(window_of(KOLO_ALLREDUCE, 32, large, hint), 4 * 32 * hint / 16);
    /* 16 short chunks of a slice are enough, 15 are not. */
    assert_int_equal(window_of(KOLO_ALLREDUCE, 2, 2 * 16 * 256, hint), 4 * 2 * 256);
    assert_int_equal(window_of(KOLO_ALLREDUCE, 2, 2 * 16 * 256 - 2, hint), 4 * 2 * 1024);
}

/* Nothing to share needs no windows. */
static void build__nothing_or_nobody(void **state)
{
    (void)state;
    layout l;
    for (int32_t size = 1; size <= 3; size++) {
        for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++) {
            layout_init(&l, collective, size, size == 1 ? 7 : 0, 3);
            l.spec.window_count = 0;
            kolo_schedule *schedules = layout_build(&l, kolo_algorithm_find("direct"));
            assert_int_equal(schedules[0].window_count, 0);
            assert_int_equal(schedules[0].flag_total[KOLO_FLAG_DONE], 0);
            assert_true(schedules[0].step_count <= (size == 1 ? 1 : 0));
            layout_free(&l, schedules);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follow__any_two),
        cmocka_unit_test(follow__without_the_first_wait),
        cmocka_unit_test(build__windows_are_too_small),
        cmocka_unit_test(build__windows_are_tiny),
        cmocka_unit_test(build__window_holds_a_few_chunks),
        cmocka_unit_test(build__window_of_a_large_tensor_stays_in_the_cache),
        cmocka_unit_test(build__nothing_or_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
