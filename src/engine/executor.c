/* executor.c - a schedule's steps, as their dependencies allow. */
#include "engine/executor.h"

#include "base/error.h"
#include "reduce/reduce.h"

#include <stdlib.h>
#include <string.h>

void kolo_executor_init(kolo_executor *executor)
{
    memset(executor, 0, sizeof(*executor));
}

void kolo_executor_fini(kolo_executor *executor)
{
    free(executor->waits);
    free(executor->ready);
    free(executor->postings);
    free(executor->operands);
    free(executor->rows);
    memset(executor, 0, sizeof(*executor));
}

static kolo_status reserve(kolo_executor *executor, size_t steps, int32_t ranks)
{
    if (ranks > executor->ranks) {
        size_t most = 2 * (size_t)ranks + 1; /* a FOLD reads of each rank, and may write to each; a REDUCE reads two */
        executor->ranks = 0;
        free(executor->operands);
        free(executor->rows);
        executor->operands = malloc(most * sizeof(*executor->operands));
        executor->rows = malloc(most * sizeof(*executor->rows));
        if (executor->operands == NULL || executor->rows == NULL)
            return kolo_fail(KOLO_ERR_MEMORY, "no memory for a schedule of %d ranks", ranks);
        executor->ranks = ranks;
    }
    if (steps <= executor->capacity)
        return KOLO_OK;
    executor->capacity = 0;
    free(executor->waits);
    free(executor->ready);
    free(executor->postings);
    executor->waits = malloc(steps * sizeof(*executor->waits));
    executor->ready = malloc(steps * sizeof(*executor->ready));
    executor->postings = malloc(steps * sizeof(*executor->postings));
    if (executor->waits == NULL || executor->ready == NULL || executor->postings == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a schedule of %zu steps", steps);
    executor->capacity = steps;
    return KOLO_OK;
}

kolo_status kolo_executor_start(kolo_executor *executor, const kolo_transport_ops *ops, kolo_transport *transport,
                                const kolo_execution *run)
{
    const kolo_schedule *schedule = run->schedule;
    KOLO_TRY(reserve(executor, schedule->step_count, run->size));
    executor->ops = ops;
    executor->transport = transport;
    executor->run = *run;
    executor->element_bytes = kolo_dtype_size(run->type);
    executor->ready_head = executor->ready_tail = 0;
    executor->steps_left = schedule->step_count;
    executor->posted = 0;
    executor->canceled = executor->told = false;
    executor->blocked = KOLO_NO_STEP;
    executor->status = KOLO_OK;
    for (uint32_t i = 0; i < schedule->step_count; i++) {
        executor->postings[i].executor = NULL;
        if ((executor->waits[i] = schedule->wait_count[i]) == 0)
            executor->ready[executor->ready_tail++] = i;
    }
    return KOLO_OK;
}

/* Words of a line behind its flags: where this rank's tensors lie, for those who read them by the transport. */
enum { PLACE_INPUT = KOLO_FLAG_COUNT, PLACE_OUTPUT };

static bool is_peers(uint8_t buffer)
{
    return buffer == KOLO_BUFFER_PEER_INPUT || buffer == KOLO_BUFFER_PEER_OUTPUT;
}

/* rank: whose it is, where each has one. */
static void *at(const kolo_executor *executor, uint8_t buffer, int32_t rank, int64_t offset)
{
    const kolo_execution *run = &executor->run;
    if (run->reads_tensors && is_peers(buffer)) /* an address of that rank's process */
        return (void *)(run->flags[rank][buffer == KOLO_BUFFER_PEER_INPUT ? PLACE_INPUT : PLACE_OUTPUT] +
                        (uintptr_t)offset * executor->element_bytes);
    uintptr_t base = buffer == KOLO_BUFFER_PEER_INPUT    ? run->peer_input[rank]
                     : buffer == KOLO_BUFFER_PEER_OUTPUT ? run->peer_output[rank]
                     : buffer == KOLO_BUFFER_WINDOW      ? run->windows[rank]
                                                         : run->base[buffer];
    return (void *)(base + (uintptr_t)offset * executor->element_bytes);
}

static void step_over(kolo_executor *executor, uint32_t index)
{
    const kolo_schedule *schedule = executor->run.schedule;
    executor->steps_left--;
    for (uint32_t i = schedule->next_start[index]; i < schedule->next_start[index + 1]; i++) {
        uint32_t next = schedule->next[i];
        if (--executor->waits[next] == 0)
            executor->ready[executor->ready_tail++] = next;
    }
}

/* ---- work ----------------------------------------------------------------------------------------------- */

/* The row of parts that the buffer's tensors are in; NULL: it is in one piece. */
static const uintptr_t *row_of(const kolo_execution *run, uint8_t buffer, int32_t rank)
{
    const kolo_parts *parts = run->parts;
    if (parts == NULL || buffer == KOLO_BUFFER_WINDOW || buffer == KOLO_BUFFER_SCRATCH)
        return NULL;
    bool is_input = buffer == KOLO_BUFFER_INPUT || buffer == KOLO_BUFFER_PEER_INPUT;
    bool is_own = buffer == KOLO_BUFFER_INPUT || buffer == KOLO_BUFFER_OUTPUT;
    const kolo_rows *rows = &parts->rows;
    return (is_input ? rows->inputs : rows->outputs) + (is_own ? rows->own : (size_t)rank) * parts->tensors;
}

static void set_operand(const kolo_executor *executor, size_t index, uint8_t buffer, int32_t rank, int64_t offset)
{
    const uintptr_t *row = row_of(&executor->run, buffer, rank);
    executor->rows[index] = row;
    executor->operands[index] = row == NULL ? at(executor, buffer, rank, offset) : NULL;
}

/* What a step writes: one place, or all ranks' outputs from the own one on. Returns how many. */
static size_t list_outputs(const kolo_executor *executor, const kolo_step *step)
{
    const kolo_execution *run = &executor->run;
    if (step->dst != KOLO_BUFFER_PEER_OUTPUT) {
        set_operand(executor, 0, step->dst, run->rank, step->dst_offset);
        return 1;
    }
    set_operand(executor, 0, KOLO_BUFFER_OUTPUT, run->rank, step->dst_offset);
    for (int32_t i = 1; i < run->size; i++)
        set_operand(executor, (size_t)i, step->dst, (run->rank + i) % run->size, step->dst_offset);
    return (size_t)run->size;
}

/* What it reads, as operands from `first` on: a FOLD's in the order of ranks. Returns how many. */
static size_t list_inputs(const kolo_executor *executor, const kolo_step *step, size_t first)
{
    const kolo_execution *run = &executor->run;
    if (step->kind != KOLO_STEP_FOLD) {
        set_operand(executor, first, step->a, step->peer, step->a_offset);
        if (step->kind == KOLO_STEP_COPY)
            return 1;
        set_operand(executor, first + 1, step->b, run->rank, step->b_offset);
        return 2;
    }
    for (int32_t rank = 0; rank < run->size; rank++) {
        bool is_own = rank == run->rank;
        set_operand(executor, first + (size_t)rank, is_own ? step->b : step->a, rank,
                    is_own ? step->b_offset : step->a_offset);
    }
    return (size_t)run->size;
}

/* How a step's results are stored. */
typedef enum way { PLAIN, PUBLISHED, AROUND } way;

/* What is folded into OUTPUT alone is read again: to be published, or by peers. */
static way way_of(const kolo_execution *run, const kolo_step *step)
{
    bool copies = step->kind == KOLO_STEP_COPY;
    if (copies && step->dst == KOLO_BUFFER_WINDOW && !step->final && run->publisher != NULL)
        return PUBLISHED;
    bool is_last = step->dst == (copies ? KOLO_BUFFER_OUTPUT : KOLO_BUFFER_PEER_OUTPUT);
    return run->around && is_last ? AROUND : PLAIN;
}

/* `count` elements of a step, from where the operands point. */
static inline void fold(const kolo_executor *executor, way how, const kolo_folder *folder, int64_t count)
{
    void **operands = executor->operands;
    const void *const *inputs = (const void *const *)(operands + folder->n_dsts);
    if (how == PLAIN || (how == AROUND && operands[0] == inputs[0]))
        kolo_folder_fold(folder, operands, inputs, (size_t)count);
    else if (how == PUBLISHED)
        kolo_publish_piece(executor->run.publisher, operands[0], inputs[0], (size_t)count * executor->element_bytes);
    else
        kolo_reduce_fold_around(folder->reduction, operands, folder->n_dsts, inputs, folder->n_inputs, (size_t)count);
}

/* The number of the step's first element among the tensors', which is the same in all of them (plan/schedule.h). */
static int64_t number_of(const kolo_step *step)
{
    bool writes_tensors = step->dst != KOLO_BUFFER_WINDOW && step->dst != KOLO_BUFFER_SCRATCH;
    return writes_tensors ? step->dst_offset : step->kind == KOLO_STEP_FOLD ? step->b_offset : step->a_offset;
}

/* Part by part: operands that are tensors, in rows, lie where each part says; others go on behind the part before. */
static void fold_parts(const kolo_executor *executor, const kolo_step *step, way how, const kolo_folder *folder)
{
    const kolo_parts *parts = executor->run.parts;
    const uintptr_t *const *rows = executor->rows;
    void **operands = executor->operands;
    int64_t number = number_of(step), end = number + step->count, next;
    size_t all = folder->n_dsts + folder->n_inputs, element_bytes = executor->element_bytes, others = 0;
    for (size_t i = 0; i < all; i++)
        others += rows[i] == NULL;
    for (const kolo_part *part = &parts->list[kolo_parts_find(parts, number)]; number < end; number = next, part++) {
        size_t at = (size_t)(number + part->shift) * element_bytes, tensor = part->tensor;
        next = part[1].start < end ? part[1].start : end;
        for (size_t i = 0; i < all; i++)
            operands[i] = rows[i] != NULL ? (void *)(rows[i][tensor] + at) : operands[i];
        fold(executor, how, folder, next - number);
        for (size_t i = 0; others > 0 && i < all; i++)
            if (rows[i] == NULL)
                operands[i] = (char *)operands[i] + (size_t)(next - number) * element_bytes;
    }
}

static kolo_status read_peer(kolo_executor *executor, int32_t rank, const void *from, void *to, size_t bytes)
{
    executor->failed_peer = rank;
    return executor->ops->read_peer(executor->transport, rank, (uintptr_t)from, to, bytes);
}

/* Reads what lies in peers' memory: a COPY's where it belongs, and nothing is left to do then; a FOLD's into scratch. */
static kolo_status fetch(kolo_executor *executor, const kolo_step *step, size_t outputs)
{
    const kolo_execution *run = &executor->run;
    size_t bytes = (size_t)step->count * executor->element_bytes;
    if (step->kind == KOLO_STEP_COPY)
        return read_peer(executor, step->peer, executor->operands[outputs], executor->operands[0], bytes);
    char *scratch = (char *)run->base[KOLO_BUFFER_SCRATCH];
    for (int32_t rank = 0; rank < run->size; rank++) {
        void **operand = &executor->operands[outputs + (size_t)rank];
        if (rank == run->rank)
            continue;
        KOLO_TRY(read_peer(executor, rank, *operand, scratch, bytes));
        *operand = scratch;
        scratch += bytes;
    }
    return KOLO_OK;
}

/* A copy is the fold of one input. */
static kolo_status compute(kolo_executor *executor, const kolo_step *step)
{
    const kolo_execution *run = &executor->run;
    const kolo_reduction reduction = {
        .type = run->type, .op = run->op, .final = step->final, .size = run->size, .postscale = run->postscale};
    size_t outputs = list_outputs(executor, step), inputs = list_inputs(executor, step, outputs);
    way how = way_of(run, step);
    bool fetches = run->reads_tensors && is_peers(step->a);
    if (fetches)
        KOLO_TRY(fetch(executor, step, outputs));
    if (fetches && step->kind == KOLO_STEP_COPY)
        return KOLO_OK;
    if (how == PUBLISHED)
        kolo_publish_begin(run->publisher, (size_t)step->count * executor->element_bytes);
    kolo_folder folder;
    kolo_folder_init(&folder, &reduction, outputs, inputs);
    if (run->parts == NULL)
        fold(executor, how, &folder, step->count);
    else
        fold_parts(executor, step, how, &folder);
    if (how == PUBLISHED)
        kolo_publish_end(run->publisher);
    if (how == AROUND)
        kolo_reduce_end_around();
    return KOLO_OK;
}

/* ---- flags ---------------------------------------------------------------------------------------------- */

static void notify(kolo_executor *executor, const kolo_step *step)
{
    const kolo_execution *run = &executor->run;
    uint64_t value = run->flag_base[step->message] + (uint64_t)step->count, *own = run->flags[run->rank];
    if (run->reads_tensors && step->message == KOLO_FLAG_COPIED) {
        own[PLACE_INPUT] = run->base[KOLO_BUFFER_INPUT];
        own[PLACE_OUTPUT] = run->base[KOLO_BUFFER_OUTPUT];
    }
    __atomic_store_n(&own[step->message], value, __ATOMIC_RELEASE);
    executor->told = true;
}

/* Wakes the ranks that sleep, after flags were told. That takes a full fence, so a look at others' flags comes before. */
static void wake(kolo_executor *executor)
{
    if (executor->told)
        executor->ops->flags_changed(executor->transport);
    executor->told = false;
}

static bool has_reached(const kolo_execution *run, const kolo_step *step, int32_t rank)
{
    uint64_t wanted = run->flag_base[step->message] + (uint64_t)step->count;
    return __atomic_load_n(&run->flags[rank][step->message], __ATOMIC_ACQUIRE) >= wanted;
}

static bool is_satisfied(const kolo_execution *run, const kolo_step *step)
{
    if (step->peer >= 0)
        return has_reached(run, step, step->peer);
    for (int32_t rank = 0; rank < run->size; rank++)
        if (rank != run->rank && !has_reached(run, step, rank))
            return false;
    return true;
}

void kolo_executor_peers(const kolo_executor *executor, kolo_ranks *ranks)
{
    const kolo_execution *run = &executor->run;
    for (size_t i = 0; executor->posted > 0 && i < run->schedule->step_count; i++)
        if (executor->postings[i].executor != NULL)
            (void)kolo_ranks_add(ranks, run->schedule->steps[i].peer, run->schedule->steps[i].peer);
    if (executor->blocked == KOLO_NO_STEP)
        return;
    const kolo_step *step = &run->schedule->steps[executor->blocked];
    if (step->kind != KOLO_STEP_WAIT)
        (void)kolo_ranks_add(ranks, executor->failed_peer, executor->failed_peer);
    for (int32_t rank = 0; step->kind == KOLO_STEP_WAIT && rank < run->size; rank++)
        if (rank != run->rank && (step->peer < 0 || step->peer == rank) && !has_reached(run, step, rank))
            (void)kolo_ranks_add(ranks, rank, rank);
}

bool kolo_executor_awake(const kolo_executor *executor)
{
    if (executor->blocked == KOLO_NO_STEP || executor->canceled)
        return false;
    const kolo_step *step = &executor->run.schedule->steps[executor->blocked];
    return step->kind == KOLO_STEP_WAIT && is_satisfied(&executor->run, step);
}

/* ---- steps ---------------------------------------------------------------------------------------------- */

static kolo_status post(kolo_executor *executor, uint32_t index, const kolo_step *step)
{
    kolo_posting *posting = &executor->postings[index];
    *posting = (kolo_posting){.executor = executor, .step = index};
    uint64_t tag = executor->run.tag | step->message;
    size_t bytes = (size_t)step->count * executor->element_bytes;
    if (step->kind == KOLO_STEP_SEND)
        return executor->ops->send(executor->transport, step->peer, tag,
                                   at(executor, step->a, executor->run.rank, step->a_offset), bytes, posting);
    return executor->ops->recv(executor->transport, step->peer, tag,
                               at(executor, step->dst, executor->run.rank, step->dst_offset), bytes, posting);
}

static void fail_step(kolo_executor *executor, uint32_t index, int32_t peer, kolo_status status)
{
    executor->failed_step = index;
    executor->failed_peer = peer;
    kolo_executor_cancel(executor, status);
}

static void post_or_cancel(kolo_executor *executor, uint32_t index, const kolo_step *step)
{
    kolo_status status = post(executor, index, step);
    executor->posted += status == KOLO_OK;
    if (status != KOLO_OK) {
        executor->postings[index].executor = NULL;
        fail_step(executor, index, step->peer, status);
    }
}

/* False: a WAIT that is not satisfied yet; or a peer is lost, which the transport will tell, and why. */
static bool run_step(kolo_executor *executor, uint32_t index)
{
    const kolo_step *step = &executor->run.schedule->steps[index];
    bool waits = step->kind == KOLO_STEP_WAIT && !is_satisfied(&executor->run, step);
    kolo_status status;
    wake(executor);
    if (waits)
        return false;
    switch (step->kind) {
    case KOLO_STEP_SEND:
    case KOLO_STEP_RECV:
        post_or_cancel(executor, index, step);
        return true;
    case KOLO_STEP_WAIT:
        break;
    case KOLO_STEP_NOTIFY:
        notify(executor, step);
        break;
    default:
        status = compute(executor, step);
        if (status == KOLO_ERR_PEER)
            return false;
        if (status != KOLO_OK) {
            fail_step(executor, index, executor->failed_peer, status);
            return true;
        }
    }
    step_over(executor, index);
    return true;
}

int kolo_executor_advance(kolo_executor *executor, int budget)
{
    int ran = 0;
    if (executor->blocked != KOLO_NO_STEP && !executor->canceled) {
        if (!run_step(executor, executor->blocked))
            return 0;
        executor->blocked = KOLO_NO_STEP;
        ran++;
    }
    while (!executor->canceled && executor->ready_head != executor->ready_tail && ran < budget) {
        uint32_t index = executor->ready[executor->ready_head++];
        if (!run_step(executor, index)) {
            executor->blocked = index;
            break;
        }
        ran++;
    }
    wake(executor);
    return ran;
}

void kolo_executor_completed(kolo_posting *posting, kolo_status status)
{
    kolo_executor *executor = posting->executor;
    posting->executor = NULL;
    executor->posted--;
    if (status == KOLO_OK)
        step_over(executor, posting->step);
    else if (!executor->canceled)
        fail_step(executor, posting->step, executor->run.schedule->steps[posting->step].peer, status);
}

void kolo_executor_cancel(kolo_executor *executor, kolo_status status)
{
    if (executor->canceled)
        return;
    executor->canceled = true;
    executor->status = status;
}

bool kolo_executor_finished(const kolo_executor *executor)
{
    return executor->canceled ? executor->posted == 0 : executor->steps_left == 0;
}
