/* join.c - from a fresh shell to a running engine, and back. */
#include "api/join.h"

#include "api/agreement.h"
#include "api/modules.h"
#include "api/prices.h"
#include "api/wire.h"
#include "base/clock.h"
#include "base/error.h"
#include "bootstrap/rendezvous.h"
#include "engine/negotiate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long closing may take: after everybody agreed to leave, and in a broken job, where peers may be dead, but the
 * others are still to be told why. */
#define CLOSE_NS         (5 * KOLO_NS_PER_S)
#define CLOSE_BROKEN_NS  (1 * KOLO_NS_PER_S)
/* Spinning budgets where a core per rank allows it. Longer than any hop in a host, shorter than a scheduler tick. */
#define SPIN_NS          (100 * KOLO_NS_PER_US)
#define THREAD_SPIN_NS   (20 * KOLO_NS_PER_US)
/* Then a waiting caller yields, before it sleeps. On one host for more than a scheduler's slice, which a stranger on the
 * peer's core may take of it: who falls asleep in that time must be woken, up to 400 us long where its virtual core sleeps
 * too; the peer waits for that, yields, and loses its core to the stranger again. A network's waits are longer, and bring
 * an interrupt. */
#define HOST_YIELD_NS    (10 * KOLO_NS_PER_MS)
#define NETWORK_YIELD_NS (1 * KOLO_NS_PER_MS)

/* ---- what the engine and the transport call back ----------------------------------------------------- */

static void request_finished(void *user, const kolo_request *request)
{
    kolo_context *ctx = user;
    if (ctx->driver != NULL)
        kolo_driver_finished(ctx->driver, request);
}

static void requests_settled(void *user)
{
    kolo_context *ctx = user;
    if (ctx->driver != NULL)
        kolo_driver_settled(ctx->driver);
}

static const char *transport_option(void *user, const char *name)
{
    const kolo_context *ctx = user;
    return kolo_config_text(&ctx->config, name);
}

/* A rank's shared memory belongs next to its cores, though others may touch a page first, and the kernel's balancing may
 * move it to whoever reads it. */
static void place_memory(void *user, void *memory, size_t bytes)
{
    const kolo_context *ctx = user;
    char nodes[KOLO_CPUS_TEXT];
    if (strcmp(ctx->config.bind, "none") == 0)
        return;
    kolo_topo_nodes(ctx->topo, "", nodes);
    if (kolo_topo_bind_memory(ctx->topo, nodes, memory, bytes) != KOLO_OK) {
        kolo_log_write(&ctx->log, KOLO_LOG_INFO, "shared memory is where it is touched first: %s",
                       kolo_error_current()->message);
        kolo_error_clear();
    }
}

static void bind_thread(void *user)
{
    const kolo_context *ctx = user;
    if (ctx->comm_cpus[0] != '\0' && kolo_topo_bind_thread(ctx->topo, ctx->comm_cpus) != KOLO_OK)
        kolo_log_write(&ctx->log, KOLO_LOG_WARN, "the communication thread is not bound to a core: %s",
                       kolo_error_current()->message);
}

/* ---- joining ------------------------------------------------------------------------------------------- */

/* Ranks on the fullest of the cores that this rank may use. */
static int32_t crowd(const kolo_context *ctx)
{
    int32_t sharers = ctx->own_cores ? 1 : ctx->local_size, cores = kolo_topo_allowed_cores(ctx->topo);
    return cores > 0 ? (sharers - 1) / cores + 1 : 1;
}

/* Fewer cores than callers and communication threads would fill. */
static bool is_tight(const kolo_context *ctx)
{
    int32_t sharers = ctx->own_cores ? 1 : ctx->local_size;
    return kolo_topo_allowed_cores(ctx->topo) < 2 * sharers;
}

static int64_t caller_spin_ns(const kolo_context *ctx)
{
    if (ctx->config.spin_ns != KOLO_CONFIG_AUTO)
        return ctx->config.spin_ns;
    return crowd(ctx) > 1 ? 0 : SPIN_NS;
}

