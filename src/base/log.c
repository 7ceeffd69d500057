/* log.c - formats a line, cleans it, and hands it to the host's callback or to stderr. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 1024 };

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *const level_labels[] = {"ERROR", "WARN", "INFO", "DEBUG"};

/* A peer's bytes must not move the cursor of the terminal, nor fake a second line. Bytes of UTF-8 pass. */
static void clean(char *line)
{
    for (; *line; line++) {
        unsigned char byte = (unsigned char)*line;
        if (byte < 0x20 || byte == 0x7f)
            *line = '?';
    }
}

/* One write(2), so that lines of several threads and ranks don't mix. What can't be written is lost: there is nobody
 * left to tell. */
static void write_stderr(int32_t rank, kolo_log_level level, const char *line)
{
    char text[LINE_BYTES + 64];
    int size;
    if (rank >= 0)
        size = snprintf(text, sizeof(text), "kolo[%d] %s: %s\n", (int)rank, level_labels[level], line);
    else
        size = snprintf(text, sizeof(text), "kolo %s: %s\n", level_labels[level], line);
    if (size > 0) {
        ssize_t written = write(STDERR_FILENO, text, (size_t)size);
        (void)written;
    }
}

void kolo_log_write(const kolo_log *log, kolo_log_level level, const char *format, ...)
{
    if (log == NULL || level > log->level || level > KOLO_LOG_DEBUG)
        return;
    int saved_errno = errno; /* logging on the way out of a failure must not change what failed */
    char line[LINE_BYTES] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    clean(line);
    if (log->write != NULL)
        log->write(log->user, level, line);
    else
        write_stderr(log->rank, level, line);
    errno = saved_errno;
}

const char *kolo_log_level_name(kolo_log_level level)
{
    return level <= KOLO_LOG_DEBUG ? level_names[level] : "?";
}

bool kolo_log_level_parse(const char *text, kolo_log_level *level)
{
    for (int i = KOLO_LOG_ERROR; i <= KOLO_LOG_DEBUG; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (kolo_log_level)i;
            return true;
        }
    }
    return false;
}
