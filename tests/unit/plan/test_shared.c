/* test_shared.c - schedules on tensors that all ranks see: what they must keep to, small ones made by hand; and the
 * algorithm's own. (test_mutation_shared.c breaks real ones.) */
#include "base/error.h"
#include "plan/build.h"
#include "plan/check.h"
#include "plan/windows.h"
#include "unit/plan/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

/* ---- by hand --------------------------------------------------------------------------------- */

/* Two ranks, one element each: an all-reduce in which each rank fetches what the other one has folded. */
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

/* All elements where they belong. */
static kolo_step work(kolo_step_kind kind, kolo_buffer dst, kolo_buffer a, int32_t peer, int64_t offset)
{
    return (kolo_step){.kind = (uint8_t)kind,
                       .dst = (uint8_t)dst,
                       .a = (uint8_t)a,
                       .b = KOLO_BUFFER_INPUT,
                       .peer = peer,
                       .final = kind == KOLO_STEP_FOLD,
                       .dst_offset = offset,
                       .a_offset = offset,
                       .b_offset = offset,
                       .count = 1};
}

enum { FOLD, REDUCED, WAIT_REDUCED, FETCH, DONE, WAIT_DONE, STEPS };

static void pair_init(pair *p)
{
    layout_init(&p->layout, KOLO_ALLREDUCE, 2, 2, 1);
    for (int32_t rank = 0; rank < 2; rank++) {
        kolo_step *steps = p->steps[rank];
        p->counts[rank] = STEPS;
        steps[FOLD] = work(KOLO_STEP_FOLD, KOLO_BUFFER_OUTPUT, KOLO_BUFFER_PEER_INPUT, rank, rank);
        steps[REDUCED] = flag(KOLO_STEP_NOTIFY, KOLO_FLAG_REDUCED, 1);
        steps[WAIT_REDUCED] = flag(KOLO_STEP_WAIT, KOLO_FLAG_REDUCED, 1);
        steps[FETCH] = work(KOLO_STEP_COPY, KOLO_BUFFER_OUTPUT, KOLO_BUFFER_PEER_OUTPUT, 1 - rank, 1 - rank);
        steps[DONE] = flag(KOLO_STEP_NOTIFY, KOLO_FLAG_DONE, 1);
        steps[WAIT_DONE] = flag(KOLO_STEP_WAIT, KOLO_FLAG_DONE, 1);
        kolo_schedule_init(&p->schedules[rank]);
        p->schedules[rank].flag_total[KOLO_FLAG_REDUCED] = p->schedules[rank].flag_total[KOLO_FLAG_DONE] = 1;
    }
}

/* Each rank folds everything for itself, as needs no order out of place. */
static void pair_init_oneshot(pair *p)
{
    pair_init(p);
    for (int32_t rank = 0; rank < 2; rank++) {
        p->schedules[rank].flag_total[KOLO_FLAG_REDUCED] = 0;
        for (int64_t i = 0; i < 2; i++)
            p->steps[rank][i] = work(KOLO_STEP_FOLD, KOLO_BUFFER_OUTPUT, KOLO_BUFFER_PEER_INPUT, (int32_t)i, i);
        p->steps[rank][2] = flag(KOLO_STEP_NOTIFY, KOLO_FLAG_DONE, 1);
        p->steps[rank][3] = flag(KOLO_STEP_WAIT, KOLO_FLAG_DONE, 1);
        p->counts[rank] = 4;
    }
}

static void swap(kolo_step *steps, int one, int other)
{
    kolo_step moved = steps[one];
    steps[one] = steps[other];
    steps[other] = moved;
}

static kolo_status pair_check(pair *p, kolo_placement placement, uint64_t seed)
{
    for (int32_t rank = 0; rank < 2; rank++) {
        for (uint32_t i = 0; i < p->counts[rank]; i++)
            kolo_build_chained(&p->schedules[rank], p->steps[rank][i]);
        assert_int_equal(kolo_schedule_seal(&p->schedules[rank]), KOLO_OK);
    }
    kolo_status status = kolo_schedules_check(p->schedules, &p->layout.spec, KOLO_ASSOCIATION_DIRECT, placement, seed);
    for (int32_t rank = 0; rank < 2; rank++)
        kolo_schedule_fini(&p->schedules[rank]);
    return status;
}

static void expect_fault(pair *p, kolo_placement placement, const char *what)
{
    assert_int_equal(pair_check(p, placement, 1), KOLO_ERR_INTERNAL);
    if (!strstr(kolo_error_current()->message, what))
        fail_msg("'%s' is not in: %s", what, kolo_error_current()->message);
}

