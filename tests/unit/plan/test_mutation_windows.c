/* test_mutation_windows.c - breaks right schedules on shared windows: waits and notices dropped, swapped or changed, wrong
 * places, wrong owners. The layouts have slices of equal length in full chunks, so that every step but the few named below
 * is needed. */
#include "unit/plan/mutation.h"

#include "base/error.h"
#include "plan/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- what may go unnoticed ------------------------------------------------------------------- */

/* Of a chain. */
static int64_t told_before(const kolo_schedule *schedule, uint32_t notify)
{
    int64_t told = 0;
    for (uint32_t i = 0; i < notify; i++)
        if (schedule->steps[i].kind == KOLO_STEP_NOTIFY &&
            schedule->steps[i].message == schedule->steps[notify].message)
            told = schedule->steps[i].count;
    return told;
}

/* Does anybody wait for just this notice, in this schedule or the next one? */
static bool is_awaited(const subject *s, int32_t rank, uint32_t index)
{
    const kolo_step *notify = &s->schedules[rank].steps[index];
    int64_t before = told_before(&s->schedules[rank], index);
    if (notify->message == KOLO_FLAG_DONE && (uint64_t)notify->count == s->schedules[rank].flag_total[KOLO_FLAG_DONE])
        return true;
    for (int32_t peer = 0; peer < s->layout.spec.size; peer++) {
        for (size_t i = 0; peer != rank && i < s->schedules[peer].step_count; i++) {
            const kolo_step *wait = &s->schedules[peer].steps[i];
            if (wait->kind == KOLO_STEP_WAIT && wait->message == notify->message &&
                (wait->peer == rank || wait->peer == -1) && wait->count > before && wait->count <= notify->count)
                return true;
        }
    }
    return false;
}

/* Of steps that others imply as long as the pipeline is full. In a reduce-scatter, who has seen all inputs of a chunk knows
 * that the one two before has been read; that wait is for ranks whose slice is at its end. In an all-gather, who has read the
 * chunk four before has also copied in the one two before. */
static bool is_implied(const subject *s, const kolo_step *step)
{
    int64_t chunks = (int64_t)s->schedules[0].flag_total[KOLO_FLAG_DONE];
    kolo_collective collective = s->layout.spec.collective;
    return (collective == KOLO_REDUCE_SCATTER && step->message == KOLO_FLAG_DONE && step->count > 0 &&
            step->count < chunks) ||
           (collective == KOLO_ALLGATHER && step->message == KOLO_FLAG_COPIED && step->count >= 3 &&
            step->count + 1 < chunks);
}

/* ---- single steps ---------------------------------------------------------------------------- */

static void break_flag(subject *s, int32_t rank, uint32_t index)
{
    kolo_step step = s->schedules[rank].steps[index], changed = step;
    changed.message = KOLO_FLAG_COUNT;
    try_step(s, rank, index, changed, "an unknown flag");
    changed = step;
    changed.a_offset = 1;
    try_step(s, rank, index, changed, "a place");
    changed = step;
    changed.final = true;
    try_step(s, rank, index, changed, "final");
    changed = step;
    changed.count = (int64_t)s->schedules[rank].flag_total[step.message] + 1;
    try_step(s, rank, index, changed, "more than the total");
}

static void break_notify(subject *s, int32_t rank, uint32_t index)
{
    kolo_step step = s->schedules[rank].steps[index], changed = step;
    for (int64_t shift = -1; shift <= 1; shift += 2) {
        changed.count = step.count + shift;
        try_step(s, rank, index, changed, "another value told");
    }
    if (!is_awaited(s, rank, index))
        return;
    try_without(s, rank, index, "a dropped NOTIFY");
    uint8_t before = index > 0 ? s->schedules[rank].steps[index - 1].kind : KOLO_STEP_WAIT;
    if ((before == KOLO_STEP_COPY || before == KOLO_STEP_FOLD) && !is_implied(s, &step))
        try_earlier(s, rank, index, "a NOTIFY before its cause");
    for (uint32_t flag = 0; flag < KOLO_FLAG_COUNT; flag++) {
        changed = step;
        changed.message = flag;
        if (flag != step.message)
            try_step(s, rank, index, changed, "another flag told");
    }
    changed = step;
    changed.kind = KOLO_STEP_WAIT;
    try_step(s, rank, index, changed, "wait for notify");
}

