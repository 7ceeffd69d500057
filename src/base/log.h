/* log.h - one line per event, through the host's callback. There is no global logger: it is handed down. */
#ifndef KOLO_BASE_LOG_H
#define KOLO_BASE_LOG_H

#include <kolo/types.h>
#include <stdbool.h>

typedef struct kolo_log {
    kolo_log_fn write; /* NULL: to stderr as "kolo[rank] WARN: line" */
    void *user;
    kolo_log_level level; /* lines above it are dropped */
    int32_t rank;         /* -1: not known yet */
} kolo_log;

/* Formats and hands on; cuts at 1,023 bytes; control characters (a peer's bytes) become '?'. Any thread. log may be
 * NULL: dropped. */
void kolo_log_write(const kolo_log *log, kolo_log_level level, const char *format, ...) KOLO_PRINTF(3, 4);

/* "error", "warn", "info", "debug" and back; false if unknown. */
const char *kolo_log_level_name(kolo_log_level level);
bool kolo_log_level_parse(const char *text, kolo_log_level *level);

#endif
