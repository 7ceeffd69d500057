/* control.c - small messages, as eager active messages; and "bye", by which peers tell a close from a crash. */
#include "instance.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL_CELL_BYTES = 1024, MAX_FREE_CELLS = 64 };

static ucx_cell *cell_take(kolo_transport *t, size_t size)
{
    ucx_cell *cell = size <= SMALL_CELL_BYTES ? t->free_cells : NULL;
    if (cell) {
        t->free_cells = cell->next;
        t->free_cell_count--;
    } else {
        size_t capacity = size <= SMALL_CELL_BYTES ? SMALL_CELL_BYTES : size;
        cell = malloc(sizeof(*cell) + capacity);
        if (!cell)
            return NULL;
        cell->transport = t;
        cell->source = htole32((uint32_t)t->guard.env.rank);
        cell->capacity = capacity;
    }
    cell->prev = NULL;
    cell->next = t->cells;
    if (t->cells)
        t->cells->prev = cell;
    t->cells = cell;
    return cell;
}

static void cell_give(kolo_transport *t, ucx_cell *cell)
{
    if (cell->prev)
        cell->prev->next = cell->next;
    else
        t->cells = cell->next;
    if (cell->next)
        cell->next->prev = cell->prev;
    if (cell->capacity > SMALL_CELL_BYTES || t->free_cell_count >= MAX_FREE_CELLS) {
        free(cell);
        return;
    }
    cell->next = t->free_cells;
    t->free_cells = cell;
    t->free_cell_count++;
}

static void on_sent(void *request, ucs_status_t status, void *user)
{
    (void)status; /* a broken connection is told once, through the endpoint's error handler */
    ucx_cell *cell = user;
    cell_give(cell->transport, cell);
    ucp_request_free(request);
}

static kolo_status post(kolo_transport *t, int32_t peer, unsigned id, const void *bytes, size_t size)
{
    ucp_ep_h endpoint;
    kolo_status result = ucx_endpoint(t, peer, UCX_CONTROL, &endpoint);
    if (result != KOLO_OK)
        return result;
    ucx_cell *cell = cell_take(t, size);
    if (!cell)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_MEMORY, "no memory for a control message of %zu bytes", size);
    if (size > 0)
        memcpy(cell->bytes, bytes, size);
    const ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS,
        .flags = UCP_AM_SEND_FLAG_EAGER,
        .cb.send = on_sent,
        .user_data = cell,
    };
    void *request = ucp_am_send_nbx(endpoint, id, &cell->source, sizeof(cell->source), cell->bytes, size, &param);
    if (UCS_PTR_IS_PTR(request))
        return KOLO_OK;
    cell_give(t, cell);
    if (!request)
        return KOLO_OK;
    return kolo_guard_refuse(&t->guard.env, ucx_status(UCS_PTR_STATUS(request)), "a control message to rank %d: %s",
                             (int)peer,
                             ucs_status_string(UCS_PTR_STATUS(request)));
}

kolo_status ucx_send_control(kolo_transport *t, int32_t peer, const void *bytes, size_t size)
{
    kolo_status status = kolo_guard_control(&t->guard, peer, bytes, size);
    if (status != KOLO_OK)
        return status;
    if (t->peers[peer].broken)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_PEER, "the connection to rank %d is broken: %s", (int)peer,
                                 ucs_status_string(t->peers[peer].why));
    return post(t, peer, UCX_AM_CONTROL, bytes, size);
}

void ucx_control_bye(kolo_transport *t)
{
    for (int32_t r = 0; r < t->guard.env.size; r++) {
        const ucx_peer *peer = &t->peers[r];
        if (r == t->guard.env.rank || peer->broken || peer->leaving || !(peer->heard || peer->endpoint[UCX_CONTROL]))
            continue;
        if (post(t, r, UCX_AM_BYE, NULL, 0) != KOLO_OK)
            kolo_guard_log(&t->guard.env, KOLO_LOG_DEBUG, "ucx: no way to say bye to rank %d", (int)r);
    }
}

/* Whom a message is from; -1 if it does not say so properly. */
static int32_t source_of(const kolo_transport *t, const void *header, size_t header_bytes)
{
    uint32_t source;
    if (header_bytes != sizeof(source))
        return -1;
    memcpy(&source, header, sizeof(source));
    source = le32toh(source);
    return source < (uint32_t)t->guard.env.size && source != (uint32_t)t->guard.env.rank ? (int32_t)source : -1;
}

static ucs_status_t on_message(void *arg, const void *header, size_t header_bytes, void *data, size_t size,
                               const ucp_am_recv_param_t *param)
{
    kolo_transport *t = arg;
    const kolo_transport_env *env = &t->guard.env;
    int32_t peer = source_of(t, header, header_bytes);
    if (t->destroyed || t->forced || !t->peers)
        return UCS_OK;
    if (peer < 0 || (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) || size > t->guard.control_max) {
        kolo_guard_log(env, KOLO_LOG_WARN, "ucx: dropped a malformed control message of %zu bytes", size);
        return UCS_OK;
    }
    t->peers[peer].heard = true;
    env->on_control(env->user, peer, data, size);
    return UCS_OK;
}

static ucs_status_t on_bye(void *arg, const void *header, size_t header_bytes, void *data, size_t size,
                           const ucp_am_recv_param_t *param)
{
    (void)data, (void)size, (void)param;
    kolo_transport *t = arg;
    int32_t peer = source_of(t, header, header_bytes);
    if (peer >= 0)
        t->peers[peer].leaving = true;
    return UCS_OK;
}

kolo_status ucx_control_init(kolo_transport *t)
{
    const ucp_am_recv_callback_t callbacks[] = {[UCX_AM_CONTROL] = on_message, [UCX_AM_BYE] = on_bye};
    for (unsigned id = UCX_AM_CONTROL; id <= UCX_AM_BYE; id++) {
        const ucp_am_handler_param_t param = {
            .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                          UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG,
            .id = id,
            .flags = UCP_AM_FLAG_WHOLE_MSG,
            .cb = callbacks[id],
            .arg = t,
        };
        ucs_status_t status = ucp_worker_set_am_recv_handler(t->worker[UCX_CONTROL], &param);
        if (status != UCS_OK)
            return kolo_guard_refuse(&t->guard.env, KOLO_ERR_TRANSPORT, "UCX takes no message handler: %s",
                                     ucs_status_string(status));
    }
    return KOLO_OK;
}

void ucx_cells_free(kolo_transport *t)
{
    ucx_cell *lists[] = {t->cells, t->free_cells};
    for (int i = 0; i < 2; i++) {
        while (lists[i]) {
            ucx_cell *cell = lists[i];
            lists[i] = cell->next;
            free(cell);
        }
    }
}
