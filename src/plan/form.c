/* form.c - each schedule by itself: kinds, peers, ranges, dependencies, and the rules for what ranks share. */
#include "plan/form.h"

#include "base/error.h"
#include "plan/build.h"

#include <stdlib.h>
#include <string.h>

kolo_status kolo_form_fail(const kolo_schedule *schedule, int32_t rank, uint32_t step, const char *what)
{
    char text[256];
    return kolo_fail(KOLO_ERR_INTERNAL, "rank %d, step %u (%s): %s", rank, step,
                     kolo_step_format(&schedule->steps[step], text, sizeof(text)), what);
}

bool kolo_form_is_windowed(const kolo_schedule *schedule)
{
    bool has_flags = false;
    for (int flag = 0; flag < KOLO_FLAG_COUNT; flag++)
        has_flags |= schedule->flag_total[flag] > 0;
    return has_flags || schedule->window_count > 0;
}

kolo_buffer kolo_form_home(uint8_t buffer)
{
    return buffer == KOLO_BUFFER_PEER_INPUT    ? KOLO_BUFFER_INPUT
           : buffer == KOLO_BUFFER_PEER_OUTPUT ? KOLO_BUFFER_OUTPUT
                                               : (kolo_buffer)buffer;
}

static bool is_peers(uint8_t buffer)
{
    return buffer == KOLO_BUFFER_PEER_INPUT || buffer == KOLO_BUFFER_PEER_OUTPUT;
}

/* Of the rank alone: nobody else can see it. */
static bool is_private(uint8_t buffer)
{
    return buffer <= KOLO_BUFFER_SCRATCH;
}

static bool touches_peers(const kolo_step *step)
{
    return is_peers(step->a) || is_peers(step->dst);
}

/* Of a schedule that touches peers' tensors: does the transport read them? */
static bool tells_places(const kolo_schedule *schedule)
{
    return schedule->flag_total[KOLO_FLAG_COPIED] > 0;
}

/* ---- single steps ---------------------------------------------------------------------------- */

/* Where a step of one rank may be looked at. */
typedef struct place_rules {
    const kolo_schedule *schedule;
    const kolo_plan_spec *spec;
    int32_t rank;
} place_rules;

static bool is_rank(const place_rules *rules, int32_t rank)
{
    return rank >= 0 && rank < rules->spec->size;
}

/* Has the buffer these elements? begin, end: what there is of input and output. */
static bool is_within(const place_rules *rules, uint8_t buffer, int64_t offset, int64_t count, int64_t begin,
                      int64_t end)
{
    if (buffer >= KOLO_BUFFER_COUNT)
        return false;
    int64_t first = buffer == KOLO_BUFFER_SCRATCH || buffer == KOLO_BUFFER_WINDOW ? 0 : begin;
    int64_t last = buffer == KOLO_BUFFER_SCRATCH  ? rules->schedule->scratch_count
                   : buffer == KOLO_BUFFER_WINDOW ? rules->schedule->window_count
                                                  : end;
    return offset >= first && offset <= last && count <= last - offset;
}

static bool is_readable(const place_rules *rules, uint8_t buffer, int64_t offset, int64_t count)
{
    return is_within(rules, buffer, offset, count, 0, kolo_plan_total(rules->spec));
}

static const char *find_target_flaw(const kolo_step *step, const place_rules *rules)
{
    if (kolo_form_home(step->dst) == KOLO_BUFFER_INPUT)
        return "writes to an input";
    /* A reduce-scatter leaves the rest of the output alone: there need not be any. */
    const kolo_plan_spec *spec = rules->spec;
    bool is_slice = spec->collective == KOLO_REDUCE_SCATTER;
    int64_t begin = is_slice ? spec->slice_offsets[rules->rank] : 0;
    int64_t end = is_slice ? spec->slice_offsets[rules->rank + 1] : kolo_plan_total(spec);
    return is_within(rules, step->dst, step->dst_offset, step->count, begin, end) ? NULL : "writes out of bounds";
}

static const char *find_message_flaw(const kolo_step *step, const place_rules *rules)
{
    if (!is_rank(rules, step->peer) || step->peer == rules->rank)
        return "there is no such peer";
    if (step->message >= KOLO_SCHEDULE_MESSAGES_MAX)
        return "its message number is too large";
    if (step->kind == KOLO_STEP_RECV)
        return is_private(step->dst) ? find_target_flaw(step, rules) : "writes out of bounds";
    if (!is_private(step->a) || !is_readable(rules, step->a, step->a_offset, step->count))
        return "reads out of bounds";
    return NULL;
}