/* A core for the communication thread: within this rank's own cores, or within the part it would get of the shared
 * ones. */
static void choose_comm_cpus(kolo_context *ctx)
{
    kolo_binding binding = {0};
    if (strcmp(ctx->config.bind, "none") == 0)
        return;
    if (ctx->own_cores)
        kolo_topo_binding(ctx->topo, 0, 1, &binding);
    else
        kolo_topo_binding(ctx->topo, ctx->local_rank, ctx->local_size, &binding);
    if (binding.bound && strcmp(binding.rank_cpus, binding.comm_cpus) != 0)
        snprintf(ctx->comm_cpus, sizeof(ctx->comm_cpus), "%s", binding.comm_cpus);
}

static kolo_status create_engine(kolo_context *ctx)
{
    kolo_engine_options options = {
        .rank = ctx->job.rank,
        .size = ctx->job.size,
        .ring = ctx->ring,
        .log = &ctx->log,
        .queue_depth = (size_t)ctx->config.queue_depth,
        .groups_in_flight = (int32_t)ctx->config.groups_in_flight,
        .chunk_bytes = ctx->config.chunk_bytes,
        .fusion_bytes = ctx->config.fusion_bytes,
        .stall_ns = ctx->config.stall_ns,
        .model = ctx->prices,
        .forced = ctx->forced,
        .forced_broadcast = ctx->forced_broadcast,
        .now_ns = kolo_clock_now_ns,
        .finished = request_finished,
        .settled = requests_settled,
        .option = transport_option,
        .place = place_memory,
        .user = ctx,
    };
    return kolo_engine_create(&options, &ctx->engine);
}

static kolo_status start_driver(kolo_context *ctx)
{
    choose_comm_cpus(ctx);
    int64_t spin_ns = caller_spin_ns(ctx);
    int64_t yield_ns = ctx->one_host ? HOST_YIELD_NS : NETWORK_YIELD_NS;
    bool spare_core = ctx->comm_cpus[0] != '\0', may_spin = ctx->own_cores && ctx->config.spin_ns == KOLO_CONFIG_AUTO;
    kolo_driver_options options = {
        .engine = ctx->engine,
        .ops = ctx->ops,
        .transport = ctx->transport,
        .caller_spin_ns = spin_ns,
        .caller_most_spin_ns = may_spin && spin_ns < yield_ns ? yield_ns : spin_ns,
        .caller_yield_ns = yield_ns,
        .thread_spin_ns = spare_core ? THREAD_SPIN_NS : 0,
        .thread_yields_core = !spare_core && ctx->one_host && is_tight(ctx),
        .on_start = bind_thread,
        .user = ctx,
    };
    return kolo_driver_create(&options, &ctx->driver);
}

/* Forcing is a promise of its own, so that it is not kept must be heard. */
static void warn_of_unusable(const kolo_context *ctx, const char *variable, const kolo_algorithm *forced)
{
    if (forced == NULL || forced->association != KOLO_ASSOCIATION_DIRECT || ctx->job.size == 1)
        return;
    if (!kolo_engine_shares(ctx->engine))
        kolo_log_write(&ctx->log, KOLO_LOG_WARN,
                       "%s=%s cannot be used: it needs windows in memory that all ranks share, and over %s there are "
                       "none here; algorithms are chosen by price, as with auto",
                       variable, forced->name, ctx->ops->name);
    else if (forced->reads_tensors && !ctx->readable_tensors)
        kolo_log_write(
            &ctx->log, KOLO_LOG_WARN,
            "%s=%s cannot be used: it needs ranks that may all read each other's memory (KOLO_SHM_ATTACH=yes, "
            "and a kernel that permits it); algorithms are chosen by price, as with auto",
            variable, forced->name);
}

