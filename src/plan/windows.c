/* windows.c - finds ranks that race for a window or a tensor, with vector clocks (Fidge 1988; Mattern 1989).
 *
 * Each rank's steps are a chain, so what a rank knows is how many steps of every other rank are over for sure. It
 * learns by WAITs alone: of the NOTIFY that it waits for, and all that the other rank knew then. A WAIT counts on the
 * first NOTIFY that is enough, no later one: so the order found is the one that every run keeps. At the beginning all
 * inputs may be read, and all outputs written. */
#include "plan/windows.h"

#include "base/error.h"
#include "plan/form.h"

#include <stdlib.h>

/* One rank. */
typedef struct witness {
    const kolo_schedule *schedule;
    uint32_t *memory;   /* owns the arrays below */
    uint32_t *row;      /* per step: the row of `known` that was in force */
    uint32_t *notifies; /* steps */
    uint32_t *known;    /* one row at the beginning, and one for every WAIT: for each rank, how many steps are over */
    uint32_t notify_count, row_count;
    uint32_t at; /* the next step */
} witness;

typedef struct access {
    int64_t begin, end;
    int32_t owner, rank; /* whose memory it is, and who touches it */
    uint32_t step;
    uint8_t memory; /* INPUT, OUTPUT or WINDOW of its owner; in place OUTPUT counts as INPUT */
    bool writes;
} access;

/* ---- who knows what -------------------------------------------------------------------------- */

static kolo_status start(witness *self, const kolo_schedule *schedule, int32_t size)
{
    size_t notifies = 0, rows = 1, steps = schedule->step_count;
    for (size_t i = 0; i < steps; i++) {
        notifies += schedule->steps[i].kind == KOLO_STEP_NOTIFY;
        rows += schedule->steps[i].kind == KOLO_STEP_WAIT;
    }
    self->schedule = schedule;
    self->memory = calloc(steps + notifies + rows * (size_t)size, sizeof(uint32_t));
    if (!self->memory)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to check a schedule of %zu steps", steps);
    self->row = self->memory;
    self->notifies = self->row + steps;
    self->known = self->notifies + notifies;
    self->row_count = 1;
    for (uint32_t i = 0; i < steps; i++)
        if (schedule->steps[i].kind == KOLO_STEP_NOTIFY)
            self->notifies[self->notify_count++] = i;
    return KOLO_OK;
}

static const uint32_t *known_at(const witness *self, uint32_t step, int32_t size)
{
    return self->known + (size_t)self->row[step] * (size_t)size;
}

/* The first step of `other` that satisfies a wait for more than 0; KOLO_NO_STEP if none does. */
static uint32_t find_notify(const witness *other, const kolo_step *wait)
{
    for (uint32_t i = 0; i < other->notify_count; i++) {
        const kolo_step *notify = &other->schedule->steps[other->notifies[i]];
        if (notify->message == wait->message && notify->count >= wait->count)
            return other->notifies[i];
    }
    return KOLO_NO_STEP;
}

/* Adds to row what is known when `peer` gets as far as the wait wants. False: it is not there yet. */
static bool learn_from(const witness *all, int32_t peer, const kolo_step *wait, int32_t size, uint32_t *row)
{
    if (wait->count == 0)
        return true; /* the schedule before */
    uint32_t notify = find_notify(&all[peer], wait);
    if (notify >= all[peer].at)
        return false;
    const uint32_t *theirs = known_at(&all[peer], notify, size);
    for (int32_t i = 0; i < size; i++)
        row[i] = theirs[i] > row[i] ? theirs[i] : row[i];
    row[peer] = notify + 1 > row[peer] ? notify + 1 : row[peer];
    return true;
}

static bool concerns(const kolo_step *wait, int32_t rank, int32_t peer)
{
    return peer != rank && (wait->peer == peer || wait->peer == -1);
}