static void pair__right(void **state)
{
    (void)state;
    for (kolo_placement placement = 0; placement <= KOLO_PLACEMENT_MIXED; placement++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            pair p;
            pair_init(&p);
            assert_int_equal(pair_check(&p, placement, seed), KOLO_OK);
        }
    }
}

static void race__fetched_before_it_is_there(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    swap(p.steps[1], WAIT_REDUCED, FETCH);
    expect_fault(&p, KOLO_OUT_OF_PLACE, "output of rank 0, element 0: no order between rank ");
}

/* In place, the result overwrites an input that the other rank has not yet read. */
static void race__in_place_only(void **state)
{
    (void)state;
    int races = 0;
    pair p;
    pair_init_oneshot(&p);
    assert_int_equal(pair_check(&p, KOLO_OUT_OF_PLACE, 1), KOLO_OK);
    pair_init_oneshot(&p);
    expect_fault(&p, KOLO_IN_PLACE, "input of rank 0, element 0: no order between rank ");
    for (uint64_t seed = 0; seed < 40; seed++) { /* a quarter of them is out of place on both */
        pair_init_oneshot(&p);
        races += pair_check(&p, KOLO_PLACEMENT_MIXED, seed) == KOLO_ERR_INTERNAL;
    }
    assert_in_range(races, 20, 39);
}

static void race__two_write_one_element(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    for (int32_t rank = 0; rank < 2; rank++) /* what the other one writes too, as it folds for all */
        p.steps[rank][FOLD].dst = KOLO_BUFFER_PEER_OUTPUT;
    swap(p.steps[0], FETCH, REDUCED);
    expect_fault(&p, KOLO_OUT_OF_PLACE, "output of rank 0, element 1: no order between rank ");
}

/* ---- the rules ------------------------------------------------------------------------------- */

static void rules__touched_after_done(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    swap(p.steps[0], FETCH, DONE);
    expect_fault(&p, KOLO_OUT_OF_PLACE,
                 "rank 0, step 4 (copy output[1..2) = output[1..2) of rank 1): touches a peer's tensor after it said");
}

static void rules__ends_before_the_others(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    p.counts[1]--;
    expect_fault(&p, KOLO_OUT_OF_PLACE, "rank 1 ends before all are done with its tensors");
    pair_init(&p);
    p.steps[0][WAIT_DONE].count = 0;
    expect_fault(&p, KOLO_OUT_OF_PLACE, "rank 0 ends before all are done with its tensors");
    pair_init(&p);
    p.steps[0][WAIT_DONE].peer = 1; /* all must be waited for, even where all is one */
    expect_fault(&p, KOLO_OUT_OF_PLACE, "rank 0 ends before all are done with its tensors");
}

static void rules__without_flags(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    for (int32_t rank = 0; rank < 2; rank++) {
        kolo_schedule_init(&p.schedules[rank]);
        p.counts[rank] = 1;
    }
    expect_fault(&p, KOLO_OUT_OF_PLACE, "there is no flag to tell when that is over");
}

static void rules__each_flaw(void **state)
{
    (void)state;
    enum { ALL = KOLO_BUFFER_PEER_OUTPUT };
    const struct {
        kolo_step step;
        const char *what;
    } flaws[] = {
        {{.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .a = ALL, .peer = 1, .count = 1}, "the rank itself"},
        {{.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .a = ALL, .peer = 2, .count = 1}, "no such rank"},
        {{.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .a = ALL, .a_offset = 2, .count = 1}, "reads out of"},
        {{.kind = KOLO_STEP_COPY, .dst = ALL, .count = 1}, "writes to all outputs"},
        {{.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_PEER_INPUT, .count = 1}, "writes to an input"},
        {{.kind = KOLO_STEP_FOLD, .dst = KOLO_BUFFER_OUTPUT, .a = ALL, .count = 1}, "folds something else"},
        {{.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .a = ALL, .peer = -1, .count = 1}, "no such rank"},
        {{.kind = KOLO_STEP_FOLD, .dst = ALL, .a = KOLO_BUFFER_PEER_INPUT, .count = 3}, "reads out of"},
        {{.kind = KOLO_STEP_FOLD, .dst = ALL, .dst_offset = 2, .a = KOLO_BUFFER_PEER_INPUT, .count = 1},
         "writes out of"},
        {{.kind = KOLO_STEP_REDUCE, .dst = KOLO_BUFFER_OUTPUT, .a = KOLO_BUFFER_PEER_INPUT, .count = 1}, "not reduced"},
        {{.kind = KOLO_STEP_REDUCE, .dst = KOLO_BUFFER_OUTPUT, .b = KOLO_BUFFER_PEER_INPUT, .count = 1}, "not reduced"},
        {{.kind = KOLO_STEP_REDUCE, .dst = ALL, .count = 1}, "not reduced"},
        {{.kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .a = KOLO_BUFFER_PEER_INPUT, .a_offset = 1, .count = 1},
         "at several places"},
        {{.kind = KOLO_STEP_FOLD, .dst = ALL, .dst_offset = 1, .a = KOLO_BUFFER_PEER_INPUT, .count = 1},
         "at several places"},
        {{.kind = KOLO_STEP_FOLD, .dst = KOLO_BUFFER_OUTPUT, .a = KOLO_BUFFER_PEER_INPUT, .b_offset = 1, .count = 1},
         "at several places"},
    };
    for (size_t i = 0; i < sizeof(flaws) / sizeof(flaws[0]); i++) {
        pair p;
        pair_init(&p);
        p.steps[1][FETCH] = flaws[i].step;
        expect_fault(&p, KOLO_OUT_OF_PLACE, flaws[i].what);
    }
}

