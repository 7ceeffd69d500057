/* test_windows.c - what schedules on shared windows must keep to: small ones made by hand, each rule broken
 * once. (test_mutation_windows.c breaks real ones.) */
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

/* ---- by hand --------------------------------------------------------------------------------- */

/* Two ranks, one element each: an all-gather through windows of one element. */
typedef struct pair {
    layout layout;
    kolo_step steps[2][8];
    size_t counts[2];
    kolo_schedule schedules[2];
} pair;

static kolo_step flag(kolo_step_kind kind, kolo_flag flag, int64_t value)
{
    return (kolo_step){.kind = (uint8_t)kind, .message = (uint32_t)flag, .count = value, .peer = -1};
}

static kolo_step copy(kolo_buffer dst, int64_t dst_offset, kolo_buffer a, int64_t a_offset, int32_t peer)
{
    return (kolo_step){.kind = KOLO_STEP_COPY,
                       .dst = (uint8_t)dst,
                       .dst_offset = dst_offset,
                       .a = (uint8_t)a,
                       .a_offset = a_offset,
                       .peer = peer,
                       .count = 1};
}

enum { ROOM, COPY_IN, COPIED, WAIT_COPIED, COPY_OUT, COPY_OWN, DONE, STEPS };

static void pair_init(pair *p)
{
    layout_init(&p->layout, KOLO_ALLGATHER, 2, 2, 1);
    for (int32_t rank = 0; rank < 2; rank++) {
        kolo_step *steps = p->steps[rank];
        p->counts[rank] = STEPS;
        steps[ROOM] = flag(KOLO_STEP_WAIT, KOLO_FLAG_DONE, 0);
        steps[COPY_IN] = copy(KOLO_BUFFER_WINDOW, 0, KOLO_BUFFER_INPUT, rank, rank);
        steps[COPIED] = flag(KOLO_STEP_NOTIFY, KOLO_FLAG_COPIED, 1);
        steps[WAIT_COPIED] = flag(KOLO_STEP_WAIT, KOLO_FLAG_COPIED, 1);
        steps[COPY_OUT] = copy(KOLO_BUFFER_OUTPUT, 1 - rank, KOLO_BUFFER_WINDOW, 0, 1 - rank);
        steps[COPY_OWN] = copy(KOLO_BUFFER_OUTPUT, rank, KOLO_BUFFER_INPUT, rank, rank);
        steps[DONE] = flag(KOLO_STEP_NOTIFY, KOLO_FLAG_DONE, 1);
        kolo_schedule_init(&p->schedules[rank]);
        p->schedules[rank].window_count = 1;
        p->schedules[rank].flag_total[KOLO_FLAG_COPIED] = p->schedules[rank].flag_total[KOLO_FLAG_DONE] = 1;
    }
}

static void swap(kolo_step *steps, int one, int other)
{
    kolo_step moved = steps[one];
    steps[one] = steps[other];
    steps[other] = moved;
}

/* Of what the steps are now, each after the one before. */
static kolo_status pair_check(pair *p)
{
    for (int32_t rank = 0; rank < 2; rank++) {
        for (uint32_t i = 0; i < p->counts[rank]; i++) {
            kolo_schedule_add(&p->schedules[rank], &p->steps[rank][i]);
            kolo_schedule_after(&p->schedules[rank], i > 0 ? i - 1 : KOLO_NO_STEP, i);
        }
        assert_int_equal(kolo_schedule_seal(&p->schedules[rank]), KOLO_OK);
    }
    kolo_status status =
        kolo_schedules_check(p->schedules, &p->layout.spec, KOLO_ASSOCIATION_DIRECT, KOLO_OUT_OF_PLACE, 1);
    for (int32_t rank = 0; rank < 2; rank++)
        kolo_schedule_fini(&p->schedules[rank]);
    return status;
}

static void expect_fault(pair *p, const char *what)
{
    assert_int_equal(pair_check(p), KOLO_ERR_INTERNAL);
    if (!strstr(kolo_error_current()->message, what))
        fail_msg("'%s' is not in: %s", what, kolo_error_current()->message);
}

static void pair__right(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    assert_int_equal(pair_check(&p), KOLO_OK);
}

static void race__read_before_it_is_written(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    swap(p.steps[1], WAIT_COPIED, COPY_OUT);
    expect_fault(&p, "window of rank 0, element 0: no order between rank ");
    pair_init(&p);
    swap(p.steps[0], COPY_IN, COPIED);
    expect_fault(&p, "window of rank 0, element 0: no order between rank ");
}