/* A wait for a value that is skipped would do, sometime; it is a NOTIFY forgotten all the same. */
static kolo_status check_waits(const witness *all, int32_t rank, int32_t size)
{
    const kolo_schedule *schedule = all[rank].schedule;
    for (uint32_t i = 0; i < schedule->step_count; i++) {
        const kolo_step *wait = &schedule->steps[i];
        for (int32_t peer = 0; wait->kind == KOLO_STEP_WAIT && wait->count > 0 && peer < size; peer++) {
            if (!concerns(wait, rank, peer))
                continue;
            uint32_t notify = find_notify(&all[peer], wait);
            if (notify == KOLO_NO_STEP || all[peer].schedule->steps[notify].count != wait->count)
                return kolo_form_fail(schedule, rank, i, "waits for a value that is never told");
        }
    }
    return KOLO_OK;
}

static bool pass_wait(witness *all, int32_t rank, int32_t size)
{
    witness *self = &all[rank];
    const kolo_step *wait = &self->schedule->steps[self->at];
    uint32_t *row = self->known + (size_t)self->row_count * (size_t)size;
    for (int32_t i = 0; i < size; i++)
        row[i] = row[i - size];
    for (int32_t peer = 0; peer < size; peer++)
        if (concerns(wait, rank, peer) && !learn_from(all, peer, wait, size, row))
            return false;
    self->row_count++;
    return true;
}

/* Goes on as far as possible. True if that was anywhere. */
static bool advance(witness *all, int32_t rank, int32_t size)
{
    witness *self = &all[rank];
    uint32_t before = self->at;
    for (; self->at < self->schedule->step_count; self->at++) {
        if (self->schedule->steps[self->at].kind == KOLO_STEP_WAIT && !pass_wait(all, rank, size))
            break;
        self->row[self->at] = self->row_count - 1;
    }
    return self->at > before;
}

static kolo_status advance_all(witness *all, int32_t size)
{
    bool moved = true;
    while (moved) {
        moved = false;
        for (int32_t rank = 0; rank < size; rank++)
            moved |= advance(all, rank, size);
    }
    for (int32_t rank = 0; rank < size; rank++)
        if (all[rank].at < all[rank].schedule->step_count)
            return kolo_form_fail(all[rank].schedule, rank, all[rank].at, "deadlock: is never over");
    return KOLO_OK;
}

/* ---- who touches what ------------------------------------------------------------------------ */

/* What one step of one rank touches, appended to a list; or counted, where there is none. */
typedef struct lister {
    access *list;
    size_t count;
    int32_t rank, size;
    uint32_t step;
    const bool *in_place;
} lister;

static uint8_t memory_of(const lister *self, uint8_t buffer, int32_t owner)
{
    kolo_buffer home = kolo_form_home(buffer);
    return (uint8_t)(self->in_place[owner] && home == KOLO_BUFFER_OUTPUT ? KOLO_BUFFER_INPUT : home);
}

static void add(lister *self, uint8_t buffer, int32_t owner, int64_t begin, int64_t count, bool writes)
{
    if (buffer == KOLO_BUFFER_SCRATCH)
        return; /* nobody else's */
    if (self->list)
        self->list[self->count] = (access){.begin = begin,
                                           .end = begin + count,
                                           .owner = owner,
                                           .rank = self->rank,
                                           .step = self->step,
                                           .memory = memory_of(self, buffer, owner),
                                           .writes = writes};
    self->count++;
}

/* A copy of memory to itself, which the executor skips. */
static bool is_skipped(const lister *self, const kolo_step *step)
{
    return step->kind == KOLO_STEP_COPY && !step->final && step->a <= KOLO_BUFFER_SCRATCH &&
           memory_of(self, step->a, self->rank) == memory_of(self, step->dst, self->rank) &&
           step->a_offset == step->dst_offset;
}

static void add_step(lister *self, const kolo_step *step)
{
    bool folds = step->kind == KOLO_STEP_FOLD, spreads = step->dst == KOLO_BUFFER_PEER_OUTPUT;
    if ((step->kind != KOLO_STEP_COPY && !folds) || is_skipped(self, step))
        return;
    for (int32_t owner = 0; owner < self->size; owner++) {
        bool is_own = owner == self->rank;
        if (folds && is_own)
            add(self, step->b, owner, step->b_offset, step->count, false);
        else if (folds || (step->a <= KOLO_BUFFER_SCRATCH ? is_own : owner == step->peer))
            add(self, step->a, owner, step->a_offset, step->count, false);
        if (is_own || spreads)
            add(self, step->dst, owner, step->dst_offset, step->count, true);
    }
}

