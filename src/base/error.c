/* error.c - one kolo_error per thread. */
#include "base/error.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static _Thread_local kolo_error current = {.struct_size = sizeof(kolo_error)};

/* Some thread has had one. Every public call asks, and finding a variable of the own thread takes longer. */
static _Atomic bool any_was_set;

void kolo_error_clear(void)
{
    if (atomic_load_explicit(&any_was_set, memory_order_relaxed) && current.status != KOLO_OK)
        current = (kolo_error){.struct_size = sizeof(kolo_error)};
}

kolo_error *kolo_error_current(void)
{
    return &current;
}

/* The sentence is complete before the old error goes: its arguments may be the old error's own strings. */
static kolo_status record(kolo_status status, int sys_errno, const char *message)
{
    current = (kolo_error){.struct_size = sizeof(kolo_error)};
    atomic_store_explicit(&any_was_set, true, memory_order_relaxed);
    current.status = status;
    current.sys_errno = sys_errno;
    memcpy(current.message, message, strlen(message) + 1);
    return status;
}

kolo_status kolo_fail(kolo_status status, const char *format, ...)
{
    char message[sizeof(current.message)] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    return record(status, 0, message);
}

kolo_status kolo_fail_errno(kolo_status status, int sys_errno, const char *format, ...)
{
    char sentence[sizeof(current.message)] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);

    char text[128];
    const char *reason = strerror_r(sys_errno, text, sizeof(text)); /* GNU's: may be text, or a constant */
    char message[sizeof(current.message)];
    /* A sentence too long is cut so that the reason stays. */
    int room = (int)sizeof(message) - (int)strnlen(reason, sizeof(text)) - 4;
    snprintf(message, sizeof(message), "%.*s (%.*s)", room, sentence, (int)sizeof(text), reason);
    return record(status, sys_errno, message);
}

kolo_status kolo_error_adopt(const kolo_error *error)
{
    atomic_store_explicit(&any_was_set, true, memory_order_relaxed);
    if (error != &current)
        current = *error;
    current.struct_size = sizeof(kolo_error);
    return current.status;
}
