/* check.c - proves schedules right: each one's form, the pairing of messages, races for memory, own and shared, and a
 * run on expressions. */
#include "plan/check.h"

#include "base/error.h"
#include "base/rng.h"
#include "plan/build.h"
#include "plan/dryrun.h"
#include "plan/form.h"
#include "plan/hazard.h"
#include "plan/windows.h"

#include <stdlib.h>

/* ---- pairing of messages --------------------------------------------------------------------- */

typedef struct end {
    int32_t source, target;
    uint32_t message;
    bool receives;
    kolo_partner at;
} end;

static int compare_messages(const end *a, const end *b)
{
    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    if (a->target != b->target)
        return a->target < b->target ? -1 : 1;
    return a->message < b->message ? -1 : a->message > b->message;
}

static int compare_ends(const void *left, const void *right)
{
    const end *a = left, *b = right;
    int order = compare_messages(a, b);
    return order != 0 ? order : (int)a->receives - (int)b->receives;
}

static size_t list_ends(const kolo_schedule *schedules, int32_t size, end *ends)
{
    size_t count = 0;
    for (int32_t rank = 0; rank < size; rank++) {
        for (uint32_t i = 0; i < schedules[rank].step_count; i++) {
            const kolo_step *step = &schedules[rank].steps[i];
            bool receives = step->kind == KOLO_STEP_RECV;
            if (receives || step->kind == KOLO_STEP_SEND)
                ends[count++] = (end){.source = receives ? step->peer : rank,
                                      .target = receives ? rank : step->peer,
                                      .message = step->message,
                                      .receives = receives,
                                      .at = {rank, i}};
        }
    }
    return count;
}

/* Sorted, each message must be one send and then one receive. */
static kolo_status pair_ends(const kolo_schedule *schedules, const end *ends, size_t count,
                             kolo_partner *const *partners)
{
    for (size_t i = 0; i < count; i += 2) {
        const end *send = &ends[i], *receive = &ends[i + 1];
        const kolo_schedule *schedule = &schedules[send->at.rank];
        if (i + 1 == count || compare_messages(send, receive) != 0)
            return kolo_form_fail(schedule, send->at.rank, send->at.step, "has no partner");
        if (send->receives || !receive->receives || (i + 2 < count && compare_messages(send, &ends[i + 2]) == 0))
            return kolo_form_fail(schedule, send->at.rank, send->at.step, "has the message number of another");
        if (schedule->steps[send->at.step].count != schedules[receive->at.rank].steps[receive->at.step].count)
            return kolo_form_fail(schedule, send->at.rank, send->at.step, "and its partner differ in count");
        partners[send->at.rank][send->at.step] = receive->at;
        partners[receive->at.rank][receive->at.step] = send->at;
    }
    return KOLO_OK;
}

static kolo_status pair_messages(const kolo_schedule *schedules, int32_t size, size_t steps,
                                 kolo_partner *const *partners)
{
    end *ends = calloc(steps + 1, sizeof(*ends));
    if (!ends)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to check schedules of %zu steps", steps);
    size_t count = list_ends(schedules, size, ends);
    qsort(ends, count, sizeof(*ends), compare_ends);
    kolo_status status = pair_ends(schedules, ends, count, partners);
    free(ends);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static kolo_status check_spec(const kolo_plan_spec *spec)
{
    kolo_plan_spec own = *spec;
    own.rank = 0;
    do {
        int32_t position;
        KOLO_TRY(kolo_plan_validate(&own, &position)); /* for each rank: it is on the ring once */
    } while (++own.rank < spec->size);
    if (kolo_plan_total(spec) > INT32_MAX)
        return kolo_fail(KOLO_ERR_UNSUPPORTED, "%lld elements are too many to check a schedule on",
                         (long long)kolo_plan_total(spec));
    return KOLO_OK;
}

/* in_place: room for one bool per rank. */
static void draw_placement(kolo_placement placement, uint64_t seed, int32_t size, bool *in_place)
{
    kolo_rng rng = {.state = seed};
    for (int32_t rank = 0; rank < size; rank++)
        in_place[rank] = placement == KOLO_PLACEMENT_MIXED ? kolo_rng_below(&rng, 2) == 1 : placement == KOLO_IN_PLACE;
}

/* Of well-formed schedules. */
static kolo_status check_together(const kolo_schedule *schedules, const kolo_plan_spec *spec, size_t steps,
                                  kolo_association association, kolo_partner **partners, const bool *in_place,
                                  uint64_t seed)
{
    KOLO_TRY(pair_messages(schedules, spec->size, steps, partners));
    for (int32_t rank = 0; rank < spec->size; rank++)
        KOLO_TRY(kolo_hazards_check(&schedules[rank], rank, in_place[rank]));
    KOLO_TRY(kolo_windows_check(schedules, spec->size, in_place));
    return kolo_dryrun(schedules, partners, spec, association, in_place, seed);
}

kolo_status kolo_schedules_check(const kolo_schedule *schedules, const kolo_plan_spec *spec,
                                 kolo_association association, kolo_placement placement, uint64_t seed)
{
    KOLO_TRY(check_spec(spec));
    size_t steps = 0, ranks = 0;
    for (; ranks < (size_t)spec->size; ranks++) {
        KOLO_TRY(kolo_form_check(schedules, spec, (int32_t)ranks));
        steps += schedules[ranks].step_count;
    }
    kolo_partner *all_partners = calloc(steps + 1, sizeof(*all_partners));
    kolo_partner **partners = calloc(ranks, sizeof(*partners));
    bool *in_place = calloc(ranks, sizeof(*in_place));
    kolo_status status = KOLO_OK;
    if (all_partners && partners && in_place) {
        size_t used = 0;
        for (int32_t rank = 0; rank < spec->size; rank++) {
            partners[rank] = all_partners + used;
            used += schedules[rank].step_count;
        }
        draw_placement(placement, seed, spec->size, in_place);
        status = check_together(schedules, spec, steps, association, partners, in_place, seed);
    } else {
        status = kolo_fail(KOLO_ERR_MEMORY, "no memory to check schedules of %zu steps", steps);
    }
    free(in_place);
    free(partners);
    free(all_partners);
    return status;
}

kolo_status kolo_schedule_check(const kolo_algorithm *algorithm, const kolo_plan_spec *spec, kolo_placement placement,
                                uint64_t seed)
{
    KOLO_TRY(check_spec(spec));
    kolo_schedule *schedules = calloc((size_t)spec->size, sizeof(*schedules));
    if (!schedules)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to check schedules of %d ranks", spec->size);
    kolo_status status = KOLO_OK;
    kolo_plan_spec own = *spec;
    for (own.rank = 0; status == KOLO_OK && own.rank < spec->size; own.rank++)
        status = algorithm->build(&own, &schedules[own.rank]);
    if (status == KOLO_OK)
        status = kolo_schedules_check(schedules, spec, algorithm->association, placement, seed);
    for (int32_t rank = 0; rank < spec->size; rank++)
        kolo_schedule_fini(&schedules[rank]);
    free(schedules);
    return status;
}
