/* test_mutation_shared.c - breaks right schedules on tensors that all ranks see: slices that are wrong, overlap or are left
 * out, notices and waits dropped, moved or changed. Every single step is needed. */
#include "unit/plan/mutation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* ---- flags ----------------------------------------------------------------------------------- */

static void break_flag(subject *s, int32_t rank, uint32_t index)
{
    kolo_step step = s->schedules[rank].steps[index], changed = step;
    bool waits = step.kind == KOLO_STEP_WAIT;
    try_without(s, rank, index, waits ? "a dropped WAIT" : "a dropped NOTIFY");
    for (int64_t value = 0; value <= 2; value += 2) {
        changed.count = value;
        try_step(s, rank, index, changed, "another value");
    }
    changed = step;
    for (changed.message = 0; changed.message <= KOLO_FLAG_COUNT; changed.message++)
        if (changed.message != step.message)
            try_step(s, rank, index, changed, "another flag");
    changed = step;
    changed.kind = waits ? KOLO_STEP_NOTIFY : KOLO_STEP_WAIT;
    try_step(s, rank, index, changed, "wait for notify, or notify for wait");
    changed = step;
    for (changed.peer = -2; waits && changed.peer <= s->layout.spec.size; changed.peer++)
        if (changed.peer != step.peer)
            try_step(s, rank, index, changed, "waits for another peer");
}

/* Who waits before it has told is waited for: alone it would do, all of them wait for ever. */
static void break_end(subject *s)
{
    int32_t size = s->layout.spec.size;
    for (int turn = 0; turn < 2; turn++) {
        for (int32_t rank = 0; rank < size; rank++) {
            kolo_step *last = &s->schedules[rank].steps[s->schedules[rank].step_count - 1], notify = last[-1];
            last[-1] = last[0];
            last[0] = notify;
        }
        if (turn == 0)
            expect_found(s, 0, 0, "all wait before they tell");
    }
}

/* ---- work ------------------------------------------------------------------------------------ */

/* Elements may be copied twice by the same rank, from the same rank. */
static bool is_continued(const subject *s, int32_t rank, uint32_t index)
{
    const kolo_step *step = &s->schedules[rank].steps[index], *next = step + 1;
    return step->kind == KOLO_STEP_COPY && next->kind == KOLO_STEP_COPY && next->peer == step->peer;
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
        try_step(s, rank, index, changed, "another slice");
        changed.dst_offset = step.dst_offset;
        try_step(s, rank, index, changed, "other sources");
        changed.b_offset = step.b_offset;
        try_step(s, rank, index, changed, "another a offset");
        changed = step;
        changed.b_offset += shifts[i];
        if (step.kind == KOLO_STEP_FOLD)
            try_step(s, rank, index, changed, "another b offset");
    }
    changed = step;
    changed.count--;
    try_step(s, rank, index, changed, "an element less");
    changed.count += 2;
    if (!is_continued(s, rank, index))
        try_step(s, rank, index, changed, "an element more");
}

static void break_work(subject *s, int32_t rank, uint32_t index)
{
    kolo_step step = s->schedules[rank].steps[index], changed = step;
    try_without(s, rank, index, "a dropped step");
    changed.final = !step.final;
    try_step(s, rank, index, changed, "final");
    for (uint8_t kind = 0; kind <= KOLO_STEP_WAIT; kind++) {
        changed = step;
        changed.kind = kind;
        if (kind != step.kind)
            try_step(s, rank, index, changed, "another kind");
    }
    for (uint8_t buffer = 0; buffer <= KOLO_BUFFER_COUNT; buffer++) {
        changed = step;
        changed.dst = buffer;
        if (buffer != step.dst)
            try_step(s, rank, index, changed, "another dst buffer");
        changed = step;
        changed.a = buffer;
        if (buffer != step.a)
            try_step(s, rank, index, changed, "another a buffer");
        changed = step;
        changed.b = buffer;
        if (step.kind == KOLO_STEP_FOLD && buffer != step.b)
            try_step(s, rank, index, changed, "another b buffer");
    }
    changed = step;
    for (changed.peer = -1; changed.peer <= s->layout.spec.size; changed.peer++)
        if (step.kind == KOLO_STEP_COPY && changed.peer != step.peer && step.a > KOLO_BUFFER_SCRATCH)
            try_step(s, rank, index, changed, "another owner");
}

/* ---- subjects -------------------------------------------------------------------------------- */

static void break_steps(subject *s)
{
    for (int32_t rank = 0; rank < s->layout.spec.size; rank++) {
        for (uint32_t step = 0; step < s->schedules[rank].step_count; step++) {
            uint8_t kind = s->schedules[rank].steps[step].kind;
            if (kind == KOLO_STEP_COPY || kind == KOLO_STEP_FOLD) {
                break_work(s, rank, step);
                break_places(s, rank, step);
                continue;
            }
            break_flag(s, rank, step);
            if (kind == KOLO_STEP_NOTIFY && step > 0 && s->schedules[rank].steps[step - 1].a > KOLO_BUFFER_SCRATCH)
                try_earlier(s, rank, step, "a NOTIFY before its cause");
        }
    }
}

static void break_totals(subject *s)
{
    for (int32_t rank = 0; rank < s->layout.spec.size; rank++) {
        for (int flag = 0; flag < KOLO_FLAG_COUNT; flag++) {
            s->schedules[rank].flag_total[flag]++;
            expect_found(s, rank, 0, "another total");
            s->schedules[rank].flag_total[flag]--;
        }
    }
    s->layout.spec.shared_tensors = false;
    expect_found(s, 0, 0, "tensors that nobody else sees");
    s->layout.spec.shared_tensors = true;
}

static void break_layout(subject *s)
{
    s->algorithm = kolo_algorithm_find("shared");
    s->layout.spec.root = s->layout.spec.size / 2;
    subject_init(s);
    drop_dependencies(s);
    break_steps(s);
    break_end(s);
    break_totals(s);
    subject_fini(s);
}

static void break_sizes(kolo_collective collective)
{
    kolo_rng rng = {.state = 3};
    for (int32_t size = 2; size <= 5; size++) {
        for (int32_t chunks = 1; chunks <= 3; chunks++) {
            subject s;
            layout_init(&s.layout, collective, size, chunks * 2 * size, 2);
            layout_shuffle_ring(&s.layout, &rng);
            break_layout(&s);
        }
        subject s; /* any slices, empty ones too */
        layout_init(&s.layout, collective, size, 0, 2);
        do
            layout_draw_slices(&s.layout, &rng, 4);
        while (s.layout.offsets[size] == 0);
        break_layout(&s);
    }
}

static void allreduce__any_break_is_found(void **state)
{
    (void)state;
    break_sizes(KOLO_ALLREDUCE);
}

static void reduce_scatter__any_break_is_found(void **state)
{
    (void)state;
    break_sizes(KOLO_REDUCE_SCATTER);
}

static void allgather__any_break_is_found(void **state)
{
    (void)state;
    break_sizes(KOLO_ALLGATHER);
}

static void broadcast__any_break_is_found(void **state)
{
    (void)state;
    break_sizes(KOLO_BROADCAST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allreduce__any_break_is_found),
        cmocka_unit_test(reduce_scatter__any_break_is_found),
        cmocka_unit_test(allgather__any_break_is_found),
        cmocka_unit_test(broadcast__any_break_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
