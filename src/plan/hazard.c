/* hazard.c - finds steps that race for memory: the dependency graph's transitive closure, and a sweep over all ranges.
 */
#include "plan/hazard.h"

#include "base/error.h"
#include "plan/form.h"

#include <stdlib.h>

typedef struct access {
    int64_t begin, end;
    uint32_t step;
    uint8_t memory; /* kolo_buffer; in place OUTPUT counts as INPUT */
    bool writes;
} access;

/* A step's bit set of all that come after it, directly or not. */
typedef struct closure {
    uint64_t *bits;
    size_t words; /* per step */
} closure;

static kolo_status close_over(const kolo_schedule *schedule, closure *after)
{
    size_t steps = schedule->step_count;
    after->words = (steps + 63) / 64;
    after->bits = calloc(steps * after->words + 1, sizeof(uint64_t));
    if (!after->bits)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to check a schedule of %zu steps", steps);
    for (size_t step = steps; step-- > 0;) {
        uint64_t *row = after->bits + step * after->words;
        for (uint32_t i = schedule->next_start[step]; i < schedule->next_start[step + 1]; i++) {
            uint32_t next = schedule->next[i];
            const uint64_t *further = after->bits + next * after->words;
            row[next / 64] |= UINT64_C(1) << (next % 64);
            for (size_t word = next / 64; word < after->words; word++)
                row[word] |= further[word];
        }
    }
    return KOLO_OK;
}

static bool is_ordered(const closure *after, uint32_t one, uint32_t other)
{
    uint32_t first = one < other ? one : other, second = one < other ? other : one;
    return after->bits[first * after->words + second / 64] >> (second % 64) & 1;
}

static bool has_place(const kolo_step *step)
{
    return step->kind != KOLO_STEP_NOTIFY && step->kind != KOLO_STEP_WAIT;
}

/* Other ranks' windows and tensors are no memory of this rank's: windows.c looks after them. */
static bool reads_a(const kolo_step *step, int32_t rank)
{
    if (step->kind == KOLO_STEP_RECV || step->kind == KOLO_STEP_FOLD)
        return false;
    return step->a <= KOLO_BUFFER_SCRATCH || (step->a == KOLO_BUFFER_WINDOW && step->peer == rank);
}

static access make_access(uint8_t buffer, int64_t offset, int64_t count, uint32_t step, bool writes, bool in_place)
{
    kolo_buffer home = kolo_form_home(buffer); /* a FOLD to all outputs writes the own one too */
    uint8_t memory = (uint8_t)(in_place && home == KOLO_BUFFER_OUTPUT ? KOLO_BUFFER_INPUT : home);
    return (access){.begin = offset, .end = offset + count, .step = step, .memory = memory, .writes = writes};
}

/* What one step touches: up to three ranges. */
static size_t list_accesses(const kolo_step *step, int32_t rank, uint32_t index, bool in_place, access list[3])
{
    size_t count = 0;
    if (!has_place(step))
        return 0;
    if (reads_a(step, rank))
        list[count++] = make_access(step->a, step->a_offset, step->count, index, false, in_place);
    if (step->kind == KOLO_STEP_REDUCE || step->kind == KOLO_STEP_FOLD)
        list[count++] = make_access(step->b, step->b_offset, step->count, index, false, in_place);
    if (step->kind != KOLO_STEP_SEND)
        list[count++] = make_access(step->dst, step->dst_offset, step->count, index, true, in_place);
    /* A copy of memory to itself is skipped by the executor, unless there is something to be done to it. */
    bool is_skipped = step->kind == KOLO_STEP_COPY && count == 2 && !step->final && list[0].memory == list[1].memory &&
                      list[0].begin == list[1].begin;
    return is_skipped ? 0 : count;
}

/* Element by element, a result may overwrite its own operand, but not a neighbour's. */
static bool overlaps_itself(const access *list, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        const access *read = &list[i], *written = &list[count - 1];
        if (read->memory == written->memory && read->begin != written->begin && read->begin < written->end &&
            written->begin < read->end)
            return true;
    }
    return false;
}

static int compare(const void *left, const void *right)
{
    const access *a = left, *b = right;
    if (a->memory != b->memory)
        return a->memory < b->memory ? -1 : 1;
    return a->begin < b->begin ? -1 : a->begin > b->begin;
}

static kolo_status find_race(const access *list, size_t count, const kolo_schedule *schedule, const closure *after,
                             int32_t rank)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count && list[j].memory == list[i].memory && list[j].begin < list[i].end; j++) {
            if ((!list[i].writes && !list[j].writes) || list[i].step == list[j].step ||
                is_ordered(after, list[i].step, list[j].step))
                continue;
            char one[256], other[256];
            return kolo_fail(KOLO_ERR_INTERNAL, "rank %d, element %lld: no order between step %u (%s) and step %u (%s)",
                             rank, (long long)list[j].begin, list[i].step,
                             kolo_step_format(&schedule->steps[list[i].step], one, sizeof(one)), list[j].step,
                             kolo_step_format(&schedule->steps[list[j].step], other, sizeof(other)));
        }
    }
    return KOLO_OK;
}

static kolo_status check_accesses(const kolo_schedule *schedule, int32_t rank, bool in_place, access *list,
                                  const closure *after)
{
    size_t count = 0;
    for (uint32_t i = 0; i < schedule->step_count; i++) {
        access *mine = list + count;
        size_t more = list_accesses(&schedule->steps[i], rank, i, in_place, mine);
        if (overlaps_itself(mine, more)) {
            char text[256];
            return kolo_fail(KOLO_ERR_INTERNAL, "rank %d, step %u (%s): its own ranges overlap in part", rank, i,
                             kolo_step_format(&schedule->steps[i], text, sizeof(text)));
        }
        count += more;
    }
    qsort(list, count, sizeof(*list), compare);
    return find_race(list, count, schedule, after, rank);
}

kolo_status kolo_hazards_check(const kolo_schedule *schedule, int32_t rank, bool in_place)
{
    closure after = {0};
    KOLO_TRY(close_over(schedule, &after));
    access *list = reallocarray(NULL, 3 * schedule->step_count + 1, sizeof(*list));
    kolo_status status =
        list ? check_accesses(schedule, rank, in_place, list, &after)
             : kolo_fail(KOLO_ERR_MEMORY, "no memory to check a schedule of %zu steps", schedule->step_count);
    free(list);
    free(after.bits);
    return status;
}
