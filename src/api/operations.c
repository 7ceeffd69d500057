/* operations.c - the collective calls: check, make a request, queue it, and wait where asked to. */
#include "api/check.h"
#include "api/context.h"
#include "api/groups.h"
#include "api/submit.h"
#include "base/clock.h"
#include "base/error.h"
#include "plan/slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Operations without a name are matched by their order: the k-th unnamed one is called "#k", modulo a number that
 * bounds how many names the negotiation has to know. Equal names queue behind each other, so the order holds. */
enum { UNNAMED_NAMES = 64 };

kolo_status kolo_submit_failed(kolo_status status, const char *operation)
{
    if (status == KOLO_OK)
        return status;
    kolo_error *error = kolo_error_current();
    if (error->operation[0] == '\0')
        snprintf(error->operation, sizeof(error->operation), "%s", operation);
    return status;
}

kolo_status kolo_submit_named(kolo_status status, const char *name)
{
    if (status == KOLO_OK || name == NULL)
        return status;
    kolo_error *error = kolo_error_current();
    if (error->tensor[0] == '\0')
        snprintf(error->tensor, sizeof(error->tensor), "%.255s", name);
    return status;
}

static kolo_status make_request(kolo_context *ctx, const kolo_request_spec *spec, kolo_request **request)
{
    /* Far ones need not be that exact: the engine takes a request within milliseconds. */
    bool is_near = spec->timeout_ns > 0 && spec->timeout_ns < KOLO_NS_PER_S;
    KOLO_TRY(kolo_request_create(spec, is_near ? kolo_clock_now_ns() : KOLO_COUNT_LATER, request));
    (*request)->driver = ctx->driver;
    (*request)->process = ctx->process;
    return KOLO_OK;
}

/* An operation that was not queued after all: the next unnamed one gets its number, as on the other ranks. */
static void unname(kolo_context *ctx, const kolo_args *args)
{
    if (args->name == NULL)
        atomic_fetch_sub(&ctx->unnamed, 1);
}

/* The name of the next unnamed operation. */
static const char *unnamed_name(kolo_context *ctx, char text[4])
{
    _Static_assert(UNNAMED_NAMES <= 100, "two digits");
    uint32_t number = atomic_fetch_add(&ctx->unnamed, 1) % UNNAMED_NAMES;
    char *at = text;
    *at++ = '#';
    if (number >= 10)
        *at++ = (char)('0' + number / 10);
    *at++ = (char)('0' + number % 10);
    *at = '\0';
    return text;
}

/* Until it is over. */
static kolo_status execute(kolo_context *ctx, const kolo_request_spec *spec, bool *is_queued)
{
    kolo_request *request = NULL;
    bool over = false;
    *is_queued = true;
    KOLO_TRY(kolo_driver_call(ctx->driver, spec, &request, &over));
    if (over)
        return KOLO_OK;
    kolo_status status = KOLO_OK;
    if (request == NULL) {
        status = make_request(ctx, spec, &request);
        if (status == KOLO_OK)
            status = kolo_driver_submit(ctx->driver, request, true);
        *is_queued = status == KOLO_OK;
    }
    if (status == KOLO_OK)
        status = kolo_driver_wait(ctx->driver, request, -1);
    if (status == KOLO_OK)
        status = kolo_context_result(request);
    if (request != NULL)
        kolo_request_release(request);
    return status;
}

static kolo_status queue(kolo_context *ctx, const kolo_request_spec *spec, kolo_request **request)
{
    /* Set before it is queued: its callback may run, free it, and put its successor there, all before submit returns.
     */
    kolo_request *before = *request, *made = NULL;
    KOLO_TRY(make_request(ctx, spec, &made));
    *request = made;
    kolo_status status = kolo_driver_submit(ctx->driver, made, false);
    if (status != KOLO_OK) {
        *request = before;
        kolo_request_release(made);
    }
    return status;
}

kolo_request_spec kolo_submit_spec(const kolo_context *ctx, const kolo_args *args, const kolo_operation *operation)
{
    return (kolo_request_spec){
        .name = args->name,
        .operation = *operation,
        .timeout_ns = args->timeout_ns != 0 ? args->timeout_ns : ctx->config.timeout_ns,
        .flags = args->flags,
        .done = args->done,
        .user = args->user,
    };
}

