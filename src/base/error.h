/* error.h - the thread's last error. Functions that fail say why once, where they know it, and pass the status up. */
#ifndef KOLO_BASE_ERROR_H
#define KOLO_BASE_ERROR_H

#include <kolo/kolo.h>

/* Records a fresh error for the calling thread and returns status, so that a failing function ends with
 *     return kolo_fail(KOLO_ERR_INVALID, "count is %lld; it must not be negative", count);
 * The sentence says what, where, and what to do. sys_errno is 0; kolo_fail_errno takes it (and adds strerror). */
kolo_status kolo_fail(kolo_status status, const char *format, ...) KOLO_PRINTF(2, 3);
kolo_status kolo_fail_errno(kolo_status status, int sys_errno, const char *format, ...) KOLO_PRINTF(3, 4);

/* The calling thread's error, to fill in fields that only an outer layer knows (operation, tensor, ranks). */
kolo_error *kolo_error_current(void);

/* Forgets it: status KOLO_OK, all strings "". */
void kolo_error_clear(void);

/* Makes *error the calling thread's last error; returns its status. */
kolo_status kolo_error_adopt(const kolo_error *error);

/* Passes a failure up: the only macro with control flow in it. */
#define KOLO_TRY(expression)                                                                       \
    do {                                                                                           \
        kolo_status kolo_try_status = (expression);                                                \
        if (kolo_try_status != KOLO_OK)                                                            \
            return kolo_try_status;                                                                \
    } while (0)

#endif
