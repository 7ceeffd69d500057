/* dryrun.c - executes all ranks' schedules together, on expressions.
 *
 * A value is an expression and the element it belongs to. A SEND is over once its RECV is posted, and only then are the
 * values taken and put: the strictest rendezvous there is. Which of the runnable steps goes first is drawn. That every
 * WAIT is over some time is known already, from windows.c. */
#include "plan/dryrun.h"

#include "base/error.h"
#include "base/rng.h"
#include "plan/build.h"
#include "plan/expression.h"
#include "plan/form.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct value {
    kolo_expression expression; /* NONE: undefined */
    uint32_t element;
} value;

typedef struct actor {
    const kolo_schedule *schedule;
    value *memory;                          /* owns the buffers below, but for the window */
    value *buffers[KOLO_BUFFER_WINDOW + 1]; /* in place two are the same; owns the window */
    int64_t flags[KOLO_FLAG_COUNT];
    uint32_t *waits; /* per step: dependencies that are not over */
    bool *is_posted; /* per step: a SEND or RECV that could start */
    size_t done;
} actor;

typedef struct dryrun {
    const kolo_plan_spec *spec;
    kolo_partner *const *partners;
    kolo_expressions expressions;
    actor *actors;
    kolo_partner *runnable;
    size_t runnable_count;
    kolo_partner
        *waiting; /* WAITs that could start, and are not over: at most one per rank, as windows demand a chain */
    size_t waiting_count;
} dryrun;

static kolo_status out_of_memory(const dryrun *run)
{
    return kolo_fail(KOLO_ERR_MEMORY, "no memory to check a schedule of %d ranks and %lld elements", run->spec->size,
                     (long long)kolo_plan_total(run->spec));
}

/* A failure at one step of one rank. */
static kolo_status fail_at(const dryrun *run, int32_t rank, uint32_t step, int64_t element, const char *what)
{
    char text[256];
    return kolo_fail(KOLO_ERR_INTERNAL, "rank %d, step %u (%s), element %lld: %s", rank, step,
                     kolo_step_format(&run->actors[rank].schedule->steps[step], text, sizeof(text)), (long long)element,
                     what);
}

/* Gives a rank what it has before the collective. */
static void fill_inputs(const dryrun *run, int32_t rank)
{
    const kolo_plan_spec *spec = run->spec;
    bool is_slice = spec->collective == KOLO_ALLGATHER;
    bool is_broadcast = spec->collective == KOLO_BROADCAST;
    int64_t begin = is_slice ? spec->slice_offsets[rank] : 0;
    int64_t end = is_slice ? spec->slice_offsets[rank + 1] : kolo_plan_total(spec);
    if (is_broadcast && rank != spec->root)
        end = 0;
    value *values = run->actors[rank].buffers[is_broadcast ? KOLO_BUFFER_OUTPUT : KOLO_BUFFER_INPUT];
    for (int64_t i = begin; i < end; i++)
        values[i] = (value){.expression = kolo_expression_input(rank), .element = (uint32_t)i};
}

static kolo_status start_actor(dryrun *run, int32_t rank, const kolo_schedule *schedule, bool in_place)
{
    actor *self = &run->actors[rank];
    size_t total = (size_t)kolo_plan_total(run->spec), steps = schedule->step_count;
    self->schedule = schedule;
    self->memory = calloc(2 * total + (size_t)schedule->scratch_count + 1, sizeof(value));
    self->waits = calloc(steps + 1, sizeof(*self->waits));
    self->is_posted = calloc(steps + 1, sizeof(*self->is_posted));
    self->buffers[KOLO_BUFFER_WINDOW] = calloc((size_t)schedule->window_count + 1, sizeof(value));
    if (!self->memory || !self->waits || !self->is_posted || !self->buffers[KOLO_BUFFER_WINDOW])
        return out_of_memory(run);
    /* A broadcast ignores its input: there, in place means nothing. */
    bool is_shared = in_place && run->spec->collective != KOLO_BROADCAST;
    self->buffers[KOLO_BUFFER_INPUT] = self->memory;
    self->buffers[KOLO_BUFFER_OUTPUT] = self->memory + (is_shared ? 0 : total);
    self->buffers[KOLO_BUFFER_SCRATCH] = self->memory + 2 * total;
    fill_inputs(run, rank);
    for (uint32_t step = 0; step < steps; step++) {
        self->waits[step] = schedule->wait_count[step];
        if (self->waits[step] == 0)
            run->runnable[run->runnable_count++] = (kolo_partner){rank, step};
    }
    return KOLO_OK;
}

