/* test_mutation.c - breaks right schedules in every single place, and sees that the checker finds each break. */
#include "unit/plan/mutation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- fields ---------------------------------------------------------------------------------- */

static void break_message(subject *s, int32_t rank, uint32_t index)
{
    kolo_step step = s->schedules[rank].steps[index];
    kolo_step changed = step;
    changed.message++;
    try_step(s, rank, index, changed, "another message number");
    changed = step;
    changed.message = KOLO_SCHEDULE_MESSAGES_MAX;
    try_step(s, rank, index, changed, "too large a message number");
    changed = step;
    changed.peer = (step.peer + 1) % s->layout.spec.size;
    try_step(s, rank, index, changed, "another peer");
    changed.peer = s->layout.spec.size;
    try_step(s, rank, index, changed, "no peer");
    changed = step;
    changed.kind = step.kind == KOLO_STEP_SEND ? KOLO_STEP_RECV : KOLO_STEP_SEND;
    try_step(s, rank, index, changed, "send for receive");
}

/* Reading the own input is as good as reading a copy of it. */
static bool is_copied_input(const kolo_schedule *schedule, uint8_t buffer, int64_t offset, int64_t count)
{
    for (size_t i = 0; i < schedule->step_count; i++) {
        const kolo_step *copy = &schedule->steps[i];
        if (copy->kind == KOLO_STEP_COPY && copy->dst == buffer && copy->dst_offset == copy->a_offset &&
            offset >= copy->dst_offset && offset + count <= copy->dst_offset + copy->count)
            return true;
    }
    return false;
}

static void break_buffers(subject *s, int32_t rank, uint32_t index)
{
    const kolo_schedule *schedule = &s->schedules[rank];
    kolo_step step = schedule->steps[index];
    for (uint8_t buffer = 0; buffer <= KOLO_BUFFER_SCRATCH + 1; buffer++) {
        bool is_input = buffer == KOLO_BUFFER_INPUT;
        kolo_step changed = step;
        changed.dst = buffer;
        if (step.kind != KOLO_STEP_SEND && buffer != step.dst)
            try_step(s, rank, index, changed, "another dst buffer");
        changed = step;
        changed.a = buffer;
        if (step.kind != KOLO_STEP_RECV && buffer != step.a &&
            !(is_input && is_copied_input(schedule, step.a, step.a_offset, step.count)))
            try_step(s, rank, index, changed, "another a buffer");
        changed = step;
        changed.b = buffer;
        if (step.kind == KOLO_STEP_REDUCE && buffer != step.b &&
            !(is_input && is_copied_input(schedule, step.b, step.b_offset, step.count)))
            try_step(s, rank, index, changed, "another b buffer");
    }
}

static void break_places(subject *s, int32_t rank, uint32_t index)
{
    kolo_step step = s->schedules[rank].steps[index];
    for (int64_t shift = -1; shift <= 1; shift += 2) {
        kolo_step changed = step;
        changed.count += shift;
        try_step(s, rank, index, changed, "another count");
        changed = step;
        changed.dst_offset += shift;
        if (step.kind != KOLO_STEP_SEND)
            try_step(s, rank, index, changed, "another dst offset");
        changed = step;
        changed.a_offset += shift;
        if (step.kind != KOLO_STEP_RECV)
            try_step(s, rank, index, changed, "another a offset");
        changed = step;
        changed.b_offset += shift;
        if (step.kind == KOLO_STEP_REDUCE)
            try_step(s, rank, index, changed, "another b offset");
    }
    break_buffers(s, rank, index);
}

static void break_sum(subject *s, int32_t rank, uint32_t index)
{
    kolo_step step = s->schedules[rank].steps[index];
    kolo_step changed = step;
    changed.final = !step.final;
    try_step(s, rank, index, changed, "final");
    if (step.kind == KOLO_STEP_COPY)
        return;
    changed = step;
    changed.a = step.b;
    changed.a_offset = step.b_offset;
    changed.b = step.a;
    changed.b_offset = step.a_offset;
    try_step(s, rank, index, changed, "swapped operands");
    changed = step;
    changed.kind = KOLO_STEP_COPY;
    try_step(s, rank, index, changed, "copy for reduce");
}

static void break_steps(subject *s)
{
    for (int32_t rank = 0; rank < s->layout.spec.size; rank++) {
        for (uint32_t step = 0; step < s->schedules[rank].step_count; step++) {
            uint8_t kind = s->schedules[rank].steps[step].kind;
            if (kind == KOLO_STEP_SEND || kind == KOLO_STEP_RECV)
                break_message(s, rank, step);
            else
                break_sum(s, rank, step);
            break_places(s, rank, step);
        }
        kolo_schedule *schedule = &s->schedules[rank];
        if (schedule->scratch_count > 0) {
            schedule->scratch_count--;
            expect_found(s, rank, 0, "too small a scratch buffer");
            schedule->scratch_count++;
        }
    }
}

/* ---- subjects -------------------------------------------------------------------------------- */

static void break_all(const char *name, kolo_collective collective, int32_t size, int64_t count, int64_t chunk,
                      bool is_shuffled)
{
    kolo_rng rng = {.state = (uint64_t)size};
    subject s = {.algorithm = kolo_algorithm_find(name)};
    layout_init(&s.layout, collective, size, count, chunk);
    s.layout.spec.root = size / 2;
    if (is_shuffled)
        layout_shuffle_ring(&s.layout, &rng);
    subject_init(&s);
    drop_dependencies(&s);
    expect_right(&s);
    break_steps(&s);
    subject_fini(&s);
}

static void break_sizes(const char *name, kolo_collective collective)
{
    break_all(name, collective, 2, 4, 1, false);
    break_all(name, collective, 2, 24, 1, false); /* more chunks than the ring has slots */
    break_all(name, collective, 3, 17, 2, true);
    break_all(name, collective, 5, 8, 1, false);
    break_all(name, collective, 6, 13, 2, true);
    break_all(name, collective, 7, 7, 100, false);
}

static void ring_allreduce__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("ring", KOLO_ALLREDUCE);
}

static void ring_reduce_scatter__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("ring", KOLO_REDUCE_SCATTER);
}

static void ring_allgather__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("ring", KOLO_ALLGATHER);
}

static void oneshot_allreduce__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("oneshot", KOLO_ALLREDUCE);
}

static void oneshot_reduce_scatter__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("oneshot", KOLO_REDUCE_SCATTER);
}

static void oneshot_allgather__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("oneshot", KOLO_ALLGATHER);
}

static void circulant_allreduce__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("circulant", KOLO_ALLREDUCE);
}

static void circulant_reduce_scatter__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("circulant", KOLO_REDUCE_SCATTER);
}

static void circulant_allgather__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("circulant", KOLO_ALLGATHER);
}

static void binomial__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("binomial", KOLO_BROADCAST);
}

static void chain__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("chain", KOLO_BROADCAST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_allreduce__any_break_is_found),
        cmocka_unit_test(ring_reduce_scatter__any_break_is_found),
        cmocka_unit_test(ring_allgather__any_break_is_found),
        cmocka_unit_test(oneshot_allreduce__any_break_is_found),
        cmocka_unit_test(oneshot_reduce_scatter__any_break_is_found),
        cmocka_unit_test(oneshot_allgather__any_break_is_found),
        cmocka_unit_test(circulant_allreduce__any_break_is_found),
        cmocka_unit_test(circulant_reduce_scatter__any_break_is_found),
        cmocka_unit_test(circulant_allgather__any_break_is_found),
        cmocka_unit_test(binomial__any_break_is_found),
        cmocka_unit_test(chain__any_break_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
