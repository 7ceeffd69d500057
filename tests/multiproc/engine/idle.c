/* idle.c - two ranks that have worked and now have nothing to do: no CPU time, no wake-ups. Counted over 2 s. */
#include "rank.h"

#include <dirent.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* ThreadSanitizer's own thread wakes ten times a second. */
#if defined(__SANITIZE_THREAD__)
enum { TOOL_SWITCHES = 30 };
#else
enum { TOOL_SWITCHES = 0 };
#endif
enum { IDLE_MS = 2000, SWITCHES_MAX = 20 + TOOL_SWITCHES, CPU_US_MAX = 20000, OPERATIONS = 100 };

static int64_t switches_of(const char *task)
{
    static const char *const keys[] = {"voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"};
    char path[300], line[256];
    int64_t switches = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%s/status", task);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL, "%s cannot be read", path);
    while (fgets(line, sizeof(line), file) != NULL)
        for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
            if (strncmp(line, keys[i], strlen(keys[i])) == 0)
                switches += strtoll(line + strlen(keys[i]), NULL, 10);
    fclose(file);
    return switches;
}

/* Of all threads; *threads counts them. */
static int64_t all_switches(int *threads)
{
    int64_t switches = 0;
    DIR *folder = opendir("/proc/self/task");
    CHECK(folder != NULL, "/proc/self/task cannot be read");
    *threads = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.') {
            switches += switches_of(entry->d_name);
            (*threads)++;
        }
    closedir(folder);
    return switches;
}

static int64_t cpu_us(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage");
    int64_t seconds = (int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    return seconds * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void work(kolo_context *ctx)
{
    static float data[10000];
    for (int i = 0; i < OPERATIONS; i++) {
        kolo_args args = KOLO_ARGS_INIT;
        kolo_request *request = NULL;
        args.output = KOLO_VECTOR(data, i % 2 == 0 ? 10 : 10000, KOLO_FLOAT32);
        OK(kolo_allreduce(ctx, &args, i % 3 == 0 ? NULL : &request));
        if (request != NULL)
            OK(kolo_wait(request, -1));
        kolo_request_free(request);
    }
}

int main(void)
{
    int threads, fd;
    kolo_context *ctx = rank_join();
    work(ctx);
    OK(kolo_completion_fd(ctx, &fd));
    struct pollfd quiet = {.fd = fd, .events = POLLIN};
    CHECK(poll(&quiet, 1, 100) == 0, "settling down"); /* the thread stays awake a little after a caller */
    int64_t switches = all_switches(&threads), cpu = cpu_us();
    CHECK(poll(&quiet, 1, IDLE_MS) == 0, "nothing may complete while nothing is under way");
    cpu = cpu_us() - cpu;
    switches = all_switches(&threads) - switches;
    CHECK(switches < SWITCHES_MAX, "%lld context switches of %d threads in %d ms of nothing",
          (long long)switches, threads, IDLE_MS);
    CHECK(cpu < CPU_US_MAX, "%lld us of CPU in %d ms of nothing", (long long)cpu, IDLE_MS);
    work(ctx);
    rank_leave(ctx);
    printf("passed: %lld switches of %d threads, %lld us\n", (long long)switches, threads, (long long)cpu);
    return 0;
}