static void race__overwritten_before_it_is_read(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    swap(p.steps[0], COPY_OWN, DONE);
    p.steps[0][COPY_OWN] = copy(KOLO_BUFFER_WINDOW, 0, KOLO_BUFFER_INPUT, 0, 0);
    p.steps[0][COPY_OUT + 1] = p.steps[0][COPY_OWN];
    p.steps[0][DONE] = flag(KOLO_STEP_NOTIFY, KOLO_FLAG_DONE, 1);
    expect_fault(&p, "window of rank 0, element 0: no order between rank ");
}

static void run__value_is_never_told(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    p.steps[0][COPIED] = p.steps[0][COPY_OWN]; /* for ever */
    expect_fault(&p, "rank 1, step 3 (wait for copied >= 1 of all): waits for a value that is never told");
    pair_init(&p);
    for (int32_t rank = 0; rank < 2; rank++)
        p.schedules[rank].flag_total[KOLO_FLAG_COPIED] = 2;
    p.steps[0][COPIED].count = 2; /* enough, but another one */
    expect_fault(&p, "rank 1, step 3 (wait for copied >= 1 of all): waits for a value that is never told");
}

static void run__deadlock(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    for (int32_t rank = 0; rank < 2; rank++) { /* both wait for what the other tells after its own wait */
        kolo_step wait = p.steps[rank][WAIT_COPIED];
        p.steps[rank][WAIT_COPIED] = p.steps[rank][COPIED];
        p.steps[rank][COPIED] = p.steps[rank][COPY_IN];
        p.steps[rank][COPY_IN] = wait;
    }
    expect_fault(&p, "rank 0, step 1 (wait for copied >= 1 of all): deadlock");
}

static void rules__write_before_room_is_known(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    p.steps[1][ROOM].peer = 0; /* all must be waited for, even where all is one */
    expect_fault(&p, "rank 1, step 1 (copy window[0..1) = input[1..2)): writes before all are done");
}

static void rules__read_after_done(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    swap(p.steps[0], COPY_OUT, DONE);
    expect_fault(&p, "rank 0, step 6 (copy output[1..2) = window[0..1) of rank 1): touches a window after");
}

static void rules__done_is_never_told(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    p.counts[1]--;
    expect_fault(&p, "rank 1 leaves its flag DONE at 0, not at 1");
}

static void rules__flag_goes_not_up(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    p.steps[0][COPY_OWN] = p.steps[0][COPIED];
    expect_fault(&p, "rank 0, step 5 (notify copied = 1): its flag is there already");
}

static void rules__no_chain(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    for (int32_t rank = 0; rank < 2; rank++) {
        for (uint32_t i = 0; i < STEPS; i++) {
            kolo_schedule_add(&p.schedules[rank], &p.steps[rank][i]);
            kolo_schedule_after(&p.schedules[rank], i > 1 ? i - 2 : KOLO_NO_STEP, i);
        }
        p.counts[rank] = 0;
    }
    expect_fault(&p, "rank 0, step 1 (copy window[0..1) = input[0..1)): does not wait for the step before it");
}