static void break_wait(subject *s, int32_t rank, uint32_t index)
{
    kolo_step step = s->schedules[rank].steps[index], changed = step;
    const int32_t wrong[] = {-2, rank, s->layout.spec.size};
    for (size_t i = 0; i < 3; i++) {
        changed.peer = wrong[i];
        try_step(s, rank, index, changed, "waits for no peer");
    }
    changed = step;
    changed.kind = KOLO_STEP_NOTIFY;
    try_step(s, rank, index, changed, "notify for wait");
    if (is_implied(s, &step))
        return;
    try_without(s, rank, index, "a dropped WAIT");
    changed = step;
    changed.count--;
    try_step(s, rank, index, changed, "waits for too little");
    for (int32_t peer = 0; peer < s->layout.spec.size; peer++) {
        changed = step;
        changed.peer = peer;
        if (peer != step.peer && s->layout.spec.size > 2)
            try_step(s, rank, index, changed, "waits for another peer");
    }
}

static void break_places(subject *s, int32_t rank, uint32_t index)
{
    kolo_step step = s->schedules[rank].steps[index], changed = step;
    changed.count--;
    try_step(s, rank, index, changed, "one element less");
    changed = step;
    changed.final = !step.final;
    try_step(s, rank, index, changed, "final");
    const int64_t shifts[] = {-1, 1, -step.count, step.count};
    for (size_t i = 0; i < 4; i++) {
        changed = step;
        changed.dst_offset += shifts[i];
        try_step(s, rank, index, changed, "another dst offset");
        changed = step;
        changed.a_offset += shifts[i];
        try_step(s, rank, index, changed, "another a offset");
        changed = step;
        changed.b_offset += shifts[i];
        if (step.kind == KOLO_STEP_FOLD)
            try_step(s, rank, index, changed, "another b offset");
    }
}

static void break_buffers(subject *s, int32_t rank, uint32_t index)
{
    kolo_step step = s->schedules[rank].steps[index];
    for (uint8_t buffer = 0; buffer <= KOLO_BUFFER_COUNT; buffer++) {
        kolo_step changed = step;
        changed.dst = buffer;
        if (buffer != step.dst)
            try_step(s, rank, index, changed, "another dst buffer");
        changed = step;
        changed.a = buffer;
        /* What is in the own window may be as good as what it is a copy of. */
        if (buffer != step.a && (buffer != KOLO_BUFFER_WINDOW || step.peer != rank))
            try_step(s, rank, index, changed, "another a buffer");
        changed = step;
        changed.b = buffer;
        if (step.kind == KOLO_STEP_FOLD && buffer != step.b)
            try_step(s, rank, index, changed, "another b buffer");
    }
}

static void break_work(subject *s, int32_t rank, uint32_t index)
{
    kolo_step step = s->schedules[rank].steps[index], changed = step;
    break_places(s, rank, index);
    break_buffers(s, rank, index);
    changed.kind = step.kind == KOLO_STEP_COPY ? KOLO_STEP_FOLD : KOLO_STEP_COPY;
    try_step(s, rank, index, changed, "copy for fold, or fold for copy");
    for (int32_t peer = -1; peer <= s->layout.spec.size && step.a == KOLO_BUFFER_WINDOW; peer++) {
        changed = step;
        changed.peer = peer;
        if (peer != step.peer && step.kind == KOLO_STEP_COPY)
            try_step(s, rank, index, changed, "another owner");
    }
}

