/* driven.c - the job behind the driver's tests. */
#include "unit/engine/driven.h"

#include "base/clock.h"

#include "api/alone.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

/* ---- a peer that never answers ----------------------------------------------------------------------------------- */

static kolo_status swallow_control(kolo_transport *transport, int32_t peer, const void *bytes, size_t size)
{
    (void)transport;
    (void)peer;
    (void)bytes;
    (void)size;
    return KOLO_OK;
}

/* ---- the job ----------------------------------------------------------------------------------------------------- */

static void on_finished(void *user, const kolo_request *request)
{
    job *j = user;
    if (j->driver != NULL)
        kolo_driver_finished(j->driver, request);
}

static void on_settled(void *user)
{
    job *j = user;
    if (j->driver != NULL)
        kolo_driver_settled(j->driver);
}

static void on_line(void *user, kolo_log_level level, const char *line)
{
    job *j = user;
    (void)level;
    (void)line;
    atomic_fetch_add(&j->lines, 1);
}

void job_start(job *j, int32_t size, int64_t spin_ns)
{
    static const int32_t ring[2] = {0, 1};
    memset(j, 0, sizeof(*j));
    j->log = (kolo_log){.write = on_line, .user = j, .level = KOLO_LOG_WARN};
    j->ops = *kolo_alone_transport();
    j->ops.send_control = swallow_control;
    kolo_engine_options options = {.size = size,
                                   .ring = ring,
                                   .log = &j->log,
                                   .queue_depth = JOB_QUEUE,
                                   .groups_in_flight = 2,
                                   .chunk_bytes = 4096,
                                   .fusion_bytes = 1 << 16,
                                   .model = KOLO_PRICE_MODEL_DEFAULT,
                                   .finished = on_finished,
                                   .settled = on_settled,
                                   .user = j};
    assert_int_equal(kolo_engine_create(&options, &j->engine), KOLO_OK);
    kolo_transport *transport = NULL;
    kolo_transport_env env = {0};
    kolo_engine_fill_env(j->engine, &env);
    env.size = 1;
    assert_int_equal(j->ops.create(&env, &transport), KOLO_OK);
    assert_int_equal(kolo_engine_attach(j->engine, &j->ops, transport), KOLO_OK);
    kolo_driver_options driver_options = {.engine = j->engine,
                                          .ops = &j->ops,
                                          .transport = transport,
                                          .caller_spin_ns = spin_ns,
                                          .caller_most_spin_ns = spin_ns > 0 ? KOLO_NS_PER_MS : 0,
                                          .caller_yield_ns = KOLO_NS_PER_MS,
                                          .thread_spin_ns = spin_ns,
                                          .thread_yields_core = spin_ns == 0};
    assert_int_equal(kolo_driver_create(&driver_options, &j->driver), KOLO_OK);
}

void job_stop(job *j)
{
    kolo_driver_stop(j->driver);
    kolo_driver_destroy(j->driver);
    j->driver = NULL;
    kolo_engine_destroy(j->engine);
}

kolo_request *job_submit(job *j, const made_options *options, bool caller_drives)
{
    kolo_request *request = made_request(options);
    request->driver = j->driver;
    assert_int_equal(kolo_driver_submit(j->driver, request, caller_drives), KOLO_OK);
    return request;
}

void job_wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready;
    while ((ready = poll(&p, 1, 60000)) < 0 && errno == EINTR)
        continue;
    if (ready != 1)
        fail_msg("nothing has completed for a minute");
}
