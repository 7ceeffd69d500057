/* test_mutation_attach.c - breaks right schedules on tensors that the transport reads: places told or read too early, waits
 * and notices dropped or changed, wrong elements, scratch that is too small. Slices are of equal length. */
#include "unit/plan/mutation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void break_flag(subject *s, int32_t rank, uint32_t index)
{
    const kolo_schedule *schedule = &s->schedules[rank];
    kolo_step step = schedule->steps[index], changed = step;
    bool waits = step.kind == KOLO_STEP_WAIT;
    try_without(s, rank, index, waits ? "a dropped WAIT" : "a dropped NOTIFY");
    changed.count = step.count - 1;
    try_step(s, rank, index, changed, "a smaller value");
    changed.count = (int64_t)schedule->flag_total[step.message] + 1;
    try_step(s, rank, index, changed, "more than the total");
    changed = step;
    changed.message = KOLO_FLAG_COUNT;
    try_step(s, rank, index, changed, "an unknown flag");
    changed = step;
    changed.kind = waits ? KOLO_STEP_NOTIFY : KOLO_STEP_WAIT;
    try_step(s, rank, index, changed, "wait for notify, or notify for wait");
    changed = step;
    changed.peer = rank;
    if (waits)
        try_step(s, rank, index, changed, "waits for itself");
    if (!waits && index > 0)
        try_earlier(s, rank, index, "a NOTIFY before its cause");
}

static void break_places(subject *s, int32_t rank, uint32_t index)
{
    kolo_step step = s->schedules[rank].steps[index], changed = step;
    const int64_t shifts[] = {-1, 1, -step.count, step.count};
    for (size_t i = 0; i < 4; i++) {
        changed = step;
        changed.dst_offset += shifts[i];
        try_step(s, rank, index, changed, "another dst offset");
        changed.a_offset += shifts[i];
        changed.b_offset += shifts[i];
        try_step(s, rank, index, changed, "other elements");
        changed.dst_offset = step.dst_offset;
        try_step(s, rank, index, changed, "other sources");
    }
    changed = step;
    changed.count--;
    try_step(s, rank, index, changed, "an element less");
    changed = step;
    changed.final = !step.final;
    try_step(s, rank, index, changed, "final");
}

static void break_buffers(subject *s, int32_t rank, uint32_t index)
{
    kolo_step step = s->schedules[rank].steps[index], changed = step;
    for (uint8_t buffer = 0; buffer <= KOLO_BUFFER_COUNT; buffer++) {
        changed = step;
        changed.dst = buffer;
        if (buffer != step.dst)
            try_step(s, rank, index, changed, "another dst buffer");
        changed = step;
        changed.a = buffer;
        if (buffer != step.a)
            try_step(s, rank, index, changed, "another a buffer");
    }
    changed = step;
    for (changed.peer = -1; changed.peer <= s->layout.spec.size; changed.peer++)
        if (changed.peer != step.peer && step.kind == KOLO_STEP_COPY && step.a > KOLO_BUFFER_SCRATCH)
            try_step(s, rank, index, changed, "another owner");
}

static void break_steps(subject *s)
{
    for (int32_t rank = 0; rank < s->layout.spec.size; rank++) {
        for (uint32_t step = 0; step < s->schedules[rank].step_count; step++) {
            uint8_t kind = s->schedules[rank].steps[step].kind;
            if (kind != KOLO_STEP_COPY && kind != KOLO_STEP_FOLD) {
                break_flag(s, rank, step);
                continue;
            }
            try_without(s, rank, step, "a dropped step");
            break_places(s, rank, step);
            break_buffers(s, rank, step);
        }
    }
}

static void break_all(subject *s)
{
    for (int32_t rank = 0; rank < s->layout.spec.size; rank++) {
        kolo_schedule *schedule = &s->schedules[rank];
        for (int flag = 0; flag < KOLO_FLAG_COUNT; flag++) {
            schedule->flag_total[flag]++;
            expect_found(s, rank, 0, "another total");
            schedule->flag_total[flag]--;
        }
        schedule->scratch_count--;
        expect_found(s, rank, 0, "too little scratch");
        schedule->scratch_count++;
    }
    s->layout.spec.readable_tensors = false;
    expect_found(s, 0, 0, "tensors that nobody can read");
    s->layout.spec.readable_tensors = true;
}

static void allreduce__any_break_is_found(void **state)
{
    (void)state;
    kolo_rng rng = {.state = 3};
    for (int32_t size = 2; size <= 5; size++) {
        for (int32_t chunks = 1; chunks <= 3; chunks++) {
            subject s = {.algorithm = kolo_algorithm_find("attach")};
            layout_init(&s.layout, KOLO_ALLREDUCE, size, chunks * 2 * size, 2);
            layout_shuffle_ring(&s.layout, &rng);
            s.layout.spec.shared_tensors = false;
            subject_init(&s);
            drop_dependencies(&s);
            break_steps(&s);
            break_all(&s);
            subject_fini(&s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allreduce__any_break_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
