/* transport.c - one rank's end of the simulated network, as a transport. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

static kolo_status sim_create(const kolo_transport_env *env, kolo_transport **transport)
{
    kolo_guard guard;
    kolo_status status = kolo_guard_init(&guard, env, SIM_CONTROL_MAX);
    if (status != KOLO_OK)
        return status;
    kolo_sim *sim = env->extra;
    if (!sim || sim->options.size != env->size)
        return kolo_guard_refuse(env, KOLO_ERR_INVALID, "env.extra must be a simulated network of %d ranks",
                                 (int)env->size);
    if (sim->ranks[env->rank].epoch > 0 || sim->ranks[env->rank].crashed)
        return kolo_guard_refuse(env, KOLO_ERR_STATE, "rank %d of the simulated network %s", (int)env->rank,
                                 sim->ranks[env->rank].crashed ? "has crashed" : "had its transport already");
    kolo_transport *t = calloc(1, sizeof(*t));
    bool *lost = calloc((size_t)env->size, sizeof(*lost));
    if (!t || !lost) {
        free(t);
        free(lost);
        return kolo_guard_refuse(env, KOLO_ERR_MEMORY, "no memory for a simulated transport");
    }
    t->guard = guard;
    t->sim = sim;
    t->lost = lost;
    snprintf(t->address, sizeof(t->address), "sim:%d", (int)env->rank);
    sim->ranks[env->rank].transport = t;
    sim->ranks[env->rank].epoch++;
    *transport = t;
    return KOLO_OK;
}

static kolo_status sim_address(kolo_transport *t, kolo_bytes *address)
{
    *address = (kolo_bytes){.data = t->address, .size = strlen(t->address)};
    return KOLO_OK;
}

static kolo_status sim_connect(kolo_transport *t, const kolo_bytes *addresses)
{
    if (t->guard.connected || t->guard.closing)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_STATE, "connect() comes once, before close()");
    for (int32_t r = 0; r < t->guard.env.size; r++) {
        char expected[16];
        snprintf(expected, sizeof(expected), "sim:%d", (int)r);
        if (!addresses[r].data || addresses[r].size != strlen(expected) ||
            memcmp(addresses[r].data, expected, addresses[r].size) != 0)
            return kolo_guard_refuse(&t->guard.env, KOLO_ERR_PROTOCOL, "the address of rank %d is not \"%s\"", (int)r,
                                     expected);
    }
    t->guard.connected = true;
    return KOLO_OK;
}

static kolo_status sim_send_control(kolo_transport *t, int32_t peer, const void *bytes, size_t size)
{
    kolo_status status = kolo_guard_control(&t->guard, peer, bytes, size);
    if (status != KOLO_OK)
        return status;
    kolo_sim *sim = t->sim;
    int32_t rank = t->guard.env.rank;
    if (t->lost[peer])
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_PEER, "rank %d is gone", (int)peer);
    if (sim->ranks[rank].crashed || !sim->ranks[peer].transport)
        return KOLO_OK; /* into the void, as on a real wire */
    sim_event *event = sim_event_create(sim, SIM_CONTROL, peer, rank, size);
    if (!event)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_MEMORY, "no memory for a control message");
    if (size > 0)
        memcpy(event->bytes, bytes, size);
    sim->ranks[rank].sent.control_messages++;
    sim_event_push(sim, event, sim->now_ns + sim_latency_ns(sim));
    return KOLO_OK;
}

static kolo_status sim_send(kolo_transport *t, int32_t peer, uint64_t tag, const void *buffer, size_t bytes,
                            void *cookie)
{
    kolo_status status = kolo_guard_data(&t->guard, peer, tag, buffer, bytes);
    if (status != KOLO_OK || t->sim->ranks[t->guard.env.rank].crashed)
        return status;
    return sim_post_send(t, peer, tag, buffer, bytes, cookie);
}

static kolo_status sim_receive(kolo_transport *t, int32_t peer, uint64_t tag, void *buffer, size_t bytes, void *cookie)
{
    kolo_status status = kolo_guard_data(&t->guard, peer, tag, buffer, bytes);
    if (status != KOLO_OK || t->sim->ranks[t->guard.env.rank].crashed)
        return status;
    return sim_post_recv(t, peer, tag, buffer, bytes, cookie);
}