/* Where a buffer that a step of `rank` names has an element; peer: whose it is, where it is not the rank's own. */
static value *at(const dryrun *run, int32_t rank, uint8_t buffer, int32_t peer, int64_t offset)
{
    int32_t owner = buffer <= KOLO_BUFFER_SCRATCH ? rank : peer;
    return run->actors[owner].buffers[kolo_form_home(buffer)] + offset;
}

static void finish_step(dryrun *run, int32_t rank, uint32_t step)
{
    actor *self = &run->actors[rank];
    const kolo_schedule *schedule = self->schedule;
    self->done++;
    for (uint32_t i = schedule->next_start[step]; i < schedule->next_start[step + 1]; i++)
        if (--self->waits[schedule->next[i]] == 0)
            run->runnable[run->runnable_count++] = (kolo_partner){rank, schedule->next[i]};
}

static kolo_status transfer(const dryrun *run, kolo_partner sender, kolo_partner receiver)
{
    const kolo_step *send = &run->actors[sender.rank].schedule->steps[sender.step];
    const kolo_step *receive = &run->actors[receiver.rank].schedule->steps[receiver.step];
    const value *from = run->actors[sender.rank].buffers[send->a] + send->a_offset;
    value *to = run->actors[receiver.rank].buffers[receive->dst] + receive->dst_offset;
    for (int64_t i = 0; i < send->count; i++) {
        if (from[i].expression == KOLO_EXPRESSION_NONE)
            return fail_at(run, sender.rank, sender.step, send->a_offset + i, "sends what was never written");
        to[i] = from[i];
    }
    return KOLO_OK;
}

static kolo_status combine(dryrun *run, int32_t rank, uint32_t index)
{
    const actor *self = &run->actors[rank];
    const kolo_step *step = &self->schedule->steps[index];
    bool is_sum = step->kind == KOLO_STEP_REDUCE;
    const value *a = at(run, rank, step->a, step->peer, step->a_offset);
    const value *b = is_sum ? at(run, rank, step->b, rank, step->b_offset) : a;
    value *to = at(run, rank, step->dst, rank, step->dst_offset);
    for (int64_t i = 0; i < step->count; i++) {
        if (a[i].expression == KOLO_EXPRESSION_NONE || b[i].expression == KOLO_EXPRESSION_NONE)
            return fail_at(run, rank, index, step->dst_offset + i, "reads what was never written");
        if (a[i].element != b[i].element)
            return fail_at(run, rank, index, step->dst_offset + i, "combines two different elements");
        value result = a[i];
        if (is_sum)
            result.expression = kolo_expression_sum(&run->expressions, a[i].expression, b[i].expression);
        if (step->final)
            result.expression = kolo_expression_final(&run->expressions, result.expression);
        if (result.expression == KOLO_EXPRESSION_NONE)
            return out_of_memory(run);
        to[i] = result;
    }
    return KOLO_OK;
}

/* One element of a FOLD: all ranks', in their order. */
static kolo_status fold_element(dryrun *run, int32_t rank, uint32_t index, int64_t i, value *result)
{
    const kolo_step *step = &run->actors[rank].schedule->steps[index];
    for (int32_t source = 0; source < run->spec->size; source++) {
        const value *from = source == rank ? at(run, rank, step->b, rank, step->b_offset + i)
                                           : at(run, rank, step->a, source, step->a_offset + i);
        if (from->expression == KOLO_EXPRESSION_NONE)
            return fail_at(run, rank, index, step->dst_offset + i, "reads what was never written");
        if (source > 0 && from->element != result->element)
            return fail_at(run, rank, index, step->dst_offset + i, "combines two different elements");
        kolo_expression sum = source == 0
                                  ? from->expression
                                  : kolo_expression_sum(&run->expressions, result->expression, from->expression);
        if (sum == KOLO_EXPRESSION_NONE)
            return out_of_memory(run);
        *result = (value){.expression = sum, .element = from->element};
    }
    if (step->final)
        result->expression = kolo_expression_final(&run->expressions, result->expression);
    return result->expression == KOLO_EXPRESSION_NONE ? out_of_memory(run) : KOLO_OK;
}

