/* schedule.c - the container of steps and dependencies that builders fill. */
#include "plan/schedule.h"

#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void kolo_schedule_init(kolo_schedule *schedule)
{
    *schedule = (kolo_schedule){0};
}

void kolo_schedule_fini(kolo_schedule *schedule)
{
    free(schedule->steps);
    free(schedule->wait_count);
    free(schedule->next_start);
    free(schedule->next);
    free(schedule->edges);
    kolo_schedule_init(schedule);
}

void kolo_schedule_reset(kolo_schedule *schedule)
{
    schedule->step_count = 0;
    schedule->scratch_count = 0;
    schedule->window_count = 0;
    memset(schedule->flag_total, 0, sizeof(schedule->flag_total));
    schedule->edge_count = 0;
    schedule->failed = false;
}

/* Room for one more item; doubles *capacity. False when out of memory: *items is as it was. */
static bool reserve_one(void **items, size_t item_size, size_t count, size_t *capacity)
{
    if (count < *capacity)
        return true;
    size_t wanted = *capacity > 0 ? 2 * *capacity : 64;
    void *grown = reallocarray(*items, wanted, item_size);
    if (!grown)
        return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

uint32_t kolo_schedule_add(kolo_schedule *schedule, const kolo_step *step)
{
    void *steps = schedule->steps;
    if (schedule->step_count >= KOLO_NO_STEP ||
        !reserve_one(&steps, sizeof(kolo_step), schedule->step_count, &schedule->step_capacity)) {
        schedule->failed = true;
        return KOLO_NO_STEP;
    }
    schedule->steps = steps;
    schedule->steps[schedule->step_count] = *step;
    return (uint32_t)schedule->step_count++;
}

void kolo_schedule_after(kolo_schedule *schedule, uint32_t before, uint32_t after)
{
    if (before == KOLO_NO_STEP || after == KOLO_NO_STEP)
        return;
    void *edges = schedule->edges;
    if (!reserve_one(&edges, 2 * sizeof(uint32_t), schedule->edge_count, &schedule->edge_capacity)) {
        schedule->failed = true;
        return;
    }
    schedule->edges = edges;
    schedule->edges[2 * schedule->edge_count] = before;
    schedule->edges[2 * schedule->edge_count + 1] = after;
    schedule->edge_count++;
}

/* *array becomes count zeros; count 0 gives one, so that NULL always means out of memory. */
static bool zeroed(uint32_t **array, size_t count)
{
    size_t size = count > 0 ? count : 1;
    uint32_t *grown = reallocarray(*array, size, sizeof(uint32_t));
    if (!grown)
        return false;
    memset(grown, 0, size * sizeof(uint32_t));
    *array = grown;
    return true;
}

kolo_status kolo_schedule_seal(kolo_schedule *schedule)
{
    if (schedule->failed || !zeroed(&schedule->wait_count, schedule->step_count) ||
        !zeroed(&schedule->next_start, schedule->step_count + 1) || !zeroed(&schedule->next, schedule->edge_count))
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a schedule of %zu steps and %zu dependencies",
                         schedule->step_count, schedule->edge_count);

    /* A counting sort of the edges by their first step: next_start[i + 1] counts, then sums up to where step i's end.
     */
    for (size_t edge = 0; edge < schedule->edge_count; edge++) {
        schedule->next_start[schedule->edges[2 * edge] + 1]++;
        schedule->wait_count[schedule->edges[2 * edge + 1]]++;
    }
    for (size_t step = 0; step < schedule->step_count; step++)
        schedule->next_start[step + 1] += schedule->next_start[step];
    /* Filled from the back, each step's end moves down to its start: that leaves next_start shifted by one place. */
    for (size_t edge = schedule->edge_count; edge > 0; edge--) {
        uint32_t before = schedule->edges[2 * (edge - 1)];
        schedule->next[--schedule->next_start[before + 1]] = schedule->edges[2 * (edge - 1) + 1];
    }
    for (size_t step = 0; step < schedule->step_count; step++)
        schedule->next_start[step] = schedule->next_start[step + 1];
    schedule->next_start[schedule->step_count] = (uint32_t)schedule->edge_count;
    return KOLO_OK;
}

