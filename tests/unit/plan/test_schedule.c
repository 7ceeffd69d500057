/* test_schedule.c - the container of steps. */
#include "plan/schedule.h"

#include "base/error.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint32_t add(kolo_schedule *schedule, int64_t count)
{
    return kolo_schedule_add(schedule, &(kolo_step){.kind = KOLO_STEP_COPY, .count = count});
}

static void seal__empty(void **state)
{
    (void)state;
    kolo_schedule schedule;
    kolo_schedule_init(&schedule);
    assert_int_equal(kolo_schedule_seal(&schedule), KOLO_OK);
    assert_int_equal(schedule.step_count, 0);
    assert_int_equal(schedule.next_start[0], 0);
    kolo_schedule_fini(&schedule);
    assert_null(schedule.steps);
}

enum { STEPS = 300 };

/* The sealed lists hold what was added, no more: every pair is looked up both ways. */
static void seal__any_graph(void **state)
{
    (void)state;
    static int added[STEPS][STEPS];
    memset(added, 0, sizeof(added));
    kolo_rng rng = {.state = 3};
    kolo_schedule schedule;
    kolo_schedule_init(&schedule);
    for (int64_t i = 0; i < STEPS; i++)
        assert_int_equal(add(&schedule, i + 1), i);
    for (int i = 0; i < 2000; i++) { /* some of them twice */
        uint32_t after = 1 + (uint32_t)kolo_rng_below(&rng, STEPS - 1), before = (uint32_t)kolo_rng_below(&rng, after);
        kolo_schedule_after(&schedule, before, after);
        added[before][after]++;
    }
    assert_int_equal(kolo_schedule_seal(&schedule), KOLO_OK);
    uint32_t waits[STEPS] = {0};
    for (uint32_t before = 0; before < STEPS; before++) {
        assert_int_equal(schedule.steps[before].count, before + 1);
        for (uint32_t i = schedule.next_start[before]; i < schedule.next_start[before + 1]; i++) {
            added[before][schedule.next[i]]--;
            waits[schedule.next[i]]++;
        }
    }
    for (uint32_t before = 0; before < STEPS; before++)
        for (uint32_t after = 0; after < STEPS; after++)
            assert_int_equal(added[before][after], 0);
    assert_memory_equal(waits, schedule.wait_count, sizeof(waits));
    kolo_schedule_fini(&schedule);
}

static void after__no_step_on_either_side(void **state)
{
    (void)state;
    kolo_schedule schedule;
    kolo_schedule_init(&schedule);
    add(&schedule, 1);
    kolo_schedule_after(&schedule, KOLO_NO_STEP, 0);
    kolo_schedule_after(&schedule, 0, KOLO_NO_STEP);
    assert_int_equal(kolo_schedule_seal(&schedule), KOLO_OK);
    assert_int_equal(schedule.edge_count, 0);
    assert_int_equal(schedule.wait_count[0], 0);
    kolo_schedule_fini(&schedule);
}

static void reset__forgets_steps_and_failure(void **state)
{
    (void)state;
    kolo_schedule schedule;
    kolo_schedule_init(&schedule);
    kolo_schedule_after(&schedule, add(&schedule, 1), add(&schedule, 2));
    schedule.scratch_count = 5;
    schedule.failed = true;
    assert_int_equal(kolo_schedule_seal(&schedule), KOLO_ERR_MEMORY);
    kolo_schedule_reset(&schedule);
    assert_int_equal(schedule.scratch_count, 0);
    add(&schedule, 3);
    assert_int_equal(kolo_schedule_seal(&schedule), KOLO_OK);
    assert_int_equal(schedule.step_count, 1);
    assert_int_equal(schedule.wait_count[0], 0);
    assert_int_equal(schedule.next_start[1], 0);
    kolo_schedule_fini(&schedule);
}