static kolo_status fold(dryrun *run, int32_t rank, uint32_t index)
{
    const kolo_step *step = &run->actors[rank].schedule->steps[index];
    for (int64_t i = 0; i < step->count; i++) {
        value result = {0};
        KOLO_TRY(fold_element(run, rank, index, i, &result));
        for (int32_t peer = 0; peer < run->spec->size; peer++)
            if (peer == rank || step->dst == KOLO_BUFFER_PEER_OUTPUT)
                *at(run, rank, step->dst, peer, step->dst_offset + i) = result;
    }
    return KOLO_OK;
}

/* ---- flags ----------------------------------------------------------------------------------- */

/* All that wait may look again. */
static void notify(dryrun *run, kolo_partner at)
{
    const kolo_step *step = &run->actors[at.rank].schedule->steps[at.step];
    run->actors[at.rank].flags[step->message] = step->count;
    while (run->waiting_count > 0)
        run->runnable[run->runnable_count++] = run->waiting[--run->waiting_count];
    finish_step(run, at.rank, at.step);
}

static void wait_or_go_on(dryrun *run, kolo_partner at)
{
    const kolo_step *step = &run->actors[at.rank].schedule->steps[at.step];
    bool is_over = true;
    for (int32_t peer = 0; peer < run->spec->size; peer++)
        if (peer != at.rank && (step->peer == peer || step->peer == -1))
            is_over = is_over && run->actors[peer].flags[step->message] >= step->count;
    if (is_over)
        finish_step(run, at.rank, at.step);
    else
        run->waiting[run->waiting_count++] = at;
}

/* ---- the run --------------------------------------------------------------------------------- */

static kolo_status run_message(dryrun *run, kolo_partner at)
{
    uint8_t kind = run->actors[at.rank].schedule->steps[at.step].kind;
    kolo_partner other = run->partners[at.rank][at.step];
    run->actors[at.rank].is_posted[at.step] = true;
    if (!run->actors[other.rank].is_posted[other.step])
        return KOLO_OK;
    KOLO_TRY(kind == KOLO_STEP_SEND ? transfer(run, at, other) : transfer(run, other, at));
    finish_step(run, at.rank, at.step);
    finish_step(run, other.rank, other.step);
    return KOLO_OK;
}

static kolo_status run_step(dryrun *run, kolo_partner at)
{
    switch (run->actors[at.rank].schedule->steps[at.step].kind) {
    case KOLO_STEP_SEND:
    case KOLO_STEP_RECV:
        return run_message(run, at);
    case KOLO_STEP_NOTIFY:
        notify(run, at);
        return KOLO_OK;
    case KOLO_STEP_WAIT:
        wait_or_go_on(run, at);
        return KOLO_OK;
    case KOLO_STEP_FOLD:
        KOLO_TRY(fold(run, at.rank, at.step));
        break;
    default:
        KOLO_TRY(combine(run, at.rank, at.step));
    }
    finish_step(run, at.rank, at.step);
    return KOLO_OK;
}

static kolo_status run_all(dryrun *run, uint64_t seed)
{
    kolo_rng rng = {.state = seed};
    while (run->runnable_count > 0) {
        size_t drawn = (size_t)kolo_rng_below(&rng, run->runnable_count);
        kolo_partner at = run->runnable[drawn];
        run->runnable[drawn] = run->runnable[--run->runnable_count];
        KOLO_TRY(run_step(run, at));
    }
    for (int32_t rank = 0; rank < run->spec->size; rank++) {
        const actor *self = &run->actors[rank];
        if (self->done == self->schedule->step_count)
            continue;
        uint32_t stuck = 0; /* the first that could start, and waits for its partner in vain */
        while (stuck + 1 < self->schedule->step_count &&
               !(self->is_posted[stuck] &&
                 !run->actors[run->partners[rank][stuck].rank].is_posted[run->partners[rank][stuck].step]))
            stuck++;
        return fail_at(run, rank, stuck, 0, "deadlock: is never over");
    }
    return KOLO_OK;
}

/* Says into `what` what is wrong with a result. False when out of memory. */
static bool explain(const dryrun *run, int64_t element, value found, kolo_expression expected, char *what,
                    size_t capacity)
{
    const kolo_expressions *all = &run->expressions;
    if (found.expression == KOLO_EXPRESSION_NONE) {
        snprintf(what, capacity, "was never written");
        return true;
    }
    if (found.element != (uint32_t)element) {
        snprintf(what, capacity, "is element %u", found.element);
        return true;
    }
    for (int32_t rank = 0; rank < run->spec->size; rank++) {
        int64_t uses = kolo_expression_uses(all, found.expression, rank);
        int64_t expected_uses = kolo_expression_uses(all, expected, rank);
        if (uses < 0 || expected_uses < 0)
            return false;
        if (uses != expected_uses) {
            snprintf(what, capacity, "holds rank %d's input %lld times instead of %lld", rank, (long long)uses,
                     (long long)expected_uses);
            return true;
        }
    }
    bool is_final = kolo_expression_is_final(all, found.expression);
    if (is_final && kolo_expression_is_final(all, all->nodes[found.expression].left))
        snprintf(what, capacity, "was made final twice");
    else if (is_final == kolo_expression_is_final(all, expected))
        snprintf(what, capacity, "is summed in another order than promised");
    else
        snprintf(what, capacity,
                 is_final ? "was made final, and should not be" : "was not made final as the last thing");
    return true;
}

