/* data.c - tagged messages: posting, completion, giving up. */
#include "instance.h"

#include <stdlib.h>

static ucx_posting *posting_take(kolo_transport *t)
{
    if (!t->free_postings) {
        ucx_block *block = calloc(1, sizeof(*block));
        if (!block)
            return NULL;
        block->next = t->blocks;
        t->blocks = block;
        for (int i = UCX_BLOCK_POSTINGS - 1; i >= 0; i--) {
            block->postings[i].transport = t;
            block->postings[i].next = t->free_postings;
            t->free_postings = &block->postings[i];
        }
    }
    ucx_posting *posting = t->free_postings;
    t->free_postings = posting->next;
    return posting;
}

static void posting_give(kolo_transport *t, ucx_posting *posting)
{
    posting->state = UCX_FREE;
    posting->next = t->free_postings;
    t->free_postings = posting;
}

static void posting_done(ucx_posting *posting, kolo_status status)
{
    kolo_transport *t = posting->transport;
    posting->state = UCX_DONE;
    posting->status = status;
    posting->next = NULL;
    *t->done_tail = posting;
    t->done_tail = &posting->next;
}

/* UCX is through with it. */
static void posting_released(ucx_posting *posting, kolo_status status)
{
    posting->request = NULL;
    if (posting->state == UCX_ACTIVE)
        posting_done(posting, status);
    else if (posting->state == UCX_ABANDONED)
        posting_give(posting->transport, posting);
}

static void on_sent(void *request, ucs_status_t status, void *user)
{
    ucx_posting *posting = user;
    if (status != UCS_OK && status != UCS_ERR_CANCELED && posting->state == UCX_ACTIVE)
        kolo_guard_refuse(&posting->transport->guard.env, ucx_status(status), "sending %zu bytes to rank %d: %s",
                          posting->bytes,
                          (int)posting->peer, ucs_status_string(status));
    posting_released(posting, ucx_status(status));
    ucp_request_free(request);
}

static kolo_status judge_recv(const ucx_posting *posting, ucs_status_t status, size_t length)
{
    const kolo_transport_env *env = &posting->transport->guard.env;
    if (status == UCS_ERR_CANCELED)
        return KOLO_ERR_CANCELED;
    if (status != UCS_OK)
        return kolo_guard_refuse(env, ucx_status(status), "receiving %zu bytes from rank %d: %s", posting->bytes,
                                 (int)posting->peer, ucs_status_string(status));
    if (length != posting->bytes)
        return kolo_guard_refuse(env, KOLO_ERR_TRANSPORT, "rank %d sent %zu bytes where %zu were expected",
                                 (int)posting->peer,
                                 length, posting->bytes);
    return KOLO_OK;
}

static void on_received(void *request, ucs_status_t status, const ucp_tag_recv_info_t *info, void *user)
{
    ucx_posting *posting = user;
    posting_released(posting, judge_recv(posting, status, info->length));
    ucp_request_free(request);
}

/* A fresh posting; with a dead peer or halted data it is done already, and *over is true. */
static kolo_status posting_begin(kolo_transport *t, int32_t peer, size_t bytes, void *cookie, bool is_recv,
                                 ucx_posting **posting,
                                 bool *over)
{
    if (t->halted)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_STATE,
                                 "data transfers were canceled; this transport moves no more");
    ucx_posting *p = posting_take(t);
    if (!p)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_MEMORY, "no memory for a posting");
    *p = (ucx_posting){.transport = t, .cookie = cookie, .bytes = bytes, .peer = peer, .is_recv = is_recv, .state = UCX_ACTIVE};
    *over = t->peers[peer].lost;
    if (*over)
        posting_done(p, KOLO_ERR_PEER);
    *posting = p;
    return KOLO_OK;
}

/* What a posting call answered: NULL (over), a request (its callback comes, or has come), or an error (none posted). */
static kolo_status posting_begun(ucx_posting *posting, void *request)
{
    kolo_transport *t = posting->transport;
    ucs_status_t status = UCS_PTR_IS_PTR(request) ? UCS_OK : UCS_PTR_RAW_STATUS(request);
    if (status != UCS_OK && posting->state == UCX_ACTIVE) {
        kolo_guard_refuse(&t->guard.env, ucx_status(status), "%zu bytes %s rank %d: %s", posting->bytes,
                          posting->is_recv ? "from" : "to", (int)posting->peer, ucs_status_string(status));
        posting_give(t, posting);
        return ucx_status(status);
    }
    if (!request)
        posting_done(posting, KOLO_OK);
    else if (posting->state == UCX_ACTIVE)
        posting->request = request;
    return KOLO_OK;
}