static void break_steps(subject *s)
{
    for (int32_t rank = 0; rank < s->layout.spec.size; rank++) {
        for (uint32_t step = 0; step < s->schedules[rank].step_count; step++) {
            uint8_t kind = s->schedules[rank].steps[step].kind;
            if (kind == KOLO_STEP_NOTIFY || kind == KOLO_STEP_WAIT)
                break_flag(s, rank, step);
            if (kind == KOLO_STEP_NOTIFY)
                break_notify(s, rank, step);
            else if (kind == KOLO_STEP_WAIT)
                break_wait(s, rank, step);
            else
                break_work(s, rank, step);
        }
    }
}

/* What all ranks must agree on. */
static void break_totals(subject *s, int64_t chunks)
{
    for (int32_t rank = 0; rank < s->layout.spec.size; rank++) {
        kolo_schedule *schedule = &s->schedules[rank];
        for (int flag = 0; flag < KOLO_FLAG_COUNT; flag++) {
            schedule->flag_total[flag]++;
            expect_found(s, rank, 0, "another total");
            schedule->flag_total[flag]--;
        }
        schedule->window_count++;
        expect_found(s, rank, 0, "another size of window");
        schedule->window_count--;
    }
    for (int32_t rank = 0; rank < s->layout.spec.size; rank++)
        s->schedules[rank].window_count--;
    if (chunks >= 4) /* all places are in use */
        expect_found(s, 0, 0, "too small a window");
    for (int32_t rank = 0; rank < s->layout.spec.size; rank++)
        s->schedules[rank].window_count++;
}

/* ---- subjects -------------------------------------------------------------------------------- */

static void break_all(const char *name, kolo_collective collective, int32_t size, int64_t chunks, int64_t chunk)
{
    kolo_rng rng = {.state = (uint64_t)size};
    subject s = {.algorithm = kolo_algorithm_find(name)};
    int64_t slices = collective == KOLO_BROADCAST ? 1 : size;
    layout_init(&s.layout, collective, size, slices * chunks * chunk, chunk);
    s.layout.spec.root = size / 2;
    layout_shuffle_ring(&s.layout, &rng);
    subject_init(&s);
    drop_dependencies(&s);
    break_steps(&s);
    break_totals(&s, chunks);
    subject_fini(&s);
}

static void break_sizes(const char *name, kolo_collective collective)
{
    break_all(name, collective, 2, 1, 2);
    break_all(name, collective, 2, 10, 1);
    break_all(name, collective, 3, 5, 2);
    break_all(name, collective, 4, 6, 1);
    break_all(name, collective, 5, 2, 3);
}

static void allreduce__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("direct", KOLO_ALLREDUCE);
}

static void reduce_scatter__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("direct", KOLO_REDUCE_SCATTER);
}

/* Rank 0 has no slice: all that it waits for is room. */
static void reduce_scatter__room_is_needed(void **state)
{
    (void)state;
    subject s = {.algorithm = kolo_algorithm_find("direct")};
    layout_init(&s.layout, KOLO_REDUCE_SCATTER, 3, 0, 1);
    s.layout.offsets[1] = 0;
    s.layout.offsets[2] = 9;
    s.layout.offsets[3] = 18;
    subject_init(&s);
    for (uint32_t i = 0; i < s.schedules[0].step_count; i++)
        if (s.schedules[0].steps[i].kind == KOLO_STEP_WAIT)
            try_without(&s, 0, i, "a dropped WAIT");
    assert_int_equal(s.broken, 1 + 9 - 4);
    subject_fini(&s);
}

static void allgather__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("direct", KOLO_ALLGATHER);
}

static void broadcast__any_break_is_found(void **state)
{
    (void)state;
    break_sizes("direct", KOLO_BROADCAST);
}

static void oneshot__any_break_is_found(void **state)
{
    (void)state;
    for (int32_t size = 2; size <= 5; size++)
        break_all("direct_oneshot", KOLO_ALLREDUCE, size, 1, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allreduce__any_break_is_found),  cmocka_unit_test(reduce_scatter__any_break_is_found),
        cmocka_unit_test(reduce_scatter__room_is_needed), cmocka_unit_test(allgather__any_break_is_found),
        cmocka_unit_test(broadcast__any_break_is_found),  cmocka_unit_test(oneshot__any_break_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