static void rules__each_flaw(void **state)
{
    (void)state;
    const struct {
        kolo_step step;
        const char *what;
    } flaws[] = {
        {{.kind = KOLO_STEP_SEND, .peer = 0, .count = 1}, "sends messages"},
        {{.kind = KOLO_STEP_RECV, .dst = KOLO_BUFFER_OUTPUT, .peer = 0, .count = 1}, "sends messages"},
        {{.kind = KOLO_STEP_REDUCE, .dst = KOLO_BUFFER_WINDOW, .count = 1}, "not reduced"},
        {{.kind = KOLO_STEP_REDUCE, .dst = KOLO_BUFFER_OUTPUT, .a = KOLO_BUFFER_WINDOW, .count = 1}, "not reduced"},
        {{.kind = KOLO_STEP_REDUCE, .dst = KOLO_BUFFER_OUTPUT, .b = KOLO_BUFFER_WINDOW, .count = 1}, "not reduced"},
        {{.kind = KOLO_STEP_FOLD, .dst = KOLO_BUFFER_OUTPUT, .count = 1}, "folds something else"},
        {{.kind = KOLO_STEP_FOLD,
          .dst = KOLO_BUFFER_OUTPUT,
          .a = KOLO_BUFFER_WINDOW,
          .b = KOLO_BUFFER_OUTPUT,
          .count = 1},
         "folds something else"},
        {{.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .a = KOLO_BUFFER_WINDOW, .peer = 2, .count = 1},
         "no such rank"},
        {{.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .a = KOLO_BUFFER_WINDOW, .peer = -1, .count = 1},
         "no such rank"},
        {{.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .a = KOLO_BUFFER_WINDOW, .a_offset = 1, .count = 1},
         "reads out of bounds"},
        {{.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_WINDOW, .dst_offset = -1, .count = 1}, "writes out of bounds"},
        {{.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_COUNT, .count = 1}, "writes out of bounds"},
        {{.kind = KOLO_STEP_FOLD, .dst = KOLO_BUFFER_OUTPUT, .a = KOLO_BUFFER_WINDOW, .count = 0}, "does nothing"},
        {{.kind = KOLO_STEP_NOTIFY, .message = KOLO_FLAG_COUNT, .count = 1}, "no such flag"},
        {{.kind = KOLO_STEP_NOTIFY, .message = KOLO_FLAG_DONE, .count = 0}, "too small"},
        {{.kind = KOLO_STEP_NOTIFY, .message = KOLO_FLAG_DONE, .count = 2}, "above the flag's total"},
        {{.kind = KOLO_STEP_WAIT, .message = KOLO_FLAG_DONE, .count = -1, .peer = 0}, "too small"},
        {{.kind = KOLO_STEP_WAIT, .message = KOLO_FLAG_COPIED, .count = 0, .peer = 0}, "too small"},
        {{.kind = KOLO_STEP_WAIT, .message = KOLO_FLAG_REDUCED, .count = 1, .peer = 0}, "above the flag's total"},
        {{.kind = KOLO_STEP_WAIT, .message = KOLO_FLAG_DONE, .count = 1, .peer = 1}, "no such peer"},
        {{.kind = KOLO_STEP_WAIT, .message = KOLO_FLAG_DONE, .count = 1, .peer = 2}, "no such peer"},
        {{.kind = KOLO_STEP_WAIT, .message = KOLO_FLAG_DONE, .count = 1, .peer = -2}, "no such peer"},
        {{.kind = KOLO_STEP_WAIT, .message = KOLO_FLAG_DONE, .count = 1, .peer = 0, .dst_offset = 1}, "has a place"},
    };
    for (size_t i = 0; i < sizeof(flaws) / sizeof(flaws[0]); i++) {
        pair p;
        pair_init(&p);
        p.steps[1][COPY_OWN] = flaws[i].step;
        expect_fault(&p, flaws[i].what);
    }
}

static void rules__flags_without_windows(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    for (int32_t rank = 0; rank < 2; rank++) {
        kolo_schedule_init(&p.schedules[rank]);
        p.counts[rank] = 1;
    }
    expect_fault(&p, "rank 0, step 0 (wait for done >= 0 of all): there are no flags");
}

static void rules__ranks_differ(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    p.schedules[1].window_count = 2;
    expect_fault(&p, "ranks 0 and 1 differ");
    pair_init(&p);
    p.schedules[1].flag_total[KOLO_FLAG_REDUCED] = 1;
    expect_fault(&p, "ranks 0 and 1 differ");
}

static void rules__window_has_no_room(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    p.layout.spec.window_count = 0;
    expect_fault(&p, "rank 0: a window of 1 elements, where there is room for 0");
    pair_init(&p);
    p.schedules[0].window_count = -1;
    expect_fault(&p, "rank 0: a window of -1 elements");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pair__right),
        cmocka_unit_test(race__read_before_it_is_written),
        cmocka_unit_test(race__overwritten_before_it_is_read),
        cmocka_unit_test(run__value_is_never_told),
        cmocka_unit_test(run__deadlock),
        cmocka_unit_test(rules__write_before_room_is_known),
        cmocka_unit_test(rules__read_after_done),
        cmocka_unit_test(rules__done_is_never_told),
        cmocka_unit_test(rules__flag_goes_not_up),
        cmocka_unit_test(rules__no_chain),
        cmocka_unit_test(rules__each_flaw),
        cmocka_unit_test(rules__flags_without_windows),
        cmocka_unit_test(rules__ranks_differ),
        cmocka_unit_test(rules__window_has_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