static int sim_progress(kolo_transport *t)
{
    sim_rank *rank = &t->sim->ranks[t->guard.env.rank];
    const kolo_transport_env *env = &t->guard.env;
    if (t->in_progress)
        return 0;
    t->in_progress = true;
    int count = 0;
    for (sim_event *event; (event = rank->inbox) != NULL; count++) {
        rank->inbox = event->next;
        if (!rank->inbox)
            rank->inbox_tail = &rank->inbox;
        if (event->kind == SIM_CONTROL)
            env->on_control(env->user, event->peer, event->bytes, event->size);
        else if (event->kind == SIM_COMPLETE)
            env->on_complete(env->user, event->cookie, event->status);
        else
            env->on_peer_lost(env->user, event->peer, "it crashed (simulated)");
        sim_event_destroy(t->sim, event);
    }
    t->in_progress = false;
    return count;
}

static void sim_cancel_all(kolo_transport *t)
{
    sim_end_sends(t->sim, t->guard.env.rank, -1, KOLO_ERR_CANCELED);
    sim_end_recvs(t->sim, t->guard.env.rank, -1, KOLO_ERR_CANCELED);
}

static int sim_event_fd(kolo_transport *t)
{
    (void)t;
    return -1;
}

static kolo_status sim_arm(kolo_transport *t, bool *armed)
{
    *armed = t->sim->ranks[t->guard.env.rank].inbox == NULL;
    return KOLO_OK;
}

static void sim_close(kolo_transport *t, bool force)
{
    int32_t rank = t->guard.env.rank;
    t->guard.closing = true;
    if (force) {
        sim_end_sends(t->sim, rank, -1, KOLO_OK);
        sim_end_recvs(t->sim, rank, -1, KOLO_OK);
        sim_inbox_clear(t->sim, &t->sim->ranks[rank]);
        t->sim->ranks[rank].epoch++; /* completions under way are dropped too */
    }
    kolo_sim_wake_at(t->sim, rank, t->sim->now_ns); /* so that the driver comes back to ask closed() */
}

static bool sim_closed(kolo_transport *t)
{
    return t->guard.closing && !sim_has_sends(t->sim, t->guard.env.rank);
}

static void sim_destroy(kolo_transport *t)
{
    int32_t rank = t->guard.env.rank;
    sim_end_sends(t->sim, rank, -1, KOLO_OK);
    sim_end_recvs(t->sim, rank, -1, KOLO_OK);
    sim_inbox_clear(t->sim, &t->sim->ranks[rank]);
    t->sim->ranks[rank].transport = NULL;
    free(t->lost);
    free(t);
}

const kolo_transport_ops *kolo_sim_transport(void)
{
    static const kolo_transport_ops ops = {
        .magic = KOLO_TRANSPORT_MAGIC,
        .abi_min = KOLO_TRANSPORT_ABI,
        .abi_max = KOLO_TRANSPORT_ABI,
        .struct_size = sizeof(kolo_transport_ops),
        .name = "sim",
        .control_max = SIM_CONTROL_MAX,
        .create = sim_create,
        .address = sim_address,
        .connect = sim_connect,
        .send_control = sim_send_control,
        .send = sim_send,
        .recv = sim_receive,
        .progress = sim_progress,
        .cancel_all = sim_cancel_all,
        .event_fd = sim_event_fd,
        .arm = sim_arm,
        .close = sim_close,
        .closed = sim_closed,
        .destroy = sim_destroy,
        .window = sim_window,
        .window_bytes = sim_window_bytes,
        .flags = sim_flags,
        .flags_changed = sim_flags_changed,
        .heap = sim_heap,
        .heap_bytes = sim_heap_bytes,
        .heap_alloc = sim_heap_alloc,
        .heap_free = sim_heap_free,
        .reads_peers = sim_reads_peers,
        .read_peer = sim_read_peer,
    };
    return &ops;
}
