/* calls.c - the calls around operations: joining and leaving, facts, requests, memory, errors. */
#include "api/check.h"
#include "api/context.h"
#include "api/join.h"
#include "base/error.h"

#include <stdio.h>

/* The version comes from the build. */
#ifndef KOLO_VERSION
#error "KOLO_VERSION is not defined"
#endif

const char *kolo_version(void)
{
    return KOLO_VERSION;
}

/* An error of the call, whatever it was that failed in it. */
static kolo_status in_call(const char *operation, kolo_status status)
{
    if (status != KOLO_OK)
        snprintf(kolo_error_current()->operation, sizeof(kolo_error_current()->operation), "%s", operation);
    return status;
}

static kolo_status init(const kolo_init_args *given, kolo_context **ctx)
{
    kolo_init_args args = KOLO_INIT_ARGS_INIT;
    if (ctx == NULL)
        return kolo_fail(KOLO_ERR_INVALID, "kolo_init needs somewhere to put the context: ctx is NULL");
    if (given != NULL)
        KOLO_TRY(kolo_init_args_read(given, &args));
    kolo_context *made = kolo_context_take();
    if (made == NULL)
        return kolo_fail(KOLO_ERR_STATE, "too many contexts in this process; finalize one first");
    kolo_status status = kolo_context_join(made, &args);
    atomic_store(&made->state, status == KOLO_OK ? KOLO_CONTEXT_LIVE : KOLO_CONTEXT_FREE);
    if (status == KOLO_OK)
        *ctx = made;
    return status;
}

kolo_status kolo_init(const kolo_init_args *args, kolo_context **ctx)
{
    kolo_error_clear();
    return in_call("init", init(args, ctx));
}

static kolo_status finalize(kolo_context *ctx)
{
    KOLO_TRY(kolo_context_check(ctx));
    if (kolo_driver_is_inside(ctx->driver))
        return kolo_fail(
            KOLO_ERR_STATE,
            "a completion callback must not finalize its context: it runs on the thread that everybody waits for");
    uint32_t expected = KOLO_CONTEXT_LIVE;
    if (!atomic_compare_exchange_strong(&ctx->state, &expected, KOLO_CONTEXT_LEAVING))
        return kolo_fail(KOLO_ERR_STATE, "another thread finalizes this context already");
    kolo_status status = kolo_context_leave(ctx);
    atomic_store(&ctx->state, KOLO_CONTEXT_FREE);
    return status;
}

kolo_status kolo_finalize(kolo_context *ctx)
{
    kolo_error_clear();
    return in_call("finalize", finalize(ctx));
}

static bool has_facts(const kolo_context *ctx, const char *operation)
{
    return in_call(operation, kolo_context_check(ctx)) == KOLO_OK;
}

int32_t kolo_rank(const kolo_context *ctx)
{
    return has_facts(ctx, "rank") ? ctx->job.rank : -1;
}

int32_t kolo_size(const kolo_context *ctx)
{
    return has_facts(ctx, "size") ? ctx->job.size : -1;
}

int32_t kolo_local_rank(const kolo_context *ctx)
{
    return has_facts(ctx, "local_rank") ? ctx->local_rank : -1;
}

