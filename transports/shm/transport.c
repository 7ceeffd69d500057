/* transport.c - the shm transport's table: life, and progress. */
#include "shm/shm.h"

#include "instance.h"

#include "base/config.h"

#include <stdlib.h>
#include <unistd.h>

/* Of progress(): how often it asks the kernel who has died. A call takes some 10 ns, so that is every now and then. */
enum { LOOK_EVERY = 4096 };
#define WINDOW_DEFAULT "12M"
#define WINDOW_MAX     (INT64_C(1) << 40)

static const char *option(const kolo_transport_env *env, const char *name, const char *otherwise)
{
    const char *value = env->option ? env->option(env->user, name) : NULL;
    return value && value[0] ? value : otherwise;
}

static kolo_status configure(kolo_transport *t)
{
    const kolo_transport_env *env = &t->guard.env;
    const char *window = option(env, "SHM_WINDOW", WINDOW_DEFAULT), *attach = option(env, "SHM_ATTACH", "yes");
    int64_t window_bytes;
    size_t heap_bytes;
    if (!kolo_parse_size(window, &window_bytes) || window_bytes > WINDOW_MAX)
        return kolo_guard_refuse(env, KOLO_ERR_CONFIG, "KOLO_SHM_WINDOW=%s is not a size up to 1T, like 12M", window);
    if (!kolo_parse_bool(attach, &t->attach))
        return kolo_guard_refuse(env, KOLO_ERR_CONFIG, "KOLO_SHM_ATTACH=%s is neither yes nor no", attach);
    kolo_status status = shm_heap_configure(env, option(env, "SHM_HEAP", "auto"), &heap_bytes);
    if (status == KOLO_OK)
        shm_layout_make(env->size, (size_t)window_bytes, heap_bytes, &t->layout);
    return status;
}

static kolo_status build(kolo_transport *t)
{
    const kolo_transport_env *env = &t->guard.env;
    t->peers = calloc((size_t)env->size, sizeof(*t->peers));
    t->readers = calloc((size_t)env->size, sizeof(*t->readers));
    if (!t->peers || !t->readers)
        return kolo_guard_refuse(env, KOLO_ERR_MEMORY, "no memory for %d peers", (int)env->size);
    for (int32_t r = 0; r < env->size; r++)
        t->peers[r] = (shm_peer){.rank = r, .bell_fd = -1, .pid_fd = -1};
    kolo_status status = configure(t);
    if (status == KOLO_OK)
        status = shm_wake_open(t);
    if (status == KOLO_OK)
        status = shm_room_check(env, &t->layout);
    if (status == KOLO_OK)
        status = shm_space_reserve(env, &t->layout, &t->space);
    if (status == KOLO_OK)
        status = shm_segment_create(env, &t->layout, t->space, &t->memory_fd, &t->head);
    return status == KOLO_OK ? shm_address_make(t) : status;
}

/* t may be half made. */
static void dismantle(kolo_transport *t)
{
    shm_postings_free(t);
    for (int32_t r = 0; t->peers && r < t->guard.env.size; r++) {
        shm_controls_free(&t->peers[r]);
        free(t->peers[r].control);
    }
    shm_disconnect(t);
    shm_heap_close(t);
    shm_space_release(&t->layout, t->space);
    pthread_mutex_destroy(&t->heap.lock);
    if (t->memory_fd >= 0)
        close(t->memory_fd);
    shm_wake_close(t);
    free(t->peers);
    free(t->readers);
    free(t->address);
    free(t);
}

static kolo_status create(const kolo_transport_env *env, kolo_transport **transport)
{
    kolo_guard guard;
    kolo_status status = kolo_guard_init(&guard, env, KOLO_CONTROL_BYTES);
    if (status != KOLO_OK)
        return status;
    if (env->size > SHM_MAX_RANKS)
        return kolo_guard_refuse(env, KOLO_ERR_UNSUPPORTED, "%d ranks; the shm transport connects at most %d",
                                 (int)env->size, SHM_MAX_RANKS);
    kolo_transport *t = calloc(1, sizeof(*t));
    if (!t)
        return kolo_guard_refuse(env, KOLO_ERR_MEMORY, "no memory for a transport");
    t->guard = guard;
    pthread_mutex_init(&t->heap.lock, NULL);
    t->memory_fd = t->bell_read_fd = t->bell_write_fd = t->epoll_fd = -1;
    status = build(t);
    if (status == KOLO_OK)
        *transport = t;
    else
        dismantle(t);
    return status;
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
    kolo_status status = shm_connect(t, addresses);
    t->guard.connected = status == KOLO_OK;
    return status;
}