/* "scratch[0..8)" */
static const char *range_format(uint8_t buffer, int64_t offset, int64_t count, char *text, size_t capacity)
{
    static const char *const names[KOLO_BUFFER_COUNT] = {
        [KOLO_BUFFER_INPUT] = "input",   [KOLO_BUFFER_OUTPUT] = "output",    [KOLO_BUFFER_SCRATCH] = "scratch",
        [KOLO_BUFFER_WINDOW] = "window", [KOLO_BUFFER_PEER_INPUT] = "input", [KOLO_BUFFER_PEER_OUTPUT] = "output"};
    snprintf(text, capacity, "%s[%" PRId64 "..%" PRId64 ")", buffer < KOLO_BUFFER_COUNT ? names[buffer] : "?", offset,
             (int64_t)((uint64_t)offset + (uint64_t)count));
    return text;
}

/* "", or " of rank 3" behind what each rank has one of. */
static const char *owner_format(const kolo_step *step, char *text, size_t capacity)
{
    text[0] = '\0';
    if (step->a >= KOLO_BUFFER_WINDOW && step->a < KOLO_BUFFER_COUNT)
        snprintf(text, capacity, " of rank %" PRId32, step->peer);
    return text;
}

static void flag_format(const kolo_step *step, char *text, size_t capacity)
{
    static const char *const names[KOLO_FLAG_COUNT] = {
        [KOLO_FLAG_COPIED] = "copied", [KOLO_FLAG_REDUCED] = "reduced", [KOLO_FLAG_DONE] = "done"};
    const char *name = step->message < KOLO_FLAG_COUNT ? names[step->message] : "?";
    if (step->kind == KOLO_STEP_NOTIFY)
        snprintf(text, capacity, "notify %s = %" PRId64, name, step->count);
    else if (step->peer == -1)
        snprintf(text, capacity, "wait for %s >= %" PRId64 " of all", name, step->count);
    else
        snprintf(text, capacity, "wait for %s >= %" PRId64 " of rank %" PRId32, name, step->count, step->peer);
}

char *kolo_step_format(const kolo_step *step, char *text, size_t capacity)
{
    char dst[64], a[64], b[64];
    range_format(step->dst, step->dst_offset, step->count, dst, sizeof(dst));
    range_format(step->a, step->a_offset, step->count, a, sizeof(a));
    range_format(step->b, step->b_offset, step->count, b, sizeof(b));
    const char *final = step->final ? ", final" : "";
    switch (step->kind) {
    case KOLO_STEP_SEND:
        snprintf(text, capacity, "send %s to rank %" PRId32 ", message %" PRIu32, a, step->peer, step->message);
        break;
    case KOLO_STEP_RECV:
        snprintf(text, capacity, "receive %s from rank %" PRId32 ", message %" PRIu32, dst, step->peer, step->message);
        break;
    case KOLO_STEP_REDUCE:
        snprintf(text, capacity, "reduce %s = %s op %s%s", dst, a, b, final);
        break;
    case KOLO_STEP_COPY:
        snprintf(text, capacity, "copy %s = %s%s%s", dst, a, owner_format(step, b, sizeof(b)), final);
        break;
    case KOLO_STEP_FOLD:
        snprintf(text, capacity, "fold %s%s = %s and %s of all others%s", dst,
                 step->dst == KOLO_BUFFER_PEER_OUTPUT ? " of all" : "", b, a, final);
        break;
    case KOLO_STEP_NOTIFY:
    case KOLO_STEP_WAIT:
        flag_format(step, text, capacity);
        break;
    default:
        snprintf(text, capacity, "step of unknown kind %u", step->kind);
    }
    return text;
}
