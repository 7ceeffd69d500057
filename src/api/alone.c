/* alone.c - the transport of a job of one rank. Schedules of one rank hold no sends and receives, so those are errors.
 */
#include "api/alone.h"

#include "base/error.h"

static char instance;

static kolo_status alone_create(const kolo_transport_env *env, kolo_transport **transport)
{
    if (env->size != 1)
        return kolo_fail(KOLO_ERR_INVALID, "this transport is for a job of one rank, not of %d", env->size);
    *transport = (kolo_transport *)(void *)&instance;
    return KOLO_OK;
}

static kolo_status alone_address(kolo_transport *transport, kolo_bytes *address)
{
    *address = (kolo_bytes){.data = transport, .size = 1};
    return KOLO_OK;
}

static kolo_status alone_connect(kolo_transport *transport, const kolo_bytes *addresses)
{
    (void)transport;
    (void)addresses;
    return KOLO_OK;
}

static kolo_status nobody(int32_t peer)
{
    return kolo_fail(KOLO_ERR_INTERNAL, "a job of one rank has no rank %d", peer);
}

static kolo_status alone_send_control(kolo_transport *transport, int32_t peer, const void *bytes, size_t size)
{
    (void)transport;
    (void)bytes;
    (void)size;
    return nobody(peer);
}

static kolo_status alone_send(kolo_transport *transport, int32_t peer, uint64_t tag, const void *buffer, size_t bytes,
                              void *cookie)
{
    (void)transport;
    (void)tag;
    (void)buffer;
    (void)bytes;
    (void)cookie;
    return nobody(peer);
}

static kolo_status alone_recv(kolo_transport *transport, int32_t peer, uint64_t tag, void *buffer, size_t bytes,
                              void *cookie)
{
    return alone_send(transport, peer, tag, buffer, bytes, cookie);
}

static int alone_progress(kolo_transport *transport)
{
    (void)transport;
    return 0;
}

static void alone_nothing(kolo_transport *transport)
{
    (void)transport;
}

static int alone_event_fd(kolo_transport *transport)
{
    (void)transport;
    return -1;
}

static kolo_status alone_arm(kolo_transport *transport, bool *armed)
{
    (void)transport;
    *armed = true;
    return KOLO_OK;
}

static void alone_close(kolo_transport *transport, bool force)
{
    (void)transport;
    (void)force;
}

static bool alone_closed(kolo_transport *transport)
{
    (void)transport;
    return true;
}

const kolo_transport_ops *kolo_alone_transport(void)
{
    static const kolo_transport_ops ops = {
        .magic = KOLO_TRANSPORT_MAGIC,
        .abi_min = KOLO_TRANSPORT_ABI,
        .abi_max = KOLO_TRANSPORT_ABI,
        .struct_size = sizeof(kolo_transport_ops),
        .name = "alone",
        .control_max = KOLO_CONTROL_BYTES,
        .create = alone_create,
        .address = alone_address,
        .connect = alone_connect,
        .send_control = alone_send_control,
        .send = alone_send,
        .recv = alone_recv,
        .progress = alone_progress,
        .cancel_all = alone_nothing,
        .event_fd = alone_event_fd,
        .arm = alone_arm,
        .close = alone_close,
        .closed = alone_closed,
        .destroy = alone_nothing,
    };
    return &ops;
}
