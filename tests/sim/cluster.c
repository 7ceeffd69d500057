/* cluster.c - the simulated job. */
#include "sim/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void drop_line(void *user, kolo_log_level level, const char *line)
{
    (void)user;
    (void)level;
    (void)line;
}

static void connect_all(cluster *c)
{
    kolo_bytes addresses[CLUSTER_MAX];
    for (int32_t r = 0; r < c->size; r++)
        assert_int_equal(kolo_sim_transport()->address(c->transports[r], &addresses[r]), KOLO_OK);
    for (int32_t r = 0; r < c->size; r++)
        assert_int_equal(kolo_sim_transport()->connect(c->transports[r], addresses), KOLO_OK);
}

static void create_rank(cluster *c, const cluster_options *options, const int32_t *ring, int32_t rank)
{
    kolo_engine_options engine_options = {
        .rank = rank,
        .size = c->size,
        .ring = ring,
        .log = &c->log,
        .queue_depth = 4096,
        .groups_in_flight = options->groups_in_flight > 0 ? options->groups_in_flight : 2,
        .chunk_bytes = options->chunk_bytes > 0 ? options->chunk_bytes : 64,
        .fusion_bytes = options->fusion_bytes,
        .stall_ns = options->stall_ns,
        .model = KOLO_PRICE_MODEL_DEFAULT,
        .forced = options->algorithm != NULL ? kolo_algorithm_find(options->algorithm) : NULL,
        .forced_broadcast = options->broadcast != NULL ? kolo_algorithm_find(options->broadcast) : NULL,
    };
    assert_true(options->algorithm == NULL || engine_options.forced != NULL);
    assert_int_equal(kolo_engine_create(&engine_options, &c->engines[rank]), KOLO_OK);
    kolo_transport_env env = {.extra = c->sim};
    kolo_engine_fill_env(c->engines[rank], &env);
    assert_int_equal(kolo_sim_transport()->create(&env, &c->transports[rank]), KOLO_OK);
    c->alarm_ns[rank] = INT64_MAX;
}

void cluster_init(cluster *c, const cluster_options *options)
{
    int32_t ring[CLUSTER_MAX];
    memset(c, 0, sizeof(*c));
    c->size = options->size;
    c->log = (kolo_log){
        .write = options->log != NULL ? options->log : drop_line, .user = options->log_user, .level = KOLO_LOG_DEBUG};
    kolo_sim_options sim_options = {
        .size = options->size,
        .seed = options->seed,
        .latency_min_ns = 500,
        .latency_max_ns = options->latency_max_ns > 0 ? options->latency_max_ns : 50000,
        .bytes_per_ns = 1.0,
        .early_rate = 0.5,
        .window_bytes = options->window_bytes,
        .heap_bytes = options->heap_bytes,
        .readable = options->readable,
        .cpu_hiccup_ns = 500000,
    };
    assert_int_equal(kolo_sim_create(&sim_options, &c->sim), KOLO_OK);
    for (int32_t r = 0; r < c->size; r++)
        ring[r] = options->ring != NULL ? options->ring[r] : r;
    for (int32_t r = 0; r < c->size; r++)
        create_rank(c, options, ring, r);
    connect_all(c);
    for (int32_t r = 0; r < c->size; r++) {
        assert_int_equal(kolo_engine_attach(c->engines[r], kolo_sim_transport(), c->transports[r]), KOLO_OK);
        kolo_engine_set_readable(c->engines[r], options->readable);
    }
}

void cluster_fini(cluster *c)
{
    for (int32_t r = 0; r < c->size; r++) {
        kolo_sim_transport()->destroy(c->transports[r]);
        kolo_engine_destroy(c->engines[r]);
    }
    kolo_sim_destroy(c->sim);
}

void cluster_step(cluster *c, int32_t rank)
{
    if (c->crashed[rank])
        return;
    enum { STEPS_MAX = 1 << 20 };
    for (int steps = 0;
         kolo_engine_step(c->engines[rank], kolo_sim_now(c->sim)) > 0 || kolo_engine_awake(c->engines[rank]);)
        assert_true(++steps < STEPS_MAX);
    int64_t alarm_ns = kolo_engine_alarm_ns(c->engines[rank]);
    if (alarm_ns != INT64_MAX && alarm_ns != c->alarm_ns[rank])
        kolo_sim_wake_at(c->sim, rank, alarm_ns);
    c->alarm_ns[rank] = alarm_ns;
}

