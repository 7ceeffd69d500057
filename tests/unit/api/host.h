/* host.h - a program that uses Kolo, as the tests play it: through include/kolo alone. */
#ifndef TESTS_UNIT_API_HOST_H
#define TESTS_UNIT_API_HOST_H

#include "unit/base/cmocka_all.h"

#include <kolo/kolo.h>
#include <pthread.h>

/* Takes every launcher's and every KOLO_ variable out of the environment, so that each context is a job of its own. */
void host_clear_environment(void);

/* How many entries /proc/self/fd (or task) has. */
int host_count(const char *folder);

/* Blocks until fd is readable; fails the test after a minute. */
void host_wait_readable(int fd);

/* What was logged. For kolo_init_args.log; any thread. */
typedef struct host_log {
    pthread_mutex_t lock;
    int lines;
    char text[8192]; /* "WARN: ...\n" one after the other, cut at the end */
} host_log;
#define HOST_LOG_INIT                                                                                                  \
    {                                                                                                                  \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                                              \
    }
void host_log_line(void *user, kolo_log_level level, const char *line);
int host_log_contains(host_log *log, const char *part);

#ifndef HOST_WITHOUT_LIBRARY
/* Fails the test unless the thread's last error has this status and the text in its message. */
void host_expect(kolo_status got, kolo_status expected, const char *text);

/* A job of one rank; its log lines go to `log`, or fail the test (NULL). */
kolo_context *host_init(host_log *log);
void host_finalize(kolo_context *ctx);

/* In-place all-reduce of floats. */
kolo_args host_args(const char *name, float *data, const int64_t *count);
/* The same of a list. */
kolo_args host_group(const char *name, const kolo_tensor *outputs, size_t tensors);

/* Every call that takes a context, with arguments that are fine otherwise; the status (kolo_rank and its like: their error's). */
enum { HOST_CALLS = 13 };
const char *host_call_name(int call);
kolo_status host_call(int call, kolo_context *ctx);
#endif

#endif
