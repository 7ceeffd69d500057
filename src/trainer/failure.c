/* failure.c - formats the one sentence that a failing function leaves behind. */
#include "trainer/failure.h"

#include <stdarg.h>
#include <stdio.h>

bool train_fail(train_failure *failure, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(failure->text, sizeof failure->text, format, args);
    va_end(args);
    return false;
}
