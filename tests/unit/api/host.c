/* host.c - what the tests of the public functions share. */
#include "unit/api/host.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void host_clear_environment(void)
{
    static const char *const launchers[] = {"RANK",        "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE",
                                            "MASTER_ADDR", "MASTER_PORT"};
    for (size_t i = 0; i < sizeof(launchers) / sizeof(launchers[0]); i++)
        unsetenv(launchers[i]);
    for (char **entry = environ; *entry != NULL;) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(*entry, "="), *entry);
        if (strncmp(name, "KOLO_", 5) == 0) {
            unsetenv(name);
            entry = environ; /* unsetenv moves what follows */
        } else {
            entry++;
        }
    }
}

int host_count(const char *folder)
{
    int count = 0;
    DIR *list = opendir(folder);
    assert_non_null(list);
    while (readdir(list) != NULL)
        count++;
    closedir(list);
    return count;
}

void host_wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready;
    while ((ready = poll(&p, 1, 60000)) < 0 && errno == EINTR)
        continue;
    if (ready != 1)
        fail_msg("nothing has completed for a minute");
}

void host_log_line(void *user, kolo_log_level level, const char *line)
{
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
    host_log *log = user;
    pthread_mutex_lock(&log->lock);
    size_t used = strlen(log->text);
    snprintf(log->text + used, sizeof(log->text) - used, "%s: %s\n", names[level], line);
    log->lines++;
    pthread_mutex_unlock(&log->lock);
}

int host_log_contains(host_log *log, const char *part)
{
    pthread_mutex_lock(&log->lock);
    int found = strstr(log->text, part) != NULL;
    pthread_mutex_unlock(&log->lock);
    return found;
}

#ifndef HOST_WITHOUT_LIBRARY
void host_expect(kolo_status got, kolo_status expected, const char *text)
{
    const kolo_error *error = kolo_last_error();
    if (got != expected || error->status != expected)
        fail_msg("%s (last error %s), %s expected: %s", kolo_status_name(got), kolo_status_name(error->status),
                 kolo_status_name(expected), error->message);
    if (strstr(error->message, text) == NULL)
        fail_msg("'%s' is not in '%s'", text, error->message);
}

kolo_context *host_init(host_log *log)
{
    static host_log unwanted = HOST_LOG_INIT;
    kolo_init_args args = KOLO_INIT_ARGS_INIT;
    kolo_context *ctx = NULL;
    args.log = host_log_line;
    args.log_user = log != NULL ? log : &unwanted;
    if (kolo_init(&args, &ctx) != KOLO_OK)
        fail_msg("kolo_init: %s", kolo_last_error()->message);
    if (unwanted.lines > 0)
        fail_msg("unexpected log: %s", unwanted.text);
    return ctx;
}

void host_finalize(kolo_context *ctx)
{
    if (kolo_finalize(ctx) != KOLO_OK)
        fail_msg("kolo_finalize: %s", kolo_last_error()->message);
}

kolo_args host_args(const char *name, float *data, const int64_t *count)
{
    kolo_args args = KOLO_ARGS_INIT;
    args.name = name;
    args.output =
        (kolo_tensor){.data = data, .device_type = KOLO_DEVICE_CPU, .ndim = 1, .dtype = KOLO_FLOAT32, .shape = count};
    return args;
}

kolo_args host_group(const char *name, const kolo_tensor *outputs, size_t tensors)
{
    kolo_args args = KOLO_ARGS_INIT;
    args.name = name;
    args.outputs = outputs;
    args.tensors = tensors;
    return args;
}

const char *host_call_name(int call)
{
    static const char *const names[HOST_CALLS] = {
        "allreduce", "broadcast", "reduce_scatter", "allgather", "barrier",    "progress",  "completion_fd",
        "alloc",     "free",      "rank",           "size",      "local_rank", "local_size"};
    return names[call];
}

static kolo_status fact(int32_t (*get)(const kolo_context *ctx), const kolo_context *ctx)
{
    return get(ctx) >= 0 ? KOLO_OK : kolo_last_error()->status;
}

kolo_status host_call(int call, kolo_context *ctx)
{
    static float data[4];
    const int64_t count = 4;
    kolo_args args = host_args(NULL, data, &count);
    void *memory = NULL;
    int fd;
    switch (call) {
    case 0:
        return kolo_allreduce(ctx, &args, NULL);
    case 1:
        return kolo_broadcast(ctx, &args, NULL);
    case 2:
        return kolo_reduce_scatter(ctx, &args, NULL);
    case 3:
        return kolo_allgather(ctx, &args, NULL);
    case 4:
        return kolo_barrier(ctx, NULL, NULL);
    case 5:
        return kolo_progress(ctx);
    case 6:
        return kolo_completion_fd(ctx, &fd);
    case 7:
        return kolo_alloc(ctx, 1, &memory);
    case 8:
        return kolo_free(ctx, NULL);
    case 9:
        return fact(kolo_rank, ctx);
    case 10:
        return fact(kolo_size, ctx);
    case 11:
        return fact(kolo_local_rank, ctx);
    default:
        return fact(kolo_local_size, ctx);
    }
}
#endif
