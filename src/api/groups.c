/* groups.c - see groups.h; and operations that are prepared, to be started again and again. */
#include "api/groups.h"

#include "api/check.h"
#include "api/context.h"
#include "api/submit.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

/* What args say. */
typedef struct group {
    kolo_operation operation;
    kolo_check_lists lists; /* owned: by group_free */
} group;

static void group_free(group *g)
{
    free(g->lists.pieces); /* and with it the others */
}

static bool reserve_lists(kolo_check_lists *lists, size_t count)
{
    char *memory = malloc(count * (sizeof(*lists->pieces) + sizeof(*lists->shapes) + sizeof(*lists->ndims)));
    lists->pieces = (kolo_piece *)(void *)memory;
    lists->shapes = (const int64_t **)(void *)(memory + count * sizeof(*lists->pieces));
    lists->ndims = (int32_t *)(void *)(memory + count * (sizeof(*lists->pieces) + sizeof(*lists->shapes)));
    return memory != NULL;
}

static kolo_status check_single(group *g, const kolo_context *ctx, const kolo_args *args)
{
    const kolo_tensor *shape_of = NULL;
    KOLO_TRY(kolo_check_operation(KOLO_ALLREDUCE, args, ctx->job.size, &g->operation));
    KOLO_TRY(kolo_check_piece(&g->operation, &args->input, &args->output, ctx->job.size, ctx->job.rank,
                              &g->lists.pieces[0], &shape_of));
    g->operation.piece_count = 1;
    g->lists.ndims[0] = shape_of->ndim;
    g->lists.shapes[0] = shape_of->shape;
    return KOLO_OK;
}

/* A list, or the one tensor. */
static kolo_status group_read(group *g, const kolo_context *ctx, const kolo_args *args)
{
    bool is_list = args->tensors > 0;
    size_t count = is_list ? args->tensors : 1;
    *g = (group){0};
    KOLO_TRY(is_list ? kolo_check_list(args) : kolo_check_one(KOLO_ALLREDUCE, args));
    if (!reserve_lists(&g->lists, count))
        return kolo_fail(KOLO_ERR_MEMORY, "no memory to look at %zu tensor%s", count, count == 1 ? "" : "s");
    return is_list ? kolo_check_group(args, ctx->job.size, ctx->job.rank, &g->operation, &g->lists)
                   : check_single(g, ctx, args);
}

static kolo_status make_prepared(kolo_context *ctx, const group *g, const kolo_args *args, kolo_request **request)
{
    static _Atomic uint64_t serials;
    if (args->name == NULL)
        return kolo_fail(KOLO_ERR_INVALID, "a prepared operation needs a name: ranks may start theirs in any order");
    kolo_request_spec spec = kolo_submit_spec(ctx, args, &g->operation);
    kolo_request *made;
    spec.pieces = g->lists.pieces;
    spec.ndims = g->lists.ndims;
    spec.shapes = g->lists.shapes;
    KOLO_TRY(kolo_request_create(&spec, 0, &made));
    made->driver = ctx->driver;
    made->process = ctx->process;
    made->context = ctx;
    made->incarnation = ctx->incarnation;
    made->serial = atomic_fetch_add(&serials, 1) + 1;
    atomic_store(&made->state, KOLO_REQUEST_PREPARED);
    *request = made;
    return KOLO_OK;
}

/* ---- at once ------------------------------------------------------------------------------------------------ */

static kolo_status run_prepared(kolo_context *ctx, kolo_request *request)
{
    kolo_request_renew(request);
    KOLO_TRY(kolo_driver_start(ctx->driver, request, true));
    KOLO_TRY(kolo_driver_wait(ctx->driver, request, -1));
    return kolo_context_result(request);
}

/* Whoever has it; and keeps it for the next time, if all goes well. */
static kolo_status run_again(kolo_context *ctx, kolo_again *again, void (*keep)(kolo_agains *agains, kolo_again *again))
{
    kolo_status status = run_prepared(ctx, kolo_again_request(again));
    if (status == KOLO_OK)
        keep(&ctx->agains, again);
    else
        kolo_again_drop(again);
    return status;
}

