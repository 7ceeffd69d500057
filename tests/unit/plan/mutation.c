/* mutation.c - breaks right schedules, and sees that the checker finds each break. */
#include "unit/plan/mutation.h"

#include "base/error.h"
#include "plan/build.h"
#include "plan/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

void subject_init(subject *s)
{
    s->broken = 0;
    s->schedules = layout_build(&s->layout, s->algorithm);
    expect_right(s);
}

void subject_fini(subject *s)
{
    expect_right(s);
    assert_true(s->broken > 0);
    layout_free(&s->layout, s->schedules);
}

/* Some breaks show in place only, others out of place only. */
static bool is_found(const subject *s)
{
    for (kolo_placement placement = 0; placement <= KOLO_PLACEMENT_MIXED; placement++) {
        kolo_status status =
            kolo_schedules_check(s->schedules, &s->layout.spec, s->algorithm->association, placement, s->broken);
        if (status != KOLO_OK)
            return status == KOLO_ERR_INTERNAL;
    }
    return false;
}

void expect_found(subject *s, int32_t rank, uint32_t step, const char *mutation)
{
    s->broken++;
    if (is_found(s))
        return;
    char text[256];
    fail_msg("%s %s, %d ranks: not found: %s at rank %d, step %u (now: %s)", s->algorithm->name,
             kolo_collective_name(s->layout.spec.collective), s->layout.spec.size, mutation, rank, step,
             kolo_step_format(&s->schedules[rank].steps[step], text, sizeof(text)));
}

void expect_right(const subject *s)
{
    for (kolo_placement placement = 0; placement <= KOLO_PLACEMENT_MIXED; placement++)
        assert_int_equal(kolo_schedules_check(s->schedules, &s->layout.spec, s->algorithm->association, placement, 1),
                         KOLO_OK);
}

/* ---- dependencies ---------------------------------------------------------------------------- */

static bool leads_to(const kolo_schedule *schedule, uint32_t from, uint32_t to)
{
    if (from == to)
        return true;
    for (uint32_t i = schedule->next_start[from]; from < to && i < schedule->next_start[from + 1]; i++)
        if (leads_to(schedule, schedule->next[i], to))
            return true;
    return false;
}

/* A dependency that others imply may go; every other one must be missed. */
void drop_dependencies(subject *s)
{
    for (int32_t rank = 0; rank < s->layout.spec.size; rank++) {
        kolo_schedule *schedule = &s->schedules[rank];
        for (size_t edge = 0; edge < schedule->edge_count; edge++) {
            uint32_t *gone = &schedule->edges[2 * edge], *last = &schedule->edges[2 * (schedule->edge_count - 1)];
            uint32_t before = gone[0], after = gone[1];
            gone[0] = last[0];
            gone[1] = last[1];
            schedule->edge_count--;
            assert_int_equal(kolo_schedule_seal(schedule), KOLO_OK);
            if (!leads_to(schedule, before, after))
                expect_found(s, rank, after, "a dropped dependency");
            last[0] = gone[0];
            last[1] = gone[1];
            schedule->edge_count++;
            gone[0] = before;
            gone[1] = after;
        }
        assert_int_equal(kolo_schedule_seal(schedule), KOLO_OK);
    }
}

void try_step(subject *s, int32_t rank, uint32_t index, kolo_step changed, const char *mutation)
{
    kolo_step *step = &s->schedules[rank].steps[index], original = *step;
    *step = changed;
    expect_found(s, rank, index, mutation);
    *step = original;
}

/* ---- the order of steps ---------------------------------------------------------------------- */

/* Runs the check with rank's chain in another order: without step `index`, or with it before the one before it. */
static void try_order(subject *s, int32_t rank, uint32_t index, bool is_swapped, const char *mutation)
{
    kolo_schedule original = s->schedules[rank], changed;
    kolo_schedule_init(&changed);
    changed.window_count = original.window_count;
    for (int flag = 0; flag < KOLO_FLAG_COUNT; flag++)
        changed.flag_total[flag] = original.flag_total[flag];
    for (uint32_t i = 0; i < original.step_count; i++) {
        uint32_t from = i;
        if (is_swapped && (i == index || i + 1 == index))
            from = i == index ? i - 1 : i + 1;
        if (i != index || is_swapped)
            kolo_build_chained(&changed, original.steps[from]);
    }
    assert_int_equal(kolo_schedule_seal(&changed), KOLO_OK);
    s->schedules[rank] = changed;
    expect_found(s, rank, index > 0 ? index - 1 : 0, mutation);
    kolo_schedule_fini(&s->schedules[rank]);
    s->schedules[rank] = original;
}

void try_without(subject *s, int32_t rank, uint32_t index, const char *mutation)
{
    try_order(s, rank, index, false, mutation);
}

void try_earlier(subject *s, int32_t rank, uint32_t index, const char *mutation)
{
    try_order(s, rank, index, true, mutation);
}