/* Who and where everybody is; then the transport that all can use. */
static kolo_status meet(kolo_context *ctx, kolo_rendezvous *rendezvous, kolo_bytes *all)
{
    uint8_t card[KOLO_AGREEMENT_BYTES];
    if (strlen(ctx->config.prices) >= KOLO_PRICE_TEXT)
        return kolo_fail(KOLO_ERR_CONFIG, "KOLO_PRICES has %zu characters; at most %d", strlen(ctx->config.prices),
                         KOLO_PRICE_TEXT - 1);
    kolo_bytes own = {.data = card, .size = kolo_agreement_write(ctx, card)};
    if (rendezvous != NULL)
        KOLO_TRY(kolo_rendezvous_exchange(rendezvous, own.data, own.size, all));
    else
        all[0] = own;
    KOLO_TRY(kolo_agreement_read(ctx, all));
    KOLO_TRY(create_engine(ctx));
    KOLO_TRY(kolo_wire_up(ctx, rendezvous, all));
    warn_of_unusable(ctx, "KOLO_ALGORITHM", ctx->forced);
    warn_of_unusable(ctx, "KOLO_BROADCAST", ctx->forced_broadcast);
    return rendezvous != NULL ? kolo_prices_settle(ctx, rendezvous, all, caller_spin_ns(ctx), crowd(ctx)) : KOLO_OK;
}

static kolo_status meet_everybody(kolo_context *ctx)
{
    kolo_rendezvous *rendezvous = NULL;
    kolo_rendezvous_options options = {
        .secret = ctx->config.job_secret,
        .listen_fd = (int)ctx->config.store_fd,
        .timeout_ns = ctx->config.init_timeout_ns,
        .log = &ctx->log,
    };
    if (ctx->job.size > 1)
        KOLO_TRY(kolo_rendezvous_open(&ctx->job, &options, &rendezvous));
    kolo_bytes *all = calloc((size_t)ctx->job.size, sizeof(*all));
    kolo_status status = all != NULL ? meet(ctx, rendezvous, all)
                                     : kolo_fail(KOLO_ERR_MEMORY, "no memory for %d addresses", ctx->job.size);
    free(all);
    if (rendezvous != NULL) {
        kolo_error error = *kolo_error_current();
        kolo_rendezvous_close(rendezvous);
        if (status != KOLO_OK)
            (void)kolo_error_adopt(&error);
    }
    return status;
}

static void take_down(kolo_context *ctx)
{
    kolo_driver_destroy(ctx->driver);
    ctx->driver = NULL;
    if (ctx->transport != NULL)
        ctx->ops->destroy(ctx->transport);
    kolo_engine_destroy(ctx->engine);
    kolo_module_unload(ctx->module);
    kolo_agains_fini(&ctx->agains);
    kolo_allocations_fini(&ctx->allocations);
    kolo_topo_destroy(ctx->topo);
    free(ctx->ring);
    kolo_config_fini(&ctx->config);
}

static kolo_status read_surroundings(kolo_context *ctx, const kolo_init_args *args)
{
    ctx->log = (kolo_log){.level = KOLO_LOG_WARN, .rank = -1};
    if (args != NULL) {
        ctx->log.write = args->log;
        ctx->log.user = args->log_user;
    }
    KOLO_TRY(kolo_job_detect(args, environ, &ctx->job));
    ctx->log.rank = ctx->job.rank;
    return kolo_config_init(&ctx->config, environ, &ctx->log);
}

