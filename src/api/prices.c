/* prices.c - measured by every rank, agreed on by all. */
#include "api/prices.h"

#include "base/clock.h"
#include "base/error.h"
#include "fit/fit.h"

#include <stdio.h>
#include <string.h>

/* Measuring ends after this, with what there is. It takes a small part of it where nothing disturbs. */
#define BUDGET_NS (20 * KOLO_NS_PER_MS)
#define LOOK_NS   (10 * KOLO_NS_PER_MS)
/* After a failure, how long the word may take that a rank is gone. */
#define WORD_NS   (200 * KOLO_NS_PER_MS)

kolo_status kolo_prices_choose(kolo_context *ctx, const char *text)
{
    ctx->prices = (kolo_price_model)KOLO_PRICE_MODEL_DEFAULT;
    ctx->prices_wanted = strcmp(text, "auto") == 0;
    if (ctx->prices_wanted || strcmp(text, "default") == 0)
        return KOLO_OK;
    KOLO_TRY(kolo_price_parse(text, &ctx->prices));
    kolo_price_clamp(&ctx->prices);
    return KOLO_OK;
}

/* The engine finds its windows as new. After all ranks are through with measuring. */
static void clean_window(const kolo_context *ctx)
{
    if (kolo_engine_shares(ctx->engine) && ctx->ops->window_bytes(ctx->transport) >= KOLO_FIT_WINDOW_BYTES)
        memset(ctx->ops->window(ctx->transport, ctx->job.rank), 0, KOLO_FIT_WINDOW_BYTES);
}

/* What is looked at while peers are waited for. The transport may learn late of a rank that is gone, the rendezvous
 * learns at once. */
typedef struct watch {
    const kolo_engine *engine;
    const kolo_rendezvous *rendezvous;
    int64_t next_ns; /* not before this: looking takes time that is measured */
} watch;

static bool job_failed(void *user)
{
    watch *w = user;
    if (kolo_engine_error(w->engine) != NULL)
        return true;
    int64_t now_ns = kolo_clock_coarse_ns();
    if (now_ns < w->next_ns)
        return false;
    w->next_ns = now_ns + LOOK_NS;
    return kolo_rendezvous_is_over(w->rendezvous, 0);
}

static kolo_status explain(const kolo_context *ctx, kolo_rendezvous *rendezvous, kolo_bytes *all, kolo_status status)
{
    char why[256];
    snprintf(why, sizeof(why), "%.250s", kolo_error_current()->message);
    /* What the transport has seen may be who left because of that, no more. */
    if (kolo_rendezvous_is_over(rendezvous, WORD_NS)) {
        kolo_status over = kolo_rendezvous_exchange(rendezvous, "", 0, all);
        if (over != KOLO_OK)
            return over;
    }
    const kolo_error *broken = kolo_engine_error(ctx->engine);
    if (broken != NULL)
        return kolo_error_adopt(broken);
    return kolo_fail(
        status,
        "prices could not be measured: %s; if the ranks are only slow, allow more time (KOLO_INIT_TIMEOUT), "
        "or do not measure (KOLO_PRICES=default)",
        why);
}

/* As text. What was under way when it failed was taken back, and a transport need not work after that: so it is an
 * error. */
static kolo_status measure(const kolo_context *ctx, kolo_rendezvous *rendezvous, kolo_bytes *all, int64_t spin_ns,
                           int32_t crowd, char text[KOLO_PRICE_TEXT])
{
    watch seen = {.engine = ctx->engine, .rendezvous = rendezvous, .next_ns = kolo_clock_coarse_ns() + LOOK_NS};
    kolo_fit_options options = {
        .ops = ctx->ops,
        .transport = ctx->transport,
        .rank = ctx->job.rank,
        .size = ctx->job.size,
        .ring = ctx->ring,
        .is_shared = kolo_engine_shares(ctx->engine),
        .spin_ns = spin_ns,
        .crowd = crowd,
        .budget_ns = BUDGET_NS,
        .patience_ns = ctx->config.init_timeout_ns > 0 ? ctx->config.init_timeout_ns : INT64_MAX,
        .failed = job_failed,
        .user = &seen,
    };
    kolo_price_model model = ctx->prices;
    size_t cache_bytes = kolo_topo_l3_bytes(ctx->topo);
    if (cache_bytes > 0)
        model.cache_bytes = (double)cache_bytes / ctx->local_size;
    int64_t start_ns = kolo_clock_now_ns();
    kolo_status status = kolo_fit(&options, &model);
    if (status != KOLO_OK)
        return explain(ctx, rendezvous, all, status);
    kolo_price_format(&model, text);
    kolo_log_write(&ctx->log, KOLO_LOG_DEBUG, "prices, measured in %.1f ms: %s",
                   (double)(kolo_clock_now_ns() - start_ns) / 1e6, text);
    return KOLO_OK;
}

/* The median of those that ranks have found; so many ranks are enough for one. */
static kolo_status agree(kolo_context *ctx, const kolo_bytes *all)
{
    kolo_price_model models[KOLO_PRICE_MEDIAN_MAX];
    size_t count = 0;
    int32_t stride = (ctx->job.size - 1) / KOLO_PRICE_MEDIAN_MAX + 1;
    for (int32_t r = 0; r < ctx->job.size; r += stride) {
        char text[KOLO_PRICE_TEXT] = "";
        if (all[r].size >= sizeof(text))
            return kolo_fail(KOLO_ERR_PROTOCOL, "rank %d sent prices of %zu bytes", r, all[r].size);
        memcpy(text, all[r].data, all[r].size);
        models[count] = (kolo_price_model)KOLO_PRICE_MODEL_DEFAULT;
        if (kolo_price_parse(text, &models[count++]) != KOLO_OK)
            return kolo_fail(KOLO_ERR_PROTOCOL, "the prices of rank %d do not decode", r);
    }
    kolo_price_median(models, count, &ctx->prices);
    return KOLO_OK;
}

kolo_status kolo_prices_settle(kolo_context *ctx, kolo_rendezvous *rendezvous, kolo_bytes *all, int64_t spin_ns,
                               int32_t crowd)
{
    char text[KOLO_PRICE_TEXT];
    if (ctx->prices_wanted) {
        KOLO_TRY(measure(ctx, rendezvous, all, spin_ns, crowd, text));
        KOLO_TRY(kolo_rendezvous_exchange(rendezvous, text, strlen(text), all));
        clean_window(ctx);
        KOLO_TRY(agree(ctx, all));
        kolo_engine_set_prices(ctx->engine, &ctx->prices);
    }
    kolo_log_write(&ctx->log, KOLO_LOG_INFO, "prices: %s", kolo_price_format(&ctx->prices, text));
    return KOLO_OK;
}