/* There is no more of a reduce-scatter's outputs than their slices. */
static void rules__reduce_scatter_to_all(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    p.layout.spec.collective = KOLO_REDUCE_SCATTER;
    p.steps[0][FOLD].dst = KOLO_BUFFER_PEER_OUTPUT;
    expect_fault(&p, KOLO_OUT_OF_PLACE, "rank 0, step 0 (fold output[0..1) of all = input[0..1)");
}

static void rules__messages_beside_tensors(void **state)
{
    (void)state;
    const uint8_t buffers[] = {KOLO_BUFFER_PEER_INPUT, KOLO_BUFFER_PEER_OUTPUT};
    for (size_t i = 0; i < 4; i++) {
        pair p;
        pair_init(&p);
        for (int32_t rank = 0; rank < 2; rank++) {
            kolo_schedule_init(&p.schedules[rank]);
            p.counts[rank] = rank == 0;
        }
        p.steps[0][0] = (kolo_step){.kind = i < 2 ? KOLO_STEP_SEND : KOLO_STEP_RECV, .peer = 1, .count = 1};
        p.steps[0][0].a = p.steps[0][0].dst = buffers[i % 2];
        expect_fault(&p, KOLO_OUT_OF_PLACE, "out of bounds");
    }
}

/* ---- the algorithm's own --------------------------------------------------------------------- */

static void build__tensors_are_not_shared(void **state)
{
    (void)state;
    layout l;
    for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++) {
        layout_init(&l, collective, 3, 9, 2);
        l.spec.shared_tensors = false;
        kolo_schedule schedule;
        kolo_schedule_init(&schedule);
        assert_int_equal(kolo_algorithm_find("shared")->build(&l.spec, &schedule), KOLO_ERR_UNSUPPORTED);
        assert_non_null(strstr(kolo_error_current()->message, "memory that everybody sees"));
        kolo_schedule_fini(&schedule);
    }
}

/* Nothing to do for each other needs no such memory, and no flags. */
static void build__nothing_or_nobody(void **state)
{
    (void)state;
    layout l;
    for (int32_t size = 1; size <= 3; size++) {
        for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++) {
            layout_init(&l, collective, size, size == 1 ? 7 : 0, 3);
            l.spec.shared_tensors = false;
            kolo_schedule *schedules = layout_build(&l, kolo_algorithm_find("shared"));
            assert_int_equal(schedules[0].flag_total[KOLO_FLAG_DONE], 0);
            assert_true(schedules[0].step_count <= (size == 1 ? 1 : 0));
            layout_free(&l, schedules);
        }
    }
}

/* No window, no scratch, one pass; and a rank without a slice has nothing to do but to wait. */
static void build__one_step_a_chunk(void **state)
{
    (void)state;
    layout l;
    layout_init(&l, KOLO_ALLREDUCE, 3, 0, 4);
    l.offsets[1] = 10;
    l.offsets[2] = 10;
    l.offsets[3] = 11;
    kolo_schedule *schedules = layout_build(&l, kolo_algorithm_find("shared"));
    const size_t expected[] = {3 + 2, 0 + 2, 1 + 2};
    for (int32_t rank = 0; rank < 3; rank++) {
        assert_int_equal(schedules[rank].step_count, expected[rank]);
        assert_int_equal(schedules[rank].window_count + schedules[rank].scratch_count, 0);
    }
    layout_free(&l, schedules);
}