static kolo_status fail_result(const dryrun *run, int32_t rank, int64_t element, value found, kolo_expression expected)
{
    char what[96], have[160], want[160];
    if (!explain(run, element, found, expected, what, sizeof(what)))
        return out_of_memory(run);
    return kolo_fail(KOLO_ERR_INTERNAL, "rank %d, element %lld of the result %s: %s; expected %s", rank,
                     (long long)element, what,
                     kolo_expression_format(&run->expressions, found.expression, have, sizeof(have)),
                     kolo_expression_format(&run->expressions, expected, want, sizeof(want)));
}

/* What every element of the slice at ring position `owner` must be. */
static kolo_expression expected_at(dryrun *run, kolo_association association, int32_t owner)
{
    switch (run->spec->collective) {
    case KOLO_ALLGATHER:
        return kolo_expression_input(run->spec->ring[owner]);
    case KOLO_BROADCAST:
        return kolo_expression_input(run->spec->root);
    default:
        return kolo_expression_final(&run->expressions,
                                     kolo_expression_promised(&run->expressions, run->spec, association, owner));
    }
}

static kolo_status verify(dryrun *run, kolo_association association)
{
    bool is_own_slice_only = run->spec->collective == KOLO_REDUCE_SCATTER;
    for (int32_t position = 0; position < run->spec->size; position++) {
        kolo_range slice = kolo_plan_slice_at(run->spec, position);
        kolo_expression expected = expected_at(run, association, position);
        if (expected == KOLO_EXPRESSION_NONE)
            return out_of_memory(run);
        for (int32_t rank = 0; rank < run->spec->size; rank++) {
            if (is_own_slice_only && rank != run->spec->ring[position])
                continue;
            const value *output = run->actors[rank].buffers[KOLO_BUFFER_OUTPUT];
            for (int64_t i = slice.offset; i < slice.offset + slice.count; i++)
                if (output[i].expression != expected || output[i].element != (uint32_t)i)
                    return fail_result(run, rank, i, output[i], expected);
        }
    }
    return KOLO_OK;
}

static kolo_status start_and_run(dryrun *run, const kolo_schedule *schedules, kolo_association association,
                                 const bool *in_place, uint64_t seed)
{
    size_t steps = 0, ranks = 0;
    for (; ranks < (size_t)run->spec->size; ranks++)
        steps += schedules[ranks].step_count;
    run->actors = calloc(ranks, sizeof(*run->actors));
    run->runnable = calloc(steps + 1, sizeof(*run->runnable));
    run->waiting = calloc(ranks, sizeof(*run->waiting));
    if (!run->actors || !run->runnable || !run->waiting)
        return out_of_memory(run);
    for (int32_t rank = 0; rank < run->spec->size; rank++)
        KOLO_TRY(start_actor(run, rank, &schedules[rank], in_place[rank]));
    KOLO_TRY(run_all(run, seed));
    return verify(run, association);
}

kolo_status kolo_dryrun(const kolo_schedule *schedules, kolo_partner *const *partners, const kolo_plan_spec *spec,
                        kolo_association association, const bool *in_place, uint64_t seed)
{
    dryrun run = {.spec = spec, .partners = partners};
    KOLO_TRY(kolo_expressions_init(&run.expressions, spec->size));
    kolo_status status = start_and_run(&run, schedules, association, in_place, seed);
    for (int32_t rank = 0; run.actors && rank < spec->size; rank++) {
        free(run.actors[rank].memory);
        free(run.actors[rank].buffers[KOLO_BUFFER_WINDOW]);
        free(run.actors[rank].waits);
        free(run.actors[rank].is_posted);
    }
    free(run.actors);
    free(run.runnable);
    free(run.waiting);
    kolo_expressions_fini(&run.expressions);
    return status;
}