int32_t kolo_local_size(const kolo_context *ctx)
{
    return has_facts(ctx, "local_size") ? ctx->local_size : -1;
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

/* A request that is not over belongs to a live context, unless this is a forked child. */
static kolo_status check_process(const kolo_request *request)
{
    if (request->process == kolo_process_number())
        return KOLO_OK;
    char title[KOLO_TITLE_BYTES];
    return kolo_fail(KOLO_ERR_STATE,
                     "this process was forked from the one that submitted %s; only that one can wait for it",
                     kolo_request_title(request->name, title));
}

/* Says of which operation the error is, where it does not say so yet. */
static kolo_status about(const kolo_request *request, kolo_status status)
{
    if (status == KOLO_OK)
        return status;
    kolo_error *error = kolo_error_current();
    if (error->operation[0] != '\0')
        return status;
    snprintf(error->operation, sizeof(error->operation), "%s", kolo_collective_name(request->operation.collective));
    char text[KOLO_TITLE_BYTES];
    snprintf(error->tensor, sizeof(error->tensor), "%s", kolo_request_label(request->name, text));
    return status;
}

/* kolo_prepare made it, and nothing has begun that could end. */
static bool is_unstarted(const kolo_request *request)
{
    return atomic_load_explicit(&request->state, memory_order_acquire) == KOLO_REQUEST_PREPARED;
}

static kolo_status refuse_unstarted(const kolo_request *request)
{
    char title[KOLO_TITLE_BYTES];
    kolo_status status = check_process(request);
    if (status != KOLO_OK)
        return about(request, status);
    bool is_live =
        kolo_context_check(request->context) == KOLO_OK && request->incarnation == request->context->incarnation;
    return about(request, kolo_fail(KOLO_ERR_STATE,
                                    is_live ? "%s was prepared, but not started: call kolo_start first"
                                            : "%s was prepared, but not started, and its context was finalized",
                                    kolo_request_title(request->name, title)));
}

kolo_status kolo_test(kolo_request *request, int *done)
{
    kolo_error_clear();
    if (request == NULL || done == NULL)
        return in_call("test",
                       kolo_fail(KOLO_ERR_INVALID, "kolo_test needs a request and somewhere to put the answer"));
    *done = 0;
    if (is_unstarted(request))
        return refuse_unstarted(request);
    bool over = kolo_request_is_done(request);
    *done = over ? 1 : 0;
    if (over)
        return about(request, kolo_context_result(request));
    kolo_status status = check_process(request);
    if (status == KOLO_OK)
        kolo_driver_do_not_rest(request->driver);
    return about(request, status);
}

kolo_status kolo_wait(kolo_request *request, int64_t timeout_ns)
{
    kolo_error_clear();
    if (request == NULL)
        return in_call("wait", kolo_fail(KOLO_ERR_INVALID, "kolo_wait needs a request"));
    if (is_unstarted(request))
        return refuse_unstarted(request);
    kolo_status status = KOLO_OK;
    if (!kolo_request_is_done(request)) {
        status = check_process(request);
        if (status == KOLO_OK)
            status = kolo_driver_wait(request->driver, request, timeout_ns);
    }
    return about(request, status == KOLO_OK ? kolo_context_result(request) : status);
}

void kolo_request_free(kolo_request *request)
{
    if (request != NULL)
        kolo_request_release(request);
}

const kolo_error *kolo_request_error(const kolo_request *request)
{
    if (request == NULL || atomic_load_explicit(&request->state, memory_order_acquire) == KOLO_REQUEST_PENDING)
        return NULL;
    return request->error;
}

kolo_status kolo_progress(kolo_context *ctx)
{
    KOLO_TRY(in_call("progress", kolo_context_check(ctx)));
    (void)kolo_driver_step(ctx->driver);
    return KOLO_OK;
}

static kolo_status find_fd(kolo_context *ctx, int *fd)
{
    KOLO_TRY(kolo_context_check(ctx));
    if (fd == NULL)
        return kolo_fail(KOLO_ERR_INVALID, "kolo_completion_fd needs somewhere to put the fd");
    *fd = kolo_driver_completion_fd(ctx->driver);
    return KOLO_OK;
}

kolo_status kolo_completion_fd(kolo_context *ctx, int *fd)
{
    kolo_error_clear();
    return in_call("completion_fd", find_fd(ctx, fd));
}

/* ---- memory, errors ------------------------------------------------------------------------------------------- */

static kolo_status allocate(kolo_context *ctx, size_t bytes, void **ptr)
{
    KOLO_TRY(kolo_context_check(ctx));
    if (ptr == NULL)
        return kolo_fail(KOLO_ERR_INVALID, "kolo_alloc needs somewhere to put the pointer");
    *ptr = NULL;
    return bytes > 0 ? kolo_allocations_add(&ctx->allocations, bytes, ptr) : KOLO_OK;
}

kolo_status kolo_alloc(kolo_context *ctx, size_t bytes, void **ptr)
{
    kolo_error_clear();
    return in_call("alloc", allocate(ctx, bytes, ptr));
}

static kolo_status release(kolo_context *ctx, void *ptr)
{
    KOLO_TRY(kolo_context_check(ctx));
    bool broken = kolo_engine_error(ctx->engine) != NULL;
    return ptr != NULL ? kolo_allocations_remove(&ctx->allocations, ptr, broken) : KOLO_OK;
}

kolo_status kolo_free(kolo_context *ctx, void *ptr)
{
    kolo_error_clear();
    return in_call("free", release(ctx, ptr));
}

const kolo_error *kolo_last_error(void)
{
    return kolo_error_current();
}
