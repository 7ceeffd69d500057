/* wire.c - choosing and connecting the transport, together. */
#include "api/wire.h"

#include "api/alone.h"
#include "api/modules.h"
#include "base/error.h"
#include "shm/shm.h"

#include <stdio.h>
#include <string.h>

static kolo_status find(kolo_context *ctx, const char *name)
{
    char folders[4096];
    if (strcmp(name, "shm") == 0 && ctx->config.transport_path[0] == '\0') {
        ctx->ops = kolo_shm_transport();
        return KOLO_OK;
    }
    kolo_module_folders(ctx->config.transport_path, folders, sizeof(folders));
    return kolo_module_load(name, folders, &ctx->log, &ctx->ops, &ctx->module);
}

static void drop(kolo_context *ctx)
{
    if (ctx->transport != NULL)
        ctx->ops->destroy(ctx->transport);
    kolo_module_unload(ctx->module);
    ctx->transport = NULL;
    ctx->module = NULL;
    ctx->ops = NULL;
}

static kolo_status create(kolo_context *ctx, const char *name, kolo_bytes *address)
{
    kolo_transport_env env = {0};
    kolo_engine_fill_env(ctx->engine, &env);
    KOLO_TRY(find(ctx, name));
    KOLO_TRY(ctx->ops->create(&env, &ctx->transport));
    return ctx->ops->address(ctx->transport, address);
}

/* Ranks that say no, as an error that names them. */
static kolo_status first_refusal(const kolo_context *ctx, const char *name, const kolo_bytes *all)
{
    for (int32_t r = 0; r < ctx->job.size; r++)
        if (all[r].size == 0)
            return kolo_fail(KOLO_ERR_UNSUPPORTED, "transport %s does not work on rank %d; see its log", name, r);
    return KOLO_OK;
}

static kolo_status connect_all(kolo_context *ctx, const char *name, const kolo_bytes *all)
{
    KOLO_TRY(first_refusal(ctx, name, all));
    kolo_status status = ctx->ops->connect(ctx->transport, all);
    /* Where this rank must not map another's memory (another user's, say), UCX must not either, and fails at the try. */
    if (status == KOLO_ERR_UNSUPPORTED && ctx->config.ucx_tls[0] == '\0')
        ctx->config.ucx_tls = "^sm";
    return status;
}

/* What a rank that is connected says: and it may read the others' memory; or not. */
enum { READER = 'r', CONNECTED = 'y' };

static char say(const kolo_context *ctx)
{
    return ctx->ops->reads_peers != NULL && ctx->ops->reads_peers(ctx->transport) ? READER : CONNECTED;
}

/* All read each other's memory, or nobody does. */
static bool all_read(const kolo_context *ctx, const kolo_bytes *all)
{
    for (int32_t r = 0; r < ctx->job.size; r++)
        if (all[r].size == 0 || *(const char *)all[r].data != READER)
            return false;
    return true;
}

/* Makes the transport on all ranks, or on none: two exchanges, in which an empty blob says "not here". */
static kolo_status attempt(kolo_context *ctx, kolo_rendezvous *rendezvous, const char *name, kolo_bytes *all)
{
    kolo_bytes address = {0};
    kolo_status status = create(ctx, name, &address);
    kolo_error why = *kolo_error_current(); /* the first thing that went wrong: what follows is its consequence */
    if (status != KOLO_OK)
        address.size = 0;
    KOLO_TRY(kolo_rendezvous_exchange(rendezvous, address.data, address.size, all));
    if (status == KOLO_OK) {
        status = connect_all(ctx, name, all);
        why = *kolo_error_current();
    }
    char word = status == KOLO_OK ? say(ctx) : '\0';
    KOLO_TRY(kolo_rendezvous_exchange(rendezvous, &word, status == KOLO_OK ? 1 : 0, all));
    ctx->readable_tensors = all_read(ctx, all);
    return status != KOLO_OK ? kolo_error_adopt(&why) : first_refusal(ctx, name, all);
}

static kolo_status attach(kolo_context *ctx)
{
    KOLO_TRY(kolo_engine_attach(ctx->engine, ctx->ops, ctx->transport));
    kolo_engine_set_readable(ctx->engine, ctx->readable_tensors);
    return KOLO_OK;
}

static kolo_status wire_alone(kolo_context *ctx)
{
    kolo_transport_env env = {0};
    kolo_engine_fill_env(ctx->engine, &env);
    ctx->ops = kolo_alone_transport();
    KOLO_TRY(ctx->ops->create(&env, &ctx->transport));
    return attach(ctx);
}

/* Where the launcher started all ranks on one host, that is slower than it needs to be. */
static void tell_of_ucx(const kolo_context *ctx, const char *why)
{
    bool is_local = ctx->job.local_size == ctx->job.size;
    kolo_log_write(&ctx->log, is_local ? KOLO_LOG_WARN : KOLO_LOG_INFO,
                   "memory is not shared between all ranks: %s; taking ucx%s", why,
                   is_local ? ", which is slower on one host (KOLO_TRANSPORT=ucx: without this warning)" : "");
}

/* On one host, memory that all ranks share, where they can; else UCX. */
static kolo_status wire_best(kolo_context *ctx, kolo_rendezvous *rendezvous, kolo_bytes *all)
{
    if (!ctx->one_host) {
        if (ctx->job.rank == 0) /* all know alike */
            tell_of_ucx(ctx, "they run on several hosts, or with host names or PID or network namespaces of their own");
        return attempt(ctx, rendezvous, "ucx", all);
    }
    kolo_status status = attempt(ctx, rendezvous, "shm", all);
    if (status == KOLO_OK || status == KOLO_ERR_BOOTSTRAP ||
        status == KOLO_ERR_CONFIG) /* those are the user's to mend */
        return status;
    tell_of_ucx(ctx, kolo_error_current()->message);
    kolo_error_clear();
    drop(ctx);
    return attempt(ctx, rendezvous, "ucx", all);
}

kolo_status kolo_wire_up(kolo_context *ctx, kolo_rendezvous *rendezvous, kolo_bytes *all)
{
    const char *name = ctx->config.transport;
    if (ctx->job.size == 1)
        return wire_alone(ctx);
    KOLO_TRY(strcmp(name, "auto") == 0 ? wire_best(ctx, rendezvous, all) : attempt(ctx, rendezvous, name, all));
    return attach(ctx);
}