/* The first time. */
static kolo_status run_to_remember(kolo_context *ctx, const group *g, const kolo_args *args)
{
    kolo_request *request;
    KOLO_TRY(make_prepared(ctx, g, args, &request));
    kolo_again *again = kolo_again_make(args, request);
    if (again != NULL)
        return run_again(ctx, again, kolo_agains_add);
    kolo_status status = run_prepared(ctx, request);
    kolo_request_release(request);
    return status;
}

static kolo_status run_new(kolo_context *ctx, const kolo_args *args, bool waits, kolo_request **request)
{
    group g;
    kolo_status status = group_read(&g, ctx, args);
    if (status == KOLO_OK && waits && kolo_again_is_possible(args))
        status = run_to_remember(ctx, &g, args);
    else if (status == KOLO_OK)
        status = kolo_submit(ctx, args, &g.operation, g.lists.pieces, g.lists.ndims, g.lists.shapes, request);
    group_free(&g);
    return status;
}

kolo_status kolo_group_run(kolo_context *ctx, const kolo_args *args, kolo_request **request)
{
    const char *name = args->name; /* args may be gone when the operation is over */
    bool waits = request == NULL && !kolo_driver_is_inside(ctx->driver);
    kolo_again *again = waits ? kolo_agains_take(&ctx->agains, args) : NULL;
    kolo_status status = again != NULL ? run_again(ctx, again, kolo_agains_give) : run_new(ctx, args, waits, request);
    return kolo_submit_named(status, name);
}

/* ---- prepared ----------------------------------------------------------------------------------------------- */

static kolo_status prepare_checked(kolo_context *ctx, const kolo_args *args, kolo_request **request)
{
    group g;
    kolo_status status = group_read(&g, ctx, args);
    if (status == KOLO_OK)
        status = make_prepared(ctx, &g, args, request);
    group_free(&g);
    return status;
}

static kolo_status prepare(kolo_context *ctx, const kolo_args *given, kolo_request **request)
{
    kolo_args copy;
    const kolo_args *args;
    KOLO_TRY(kolo_context_check(ctx));
    if (request == NULL)
        return kolo_fail(KOLO_ERR_INVALID, "kolo_prepare needs somewhere to put the request");
    KOLO_TRY(kolo_args_read(given, &copy, &args));
    return kolo_submit_named(prepare_checked(ctx, args, request), args->name);
}

kolo_status kolo_prepare(kolo_context *ctx, const kolo_args *args, kolo_request **request)
{
    kolo_error_clear();
    return kolo_submit_failed(prepare(ctx, args, request), "prepare");
}

static kolo_status refuse_start(const kolo_request *request, kolo_status status, const char *why)
{
    char title[KOLO_TITLE_BYTES];
    kolo_status failed = kolo_fail(status, "%s cannot be started: %s", kolo_request_title(request->name, title), why);
    return kolo_submit_named(failed, kolo_request_label(request->name, title));
}

static kolo_status check_start(const kolo_request *request)
{
    if (request->serial == 0)
        return refuse_start(request, KOLO_ERR_INVALID,
                            "its call did that; kolo_prepare makes what can be started again");
    KOLO_TRY(kolo_context_check(request->context)); /* it is alive; but is it the one? */
    if (request->incarnation != request->context->incarnation)
        return refuse_start(request, KOLO_ERR_STATE, "its context was finalized");
    if (kolo_request_is_under_way(request))
        return refuse_start(request, KOLO_ERR_STATE, "it is under way; kolo_wait for its end first");
    return KOLO_OK;
}

kolo_status kolo_start(kolo_request *request)
{
    kolo_error_clear();
    if (request == NULL)
        return kolo_submit_failed(kolo_fail(KOLO_ERR_INVALID, "kolo_start needs a request"), "start");
    kolo_status status = check_start(request);
    if (status == KOLO_OK) {
        kolo_request_renew(request);
        status = kolo_driver_start(request->driver, request, false);
        if (status != KOLO_OK) /* its last result is gone */
            atomic_store(&request->state, KOLO_REQUEST_PREPARED);
    }
    return kolo_submit_failed(status, kolo_collective_name(KOLO_ALLREDUCE));
}
