/* prices.c - fitting without a job: threads in the place of ranks, windows in ordinary memory. */
#include "info/prices.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/error.h"
#include "fit/fit.h"

/* More show the same, and np may be 65536. */
enum { RANKS_MAX = 16, PAGE = 4096 };
#define BUDGET_NS   INT64_C(20000000)
#define PATIENCE_NS INT64_C(1000000000)
#define SPIN_NS     INT64_C(100000)

/* A transport that has windows, one after another, and nothing else. */
enum { WINDOW_BYTES = (KOLO_FIT_WINDOW_BYTES + PAGE - 1) / PAGE * PAGE };
struct kolo_transport {
    unsigned char *windows;
};

static void *window(kolo_transport *transport, int32_t rank)
{
    return transport->windows + (size_t)rank * WINDOW_BYTES;
}

static size_t window_bytes(kolo_transport *transport)
{
    (void)transport;
    return WINDOW_BYTES;
}

static void flags_changed(kolo_transport *transport)
{
    (void)transport;
}

static int progress(kolo_transport *transport)
{
    (void)transport;
    return 0;
}

static bool reads_peers(kolo_transport *transport)
{
    (void)transport;
    return true;
}

/* By the way that ranks read each other's, though it is the same process: what takes time is in the kernel. */
static kolo_status read_peer(kolo_transport *transport, int32_t peer, uintptr_t address, void *to, size_t bytes)
{
    struct iovec local = {.iov_base = to, .iov_len = bytes};
    struct iovec remote = {.iov_base = (void *)address, .iov_len = bytes};
    (void)transport;
    if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != (ssize_t)bytes)
        return kolo_fail(KOLO_ERR_PEER, "thread %d's memory cannot be read: %s", (int)peer, strerror(errno));
    return KOLO_OK;
}

static const kolo_transport_ops ops = {
    .progress = progress,
    .reads_peers = reads_peers,
    .read_peer = read_peer,
    .window = window,
    .window_bytes = window_bytes,
    .flags_changed = flags_changed,
};

typedef struct place {
    const kolo_topo *topo;
    kolo_binding binding;
    kolo_fit_options options;
    kolo_price_model model;
    kolo_status status;
    pthread_t thread;
} place;

static void *run_rank(void *argument)
{
    place *own = argument;
    if (own->binding.bound) /* two on one core by chance would measure how it is handed over */
        (void)!kolo_topo_bind_thread(own->topo, own->binding.rank_cpus);
    own->status = kolo_fit(&own->options, &own->model);
    if (own->status != KOLO_OK)
        printf("  not measured: %s\n", kolo_error_current()->message);
    return NULL;
}

/* How many of the threads were started: the others are missed by those, who give up then. */
static int32_t run_ranks(place *places, int32_t count)
{
    int32_t started = 0;
    while (started < count && pthread_create(&places[started].thread, NULL, run_rank, &places[started]) == 0)
        started++;
    for (int32_t r = 0; r < started; r++)
        pthread_join(places[r].thread, NULL);
    return started;
}

static bool measure(const kolo_topo *topo, int32_t count, int32_t crowd, kolo_price_model *model)
{
    kolo_price_model found[RANKS_MAX];
    place places[RANKS_MAX] = {{.status = KOLO_OK}};
    int32_t ring[RANKS_MAX];
    kolo_transport transport = {.windows = aligned_alloc(PAGE, (size_t)count * WINDOW_BYTES)};
    if (transport.windows == NULL)
        return false;
    memset(transport.windows, 0, (size_t)count * WINDOW_BYTES);
    for (int32_t r = 0; r < count; r++) {
        ring[r] = r;
        places[r].model = *model;
        places[r].topo = topo;
        kolo_topo_binding(topo, r, count, &places[r].binding);
        places[r].options = (kolo_fit_options){.ops = &ops,
                                               .transport = &transport,
                                               .rank = r,
                                               .size = count,
                                               .ring = ring,
                                               .is_shared = true,
                                               .spin_ns = crowd > 1 ? 0 : SPIN_NS,
                                               .crowd = crowd,
                                               .budget_ns = BUDGET_NS,
                                               .patience_ns = PATIENCE_NS};
    }
    bool good = run_ranks(places, count) == count;
    for (int32_t r = 0; r < count; r++) {
        good = good && places[r].status == KOLO_OK;
        found[r] = places[r].model;
    }
    if (good)
        kolo_price_median(found, (size_t)count, model);
    free(transport.windows);
    return good;
}

void info_find_prices(const kolo_config *config, const kolo_topo *topo, int32_t np, bool is_bound, info_prices *prices)
{
    const char *wanted = config != NULL ? config->prices : "auto";
    *prices = (info_prices){.model = KOLO_PRICE_MODEL_DEFAULT};
    if (strcmp(wanted, "default") == 0)
        return;
    if (strcmp(wanted, "auto") != 0) {
        prices->by_hand = kolo_price_parse(wanted, &prices->model) == KOLO_OK;
        if (!prices->by_hand)
            printf("  %s\n", kolo_error_current()->message);
        return;
    }
    prices->out_of_reach = is_bound;
    if (topo == NULL || !kolo_topo_is_real(topo) || is_bound)
        return;
    int32_t cores = kolo_topo_allowed_cores(topo), count = np < RANKS_MAX ? np : RANKS_MAX;
    size_t cache_bytes = kolo_topo_l3_bytes(topo);
    if (cache_bytes > 0)
        prices->model.cache_bytes = (double)cache_bytes / np;
    kolo_price_clamp(&prices->model);
    if (measure(topo, count, (np - 1) / cores + 1, &prices->model))
        prices->measured = count;
}
