/* test_check.c - the symbolic checker on small schedules made by hand: each kind of fault, and what it says about it.
 * (test_mutation.c breaks the real ones.) */
#include "plan/check.h"

#include "base/error.h"
#include "plan/build.h"
#include "unit/plan/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Two ranks, two elements: rank 0 owns element 0, rank 1 element 1. */
typedef struct pair {
    layout layout;
    kolo_schedule schedules[2];
} pair;

static const kolo_place input = {KOLO_BUFFER_INPUT, 0}, output = {KOLO_BUFFER_OUTPUT, 0},
                        scratch = {KOLO_BUFFER_SCRATCH, 0};

static void pair_init(pair *p, kolo_collective collective)
{
    layout_init(&p->layout, collective, 2, 2, 1);
    for (int32_t rank = 0; rank < 2; rank++) {
        kolo_schedule_init(&p->schedules[rank]);
        p->schedules[rank].scratch_count = 2;
    }
}

static void expect_status(pair *p, kolo_placement placement, kolo_status expected, const char *what)
{
    for (int32_t rank = 0; rank < 2; rank++)
        assert_int_equal(kolo_schedule_seal(&p->schedules[rank]), KOLO_OK);
    kolo_status status = kolo_schedules_check(p->schedules, &p->layout.spec, KOLO_ASSOCIATION_RING, placement, 1);
    assert_int_equal(status, expected);
    if (expected != KOLO_OK && !strstr(kolo_error_current()->message, what))
        fail_msg("'%s' is not in: %s", what, kolo_error_current()->message);
    for (int32_t rank = 0; rank < 2; rank++)
        kolo_schedule_fini(&p->schedules[rank]);
}

static void expect_fault(pair *p, const char *what)
{
    expect_status(p, KOLO_OUT_OF_PLACE, KOLO_ERR_INTERNAL, what);
}

/* Swaps all elements with the other rank; returns the RECV into SCRATCH. */
static uint32_t exchange(pair *p, int32_t rank, uint32_t *send)
{
    *send = kolo_build_send(&p->schedules[rank], input, 2, 1 - rank, 0, 0);
    return kolo_build_recv(&p->schedules[rank], scratch, 2, 1 - rank, 0, 0);
}

static kolo_place place(kolo_buffer buffer, int64_t offset)
{
    return kolo_place_at(buffer, offset);
}

/* The right all-reduce: each slice starts with the other rank's input, and ends with its owner's. */
static void build_sum(pair *p, bool is_ordered_in_place)
{
    for (int32_t rank = 0; rank < 2; rank++) {
        uint32_t send, receive = exchange(p, rank, &send);
        for (int32_t owner = 0; owner < 2; owner++) {
            kolo_place own = place(KOLO_BUFFER_INPUT, owner), other = place(KOLO_BUFFER_SCRATCH, owner);
            uint32_t reduce = kolo_build_reduce(&p->schedules[rank], place(KOLO_BUFFER_OUTPUT, owner),
                                                rank == owner ? other : own, rank == owner ? own : other, 1, true, 1);
            kolo_schedule_after(&p->schedules[rank], receive, reduce);
            if (is_ordered_in_place)
                kolo_schedule_after(&p->schedules[rank], send, reduce);
        }
    }
}

static void schedules__right(void **state)
{
    (void)state;
    for (kolo_placement placement = 0; placement <= KOLO_PLACEMENT_MIXED; placement++) {
        pair p;
        pair_init(&p, KOLO_ALLREDUCE);
        build_sum(&p, true);
        expect_status(&p, placement, KOLO_OK, "");
    }
}

static void schedules__race_in_place_only(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    build_sum(&p, false);
    expect_status(&p, KOLO_OUT_OF_PLACE, KOLO_OK, "");
    pair_init(&p, KOLO_ALLREDUCE);
    build_sum(&p, false);
    expect_status(&p, KOLO_IN_PLACE, KOLO_ERR_INTERNAL, "rank 0, element 0: no order between step 0");
}

/* Both swap operands: all ranks agree, all inputs are there, but it is not what was promised. */
static void result__in_another_order(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    build_sum(&p, true);
    for (int32_t rank = 0; rank < 2; rank++) {
        for (size_t i = 2; i < 4; i++) {
            kolo_step *step = &p.schedules[rank].steps[i], original = *step;
            step->a = original.b;
            step->b = original.a;
        }
    }
    expect_fault(&p, "rank 0, element 0 of the result is summed in another order than promised");
}