/* Everybody begins with another one's. */
static void build__allgather_starts_with_the_next(void **state)
{
    (void)state;
    layout l;
    layout_init(&l, KOLO_ALLGATHER, 4, 8, 8);
    kolo_schedule *schedules = layout_build(&l, kolo_algorithm_find("shared"));
    for (int32_t rank = 0; rank < 4; rank++)
        for (int32_t i = 0; i < 4; i++)
            assert_int_equal(schedules[rank].steps[i].a_offset, 2 * ((rank + 1 + i) % 4));
    layout_free(&l, schedules);
}

/* The operation is complete on one rank, and its caller overwrites a tensor. with_wait: behind the schedule's last WAIT. */
static kolo_status check_reuse(const layout *l, int32_t rank, kolo_buffer tensor, bool with_wait)
{
    const bool in_place[LAYOUT_SIZE_MAX] = {0};
    kolo_schedule *schedules = layout_build(l, kolo_algorithm_find("shared")), reused;
    kolo_schedule_init(&reused);
    for (size_t i = 0; i + !with_wait < schedules[rank].step_count; i++)
        kolo_build_chained(&reused, schedules[rank].steps[i]);
    kolo_build_chained(&reused, (kolo_step){.kind = KOLO_STEP_COPY,
                                            .dst = (uint8_t)tensor,
                                            .a = KOLO_BUFFER_SCRATCH,
                                            .count = kolo_plan_total(&l->spec)});
    memcpy(reused.flag_total, schedules[rank].flag_total, sizeof(reused.flag_total));
    assert_int_equal(kolo_schedule_seal(&reused), KOLO_OK);
    kolo_schedule_fini(&schedules[rank]);
    schedules[rank] = reused;
    kolo_status status = kolo_windows_check(schedules, l->spec.size, in_place);
    layout_free(l, schedules);
    return status;
}

/* The last WAIT is what makes that right, wherever others touch the tensor. */
static void end__tensors_are_the_callers_again(void **state)
{
    (void)state;
    for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++) {
        for (int32_t rank = 0; rank < 3; rank++) {
            layout l;
            layout_init(&l, collective, 3, 9, 2);
            l.spec.root = 1;
            bool is_read = collective != KOLO_BROADCAST;
            bool is_shared = collective == KOLO_ALLREDUCE || (collective == KOLO_BROADCAST && rank == 1);
            assert_int_equal(check_reuse(&l, rank, KOLO_BUFFER_INPUT, true), KOLO_OK);
            assert_int_equal(check_reuse(&l, rank, KOLO_BUFFER_OUTPUT, true), KOLO_OK);
            assert_int_equal(check_reuse(&l, rank, KOLO_BUFFER_INPUT, false), is_read ? KOLO_ERR_INTERNAL : KOLO_OK);
            assert_int_equal(check_reuse(&l, rank, KOLO_BUFFER_OUTPUT, false), is_shared ? KOLO_ERR_INTERNAL : KOLO_OK);
        }
    }
}

/* Where tensors lie is not the selector's knowledge. */
static void select__leaves_it_to_the_caller(void **state)
{
    (void)state;
    const kolo_price_model model = KOLO_PRICE_MODEL_DEFAULT;
    const kolo_algorithm *shared = kolo_algorithm_find("shared");
    for (kolo_collective collective = 0; collective < KOLO_BARRIER; collective++) {
        for (int64_t bytes = 1; bytes < INT64_C(1) << 36; bytes *= 4) {
            const kolo_algorithm *forced[] = {NULL, shared};
            kolo_plan_work work = {
                .collective = collective, .size = 4, .bytes = bytes, .chunk_bytes = 1 << 18, .window_bytes = 1 << 22};
            for (size_t i = 0; i < 2; i++)
                assert_ptr_not_equal(kolo_algorithm_select(&work, KOLO_ASSOCIATION_DIRECT, &model, forced[i]), shared);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pair__right),
        cmocka_unit_test(race__fetched_before_it_is_there),
        cmocka_unit_test(race__in_place_only),
        cmocka_unit_test(race__two_write_one_element),
        cmocka_unit_test(rules__touched_after_done),
        cmocka_unit_test(rules__ends_before_the_others),
        cmocka_unit_test(rules__without_flags),
        cmocka_unit_test(rules__each_flaw),
        cmocka_unit_test(rules__reduce_scatter_to_all),
        cmocka_unit_test(rules__messages_beside_tensors),
        cmocka_unit_test(build__tensors_are_not_shared),
        cmocka_unit_test(build__nothing_or_nobody),
        cmocka_unit_test(build__one_step_a_chunk),
        cmocka_unit_test(build__allgather_starts_with_the_next),
        cmocka_unit_test(end__tensors_are_the_callers_again),
        cmocka_unit_test(select__leaves_it_to_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