static int flush_backlogs(kolo_transport *t)
{
    int count = 0;
    for (int32_t r = 0; t->backlogs > 0 && r < t->guard.env.size; r++)
        if (t->peers[r].backlog)
            count += shm_flush(t, &t->peers[r]);
    return count;
}

static int progress(kolo_transport *t)
{
    if (t->in_progress || t->forced || !t->guard.connected)
        return 0;
    t->in_progress = true;
    if (t->armed || ++t->calls % LOOK_EVERY == 0)
        shm_disarm(t);
    int count = shm_receive(t);
    if (t->backlogs > 0)
        count += flush_backlogs(t);
    shm_wake_pending(t); /* before what takes time */
    if (t->pulls.first)
        count += shm_pull(t);
    if (t->dying > 0 || t->nonsense)
        count += shm_peers_bury(t);
    if (t->done.first)
        count += shm_postings_report(t);
    shm_wake_pending(t);
    t->in_progress = false;
    return count;
}

/* What was announced is void from here on. */
static void take_buffers_back(kolo_transport *t)
{
    atomic_fetch_add(&t->head->epoch, 1);
    shm_full_fence();
}

static void cancel_all(kolo_transport *t)
{
    if (!t->guard.connected)
        return;
    take_buffers_back(t);
    shm_postings_end(t, -1, KOLO_ERR_CANCELED);
}

static int event_fd(kolo_transport *t)
{
    return t->epoll_fd;
}

static void begin_close(kolo_transport *t, bool force)
{
    if (force) {
        t->forced = true;
        take_buffers_back(t);
    } else if (!t->guard.closing) {
        atomic_store_explicit(&t->head->state, SHM_CLOSING, memory_order_release);
    }
    t->guard.closing = true;
}

static bool closed(kolo_transport *t)
{
    if (!t->guard.closing || t->forced)
        return t->guard.closing;
    if (t->done.first || t->backlogs > 0)
        return false;
    for (int32_t r = 0; r < t->guard.env.size; r++)
        if (t->peers[r].announced.first)
            return false;
    return true;
}

static void destroy(kolo_transport *t)
{
    bool in_order = closed(t) && !t->forced;
    take_buffers_back(t);
    atomic_store_explicit(&t->head->state, in_order ? SHM_CLOSED : SHM_GONE, memory_order_release);
    shm_wake_all(t);
    dismantle(t);
}

static void *window(kolo_transport *t, int32_t rank)
{
    if (!t->guard.connected || rank < 0 || rank >= t->guard.env.size)
        return NULL;
    shm_head *head = rank == t->guard.env.rank ? t->head : t->peers[rank].head;
    return (unsigned char *)head + t->layout.window_at;
}

static size_t window_bytes(kolo_transport *t)
{
    return t->layout.window_bytes;
}

static uint64_t *flags(kolo_transport *t, int32_t rank)
{
    if (!t->guard.connected || rank < 0 || rank >= t->guard.env.size)
        return NULL;
    shm_head *head = rank == t->guard.env.rank ? t->head : t->peers[rank].head;
    return (uint64_t *)(void *)((unsigned char *)head + t->layout.flags_at);
}

const kolo_transport_ops *kolo_shm_transport(void)
{
    static const kolo_transport_ops ops = {
        .magic = KOLO_TRANSPORT_MAGIC,
        .abi_min = KOLO_TRANSPORT_ABI,
        .abi_max = KOLO_TRANSPORT_ABI,
        .struct_size = sizeof(kolo_transport_ops),
        .name = "shm",
        .control_max = KOLO_CONTROL_BYTES,
        .create = create,
        .address = address,
        .connect = connect_all,
        .send_control = shm_send_control,
        .send = shm_send,
        .recv = shm_recv,
        .progress = progress,
        .cancel_all = cancel_all,
        .event_fd = event_fd,
        .arm = shm_arm,
        .close = begin_close,
        .closed = closed,
        .destroy = destroy,
        .window = window,
        .window_bytes = window_bytes,
        .flags = flags,
        .flags_changed = shm_wake_all,
        .heap = shm_heap,
        .heap_bytes = shm_heap_bytes,
        .heap_alloc = shm_heap_alloc,
        .heap_free = shm_heap_free,
        .reads_peers = shm_reads_peers,
        .read_peer = shm_read_peer,
    };
    return &ops;
}