static void result__input_is_missing(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    for (int32_t rank = 0; rank < 2; rank++)
        kolo_build_copy(&p.schedules[rank], output, input, 2, true);
    expect_fault(&p, "rank 0, element 0 of the result holds rank 1's input 0 times instead of 1");
}

static void result__input_is_there_twice(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    build_sum(&p, true);
    uint32_t again = kolo_build_reduce(&p.schedules[1], output, output, scratch, 2, false, 2);
    kolo_schedule_after(&p.schedules[1], 2, again);
    kolo_schedule_after(&p.schedules[1], 3, again);
    expect_fault(&p, "rank 1, element 0 of the result holds rank 0's input 2 times instead of 1");
}

/* The sum of a sum with itself, 70 times over: more uses than can be counted, a text too long to print. */
static void result__input_is_there_beyond_counting(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    for (int i = 0; i < 70; i++) {
        uint32_t twice = i == 0 ? kolo_build_reduce(&p.schedules[0], output, input, input, 2, false, 0)
                                : kolo_build_reduce(&p.schedules[0], output, output, output, 2, false, 0);
        kolo_schedule_after(&p.schedules[0], i == 0 ? KOLO_NO_STEP : twice - 1, twice);
    }
    expect_fault(&p, "holds rank 0's input 9223372036854775807 times instead of 1");
}

static void result__final_is_missing(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    build_sum(&p, true);
    p.schedules[1].steps[3].final = false;
    expect_fault(&p, "rank 1, element 1 of the result was not made final as the last thing");
}

static void result__final_is_doubled(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    build_sum(&p, true);
    uint32_t again =
        kolo_build_copy(&p.schedules[0], place(KOLO_BUFFER_OUTPUT, 1), place(KOLO_BUFFER_OUTPUT, 1), 1, true);
    kolo_schedule_after(&p.schedules[0], 3, again);
    expect_fault(&p, "rank 0, element 1 of the result was made final twice: final(final(");
}

static void result__is_never_written(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    expect_fault(&p, "rank 0, element 0 of the result was never written");
}

static void result__holds_another_element(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_BROADCAST);
    kolo_build_send(&p.schedules[0], output, 1, 1, 0, 0);
    kolo_build_send(&p.schedules[0], output, 1, 1, 1, 0);
    kolo_build_recv(&p.schedules[1], output, 1, 0, 0, 0);
    kolo_build_recv(&p.schedules[1], place(KOLO_BUFFER_OUTPUT, 1), 1, 0, 1, 0);
    expect_fault(&p, "rank 1, element 1 of the result is element 0");
}

/* Both send first, and receive when that is over: right with buffered sends, wrong with a rendezvous. */
static void run__deadlock(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    build_sum(&p, true);
    for (int32_t rank = 0; rank < 2; rank++)
        kolo_schedule_after(&p.schedules[rank], 0, 1);
    expect_fault(&p, "deadlock");
}

static void run__reads_undefined_memory(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    kolo_build_copy(&p.schedules[0], output, scratch, 1, true);
    expect_fault(&p,
                 "rank 0, step 0 (copy output[0..1) = scratch[0..1), final), element 0: reads what was never written");
    pair_init(&p, KOLO_ALLGATHER);
    kolo_build_send(&p.schedules[0], input, 2, 1, 0, 0); /* only its own slice is input */
    kolo_build_recv(&p.schedules[1], output, 2, 0, 0, 0);
    expect_fault(&p, "element 1: sends what was never written");
}

static void run__combines_two_elements(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    kolo_build_reduce(&p.schedules[0], output, input, place(KOLO_BUFFER_INPUT, 1), 1, true, 0);
    expect_fault(&p, "combines two different elements");
}

static void hazard__step_overlaps_itself(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    p.schedules[0].scratch_count = 3;
    kolo_build_copy(&p.schedules[0], place(KOLO_BUFFER_SCRATCH, 1), scratch, 2, false);
    expect_fault(&p, "its own ranges overlap in part");
}