kolo_status ucx_send(kolo_transport *t, int32_t peer, uint64_t tag, const void *buffer, size_t bytes, void *cookie)
{
    kolo_status status = kolo_guard_data(&t->guard, peer, tag, buffer, bytes);
    if (status != KOLO_OK)
        return status;
    ucp_ep_h endpoint = NULL;
    ucx_posting *posting;
    bool over;
    if (!t->peers[peer].lost && (status = ucx_endpoint(t, peer, UCX_DATA, &endpoint)) != KOLO_OK)
        return status;
    status = posting_begin(t, peer, bytes, cookie, false, &posting, &over);
    if (status != KOLO_OK || over)
        return status;
    const ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA,
        .cb.send = on_sent,
        .user_data = posting,
    };
    uint64_t full_tag = (uint64_t)t->guard.env.rank << KOLO_TRANSPORT_TAG_BITS | tag;
    return posting_begun(posting, ucp_tag_send_nbx(endpoint, buffer, bytes, full_tag, &param));
}

kolo_status ucx_recv(kolo_transport *t, int32_t peer, uint64_t tag, void *buffer, size_t bytes, void *cookie)
{
    kolo_status status = kolo_guard_data(&t->guard, peer, tag, buffer, bytes);
    if (status != KOLO_OK)
        return status;
    ucx_posting *posting;
    bool over;
    status = posting_begin(t, peer, bytes, cookie, true, &posting, &over);
    if (status != KOLO_OK || over)
        return status;
    const ucp_request_param_t param = {
        /* No immediate completion: UCX 1.13 would not say how long the message was. */
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FLAG_NO_IMM_CMPL,
        .cb.recv = on_received,
        .user_data = posting,
    };
    uint64_t full_tag = (uint64_t)peer << KOLO_TRANSPORT_TAG_BITS | tag;
    return posting_begun(posting, ucp_tag_recv_nbx(t->worker[UCX_DATA], buffer, bytes, full_tag, UINT64_MAX, &param));
}

static void posting_end(kolo_transport *t, ucx_posting *posting, kolo_status status)
{
    posting_done(posting, status); /* first: the callback then only lets go */
    if (posting->is_recv && posting->request)
        ucp_request_cancel(t->worker[UCX_DATA], posting->request);
}

void ucx_postings_end(kolo_transport *t, int32_t peer, kolo_status status)
{
    for (ucx_block *block = t->blocks; block; block = block->next)
        for (int i = 0; i < UCX_BLOCK_POSTINGS; i++)
            if (block->postings[i].state == UCX_ACTIVE && (peer < 0 || block->postings[i].peer == peer))
                posting_end(t, &block->postings[i], status);
}

int ucx_postings_report(kolo_transport *t)
{
    const kolo_transport_env *env = &t->guard.env;
    int count = 0;
    for (ucx_posting *posting; (posting = t->done) != NULL; count++) {
        void *cookie = posting->cookie;
        kolo_status status = posting->status;
        t->done = posting->next;
        if (!t->done)
            t->done_tail = &t->done;
        if (posting->request)
            posting->state = UCX_ABANDONED;
        else
            posting_give(t, posting);
        env->on_complete(env->user, cookie, status);
    }
    return count;
}

bool ucx_postings_sending(const kolo_transport *t)
{
    for (const ucx_block *block = t->blocks; block; block = block->next)
        for (int i = 0; i < UCX_BLOCK_POSTINGS; i++)
            if (block->postings[i].state == UCX_ACTIVE && !block->postings[i].is_recv)
                return true;
    return false;
}

bool ucx_postings_held(const kolo_transport *t)
{
    for (const ucx_block *block = t->blocks; block; block = block->next)
        for (int i = 0; i < UCX_BLOCK_POSTINGS; i++)
            if (block->postings[i].request)
                return true;
    return false;
}

void ucx_postings_free(kolo_transport *t)
{
    while (t->blocks) {
        ucx_block *block = t->blocks;
        t->blocks = block->next;
        free(block);
    }
}
