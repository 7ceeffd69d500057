/* test_memory.c - every allocation of builders and checker fails once: the answer is KOLO_ERR_MEMORY, and nothing leaks. */
#include "unit/plan/layout.h"

#include "base/error.h"
#include "plan/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

/* Linked in place of the C library's: the allocation that brings the countdown to 0 fails. */
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);

static int64_t countdown; /* <= 0: never */

static bool fails_now(void)
{
    return countdown > 0 && --countdown == 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    return fails_now() ? NULL : __real_reallocarray(memory, count, size);
}

/* Fails the first allocation, then the second, ... until the call gets by without. */
static void check_all_failures(const kolo_algorithm *algorithm, const kolo_plan_spec *spec)
{
    int64_t failures = 0;
    for (;; failures++) {
        countdown = failures + 1;
        kolo_status status = kolo_schedule_check(algorithm, spec, KOLO_OUT_OF_PLACE, 1);
        bool has_failed = countdown == 0;
        countdown = 0;
        assert_int_equal(status, has_failed ? KOLO_ERR_MEMORY : KOLO_OK);
        if (!has_failed)
            break;
    }
    assert_true(failures > 10);
}

static void build_and_check__any_allocation_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < kolo_algorithm_count(); i++) {
        for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++) {
            if (!(kolo_algorithm_at(i)->collectives & (1u << collective)))
                continue;
            layout l;
            layout_init(&l, collective, 6, 60, 1); /* enough steps to grow the arrays once, enough sums for the table */
            check_all_failures(kolo_algorithm_at(i), &l.spec);
        }
    }
}

/* Many different sums, so that the checker's own table grows. */
static void check__many_sums(void **state)
{
    (void)state;
    layout l;
    layout_init(&l, KOLO_ALLREDUCE, 24, 24, 1);
    check_all_failures(kolo_algorithm_find("ring"), &l.spec);
}

/* What says what is wrong with a result may run out of memory too. */
static void check__while_explaining(void **state)
{
    (void)state;
    layout l;
    layout_init(&l, KOLO_ALLREDUCE, 5, 5, 1);
    kolo_schedule *schedules = layout_build(&l, kolo_algorithm_find("circulant"));
    bool has_failed = true;
    int64_t explained = 0;
    for (int64_t failures = 1; has_failed; failures++) {
        countdown = failures;
        kolo_status status = kolo_schedules_check(schedules, &l.spec, KOLO_ASSOCIATION_RING, KOLO_OUT_OF_PLACE, 1);
        has_failed = countdown == 0;
        countdown = 0;
        assert_int_equal(status, has_failed ? KOLO_ERR_MEMORY : KOLO_ERR_INTERNAL);
        explained += has_failed;
    }
    assert_true(explained > 5);
    layout_free(&l, schedules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(build_and_check__any_allocation_fails),
        cmocka_unit_test(check__many_sums),
        cmocka_unit_test(check__while_explaining),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