static void pairing__no_partner(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    build_sum(&p, true);
    p.schedules[1].steps[1].message = 1;
    expect_fault(&p, "has no partner");
    pair_init(&p, KOLO_ALLREDUCE);
    kolo_build_recv(&p.schedules[1], scratch, 1, 0, 0, 0);
    expect_fault(&p, "rank 1, step 0 (receive scratch[0..1) from rank 0, message 0): has no partner");
}

static void pairing__message_number_is_used_twice(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    for (int i = 0; i < 2; i++) {
        kolo_build_send(&p.schedules[0], input, 1, 1, 0, 0);
        kolo_build_recv(&p.schedules[1], place(KOLO_BUFFER_SCRATCH, i), 1, 0, 0, 0);
    }
    expect_fault(&p, "has the message number of another");
}

static void pairing__counts_differ(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    build_sum(&p, true);
    p.schedules[1].steps[1].count = 1;
    expect_fault(&p, "and its partner differ in count");
}

static void form__each_flaw(void **state)
{
    (void)state;
    const struct {
        kolo_collective collective;
        kolo_step step;
        const char *what;
    } flaws[] = {
        {KOLO_ALLREDUCE, {.kind = KOLO_STEP_WAIT + 1, .count = 1}, "no such kind"},
        {KOLO_ALLREDUCE, {.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .count = 0}, "does nothing"},
        {KOLO_ALLREDUCE, {.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .count = -1}, "does nothing"},
        {KOLO_ALLREDUCE, {.kind = KOLO_STEP_SEND, .peer = 0, .count = 1}, "no such peer"},
        {KOLO_ALLREDUCE, {.kind = KOLO_STEP_SEND, .peer = 2, .count = 1}, "no such peer"},
        {KOLO_ALLREDUCE, {.kind = KOLO_STEP_SEND, .peer = -1, .count = 1}, "no such peer"},
        {KOLO_ALLREDUCE,
         {.kind = KOLO_STEP_SEND, .peer = 1, .count = 1, .message = KOLO_SCHEDULE_MESSAGES_MAX},
         "message number"},
        {KOLO_ALLREDUCE, {.kind = KOLO_STEP_SEND, .peer = 1, .count = 3}, "reads out of bounds"},
        {KOLO_ALLREDUCE, {.kind = KOLO_STEP_SEND, .peer = 1, .count = 1, .a_offset = -1}, "reads out of bounds"},
        {KOLO_ALLREDUCE, {.kind = KOLO_STEP_SEND, .peer = 1, .count = INT64_MAX, .a_offset = 1}, "reads out of bounds"},
        {KOLO_ALLREDUCE, {.kind = KOLO_STEP_SEND, .peer = 1, .count = 1, .a_offset = INT64_MAX}, "reads out of bounds"},
        {KOLO_ALLREDUCE, {.kind = KOLO_STEP_SEND, .peer = 1, .count = 1, .a = 3}, "reads out of bounds"},
        {KOLO_ALLREDUCE,
         {.kind = KOLO_STEP_REDUCE, .dst = KOLO_BUFFER_OUTPUT, .b_offset = 2, .count = 1},
         "reads out of bounds"},
        {KOLO_ALLREDUCE,
         {.kind = KOLO_STEP_RECV, .dst = KOLO_BUFFER_INPUT, .peer = 1, .count = 1},
         "writes to an input"},
        {KOLO_ALLREDUCE,
         {.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .dst_offset = 2, .count = 1},
         "writes out of bounds"},
        {KOLO_ALLREDUCE,
         {.kind = KOLO_STEP_RECV, .dst = KOLO_BUFFER_SCRATCH, .peer = 1, .count = 3},
         "writes out of bounds"},
        {KOLO_REDUCE_SCATTER,
         {.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .dst_offset = 1, .count = 1},
         "writes out of bounds"},
    };
    for (size_t i = 0; i < sizeof(flaws) / sizeof(flaws[0]); i++) {
        pair p;
        pair_init(&p, flaws[i].collective);
        kolo_schedule_add(&p.schedules[0], &flaws[i].step);
        expect_fault(&p, flaws[i].what);
    }
}

static void form__scratch_is_negative(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, KOLO_ALLREDUCE);
    p.schedules[1].scratch_count = -1;
    expect_fault(&p, "rank 1: a scratch buffer of -1 elements");
}

