/* bad_module.c - modules that must be refused. BAD says what is wrong with this one. */
#include <kolo/transport.h>

#define NO_ENTRY 1
#define NULL_TABLE 2
#define WRONG_MAGIC 3
#define NEW_ABI 4
#define OLD_ABI 5
#define SHORT_TABLE 6
#define NO_SEND 7
#define SMALL_CONTROL 8

static kolo_status create(const kolo_transport_env *env, kolo_transport **transport)
{
    (void)env, (void)transport;
    return KOLO_ERR_UNSUPPORTED;
}
static kolo_status address(kolo_transport *t, kolo_bytes *bytes)
{
    (void)t, (void)bytes;
    return KOLO_ERR_UNSUPPORTED;
}
static kolo_status join(kolo_transport *t, const kolo_bytes *addresses)
{
    (void)t, (void)addresses;
    return KOLO_ERR_UNSUPPORTED;
}
static kolo_status send_control(kolo_transport *t, int32_t peer, const void *bytes, size_t size)
{
    (void)t, (void)peer, (void)bytes, (void)size;
    return KOLO_ERR_UNSUPPORTED;
}
static kolo_status send(kolo_transport *t, int32_t peer, uint64_t tag, const void *buffer, size_t bytes, void *cookie)
{
    (void)t, (void)peer, (void)tag, (void)buffer, (void)bytes, (void)cookie;
    return KOLO_ERR_UNSUPPORTED;
}
static kolo_status recv(kolo_transport *t, int32_t peer, uint64_t tag, void *buffer, size_t bytes, void *cookie)
{
    (void)t, (void)peer, (void)tag, (void)buffer, (void)bytes, (void)cookie;
    return KOLO_ERR_UNSUPPORTED;
}
static int answer_zero(kolo_transport *t)
{
    (void)t;
    return 0;
}
static void do_nothing(kolo_transport *t)
{
    (void)t;
}
static kolo_status arm(kolo_transport *t, bool *armed)
{
    (void)t, (void)armed;
    return KOLO_ERR_UNSUPPORTED;
}
static void begin_close(kolo_transport *t, bool force)
{
    (void)t, (void)force;
}
static bool closed(kolo_transport *t)
{
    (void)t;
    return true;
}

__attribute__((visibility("default"))) const kolo_transport_ops *kolo_transport_module_entry(void);

#if BAD != NO_ENTRY
#define kolo_transport_module_entry kolo_transport_module
__attribute__((visibility("default"))) const kolo_transport_ops *kolo_transport_module(void);
#endif

const kolo_transport_ops *kolo_transport_module_entry(void)
{
    static const kolo_transport_ops ops = {
        .magic = BAD == WRONG_MAGIC ? 0x12345678 : KOLO_TRANSPORT_MAGIC,
        .abi_min = BAD == NEW_ABI ? KOLO_TRANSPORT_ABI + 2 : BAD == OLD_ABI ? 0 : KOLO_TRANSPORT_ABI,
        .abi_max = BAD == NEW_ABI ? KOLO_TRANSPORT_ABI + 3 : BAD == OLD_ABI ? 0 : KOLO_TRANSPORT_ABI,
        .struct_size = BAD == SHORT_TABLE ? 64 : sizeof(kolo_transport_ops),
        .name = "fine",
        .control_max = BAD == SMALL_CONTROL ? 4096 : KOLO_CONTROL_BYTES,
        .create = create, .address = address, .connect = join, .send_control = send_control,
        .send = BAD == NO_SEND ? NULL : send,
        .recv = recv, .progress = answer_zero, .cancel_all = do_nothing, .event_fd = answer_zero, .arm = arm,
        .close = begin_close, .closed = closed, .destroy = do_nothing,
    };
    return BAD == NULL_TABLE ? NULL : &ops;
}
