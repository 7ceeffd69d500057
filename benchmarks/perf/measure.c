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

/* Up to a page is copied through flags and bounce buffers wherever it lies; more is read where it is, and a reader must
 * not find in its cache what it read an iteration ago: no program reduces the same gradients twice. */
enum { B2B_REWRITE_BYTES = 4096 };

/* One run of the loop: `count` times into samples, as this rank saw them. Isolated: each iteration starts with fresh
 * inputs, on all ranks at once. */
static bool run_isolated(const perf_backend *backend, const perf_memory *memory, const perf_call *call, int count,
                         double *samples)
{
    for (int i = 0; i < count; i++) {
        perf_buffers_rewrite(memory, call);
        if (!backend->barrier(backend->self))
            return false;
        double start = now_us();
        if (!execute(backend, call))
            return false;
        samples[i] = now_us() - start;
    }
    return true;
}

/* Back to back: one iteration starts where the one before ended, or, with larger inputs, where they are fresh; in a loop
 * always at the end of the one before. */
static bool run_back_to_back(perf_mode mode, const perf_memory *memory, const perf_call *call, int count,
                             double *samples)
{
    const perf_backend *backend = memory->backend;
    bool rewrites = call->count * (int64_t)perf_type_size(call->type) * call->tensors > B2B_REWRITE_BYTES;
    perf_buffers_rewrite(memory, call);
    if (!backend->barrier(backend->self))
        return false;
    double start = now_us();
    for (int i = 0; i < count; i++) {
        if (rewrites && i > 0) {
            perf_buffers_rewrite(memory, call);
            start = mode == PERF_LOOP ? start : now_us();
        }
        if (!execute(backend, call))
            return false;
        double end = now_us();
        samples[i] = end - start;
        start = end;
    }
    return true;
}

static bool run_loop(const perf_options *options, const perf_memory *memory, const perf_call *call, int count,
                     double *samples)
{
    if (options->mode != PERF_ISOLATED)
        return run_back_to_back(options->mode, memory, call, count, samples);
    return run_isolated(memory->backend, memory, call, count, samples);
}

/* Wall time of one iteration with all that is around it, on the slowest rank. */
static bool time_loop(const perf_options *options, const perf_memory *memory, const perf_call *call, int count,
                      double *samples, double *each_us)
{
    double start = now_us();
    if (!run_loop(options, memory, call, count, samples))
        return false;
    *each_us = (now_us() - start) / count;
    return memory->backend->combine(memory->backend->self, PERF_COMBINE_MAX, each_us, 1);
}

static int fitting(double budget_us, double each_us, int least, int most)
{
    double count = each_us > 0.0 ? budget_us / each_us : most;
    if (count >= most)
        return most;
    int lower = least < most ? least : most;
    return count > lower ? (int)count : lower;
}

/* Warms up, and answers how many iterations to time: as many as the options say, or as fit into their budget. */
static bool warm_up(const perf_options *options, const perf_memory *memory, const perf_call *call, double *samples,
                    int *iterations)
{
    enum { FEWEST = 3 }; /* a median of fewer is none */
    *iterations = options->iterations;
    if (options->budget_ms == 0)
        return run_loop(options, memory, call, options->warmup, samples);
    double budget_us = options->budget_ms * 1e3;
    double each_us; /* the first one alone pays for page faults and introductions: its time counts for nothing */
    if (!run_loop(options, memory, call, 1, samples) || !time_loop(options, memory, call, 1, samples, &each_us))
        return false;
    int more = fitting(budget_us / 4, each_us, 0, options->warmup);
    if (more > 0 && !time_loop(options, memory, call, more, samples, &each_us))
        return false;
    *iterations = fitting(budget_us, each_us, FEWEST, options->iterations);
    return true;
}

/* An isolated iteration takes as long as its slowest rank. Back to back, what one rank waits for here another waits for
 * in the next iteration, so the largest of the ranks' times would count it twice: the mean does not. */
static bool time_iterations(const perf_options *options, const perf_memory *memory, const perf_call *call,
                            double *samples, int *iterations)
{
    const perf_backend *backend = memory->backend;
    bool mean = options->mode != PERF_ISOLATED;
    if (!warm_up(options, memory, call, samples, iterations) ||
        !run_loop(options, memory, call, *iterations, samples) ||
        !backend->combine(backend->self, mean ? PERF_COMBINE_SUM : PERF_COMBINE_MAX, samples, (size_t)*iterations))
        return false;
    for (int i = 0; mean && i < *iterations; i++)
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
        uint64_t seed = (uint64_t)(2 * i + call->in_place) + 2; /* no result of an earlier iteration must pass here */
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

bool perf_measure_placed(const perf_options *options, const perf_backend *backend, const perf_memory *memory,
                         double *samples, const perf_row *row, bool in_place, perf_timing *timing)
{
    perf_call call = call_of(options, backend, memory, row, in_place);
    bool good = (call.op == PERF_MEMCPY || backend->prepare(backend->self, &call)) &&
                time_iterations(options, memory, &call, samples, &timing->iterations) &&
                check(options, backend, memory, &call, &timing->wrong);
    if (backend->finish != NULL)
        backend->finish(backend->self);
    if (!good)
        return false;
    timing->us = perf_stats_of(samples, (size_t)timing->iterations);
    timing->time_us = options->mode == PERF_ISOLATED ? timing->us.p50 : timing->us.mean;
    timing->algbw_gbs = perf_bandwidth_gbs(row->bytes * call.tensors, timing->time_us);
    timing->busbw_gbs = timing->algbw_gbs * perf_bus_factor(row->op, backend->ranks);
    return true;
}

void perf_measure_fill(const perf_options *options, const perf_backend *backend, const perf_memory *memory,
                       const perf_row *row)
{
    perf_call call = call_of(options, backend, memory, row, false);
    perf_buffers_fill(memory, &call, 1);
}

bool perf_measure(const perf_options *options, const perf_backend *backend, const perf_memory *memory, double *samples,
                  perf_row *row)
{
    row->bytes = row->count * (int64_t)perf_type_size(row->type);
    perf_measure_fill(options, backend, memory, row);
    if (!perf_measure_placed(options, backend, memory, samples, row, false, &row->out_of_place))
        return false;
    if (options->checks > 0) /* which left inputs of their own */
        perf_measure_fill(options, backend, memory, row);
    return perf_measure_placed(options, backend, memory, samples, row, true, &row->in_place);
}
