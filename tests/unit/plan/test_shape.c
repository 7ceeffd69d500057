/* test_shape.c - what the schedules cost: messages, bytes, rounds, scratch; and the specs that get none. */
#include "unit/plan/layout.h"

#include "base/error.h"
#include "plan/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct cost {
    size_t sends, steps;
    int64_t sent, scratch;
    uint32_t hops;
} cost;

static cost cost_of(const char *name, const kolo_plan_spec *spec)
{
    kolo_schedule schedule;
    kolo_schedule_init(&schedule);
    assert_int_equal(kolo_algorithm_find(name)->build(spec, &schedule), KOLO_OK);
    cost result = {.steps = schedule.step_count, .scratch = schedule.scratch_count};
    for (size_t i = 0; i < schedule.step_count; i++) {
        const kolo_step *step = &schedule.steps[i];
        if (step->kind != KOLO_STEP_SEND)
            continue;
        result.sends++;
        result.sent += step->count;
        result.hops = step->hop + 1 > result.hops ? step->hop + 1 : result.hops;
        assert_true(step->message < KOLO_SCHEDULE_MESSAGES_MAX);
    }
    kolo_schedule_fini(&schedule);
    return result;
}

enum { SLICE = 10 };

static void circulant__fewest_blocks_in_fewest_rounds(void **state)
{
    (void)state;
    for (int32_t size = 2; size <= LAYOUT_SIZE_MAX; size++) {
        layout l;
        layout_init(&l, KOLO_ALLREDUCE, size, SLICE * size, 1);
        cost all = cost_of("circulant", &l.spec);
        uint32_t rounds = (uint32_t)kolo_price_rounds(size);
        assert_int_equal(all.hops, 2 * rounds);
        assert_int_equal(all.sent, 2 * (size - 1) * SLICE);
        /* One message a round, two where the ring closes or the first round left a block over. */
        assert_true(all.sends <= 2 * (2 * rounds) + 1);
        l.spec.collective = KOLO_REDUCE_SCATTER;
        assert_int_equal(cost_of("circulant", &l.spec).sent, (size - 1) * SLICE);
        l.spec.collective = KOLO_ALLGATHER;
        assert_int_equal(cost_of("circulant", &l.spec).sent, (size - 1) * SLICE);
    }
}

static void oneshot__one_message_a_round(void **state)
{
    (void)state;
    for (int32_t size = 2; size <= LAYOUT_SIZE_MAX; size++) {
        layout l;
        layout_init(&l, KOLO_ALLREDUCE, size, SLICE * size, 1);
        cost all = cost_of("oneshot", &l.spec);
        assert_int_equal(all.sends, kolo_price_rounds(size));
        assert_int_equal(all.sent, (size - 1) * SLICE * size);
    }
}

static void ring__neighbours_only_and_little_scratch(void **state)
{
    (void)state;
    for (int32_t size = 2; size <= LAYOUT_SIZE_MAX; size++) {
        layout l;
        layout_init(&l, KOLO_ALLREDUCE, size, SLICE * size, 2);
        cost all = cost_of("ring", &l.spec);
        assert_int_equal(all.sent, 2 * (size - 1) * SLICE);
        assert_int_equal(all.sends, 2 * (size - 1) * (SLICE / 2));
        assert_int_equal(all.scratch, 4 * 2);
    }
}

/* A chunk's next hop waits for that chunk alone. */
static void ring__chunks_are_pipelined(void **state)
{
    (void)state;
    layout l;
    layout_init(&l, KOLO_ALLREDUCE, 4, 4 * SLICE, 1);
    kolo_schedule *schedules = layout_build(&l, kolo_algorithm_find("ring"));
    for (size_t i = 0; i < schedules[0].step_count; i++)
        if (schedules[0].steps[i].kind == KOLO_STEP_SEND)
            assert_int_equal(schedules[0].wait_count[i], schedules[0].steps[i].hop == 0 ? 0 : 1);
    layout_free(&l, schedules);
}

static void all__huge_tensors_have_bounded_schedules(void **state)
{
    (void)state;
    for (size_t i = 0; i < kolo_algorithm_count(); i++) {
        const kolo_algorithm *algorithm = kolo_algorithm_at(i);
        for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++) {
            for (int32_t size = 2; size <= LAYOUT_SIZE_MAX && algorithm->collectives & (1u << collective); size += 31) {
                layout l;
                layout_init(&l, collective, size, INT64_C(1) << 40, 1);
                assert_true(cost_of(algorithm->name, &l.spec).steps <= KOLO_PLAN_STEPS_MAX + KOLO_PLAN_CHUNKS_MAX);
            }
        }
    }
}

/* A thousand ranks on one ring: still built, with one chunk a slice. */
static void ring__a_thousand_ranks(void **state)
{
    (void)state;
    enum { SIZE = 1000 };
    static int32_t ring[SIZE];
    static int64_t offsets[SIZE + 1];
    const int64_t count = INT64_C(1) << 40;
    for (int32_t i = 0; i < SIZE; i++)
        ring[i] = i;
    kolo_slice_layout(&count, 1, SIZE, false, offsets);
    kolo_plan_spec spec = {.collective = KOLO_ALLREDUCE,
                           .rank = 7,
                           .size = SIZE,
                           .ring = ring,
                           .slice_offsets = offsets,
                           .chunk_count = 1};
    assert_true(cost_of("ring", &spec).steps <= KOLO_PLAN_STEPS_MAX);
    assert_int_equal(cost_of("circulant", &spec).hops, 20);
}

