/* measure.c - the timed loops and the checked iterations. */
#include "measure.h"

#include <string.h>
#include <time.h>

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static bool execute(const perf_backend *backend, const perf_call *call)
{
    if (call->op != PERF_MEMCPY)
        return backend->execute(backend->self);
    size_t bytes = (size_t)call->count * perf_type_size(call->type);
    for (int k = 0; k < call->tensors; k++)
        memcpy(call->output + (size_t)k * call->stride, call->input + (size_t)k * call->stride, bytes);
    return true;
}

/* Each iteration starts with fresh inputs, on all ranks at once. */
static bool time_isolated(const perf_options *options, const perf_backend *backend, const perf_memory *memory,
                          const perf_call *call, double *samples)
{
    for (int i = -options->warmup; i < options->iterations; i++) {
        perf_buffers_rewrite(memory, call);
        if (!backend->barrier(backend->self))
            return false;
        double start = now_us();
        if (!execute(backend, call))
            return false;
        if (i >= 0)
            samples[i] = now_us() - start;
    }
    return backend->combine(backend->self, PERF_COMBINE_MAX, samples, (size_t)options->iterations);
}

/* One iteration starts where the one before ended. What one rank waits for here, another waits for in the next
 * iteration, so the largest of the ranks' times would count it twice: the mean does not. */
static bool time_back_to_back(const perf_options *options, const perf_backend *backend, const perf_memory *memory,
                              const perf_call *call, double *samples)
{
    perf_buffers_rewrite(memory, call);
    for (int i = 0; i < options->warmup; i++) {
        if (!execute(backend, call))
            return false;
    }
    if (!backend->barrier(backend->self))
        return false;
    double start = now_us();
    for (int i = 0; i < options->iterations; i++) {
        if (!execute(backend, call))
            return false;
        double end = now_us();
        samples[i] = end - start;
        start = end;
    }
    if (!backend->combine(backend->self, PERF_COMBINE_SUM, samples, (size_t)options->iterations))
        return false;
    for (int i = 0; i < options->iterations; i++)
        samples[i] /= backend->ranks;
    return true;
}

/* A barrier is wrong on a rank that left it before the last one came. Told by the clock, so only on one host. */
static bool check_barrier(const perf_backend *backend, const perf_call *call, int64_t *wrong)
{
    double last_entry = now_us();
    if (!execute(backend, call))
        return false;
    double left = now_us();
    if (!backend->combine(backend->self, PERF_COMBINE_MAX, &last_entry, 1))
        return false;
    *wrong = left < last_entry ? 1 : 0;
    return true;
}

static bool check_data(const perf_backend *backend, const perf_memory *memory, const perf_call *call, uint64_t seed,
                       int64_t *wrong)
{
    perf_buffers_fill(memory, call, seed);
    perf_buffers_poison(memory, call);
    perf_buffers_rewrite(memory, call);
    if (!execute(backend, call))
        return false;
    *wrong = perf_buffers_count_wrong(memory, call, seed);
    return true;
}

static bool check(const perf_options *options, const perf_backend *backend, const perf_memory *memory,
                  const perf_call *call, int64_t *wrong)
{
    bool is_barrier = call->op == PERF_BARRIER;
    *wrong = PERF_NOT_CHECKED;
    if (options->checks == 0 || (is_barrier && !backend->one_host))
        return true;
    int64_t mine = 0;
    for (int i = 0; i < options->checks; i++) {
        int64_t now_wrong = 0;
        uint64_t seed = (uint64_t)i + 2; /* the timed iterations had seed 1: their results must not pass here */
        if (!(is_barrier ? check_barrier(backend, call, &now_wrong)
                         : check_data(backend, memory, call, seed, &now_wrong)))
            return false;
        mine += now_wrong;
    }
    double total = (double)mine;
    if (!backend->combine(backend->self, PERF_COMBINE_SUM, &total, 1))
        return false;
    *wrong = (int64_t)total;
    return true;
}

static perf_call call_of(const perf_options *options, const perf_backend *backend, const perf_memory *memory,
                         const perf_row *row, bool in_place)
{
    perf_call call = {
        .op = row->op,
        .type = row->type,
        .redop = row->redop,
        .root = row->root,
        .in_place = in_place && row->op != PERF_MEMCPY,
        .async = options->async > 0,
        .tensors = options->async > 0 ? options->async : 1,
        .count = row->count,
        .input = memory->input,
        .output = memory->output,
        .stride = perf_buffers_stride(row->bytes),
    };
    perf_slice(row->count, backend->ranks, backend->rank, &call.offset, &call.slice_count);
    return call;
}

static bool measure_placed(const perf_options *options, const perf_backend *backend, const perf_memory *memory,
                           double *samples, const perf_row *row, bool in_place, perf_timing *timing)
{
    perf_call call = call_of(options, backend, memory, row, in_place);
    perf_buffers_fill(memory, &call, 1);
    if (call.op != PERF_MEMCPY && !backend->prepare(backend->self, &call))
        return false;
    bool timed = options->mode == PERF_B2B ? time_back_to_back(options, backend, memory, &call, samples)
                                           : time_isolated(options, backend, memory, &call, samples);
    if (!timed || !check(options, backend, memory, &call, &timing->wrong))
        return false;
    timing->us = perf_stats_of(samples, (size_t)options->iterations);
    timing->time_us = options->mode == PERF_B2B ? timing->us.mean : timing->us.p50;
    timing->algbw_gbs = perf_bandwidth_gbs(row->bytes * call.tensors, timing->time_us);
    timing->busbw_gbs = timing->algbw_gbs * perf_bus_factor(row->op, backend->ranks);
    return true;
}

bool perf_measure(const perf_options *options, const perf_backend *backend, const perf_memory *memory, double *samples,
                  perf_row *row)
{
    row->bytes = row->count * (int64_t)perf_type_size(row->type);
    return measure_placed(options, backend, memory, samples, row, false, &row->out_of_place) &&
           measure_placed(options, backend, memory, samples, row, true, &row->in_place);
}