bool cluster_event(cluster *c)
{
    int32_t rank = kolo_sim_advance(c->sim);
    if (rank < 0)
        return false;
    c->events++;
    cluster_step(c, rank);
    return true;
}

void cluster_settle(cluster *c, uint64_t max_events)
{
    uint64_t before = c->events;
    while (cluster_event(c))
        if (c->events - before > max_events)
            fail_msg("still not quiet after %llu events", (unsigned long long)max_events);
}

void cluster_crash(cluster *c, int32_t rank)
{
    c->crashed[rank] = true;
    kolo_sim_crash(c->sim, rank);
}

void *cluster_alloc(cluster *c, int32_t rank, size_t bytes)
{
    void *memory;
    return kolo_sim_transport()->heap_alloc(c->transports[rank], bytes, &memory) == KOLO_OK ? memory : NULL;
}

void cluster_free(cluster *c, int32_t rank, void *memory)
{
    assert_int_equal(kolo_sim_transport()->heap_free(c->transports[rank], memory), KOLO_OK);
}

uint64_t cluster_control_messages(const cluster *c)
{
    uint64_t sum = 0;
    for (int32_t r = 0; r < c->size; r++) {
        kolo_sim_counters counters;
        kolo_sim_count(c->sim, r, &counters);
        sum += counters.control_messages;
    }
    return sum;
}

/* The tensor in `pieces` parts, of which each but the last is half of what is left. */
static void cut(const cluster_tensor *tensor, size_t pieces, kolo_piece *list)
{
    const char *input = tensor->input != NULL ? tensor->input : tensor->output;
    char *output = tensor->output;
    int64_t left = tensor->count;
    for (size_t i = 0; i < pieces; i++) {
        int64_t count = i + 1 < pieces ? left / 2 : left;
        list[i] = (kolo_piece){.input = input, .output = output, .count = count, .type = tensor->type};
        input += (size_t)count * kolo_dtype_size(tensor->type);
        output += (size_t)count * kolo_dtype_size(tensor->type);
        left -= count;
    }
}

kolo_request *cluster_submit(cluster *c, int32_t rank, const cluster_tensor *tensor)
{
    kolo_piece pieces[CLUSTER_PIECES_MAX];
    int32_t ndims[CLUSTER_PIECES_MAX];
    const int64_t *shapes[CLUSTER_PIECES_MAX];
    size_t count = tensor->pieces > 0 ? tensor->pieces : 1;
    cut(tensor, count, pieces);
    for (size_t i = 0; i < count; i++) {
        ndims[i] = 1;
        shapes[i] = &pieces[i].count;
    }
    kolo_request_spec spec = {
        .name = tensor->name,
        .operation = {.collective = tensor->collective,
                      .op = tensor->op,
                      .root = tensor->root,
                      .prescale = tensor->prescale > 0 ? tensor->prescale : 1.0,
                      .postscale = tensor->postscale > 0 ? tensor->postscale : 1.0,
                      .piece_count = tensor->collective == KOLO_BARRIER ? 0 : count},
        .pieces = pieces,
        .ndims = ndims,
        .shapes = shapes,
        .timeout_ns = tensor->timeout_ns,
        .done = tensor->done,
        .user = tensor->user,
    };
    kolo_request *request = NULL;
    assert_int_equal(kolo_request_create(&spec, kolo_sim_now(c->sim), &request), KOLO_OK);
    assert_true(kolo_engine_submit(c->engines[rank], request));
    kolo_sim_wake_at(c->sim, rank, kolo_sim_now(c->sim));
    return request;
}

/* What tests say often. */

cluster_tensor cluster_vector(const char *name, float *data, int64_t count)
{
    return (cluster_tensor){
        .name = name, .collective = KOLO_ALLREDUCE, .type = KOLO_DTYPE_FLOAT32, .output = data, .count = count};
}

void cluster_expect_error(kolo_request *request, kolo_status status, const char *part)
{
    assert_true(kolo_request_is_done(request));
    assert_int_equal(request->status, status);
    assert_non_null(request->error);
    if (strstr(request->error->message, part) == NULL)
        fail_msg("'%s' is not in '%s'", part, request->error->message);
    kolo_request_release(request);
}

void cluster_expect_success(kolo_request *request)
{
    assert_true(kolo_request_is_done(request));
    if (request->status != KOLO_OK)
        fail_msg("%s", request->error->message);
    kolo_request_release(request);
}
