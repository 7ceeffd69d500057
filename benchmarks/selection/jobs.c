/* jobs.c - see jobs.h. The first job finds itself as any; the others meet at a port that its rank 0 has found. */
#include "jobs.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

bool jobs_try(const kolo_context *job, const char *what, kolo_status status)
{
    if (status == KOLO_OK)
        return true;
    fprintf(stderr, "kolo-regret: rank %d: %s: %s\n", job != NULL ? (int)kolo_rank(job) : -1, what,
            kolo_last_error()->message);
    return false;
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0), port = -1;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        port = ntohs(address.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

static bool agree_on_port(kolo_context *first, int32_t *port)
{
    *port = kolo_rank(first) == 0 ? free_port() : 0;
    kolo_args args = KOLO_ARGS_INIT;
    args.name = "port";
    args.output = KOLO_VECTOR(port, 1, KOLO_INT32);
    return jobs_try(first, "broadcast of a port", kolo_broadcast(first, &args, NULL));
}

bool jobs_join(const char *variable, const char *const *values, int count, kolo_context **jobs)
{
    for (int i = 0; i < count; i++) {
        kolo_init_args args = KOLO_INIT_ARGS_INIT;
        setenv(variable, values[i], 1);
        if (i > 0) {
            unsetenv("KOLO_STORE_FD"); /* the first job's */
            if (!agree_on_port(jobs[0], &args.master_port))
                return false;
            args.rank = kolo_rank(jobs[0]);
            args.size = kolo_size(jobs[0]);
        }
        if (!jobs_try(NULL, values[i], kolo_init(&args, &jobs[i])))
            return false;
    }
    return true;
}

bool jobs_leave(kolo_context **jobs, int count)
{
    bool good = true;
    for (int i = 0; i < count; i++)
        good &= jobs_try(NULL, "finalize", kolo_finalize(jobs[i]));
    return good;
}
