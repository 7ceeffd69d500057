/* ucx.c - the UCX transport's table: life, progress, sleep. */
#include "ucx/ucx.h"

#include "instance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Frees what there is; t may be half made. A halted worker is left behind, and its context with it: it may have transfers under
 * way, which nobody will move on, and UCX ends the process if it finds those when it destroys a worker. */
static void dismantle(kolo_transport *t)
{
    t->destroyed = true;
    ucx_endpoints_forget(t);
    for (int w = UCX_WORKERS - 1; w >= 0; w--)
        if (t->worker[w] && !(w == UCX_DATA && t->halted))
            ucp_worker_destroy(t->worker[w]);
    if (t->context && !t->halted)
        ucp_cleanup(t->context);
    if (t->epoll_fd >= 0)
        close(t->epoll_fd);
    ucx_postings_free(t);
    ucx_cells_free(t);
    free(t->peers);
    free(t->addresses);
    free(t->address);
    free(t);
}

static kolo_status worker_create(kolo_transport *t, int w)
{
    const ucp_worker_params_t params = {
        .field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
        .thread_mode = UCS_THREAD_MODE_SERIALIZED,
    };
    ucs_status_t status = ucp_worker_create(t->context, &params, &t->worker[w]);
    if (status != UCS_OK) {
        t->worker[w] = NULL;
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_TRANSPORT,
                                 "UCX creates no worker (%s); check KOLO_IFACE and KOLO_UCX_TLS",
                                 ucs_status_string(status));
    }
    int fd;
    status = ucp_worker_get_efd(t->worker[w], &fd);
    if (status != UCS_OK)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_TRANSPORT, "UCX gives no event fd: %s",
                                 ucs_status_string(status));
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_SYSTEM, "epoll_ctl: %s", strerror(errno));
    return KOLO_OK;
}

static kolo_status build(kolo_transport *t)
{
    const kolo_transport_env *env = &t->guard.env;
    t->peers = calloc((size_t)env->size, sizeof(*t->peers));
    if (!t->peers)
        return kolo_guard_refuse(env, KOLO_ERR_MEMORY, "no memory for %d peers", (int)env->size);
    for (int32_t r = 0; r < env->size; r++)
        t->peers[r].transport = t;
    t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (t->epoll_fd < 0)
        return kolo_guard_refuse(env, KOLO_ERR_SYSTEM, "epoll_create1: %s", strerror(errno));
    kolo_status status = ucx_context_create(env, &t->context);
    for (int w = 0; w < UCX_WORKERS && status == KOLO_OK; w++)
        status = worker_create(t, w);
    if (status == KOLO_OK)
        status = ucx_control_init(t);
    if (status == KOLO_OK)
        status = ucx_address_make(t);
    return status;
}

static kolo_status create(const kolo_transport_env *env, kolo_transport **transport)
{
    kolo_guard guard;
    kolo_status status = kolo_guard_init(&guard, env, KOLO_CONTROL_BYTES);
    if (status != KOLO_OK)
        return status;
    if (env->size > 1 << (64 - KOLO_TRANSPORT_TAG_BITS))
        return kolo_guard_refuse(env, KOLO_ERR_UNSUPPORTED, "%d ranks; the ucx transport's tags have room for %d",
                                 (int)env->size, 1 << (64 - KOLO_TRANSPORT_TAG_BITS));
    kolo_transport *t = calloc(1, sizeof(*t));
    if (!t)
        return kolo_guard_refuse(env, KOLO_ERR_MEMORY, "no memory for a transport");
    t->guard = guard;
    t->epoll_fd = -1;
    t->done_tail = &t->done;
    ucx_log_open();
    const kolo_transport_env *before = ucx_log_enter(&t->guard.env);
    status = build(t);
    if (status == KOLO_OK)
        *transport = t;
    else
        dismantle(t);
    ucx_log_leave(before);
    if (status != KOLO_OK)
        ucx_log_close();
    return status;
}

static void destroy(kolo_transport *t)
{
    kolo_transport_env env = t->guard.env; /* t goes away under the log */
    env.log = NULL; /* UCX names every posting that is forgotten now, which the contract allows */
    const kolo_transport_env *before = ucx_log_enter(&env);
    dismantle(t);
    ucx_log_leave(before);
    ucx_log_close();
}

static kolo_status address(kolo_transport *t, kolo_bytes *address)
{
    *address = (kolo_bytes){.data = t->address, .size = t->address_bytes};
    return KOLO_OK;
}

