/* idle.c - counts CPU time and context switches of an idle job. */
#include "idle.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

enum { CPU_US, SWITCHES, FIGURES };

static double clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* The library's threads: the process without the calling thread, which only sleeps. */
static void read_usage(double figures[FIGURES])
{
    struct rusage process;
    struct rusage thread;
    getrusage(RUSAGE_SELF, &process);
    getrusage(RUSAGE_THREAD, &thread);
    figures[CPU_US] = clock_us(CLOCK_PROCESS_CPUTIME_ID) - clock_us(CLOCK_THREAD_CPUTIME_ID);
    figures[SWITCHES] = (double)(process.ru_nvcsw + process.ru_nivcsw - thread.ru_nvcsw - thread.ru_nivcsw);
}

static void sleep_seconds(long seconds)
{
    struct timespec rest = {.tv_sec = seconds};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        ;
}

perf_outcome perf_idle_run(const perf_options *options, const perf_backend *backend)
{
    double one = 1.0;
    if (!backend->combine(backend->self, PERF_COMBINE_SUM, &one, 1) || !backend->barrier(backend->self))
        return PERF_STOPPED;
    sleep_seconds(1); /* what the barrier left to do ends, and a spinning thread goes to sleep */
    if (backend->rank == 0) {
        printf("idle: begin ranks=%d seconds=%d\n", backend->ranks, options->idle_seconds);
        fflush(stdout);
    }
    double before[FIGURES];
    double after[FIGURES];
    read_usage(before);
    sleep_seconds(options->idle_seconds);
    read_usage(after);
    for (int i = 0; i < FIGURES; i++)
        after[i] =
            after[i] > before[i] ? after[i] - before[i] : 0.0; /* two clocks read in turn differ by what lies between */
    if (!backend->combine(backend->self, PERF_COMBINE_SUM, after, FIGURES))
        return PERF_STOPPED;
    if (backend->rank == 0)
        printf("idle: end cpu_us=%.0f cpu_percent=%.4f context_switches=%.0f switches_per_s=%.2f\n", after[CPU_US],
               after[CPU_US] / (options->idle_seconds * 1e4), after[SWITCHES], after[SWITCHES] / options->idle_seconds);
    return PERF_RIGHT;
}
