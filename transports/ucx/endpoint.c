/* endpoint.c - connections: made on first use, lost, closed. */
#include "instance.h"

kolo_status ucx_status(ucs_status_t status)
{
    switch (status) {
    case UCS_OK:
        return KOLO_OK;
    case UCS_ERR_CANCELED:
        return KOLO_ERR_CANCELED;
    case UCS_ERR_NO_MEMORY:
        return KOLO_ERR_MEMORY;
    case UCS_ERR_CONNECTION_RESET:
    case UCS_ERR_ENDPOINT_TIMEOUT:
    case UCS_ERR_NOT_CONNECTED:
    case UCS_ERR_REJECTED:
        return KOLO_ERR_PEER;
    default:
        return KOLO_ERR_TRANSPORT;
    }
}

void ucx_peer_broken(ucx_peer *peer, ucs_status_t why)
{
    if (peer->broken || peer->leaving || peer->transport->guard.closing)
        return;
    peer->broken = true;
    peer->why = why;
    peer->transport->broken++;
}

static void on_error(void *arg, ucp_ep_h endpoint, ucs_status_t status)
{
    (void)endpoint;
    ucx_peer_broken(arg, status);
}

kolo_status ucx_endpoint(kolo_transport *t, int32_t rank, int worker, ucp_ep_h *endpoint)
{
    ucx_peer *peer = &t->peers[rank];
    if (!peer->endpoint[worker]) {
        ucp_ep_params_t params = {
            .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE,
            .address = peer->address[worker].data,
            .err_mode = UCP_ERR_HANDLING_MODE_NONE,
        };
        if (worker == UCX_CONTROL) {
            params.field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLER;
            params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
            params.err_handler.cb = on_error;
            params.err_handler.arg = peer;
        }
        ucs_status_t status = ucp_ep_create(t->worker[worker], &params, &peer->endpoint[worker]);
        if (status != UCS_OK) {
            peer->endpoint[worker] = NULL;
            return kolo_guard_refuse(&t->guard.env, KOLO_ERR_TRANSPORT,
                                     "UCX finds no way to rank %d (%s); check KOLO_IFACE and KOLO_UCX_TLS on both",
                                     (int)rank, ucs_status_string(status));
        }
    }
    *endpoint = peer->endpoint[worker];
    return KOLO_OK;
}

static void close_one(ucx_peer *peer, int worker, uint32_t flags)
{
    if (!peer->endpoint[worker])
        return;
    const ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS, .flags = flags};
    void *request = ucp_ep_close_nbx(peer->endpoint[worker], &param);
    peer->endpoint[worker] = NULL;
    peer->close_request[worker] = UCS_PTR_IS_PTR(request) ? request : NULL;
}

int ucx_peers_tell(kolo_transport *t)
{
    const kolo_transport_env *env = &t->guard.env;
    int count = 0;
    for (int32_t r = 0; t->broken > 0 && r < env->size; r++) {
        ucx_peer *peer = &t->peers[r];
        if (!peer->broken || peer->lost)
            continue;
        peer->lost = true;
        t->broken--;
        close_one(peer, UCX_CONTROL, UCP_EP_CLOSE_FLAG_FORCE);
        ucx_postings_end(t, r, KOLO_ERR_PEER);
        env->on_peer_lost(env->user, r, ucs_status_string(peer->why));
        count++;
    }
    return count;
}

void ucx_endpoints_close(kolo_transport *t)
{
    for (int32_t r = 0; r < t->guard.env.size; r++) {
        for (int w = 0; w < UCX_WORKERS; w++) {
            if (w == UCX_DATA && t->halted)
                continue; /* it makes no progress, so it would never be closed; destroy() takes it */
            close_one(&t->peers[r], w, 0);
        }
    }
}

bool ucx_endpoints_closed(kolo_transport *t)
{
    bool closed = true;
    for (int32_t r = 0; r < t->guard.env.size; r++) {
        for (int w = 0; w < UCX_WORKERS; w++) {
            void **request = &t->peers[r].close_request[w];
            if (*request && (w == UCX_CONTROL || !t->halted) && ucp_request_check_status(*request) == UCS_INPROGRESS) {
                closed = false;
            } else if (*request) {
                ucp_request_free(*request);
                *request = NULL;
            }
        }
    }
    return closed;
}

void ucx_endpoints_forget(kolo_transport *t)
{
    for (int32_t r = 0; t->peers && r < t->guard.env.size; r++) {
        for (int w = 0; w < UCX_WORKERS; w++) {
            if (t->peers[r].close_request[w])
                ucp_request_free(t->peers[r].close_request[w]);
            t->peers[r].close_request[w] = NULL;
        }
    }
}