static kolo_status connect_all(kolo_transport *t, const kolo_bytes *addresses)
{
    if (t->guard.connected || t->guard.closing)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_STATE, "connect() comes once, before close()");
    kolo_status status = ucx_address_connect(t, addresses);
    t->guard.connected = status == KOLO_OK;
    return status;
}

static kolo_status send_control(kolo_transport *t, int32_t peer, const void *bytes, size_t size)
{
    const kolo_transport_env *before = ucx_log_enter(&t->guard.env);
    kolo_status status = ucx_send_control(t, peer, bytes, size);
    ucx_log_leave(before);
    return status;
}

static kolo_status send_data(kolo_transport *t, int32_t peer, uint64_t tag, const void *buffer, size_t bytes,
                             void *cookie)
{
    const kolo_transport_env *before = ucx_log_enter(&t->guard.env);
    kolo_status status = ucx_send(t, peer, tag, buffer, bytes, cookie);
    ucx_log_leave(before);
    return status;
}

static kolo_status recv_data(kolo_transport *t, int32_t peer, uint64_t tag, void *buffer, size_t bytes, void *cookie)
{
    const kolo_transport_env *before = ucx_log_enter(&t->guard.env);
    kolo_status status = ucx_recv(t, peer, tag, buffer, bytes, cookie);
    ucx_log_leave(before);
    return status;
}

static int progress(kolo_transport *t)
{
    if (t->in_progress)
        return 0;
    t->in_progress = true;
    const kolo_transport_env *before = ucx_log_enter(&t->guard.env);
    int count = (int)ucp_worker_progress(t->worker[UCX_CONTROL]);
    if (!t->halted)
        count += (int)ucp_worker_progress(t->worker[UCX_DATA]);
    if (!t->forced) {
        count += ucx_peers_tell(t);
        count += ucx_postings_report(t);
    }
    ucx_log_leave(before);
    t->in_progress = false;
    return count;
}

static void halt_data(kolo_transport *t)
{
    int fd;
    t->halted = true;
    if (ucp_worker_get_efd(t->worker[UCX_DATA], &fd) == UCS_OK)
        epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void cancel_all(kolo_transport *t)
{
    const kolo_transport_env *before = ucx_log_enter(&t->guard.env);
    ucx_postings_end(t, -1, KOLO_ERR_CANCELED);
    if (!t->halted && ucx_postings_held(t))
        halt_data(t);
    ucx_log_leave(before);
}

static int event_fd(kolo_transport *t)
{
    return t->epoll_fd;
}

static kolo_status arm(kolo_transport *t, bool *armed)
{
    *armed = false;
    if (t->done || t->broken > 0)
        return KOLO_OK;
    for (int w = 0; w < UCX_WORKERS; w++) {
        if (w == UCX_DATA && t->halted)
            continue;
        ucs_status_t status = ucp_worker_arm(t->worker[w]);
        if (status == UCS_ERR_BUSY)
            return KOLO_OK;
        if (status != UCS_OK)
            return kolo_guard_refuse(&t->guard.env, ucx_status(status), "UCX cannot arm: %s",
                                     ucs_status_string(status));
    }
    *armed = true;
    return KOLO_OK;
}

static void begin_close(kolo_transport *t, bool force)
{
    const kolo_transport_env *before = ucx_log_enter(&t->guard.env);
    if (!force && !t->guard.closing) {
        ucx_control_bye(t);
        ucx_endpoints_close(t);
    }
    t->guard.closing = true;
    if (force) {
        t->forced = true;
        if (!t->halted)
            halt_data(t); /* nobody's memory is touched any more */
    }
    ucx_log_leave(before);
}

static bool closed(kolo_transport *t)
{
    if (!t->guard.closing)
        return false;
    return t->forced || (ucx_endpoints_closed(t) && !t->cells && !t->done && !ucx_postings_sending(t));
}

const kolo_transport_ops *kolo_ucx_transport(void)
{
    static const kolo_transport_ops ops = {
        .magic = KOLO_TRANSPORT_MAGIC,
        .abi_min = KOLO_TRANSPORT_ABI,
        .abi_max = KOLO_TRANSPORT_ABI,
        .struct_size = sizeof(kolo_transport_ops),
        .name = "ucx",
        .control_max = KOLO_CONTROL_BYTES,
        .create = create,
        .address = address,
        .connect = connect_all,
        .send_control = send_control,
        .send = send_data,
        .recv = recv_data,
        .progress = progress,
        .cancel_all = cancel_all,
        .event_fd = event_fd,
        .arm = arm,
        .close = begin_close,
        .closed = closed,
        .destroy = destroy,
    };
    return &ops;
}
