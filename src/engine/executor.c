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
    memset(executor, 0, sizeof(*executor));
}

static kolo_status reserve(kolo_executor *executor, size_t steps)
{
    if (steps <= executor->capacity)
        return KOLO_OK;
    kolo_executor_fini(executor);
    executor->waits = malloc(steps * sizeof(*executor->waits));
    executor->ready = malloc(steps * sizeof(*executor->ready));
    executor->postings = malloc(steps * sizeof(*executor->postings));
    if (executor->waits == NULL || executor->ready == NULL || executor->postings == NULL) {
        kolo_executor_fini(executor);
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a schedule of %zu steps", steps);
    }
    executor->capacity = steps;
    return KOLO_OK;
}

kolo_status kolo_executor_start(kolo_executor *executor, const kolo_transport_ops *ops, kolo_transport *transport,
                                const kolo_execution *run)
{
    const kolo_schedule *schedule = run->schedule;
    KOLO_TRY(reserve(executor, schedule->step_count));
    executor->ops = ops;
    executor->transport = transport;
    executor->run = *run;
    executor->element_bytes = kolo_dtype_size(run->type);
    executor->ready_head = executor->ready_tail = 0;
    executor->steps_left = schedule->step_count;
    executor->posted = 0;
    executor->canceled = false;
    executor->status = KOLO_OK;
    for (uint32_t i = 0; i < schedule->step_count; i++)
        if ((executor->waits[i] = schedule->wait_count[i]) == 0)
            executor->ready[executor->ready_tail++] = i;
    return KOLO_OK;
}

static void *at(const kolo_executor *executor, uint8_t buffer, int64_t offset)
{
    return (void *)(executor->run.base[buffer] + (uintptr_t)offset * executor->element_bytes);
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

static void compute(const kolo_executor *executor, const kolo_step *step)
{
    const kolo_execution *run = &executor->run;
    void *dst = at(executor, step->dst, step->dst_offset);
    const void *a = at(executor, step->a, step->a_offset);
    size_t count = (size_t)step->count;
    if (step->kind == KOLO_STEP_REDUCE)
        kolo_reduce_pair(run->type, run->op, dst, a, at(executor, step->b, step->b_offset), count);
    else if (dst != a)
        memcpy(dst, a, count * executor->element_bytes);
    if (step->final)
        kolo_reduce_finish(run->type, run->op, run->size, run->postscale, dst, count);
}

static kolo_status post(kolo_executor *executor, uint32_t index, const kolo_step *step)
{
    kolo_posting *posting = &executor->postings[index];
    *posting = (kolo_posting){.executor = executor, .step = index};
    uint64_t tag = executor->run.tag | step->message;
    size_t bytes = (size_t)step->count * executor->element_bytes;
    if (step->kind == KOLO_STEP_SEND)
        return executor->ops->send(executor->transport, step->peer, tag, at(executor, step->a, step->a_offset), bytes, posting);
    return executor->ops->recv(executor->transport, step->peer, tag, at(executor, step->dst, step->dst_offset), bytes, posting);
}

int kolo_executor_advance(kolo_executor *executor, int budget)
{
    int ran = 0;
    while (!executor->canceled && executor->ready_head != executor->ready_tail && ran < budget) {
        uint32_t index = executor->ready[executor->ready_head++];
        const kolo_step *step = &executor->run.schedule->steps[index];
        ran++;
        if (step->kind == KOLO_STEP_REDUCE || step->kind == KOLO_STEP_COPY) {
            compute(executor, step);
            step_over(executor, index);
            continue;
        }
        kolo_status status = post(executor, index, step);
        if (status == KOLO_OK) {
            executor->posted++;
        } else {
            executor->failed_step = index;
            kolo_executor_cancel(executor, status);
        }
    }
    return ran;
}

void kolo_executor_completed(kolo_posting *posting, kolo_status status)
{
    kolo_executor *executor = posting->executor;
    executor->posted--;
    if (status == KOLO_OK) {
        step_over(executor, posting->step);
    } else if (!executor->canceled) {
        executor->failed_step = posting->step;
        kolo_executor_cancel(executor, status);
    }
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
