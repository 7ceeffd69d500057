/* guard.h - the argument checks every transport owes its user, and how it says what is wrong. Header only. */
#ifndef KOLO_TRANSPORT_GUARD_H
#define KOLO_TRANSPORT_GUARD_H

#include <kolo/transport.h>
#include <stdarg.h>
#include <stdio.h>

/* What a transport must know of itself to judge a call. The first member of every kolo_transport here. */
typedef struct kolo_guard {
    kolo_transport_env env;
    size_t control_max;
    bool connected;
    bool closing;
} kolo_guard;

/* Hands the sentence to env->explain, and returns status. */
static inline KOLO_PRINTF(3, 4) kolo_status kolo_guard_refuse(const kolo_transport_env *env, kolo_status status,
                                                              const char *format, ...)
{
    if (env->explain) {
        char text[512];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        env->explain(env->user, status, 0, text);
    }
    return status;
}

static inline KOLO_PRINTF(3, 4) void kolo_guard_log(const kolo_transport_env *env, kolo_log_level level,
                                                    const char *format, ...)
{
    if (env->log) {
        char text[512];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        env->log(env->user, level, text);
    }
}

/* Checks what create() was given and fills the guard. */
static inline kolo_status kolo_guard_init(kolo_guard *guard, const kolo_transport_env *env, size_t control_max)
{
    if (!env || env->struct_size < sizeof(*env))
        return KOLO_ERR_VERSION; /* explain may lie beyond what the caller knows */
    if (env->size < 1 || env->rank < 0 || env->rank >= env->size)
        return kolo_guard_refuse(env, KOLO_ERR_INVALID, "rank %d of %d ranks makes no sense", (int)env->rank,
                                 (int)env->size);
    if (!env->on_control || !env->on_complete || !env->on_peer_lost)
        return kolo_guard_refuse(env, KOLO_ERR_INVALID, "on_control, on_complete and on_peer_lost must be given");
    *guard = (kolo_guard){.env = *env, .control_max = control_max};
    return KOLO_OK;
}

static inline kolo_status kolo_guard_peer(const kolo_guard *guard, int32_t peer)
{
    if (!guard->connected || guard->closing)
        return kolo_guard_refuse(&guard->env, KOLO_ERR_STATE, "the transport is %s",
                                 guard->closing ? "closing; nothing can be posted any more" : "not connected yet");
    if (peer < 0 || peer >= guard->env.size)
        return kolo_guard_refuse(&guard->env, KOLO_ERR_INVALID, "peer %d is not among the %d ranks", (int)peer,
                                 (int)guard->env.size);
    return KOLO_OK;
}

static inline kolo_status kolo_guard_data(const kolo_guard *guard, int32_t peer, uint64_t tag, const void *buffer,
                                          size_t bytes)
{
    kolo_status status = kolo_guard_peer(guard, peer);
    if (status != KOLO_OK)
        return status;
    if (tag >> KOLO_TRANSPORT_TAG_BITS)
        return kolo_guard_refuse(&guard->env, KOLO_ERR_INVALID, "tag %#llx has more than %d bits",
                                 (unsigned long long)tag, KOLO_TRANSPORT_TAG_BITS);
    if (!buffer && bytes > 0)
        return kolo_guard_refuse(&guard->env, KOLO_ERR_INVALID, "buffer is NULL for %zu bytes", bytes);
    return KOLO_OK;
}

static inline kolo_status kolo_guard_control(const kolo_guard *guard, int32_t peer, const void *bytes, size_t size)
{
    kolo_status status = kolo_guard_peer(guard, peer);
    if (status != KOLO_OK)
        return status;
    if (peer == guard->env.rank)
        return kolo_guard_refuse(&guard->env, KOLO_ERR_INVALID, "rank %d sends a control message to itself", (int)peer);
    if (size > guard->control_max)
        return kolo_guard_refuse(&guard->env, KOLO_ERR_INVALID, "a control message of %zu bytes; at most %zu go", size,
                                 guard->control_max);
    if (!bytes && size > 0)
        return kolo_guard_refuse(&guard->env, KOLO_ERR_INVALID, "bytes is NULL for %zu bytes", size);
    return KOLO_OK;
}

#endif