static void chunk__stays_within_its_bounds(void **state)
{
    (void)state;
    assert_int_equal(kolo_plan_chunk(5, 100, 10), 5);
    assert_int_equal(kolo_plan_chunk(500, 100, 10), 100);
    assert_int_equal(kolo_plan_chunk(5, 0, 10), 1);
    assert_int_equal(kolo_plan_chunk(1, 256 * 1000 + 1, 10), 1001);
    assert_int_equal(kolo_plan_chunk(1, 1000, KOLO_PLAN_STEPS_MAX / 2), 500);
    assert_int_equal(kolo_plan_chunk(1, 1000, KOLO_PLAN_STEPS_MAX * INT64_C(2)), 1000);
    assert_int_equal(kolo_plan_chunk(INT64_MAX, INT64_MAX, 10), INT64_MAX);
}

/* ---- specs that make no sense ---------------------------------------------------------------- */

static void expect_refused(const layout *l, kolo_status expected, const char *what)
{
    for (size_t i = 0; i < kolo_algorithm_count(); i++) {
        if (!(kolo_algorithm_at(i)->collectives & (1u << l->spec.collective)))
            continue;
        kolo_schedule schedule;
        kolo_schedule_init(&schedule);
        assert_int_equal(kolo_algorithm_at(i)->build(&l->spec, &schedule), expected);
        assert_non_null(strstr(kolo_error_current()->message, what));
        kolo_schedule_fini(&schedule);
    }
}

static void build__rank_is_outside(void **state)
{
    (void)state;
    layout l;
    layout_init(&l, KOLO_ALLREDUCE, 3, 9, 1);
    l.spec.rank = 3;
    expect_refused(&l, KOLO_ERR_INVALID, "rank 3 of 3");
    l.spec.rank = -1;
    expect_refused(&l, KOLO_ERR_INVALID, "rank -1");
    l.spec.rank = l.spec.size = 0;
    expect_refused(&l, KOLO_ERR_INVALID, "of 0 ranks");
}

static void build__too_many_ranks(void **state)
{
    (void)state;
    layout l;
    layout_init(&l, KOLO_ALLREDUCE, 3, 9, 1);
    l.spec.size = KOLO_SCHEDULE_MESSAGES_MAX / 2;
    expect_refused(&l, KOLO_ERR_UNSUPPORTED, "too many");
}

static void build__root_is_outside(void **state)
{
    (void)state;
    layout l;
    layout_init(&l, KOLO_BROADCAST, 3, 9, 1);
    l.spec.root = 3;
    expect_refused(&l, KOLO_ERR_INVALID, "root 3");
    l.spec.root = -1;
    expect_refused(&l, KOLO_ERR_INVALID, "root -1");
}

static void build__ring_is_no_permutation(void **state)
{
    (void)state;
    layout l;
    layout_init(&l, KOLO_ALLREDUCE, 3, 9, 1);
    l.ring[2] = 0;
    expect_refused(&l, KOLO_ERR_INVALID, "rank 0 is on the ring 2 times");
    l.ring[0] = l.ring[1] = l.ring[2] = 1;
    expect_refused(&l, KOLO_ERR_INVALID, "rank 0 is on the ring 0 times");
    l.ring[1] = 3;
    expect_refused(&l, KOLO_ERR_INVALID, "position 1 of the ring");
}

static void build__chunk_or_slices_are_wrong(void **state)
{
    (void)state;
    layout l;
    layout_init(&l, KOLO_ALLGATHER, 3, 9, 0);
    expect_refused(&l, KOLO_ERR_INVALID, "chunk of 0");
    l.spec.chunk_count = 1;
    l.offsets[2] = 2;
    expect_refused(&l, KOLO_ERR_INVALID, "slice 1 ends before it begins");
    l.offsets[0] = 1;
    expect_refused(&l, KOLO_ERR_INVALID, "begin at 0");
}

static void oneshot__inputs_do_not_fit_into_64_bits(void **state)
{
    (void)state;
    layout l;
    layout_init(&l, KOLO_ALLREDUCE, 3, INT64_MAX / 2, 1);
    kolo_schedule schedule;
    kolo_schedule_init(&schedule);
    assert_int_equal(kolo_algorithm_find("oneshot")->build(&l.spec, &schedule), KOLO_ERR_UNSUPPORTED);
    kolo_schedule_fini(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(circulant__fewest_blocks_in_fewest_rounds),
        cmocka_unit_test(oneshot__one_message_a_round),
        cmocka_unit_test(ring__neighbours_only_and_little_scratch),
        cmocka_unit_test(ring__chunks_are_pipelined),
        cmocka_unit_test(all__huge_tensors_have_bounded_schedules),
        cmocka_unit_test(ring__a_thousand_ranks),
        cmocka_unit_test(chunk__stays_within_its_bounds),
        cmocka_unit_test(build__rank_is_outside),
        cmocka_unit_test(build__too_many_ranks),
        cmocka_unit_test(build__root_is_outside),
        cmocka_unit_test(build__ring_is_no_permutation),
        cmocka_unit_test(build__chunk_or_slices_are_wrong),
        cmocka_unit_test(oneshot__inputs_do_not_fit_into_64_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