static void step_format__every_kind(void **state)
{
    (void)state;
    char text[128];
    kolo_step step = {
        .kind = KOLO_STEP_SEND, .a = KOLO_BUFFER_INPUT, .a_offset = 2, .count = 3, .peer = 4, .message = 5};
    assert_string_equal(kolo_step_format(&step, text, sizeof(text)), "send input[2..5) to rank 4, message 5");
    step = (kolo_step){
        .kind = KOLO_STEP_RECV, .dst = KOLO_BUFFER_SCRATCH, .dst_offset = 2, .count = 3, .peer = 4, .message = 5};
    assert_string_equal(kolo_step_format(&step, text, sizeof(text)), "receive scratch[2..5) from rank 4, message 5");
    step = (kolo_step){.kind = KOLO_STEP_REDUCE,
                       .dst = KOLO_BUFFER_OUTPUT,
                       .a = KOLO_BUFFER_SCRATCH,
                       .b = KOLO_BUFFER_INPUT,
                       .dst_offset = 1,
                       .a_offset = 2,
                       .b_offset = 3,
                       .count = 1,
                       .final = true};
    assert_string_equal(kolo_step_format(&step, text, sizeof(text)),
                        "reduce output[1..2) = scratch[2..3) op input[3..4), final");
    step.kind = KOLO_STEP_COPY;
    assert_string_equal(kolo_step_format(&step, text, sizeof(text)), "copy output[1..2) = scratch[2..3), final");
    step.a = KOLO_BUFFER_WINDOW;
    step.peer = 3;
    assert_string_equal(kolo_step_format(&step, text, sizeof(text)),
                        "copy output[1..2) = window[2..3) of rank 3, final");
    step.kind = KOLO_STEP_FOLD;
    assert_string_equal(kolo_step_format(&step, text, sizeof(text)),
                        "fold output[1..2) = input[3..4) and window[2..3) of all others, final");
    step.dst = KOLO_BUFFER_PEER_OUTPUT;
    step.a = KOLO_BUFFER_PEER_INPUT;
    assert_string_equal(kolo_step_format(&step, text, sizeof(text)),
                        "fold output[1..2) of all = input[3..4) and input[2..3) of all others, final");
    step.kind = KOLO_STEP_COPY;
    step.dst = KOLO_BUFFER_OUTPUT;
    step.a = KOLO_BUFFER_PEER_OUTPUT;
    assert_string_equal(kolo_step_format(&step, text, sizeof(text)),
                        "copy output[1..2) = output[2..3) of rank 3, final");
    step = (kolo_step){.kind = KOLO_STEP_NOTIFY, .message = KOLO_FLAG_REDUCED, .count = 7, .peer = -1};
    assert_string_equal(kolo_step_format(&step, text, sizeof(text)), "notify reduced = 7");
    step.message = KOLO_FLAG_COUNT;
    assert_string_equal(kolo_step_format(&step, text, sizeof(text)), "notify ? = 7");
    step = (kolo_step){.kind = KOLO_STEP_WAIT, .message = KOLO_FLAG_DONE, .count = 0, .peer = -1};
    assert_string_equal(kolo_step_format(&step, text, sizeof(text)), "wait for done >= 0 of all");
    step.peer = 2;
    step.message = KOLO_FLAG_COPIED;
    assert_string_equal(kolo_step_format(&step, text, sizeof(text)), "wait for copied >= 0 of rank 2");
    step.kind = 9;
    step.a = 77;
    assert_string_equal(kolo_step_format(&step, text, sizeof(text)), "step of unknown kind 9");
    step.kind = KOLO_STEP_COPY;
    assert_string_equal(kolo_step_format(&step, text, 8), "copy in"); /* cut, not overrun */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seal__empty),
        cmocka_unit_test(seal__any_graph),
        cmocka_unit_test(after__no_step_on_either_side),
        cmocka_unit_test(reset__forgets_steps_and_failure),
        cmocka_unit_test(step_format__every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