static kolo_status build(kolo_context *ctx)
{
    ctx->log.level = ctx->config.log_level;
    if (ctx->job.foreign != NULL)
        kolo_log_write(
            &ctx->log, KOLO_LOG_WARN,
            "%s says that there are more ranks, but RANK and WORLD_SIZE are not set: this process is a job of "
            "its own; start it with kolorun, or set them (README, Launchers)",
            ctx->job.foreign);
    KOLO_TRY(kolo_topo_check_bind(ctx->config.bind));
    KOLO_TRY(kolo_topo_create(&ctx->log, &ctx->topo));
    KOLO_TRY(meet_everybody(ctx));
    if (ctx->job.local_rank >= 0 && ctx->job.local_size >= 0) {
        ctx->local_rank = ctx->job.local_rank; /* the launcher's word: it numbers devices by it */
        ctx->local_size = ctx->job.local_size;
    }
    kolo_allocations_share(&ctx->allocations, ctx->ops, ctx->transport, &ctx->log);
    KOLO_TRY(start_driver(ctx));
    kolo_log_write(&ctx->log, KOLO_LOG_INFO, "rank %d of %d (local %d of %d) over %s", ctx->job.rank, ctx->job.size,
                   ctx->local_rank, ctx->local_size, ctx->ops->name);
    return KOLO_OK;
}

kolo_status kolo_context_join(kolo_context *ctx, const kolo_init_args *args)
{
    KOLO_TRY(read_surroundings(ctx, args));
    kolo_allocations_init(&ctx->allocations);
    kolo_agains_init(&ctx->agains);
    kolo_status status = build(ctx);
    if (status != KOLO_OK) {
        kolo_error error = *kolo_error_current();
        take_down(ctx);
        (void)kolo_error_adopt(&error);
    }
    return status;
}

/* ---- leaving ------------------------------------------------------------------------------------------- */

static kolo_status wait_for_everybody(kolo_context *ctx)
{
    int64_t timeout_ns = ctx->config.timeout_ns > 0 ? ctx->config.timeout_ns : -1;
    KOLO_TRY(kolo_driver_drain(ctx->driver, timeout_ns));
    kolo_request_spec spec = {
        .name = KOLO_FAREWELL,
        .operation = {.collective = KOLO_BARRIER, .prescale = 1.0, .postscale = 1.0},
        .timeout_ns = timeout_ns,
    };
    kolo_request *request = NULL;
    KOLO_TRY(kolo_request_create(&spec, kolo_clock_now_ns(), &request));
    kolo_status status = kolo_driver_submit(ctx->driver, request, true);
    if (status == KOLO_OK)
        status = kolo_driver_wait(ctx->driver, request, -1);
    if (status == KOLO_OK)
        status = kolo_context_result(request);
    kolo_request_release(request);
    return status;
}

/* Who leaves with operations under way breaks the job: nobody shall wait for a rank that has left in peace. */
static void tell_others(kolo_context *ctx, const kolo_error *why)
{
    kolo_error error = *why;
    if (kolo_engine_error(ctx->engine) != NULL)
        return; /* they know */
    if (error.ranks[0] == '\0')
        snprintf(error.ranks, sizeof(error.ranks), "%d", ctx->job.rank);
    snprintf(error.message, sizeof(error.message), "rank %d has left the job: %.700s", ctx->job.rank, why->message);
    kolo_engine_abort(ctx->engine, &error);
}

static void close_transport(kolo_context *ctx, bool broken)
{
    int64_t deadline_ns = kolo_clock_now_ns() + (broken ? CLOSE_BROKEN_NS : CLOSE_NS);
    ctx->ops->close(ctx->transport, false);
    while (!ctx->ops->closed(ctx->transport) && kolo_clock_now_ns() < deadline_ns)
        ctx->ops->progress(ctx->transport);
    if (!broken && !ctx->ops->closed(ctx->transport))
        kolo_log_write(&ctx->log, KOLO_LOG_WARN, "connections did not close within 5 s; dropping them");
}

kolo_status kolo_context_leave(kolo_context *ctx)
{
    kolo_status status = wait_for_everybody(ctx);
    kolo_error error = *kolo_error_current();
    kolo_driver_stop(ctx->driver);
    if (status != KOLO_OK)
        tell_others(ctx, &error);
    kolo_engine_leave(ctx->engine);
    close_transport(ctx, status != KOLO_OK);
    take_down(ctx);
    return status != KOLO_OK ? kolo_error_adopt(&error) : KOLO_OK;
}
