/* error.c - one kolo_error per thread. */
#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static _Thread_local kolo_error current = {.struct_size = sizeof(kolo_error)};

/* Every public call asks, so it is of the kind that is found without a call; there is room for a byte of it in every
 * process that loads us late. */
static _Thread_local bool is_set __attribute__((tls_model("initial-exec")));

void kolo_error_clear(void)
{
    if (is_set)
        current = (kolo_error){.struct_size = sizeof(kolo_error)};
    is_set = false;
}

kolo_error *kolo_error_current(void)
{
    return &current;
}

/* The sentence is complete before the old error goes: its arguments may be the old error's own strings. */
static kolo_status record(kolo_status status, int sys_errno, const char *message)
{
    current = (kolo_error){.struct_size = sizeof(kolo_error)};
    is_set = true;
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
    is_set = true;
    if (error != &current)
        current = *error;
    current.struct_size = sizeof(kolo_error);
    return current.status;
}