static size_t list_accesses(const witness *all, int32_t size, const bool *in_place, access *list)
{
    lister self = {.list = list, .size = size, .in_place = in_place};
    for (self.rank = 0; self.rank < size; self.rank++)
        for (self.step = 0; self.step < all[self.rank].schedule->step_count; self.step++)
            add_step(&self, &all[self.rank].schedule->steps[self.step]);
    return self.count;
}

static bool is_same_memory(const access *a, const access *b)
{
    return a->owner == b->owner && a->memory == b->memory;
}

static int compare(const void *left, const void *right)
{
    const access *a = left, *b = right;
    if (a->owner != b->owner)
        return a->owner < b->owner ? -1 : 1;
    if (a->memory != b->memory)
        return a->memory < b->memory ? -1 : 1;
    return a->begin < b->begin ? -1 : a->begin > b->begin;
}

/* A rank's own steps are ordered by its chain. */
static bool is_race(const witness *all, int32_t size, const access *a, const access *b)
{
    return a->rank != b->rank && (a->writes || b->writes) &&
           known_at(&all[a->rank], a->step, size)[b->rank] <= b->step &&
           known_at(&all[b->rank], b->step, size)[a->rank] <= a->step;
}

static kolo_status find_race(const witness *all, int32_t size, const access *list, size_t count)
{
    static const char *const names[] = {
        [KOLO_BUFFER_INPUT] = "input", [KOLO_BUFFER_OUTPUT] = "output", [KOLO_BUFFER_WINDOW] = "window"};
    for (size_t i = 0; i < count; i++) {
        const access *a = &list[i];
        for (const access *b = a + 1; b < list + count && is_same_memory(a, b) && b->begin < a->end; b++) {
            if (!is_race(all, size, a, b))
                continue;
            char one[256], other[256];
            return kolo_fail(KOLO_ERR_INTERNAL,
                             "%s of rank %d, element %lld: no order between rank %d, step %u (%s) and rank %d, step %u "
                             "(%s)",
                             names[a->memory], a->owner, (long long)b->begin, a->rank, a->step,
                             kolo_step_format(&all[a->rank].schedule->steps[a->step], one, sizeof(one)), b->rank,
                             b->step, kolo_step_format(&all[b->rank].schedule->steps[b->step], other, sizeof(other)));
        }
    }
    return KOLO_OK;
}

static kolo_status check_accesses(const witness *all, int32_t size, const bool *in_place)
{
    size_t count = list_accesses(all, size, in_place, NULL);
    access *list = calloc(count + 1, sizeof(*list));
    if (!list)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to check schedules of %d ranks", size);
    list_accesses(all, size, in_place, list);
    qsort(list, count, sizeof(*list), compare);
    kolo_status status = find_race(all, size, list, count);
    free(list);
    return status;
}

kolo_status kolo_windows_check(const kolo_schedule *schedules, int32_t size, const bool *in_place)
{
    if (!kolo_form_is_windowed(&schedules[0]))
        return KOLO_OK;
    witness *all = calloc((size_t)size, sizeof(*all));
    kolo_status status = all ? KOLO_OK : kolo_fail(KOLO_ERR_MEMORY, "no memory to check schedules of %d ranks", size);
    for (int32_t rank = 0; status == KOLO_OK && rank < size; rank++)
        status = start(&all[rank], &schedules[rank], size);
    for (int32_t rank = 0; status == KOLO_OK && rank < size; rank++)
        status = check_waits(all, rank, size);
    if (status == KOLO_OK)
        status = advance_all(all, size);
    if (status == KOLO_OK)
        status = check_accesses(all, size, in_place);
    for (int32_t rank = 0; all && rank < size; rank++)
        free(all[rank].memory);
    free(all);
    return status;
}