kolo_status kolo_submit(kolo_context *ctx, const kolo_args *args, const kolo_operation *operation,
                        const kolo_piece *pieces, const int32_t *ndims, const int64_t *const *shapes,
                        kolo_request **request)
{
    if (request == NULL &&
        kolo_driver_is_inside(ctx->driver)) /* before it is queued: then its memory would be Kolo's */
        return kolo_fail(KOLO_ERR_STATE, "a completion callback must not wait: pass a request, not NULL");
    char unnamed[4];
    kolo_request_spec spec = kolo_submit_spec(ctx, args, operation);
    spec.pieces = pieces;
    spec.ndims = ndims;
    spec.shapes = shapes;
    if (args->name == NULL)
        spec.name = unnamed_name(ctx, unnamed);
    bool is_queued;
    kolo_status status;
    if (request == NULL)
        status = execute(ctx, &spec, &is_queued);
    else
        is_queued = (status = queue(ctx, &spec, request)) == KOLO_OK;
    if (!is_queued)
        unname(ctx, args);
    return status;
}

static kolo_status run_checked(kolo_context *ctx, kolo_collective collective, const kolo_args *args,
                               kolo_request **request)
{
    kolo_operation operation;
    kolo_piece piece;
    const kolo_tensor *shape_of = NULL;
    KOLO_TRY(kolo_check_operation(collective, args, ctx->job.size, &operation));
    KOLO_TRY(kolo_check_one(collective, args));
    KOLO_TRY(
        kolo_check_piece(&operation, &args->input, &args->output, ctx->job.size, ctx->job.rank, &piece, &shape_of));
    operation.piece_count = 1;
    return kolo_submit(ctx, args, &operation, &piece, &shape_of->ndim, &shape_of->shape, request);
}

static kolo_status run(kolo_context *ctx, kolo_collective collective, const kolo_args *given, kolo_request **request)
{
    kolo_args copy;
    const kolo_args *args;
    KOLO_TRY(kolo_args_read(given, &copy, &args));
    if (args->tensors > 0 && collective == KOLO_ALLREDUCE)
        return kolo_group_run(ctx, args, request);
    const char *name = args->name; /* args may be gone when the operation is over */
    return kolo_submit_named(run_checked(ctx, collective, args, request), name);
}

static kolo_status run_named(kolo_context *ctx, kolo_collective collective, const kolo_args *args,
                             kolo_request **request)
{
    kolo_error_clear();
    kolo_status status = kolo_context_check(ctx);
    if (status == KOLO_OK)
        status = run(ctx, collective, args, request);
    return kolo_submit_failed(status, kolo_collective_name(collective));
}

kolo_status kolo_allreduce(kolo_context *ctx, const kolo_args *args, kolo_request **request)
{
    return run_named(ctx, KOLO_ALLREDUCE, args, request);
}

kolo_status kolo_broadcast(kolo_context *ctx, const kolo_args *args, kolo_request **request)
{
    return run_named(ctx, KOLO_BROADCAST, args, request);
}

kolo_status kolo_reduce_scatter(kolo_context *ctx, const kolo_args *args, kolo_request **request)
{
    return run_named(ctx, KOLO_REDUCE_SCATTER, args, request);
}

kolo_status kolo_allgather(kolo_context *ctx, const kolo_args *args, kolo_request **request)
{
    return run_named(ctx, KOLO_ALLGATHER, args, request);
}

/* ---- barrier ------------------------------------------------------------------------------------------------ */

static kolo_status run_barrier(kolo_context *ctx, const kolo_args *given, kolo_request **request)
{
    kolo_args copy = KOLO_ARGS_INIT;
    const kolo_args *args = &copy;
    kolo_operation operation;
    if (given != NULL)
        KOLO_TRY(kolo_args_read(given, &copy, &args));
    const char *name = args->name;
    kolo_status status = kolo_check_operation(KOLO_BARRIER, args, ctx->job.size, &operation);
    if (status == KOLO_OK)
        status = kolo_check_one(KOLO_BARRIER, args);
    if (status == KOLO_OK)
        status = kolo_submit(ctx, args, &operation, NULL, NULL, NULL, request);
    return kolo_submit_named(status, name);
}

kolo_status kolo_barrier(kolo_context *ctx, const kolo_args *args, kolo_request **request)
{
    kolo_error_clear();
    kolo_status status = kolo_context_check(ctx);
    if (status == KOLO_OK)
        status = run_barrier(ctx, args, request);
    return kolo_submit_failed(status, kolo_collective_name(KOLO_BARRIER));
}

void kolo_slice(int64_t count, int32_t size, int32_t rank, int64_t *offset, int64_t *slice_count)
{
    bool valid = count >= 0 && size > 0 && rank >= 0 && rank < size;
    kolo_range range = valid ? kolo_slice_of(count, size, rank) : (kolo_range){0, 0};
    if (offset != NULL)
        *offset = range.offset;
    if (slice_count != NULL)
        *slice_count = range.count;
}