static void form__dependencies_are_damaged(void **state)
{
    (void)state;
    const char *const expected[] = {"comes earlier", "comes earlier", "another number", "ends before it begins",
                                    "not sealed"};
    for (int damage = 0; damage < 5; damage++) {
        pair p;
        pair_init(&p, KOLO_ALLREDUCE);
        build_sum(&p, true);
        for (int32_t rank = 0; rank < 2; rank++)
            assert_int_equal(kolo_schedule_seal(&p.schedules[rank]), KOLO_OK);
        kolo_schedule *schedule = &p.schedules[1];
        if (damage == 0)
            schedule->next[0] = 0;
        else if (damage == 1)
            schedule->next[0] = 4;
        else if (damage == 2)
            schedule->wait_count[2]++;
        else
            schedule->next_start[damage == 3 ? 1 : schedule->step_count] = 100;
        assert_int_equal(kolo_schedules_check(p.schedules, &p.layout.spec, KOLO_ASSOCIATION_RING, KOLO_OUT_OF_PLACE, 1),
                         KOLO_ERR_INTERNAL);
        assert_non_null(strstr(kolo_error_current()->message, expected[damage]));
        for (int32_t rank = 0; rank < 2; rank++)
            kolo_schedule_fini(&p.schedules[rank]);
    }
}

static void spec__makes_no_sense(void **state)
{
    (void)state;
    layout l;
    layout_init(&l, KOLO_ALLREDUCE, 3, 9, 1);
    l.ring[2] = 1;
    const kolo_algorithm *ring = kolo_algorithm_find("ring");
    assert_int_equal(kolo_schedule_check(ring, &l.spec, KOLO_OUT_OF_PLACE, 1), KOLO_ERR_INVALID);
    layout_init(&l, KOLO_ALLREDUCE, 3, 9, 1);
    l.spec.size = 0;
    assert_int_equal(kolo_schedule_check(ring, &l.spec, KOLO_OUT_OF_PLACE, 1), KOLO_ERR_INVALID);
    layout_init(&l, KOLO_ALLREDUCE, 2, INT64_C(1) << 33, 1);
    assert_int_equal(kolo_schedule_check(ring, &l.spec, KOLO_OUT_OF_PLACE, 1), KOLO_ERR_UNSUPPORTED);
}

/* Right sums under the wrong class: the order of one class is not that of the other. */
static void class__is_checked(void **state)
{
    (void)state;
    layout l;
    layout_init(&l, KOLO_ALLREDUCE, 5, 9, 1);
    kolo_schedule *schedules = layout_build(&l, kolo_algorithm_find("circulant"));
    assert_int_equal(kolo_schedules_check(schedules, &l.spec, KOLO_ASSOCIATION_CIRCULANT, KOLO_OUT_OF_PLACE, 1),
                     KOLO_OK);
    assert_int_equal(kolo_schedules_check(schedules, &l.spec, KOLO_ASSOCIATION_RING, KOLO_OUT_OF_PLACE, 1),
                     KOLO_ERR_INTERNAL);
    assert_non_null(strstr(kolo_error_current()->message, "expected final(((("));
    layout_free(&l, schedules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules__right),
        cmocka_unit_test(schedules__race_in_place_only),
        cmocka_unit_test(result__in_another_order),
        cmocka_unit_test(result__input_is_missing),
        cmocka_unit_test(result__input_is_there_twice),
        cmocka_unit_test(result__input_is_there_beyond_counting),
        cmocka_unit_test(result__final_is_missing),
        cmocka_unit_test(result__final_is_doubled),
        cmocka_unit_test(result__is_never_written),
        cmocka_unit_test(result__holds_another_element),
        cmocka_unit_test(run__deadlock),
        cmocka_unit_test(run__reads_undefined_memory),
        cmocka_unit_test(run__combines_two_elements),
        cmocka_unit_test(hazard__step_overlaps_itself),
        cmocka_unit_test(pairing__no_partner),
        cmocka_unit_test(pairing__message_number_is_used_twice),
        cmocka_unit_test(pairing__counts_differ),
        cmocka_unit_test(form__each_flaw),
        cmocka_unit_test(form__scratch_is_negative),
        cmocka_unit_test(form__dependencies_are_damaged),
        cmocka_unit_test(spec__makes_no_sense),
        cmocka_unit_test(class__is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