/* Of a step that works on what ranks share. */
static const char *find_sharing_flaw(const kolo_step *step, const place_rules *rules)
{
    bool folds = step->kind == KOLO_STEP_FOLD;
    if (folds && ((step->a != KOLO_BUFFER_WINDOW && step->a != KOLO_BUFFER_PEER_INPUT) || step->b != KOLO_BUFFER_INPUT))
        return "folds something else than windows or peers' inputs, and the own input";
    if (!folds && !is_private(step->a) && !is_rank(rules, step->peer))
        return "there is no such rank";
    bool reads = touches_peers(step) && tells_places(rules->schedule);
    if (touches_peers(step) && !(reads ? rules->spec->readable_tensors : rules->spec->shared_tensors))
        return "the ranks' tensors are not shared";
    if (reads && folds && rules->schedule->scratch_count < (rules->spec->size - 1) * step->count)
        return "folds more than there is scratch for";
    if (touches_peers(step) && rules->schedule->flag_total[KOLO_FLAG_DONE] == 0)
        return "touches a peer's tensor, and there is no flag to tell when that is over";
    if (!folds && is_peers(step->a) && step->peer == rules->rank)
        return "the peer is the rank itself";
    if (step->dst == KOLO_BUFFER_PEER_OUTPUT && (!folds || rules->spec->collective != KOLO_ALLREDUCE))
        return "writes to all outputs, which is for an all-reduce's FOLD";
    if (step->dst == KOLO_BUFFER_PEER_OUTPUT && reads)
        return "writes to tensors that can only be read";
    return NULL;
}

static bool is_of_tensors(uint8_t buffer)
{
    return buffer != KOLO_BUFFER_WINDOW && buffer != KOLO_BUFFER_SCRATCH;
}

/* Does it touch tensors at several places? */
static bool is_crooked(const kolo_step *step)
{
    bool writes = is_of_tensors(step->dst), reads = is_of_tensors(step->a), adds = step->kind == KOLO_STEP_FOLD;
    return (writes && reads && step->dst_offset != step->a_offset) ||
           (writes && adds && step->dst_offset != step->b_offset) ||
           (reads && adds && step->a_offset != step->b_offset);
}

static const char *find_work_flaw(const kolo_step *step, const place_rules *rules)
{
    bool is_shared = !is_private(step->a) || !is_private(step->dst) || step->kind == KOLO_STEP_FOLD;
    if (step->kind == KOLO_STEP_REDUCE && (is_shared || !is_private(step->b)))
        return "what ranks share can be copied and folded, not reduced";
    const char *flaw = is_shared ? find_sharing_flaw(step, rules) : NULL;
    if (flaw)
        return flaw;
    if (!is_readable(rules, step->a, step->a_offset, step->count) ||
        (step->kind != KOLO_STEP_COPY && !is_readable(rules, step->b, step->b_offset, step->count)))
        return "reads out of bounds";
    if ((flaw = find_target_flaw(step, rules)) != NULL)
        return flaw;
    bool shares = kolo_form_is_windowed(rules->schedule);
    return shares && is_crooked(step) ? "touches tensors at several places" : NULL;
}

static const char *find_flag_flaw(const kolo_step *step, const place_rules *rules)
{
    bool waits = step->kind == KOLO_STEP_WAIT;
    if (step->message >= KOLO_FLAG_COUNT)
        return "there is no such flag";
    if (step->final || step->dst_offset != 0 || step->a_offset != 0 || step->b_offset != 0)
        return "has a place, and moves nothing";
    if (waits && step->peer != -1 && (!is_rank(rules, step->peer) || step->peer == rules->rank))
        return "there is no such peer";
    /* 0 is reached before the schedule begins: only of DONE is it known that it was left there. */
    if (step->count < (waits && step->message == KOLO_FLAG_DONE ? 0 : 1))
        return "its value is too small";
    if ((uint64_t)step->count > rules->schedule->flag_total[step->message])
        return "its value is above the flag's total";
    return NULL;
}

static const char *find_flaw(const kolo_step *step, const place_rules *rules)
{
    switch (step->kind) {
    case KOLO_STEP_SEND:
    case KOLO_STEP_RECV:
        if (kolo_form_is_windowed(rules->schedule))
            return "sends messages, where windows are used";
        return step->count < 1 ? "does nothing" : find_message_flaw(step, rules);
    case KOLO_STEP_REDUCE:
    case KOLO_STEP_COPY:
    case KOLO_STEP_FOLD:
        return step->count < 1 ? "does nothing" : find_work_flaw(step, rules);
    case KOLO_STEP_NOTIFY:
    case KOLO_STEP_WAIT:
        return kolo_form_is_windowed(rules->schedule) ? find_flag_flaw(step, rules) : "there are no flags";
    default:
        return "there is no such kind";
    }
}

/* ---- dependencies ---------------------------------------------------------------------------- */

/* Forward, and as many as are waited for. */
static kolo_status count_dependencies(const kolo_schedule *schedule, int32_t rank, uint32_t *waits)
{
    if (schedule->next_start[schedule->step_count] != schedule->edge_count)
        return kolo_fail(KOLO_ERR_INTERNAL, "rank %d: the schedule is not sealed", rank);
    for (uint32_t step = 0; step < schedule->step_count; step++)
        if (schedule->next_start[step] > schedule->next_start[step + 1])
            return kolo_form_fail(schedule, rank, step, "its list of followers ends before it begins");
    for (uint32_t step = 0; step < schedule->step_count; step++) {
        for (uint32_t i = schedule->next_start[step]; i < schedule->next_start[step + 1]; i++) {
            if (schedule->next[i] <= step || schedule->next[i] >= schedule->step_count)
                return kolo_form_fail(schedule, rank, step, "a step that comes earlier, or not at all, waits for it");
            waits[schedule->next[i]]++;
        }
    }
    for (uint32_t step = 0; step < schedule->step_count; step++)
        if (waits[step] != schedule->wait_count[step])
            return kolo_form_fail(schedule, rank, step, "waits for another number of steps than release it");
    return KOLO_OK;
}

static kolo_status check_dependencies(const kolo_schedule *schedule, int32_t rank)
{
    uint32_t *waits = calloc(schedule->step_count + 1, sizeof(*waits));
    if (!waits)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to check a schedule of %zu steps", schedule->step_count);
    kolo_status status = count_dependencies(schedule, rank, waits);
    free(waits);
    return status;
}

/* ---- windows, flags and tensors -------------------------------------------------------------- */

static kolo_status check_chain(const kolo_schedule *schedule, int32_t rank)
{
    for (uint32_t step = 1; step < schedule->step_count; step++) {
        uint32_t i = schedule->next_start[step - 1], end = schedule->next_start[step];
        while (i < end && schedule->next[i] != step)
            i++;
        if (i == end)
            return kolo_form_fail(schedule, rank, step, "does not wait for the step before it, as flags demand");
    }
    return KOLO_OK;
}

static bool any_touches_peers(const kolo_schedule *schedules, int32_t size)
{
    for (int32_t rank = 0; rank < size; rank++)
        for (uint32_t i = 0; i < schedules[rank].step_count; i++)
            if (touches_peers(&schedules[rank].steps[i]))
                return true;
    return false;
}

/* Has the rank waited, before this step, for the COPIED of whom it reads from? A FOLD: of all. */
static bool knows_place(const kolo_schedule *schedule, uint32_t step)
{
    const kolo_step *reader = &schedule->steps[step];
    for (uint32_t i = 0; i < step; i++) {
        const kolo_step *wait = &schedule->steps[i];
        if (wait->kind == KOLO_STEP_WAIT && wait->message == KOLO_FLAG_COPIED &&
            (wait->peer == -1 || (reader->kind == KOLO_STEP_COPY && wait->peer == reader->peer)))
            return true;
    }
    return false;
}

/* Where the places of tensors are told, in words that the schedule before may still be read by. */
static kolo_status check_places(const kolo_schedule *schedule, int32_t rank)
{
    bool may_tell = false;
    for (uint32_t i = 0; i < schedule->step_count; i++) {
        const kolo_step *step = &schedule->steps[i];
        may_tell |= step->kind == KOLO_STEP_WAIT && step->message == KOLO_FLAG_DONE && step->peer == -1;
        if (step->kind == KOLO_STEP_NOTIFY && step->message == KOLO_FLAG_COPIED && !may_tell)
            return kolo_form_fail(schedule, rank, i, "tells its place before all are done with the schedule before");
        if (step->kind != KOLO_STEP_NOTIFY && step->kind != KOLO_STEP_WAIT && touches_peers(step) &&
            !knows_place(schedule, i))
            return kolo_form_fail(schedule, rank, i, "reads a tensor whose place it was not told");
    }
    return KOLO_OK;
}

/* Whatever runs before and after on the same windows and tensors: nothing is overwritten that is still read, and no
 * tensor is touched that its rank takes for complete. And flags go up. */
static kolo_status check_protocol(const kolo_schedule *schedule, int32_t rank, bool has_peers_tensors)
{
    uint64_t told[KOLO_FLAG_COUNT] = {0}, done = schedule->flag_total[KOLO_FLAG_DONE];
    bool may_write = false, may_end = !has_peers_tensors;
    for (uint32_t i = 0; i < schedule->step_count; i++) {
        const kolo_step *step = &schedule->steps[i];
        if (step->kind == KOLO_STEP_WAIT) {
            bool is_room = step->message == KOLO_FLAG_DONE && step->peer == -1;
            may_write |= is_room;
            may_end |= is_room && (uint64_t)step->count == done;
        } else if (step->kind == KOLO_STEP_NOTIFY) {
            if ((uint64_t)step->count <= told[step->message])
                return kolo_form_fail(schedule, rank, i, "its flag is there already");
            told[step->message] = (uint64_t)step->count;
        } else if (step->dst == KOLO_BUFFER_WINDOW && !may_write) {
            return kolo_form_fail(schedule, rank, i, "writes before all are done with the schedule before");
        } else if ((!is_private(step->dst) || !is_private(step->a)) && told[KOLO_FLAG_DONE] == done) {
            return kolo_form_fail(schedule, rank, i,
                                  touches_peers(step) ? "touches a peer's tensor after it said that it is done"
                                                      : "touches a window after it said that it is done");
        }
    }
    if (told[KOLO_FLAG_DONE] != done)
        return kolo_fail(KOLO_ERR_INTERNAL, "rank %d leaves its flag DONE at %llu, not at %llu", rank,
                         (unsigned long long)told[KOLO_FLAG_DONE], (unsigned long long)done);
    if (!may_end)
        return kolo_fail(KOLO_ERR_INTERNAL, "rank %d ends before all are done with its tensors", rank);
    return KOLO_OK;
}

kolo_status kolo_form_check(const kolo_schedule *schedules, const kolo_plan_spec *spec, int32_t rank)
{
    const kolo_schedule *schedule = &schedules[rank];
    place_rules rules = {.schedule = schedule, .spec = spec, .rank = rank};
    if (schedule->scratch_count < 0)
        return kolo_fail(KOLO_ERR_INTERNAL, "rank %d: a scratch buffer of %lld elements", rank,
                         (long long)schedule->scratch_count);
    if (schedule->window_count < 0 || schedule->window_count > spec->window_count)
        return kolo_fail(KOLO_ERR_INTERNAL, "rank %d: a window of %lld elements, where there is room for %lld", rank,
                         (long long)schedule->window_count, (long long)spec->window_count);
    if (schedule->window_count != schedules[0].window_count ||
        memcmp(schedule->flag_total, schedules[0].flag_total, sizeof(schedule->flag_total)) != 0)
        return kolo_fail(KOLO_ERR_INTERNAL, "ranks 0 and %d differ in windows or flags", rank);
    for (uint32_t i = 0; i < schedule->step_count; i++) {
        const char *flaw = find_flaw(&schedule->steps[i], &rules);
        if (flaw)
            return kolo_form_fail(schedule, rank, i, flaw);
    }
    KOLO_TRY(check_dependencies(schedule, rank));
    if (!kolo_form_is_windowed(schedule))
        return KOLO_OK;
    KOLO_TRY(check_chain(schedule, rank));
    bool has_peers_tensors = any_touches_peers(schedules, spec->size);
    if (has_peers_tensors && tells_places(schedule))
        KOLO_TRY(check_places(schedule, rank));
    return check_protocol(schedule, rank, has_peers_tensors);
}
