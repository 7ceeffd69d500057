/* main.c - kolo-regret: how well prices choose. Every algorithm forced over a grid of sizes, beside what Kolo chooses by
 * itself.
 *
 *     kolorun -np 2 kolo-regret allreduce 4 16777216 4 200 direct direct_oneshot
 *
 * Operation, smallest and largest size in bytes, factor from size to size, iterations of the small ones, algorithms.
 * In each iteration all of them run in turn, in another order each time; the time is the slowest rank's. For each size
 * the best algorithm is the one with the least median; the regret is the median over the iterations of (chosen by
 * itself) / (the best). The same algorithm beside itself scatters by some percent. */
#include "jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef kolo_status (*operation_fn)(kolo_context *job, const kolo_args *args, kolo_request **request);

typedef struct setup {
    const char *operation;
    operation_fn run;
    long long smallest, largest, factor;
    int iterations;
    const char *names[JOBS_MAX]; /* "auto", and the forced ones */
    int count;
    kolo_context *jobs[JOBS_MAX];
    float *data;
    double *times; /* [iteration][job] */
} setup;

/* Bytes that one size may move in all, about: large ones take long enough. */
#define BYTES_MAX (256.0 * 1024 * 1024)
enum { ITERATIONS_MIN = 15, PAGE = 4096 };

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of values[0], values[stride], ...; divided by those of `by`, where there is one. */
static double median(const double *values, const double *by, int count, int stride)
{
    double *sorted = malloc((size_t)count * sizeof *sorted);
    if (sorted == NULL)
        abort();
    for (int i = 0; i < count; i++)
        sorted[i] = values[i * stride] / (by != NULL ? by[i * stride] : 1.0);
    qsort(sorted, (size_t)count, sizeof *sorted, compare);
    double middle = sorted[count / 2];
    free(sorted);
    return middle;
}

static bool time_once(const setup *s, kolo_context *job, int64_t count, double *us)
{
    kolo_args barrier = KOLO_ARGS_INIT, args = KOLO_ARGS_INIT;
    barrier.name = "start";
    args.name = "tensor";
    args.output = KOLO_VECTOR(s->data, count, KOLO_FLOAT32);
    for (int64_t i = 0; i < count; i += 16) /* touched, as a gradient would be */
        s->data[i] = 1;
    if (!jobs_try(job, "barrier", kolo_barrier(job, &barrier, NULL)))
        return false;
    double start_us = now_us();
    if (!jobs_try(job, s->operation, s->run(job, &args, NULL)))
        return false;
    *us = now_us() - start_us;
    return true;
}

static bool slowest_of_ranks(const setup *s, int64_t count)
{
    kolo_args args = KOLO_ARGS_INIT;
    args.name = "slowest";
    args.op = KOLO_MAX;
    args.output = KOLO_VECTOR(s->times, count, KOLO_FLOAT64);
    return jobs_try(s->jobs[0], "allreduce of times", kolo_allreduce(s->jobs[0], &args, NULL));
}

static bool measure(const setup *s, long long bytes, int iterations)
{
    for (int i = -2; i < iterations; i++) {
        for (int turn = 0; turn < s->count; turn++) {
            int job = (turn + i + 2) % s->count;
            double us;
            if (!time_once(s, s->jobs[job], bytes / (int64_t)sizeof(float), &us))
                return false;
            if (i >= 0)
                s->times[i * s->count + job] = us;
        }
    }
    return slowest_of_ranks(s, (int64_t)iterations * s->count);
}

static double print_row(const setup *s, long long bytes, int iterations)
{
    int best = 1;
    printf("%12lld", bytes);
    for (int job = 1; job < s->count; job++) {
        double us = median(s->times + job, NULL, iterations, s->count);
        printf(" %14.1f", us);
        if (us < median(s->times + best, NULL, iterations, s->count))
            best = job;
    }
    double regret = median(s->times, s->times + best, iterations, s->count);
    printf(" %14.1f %14s %8.2f\n", median(s->times, NULL, iterations, s->count), s->names[best], regret);
    fflush(stdout);
    return regret;
}

static bool sweep(setup *s)
{
    bool is_first = kolo_rank(s->jobs[0]) == 0;
    double worst = 0;
    long long worst_bytes = 0;
    if (is_first) {
        printf("# %s, %d ranks, medians in us\n%12s", s->operation, (int)kolo_size(s->jobs[0]), "bytes");
        for (int job = 1; job < s->count; job++)
            printf(" %14s", s->names[job]);
        printf(" %14s %14s %8s\n", "auto", "best", "regret");
    }
    for (long long bytes = s->smallest; bytes <= s->largest; bytes *= s->factor) {
        double affordable = BYTES_MAX / (double)bytes;
        int iterations = affordable < s->iterations ? (int)affordable : s->iterations;
        iterations = iterations > ITERATIONS_MIN ? iterations : ITERATIONS_MIN;
        if (!measure(s, bytes, iterations))
            return false;
        double regret = is_first ? print_row(s, bytes, iterations) : 0;
        worst_bytes = regret > worst ? bytes : worst_bytes;
        worst = regret > worst ? regret : worst;
    }
    if (is_first)
        printf("# worst: %.2f at %lld bytes\n", worst, worst_bytes);
    return true;
}

static bool parse(int argc, char **argv, setup *s)
{
    static const struct {
        const char *name;
        operation_fn run;
    } operations[] = {{"allreduce", kolo_allreduce},
                      {"broadcast", kolo_broadcast},
                      {"allgather", kolo_allgather},
                      {"reduce_scatter", kolo_reduce_scatter}};
    *s = (setup){.names = {"auto"}, .count = 1};
    if (argc < 7 || argc - 6 + 1 > JOBS_MAX)
        return false;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (strcmp(argv[1], operations[i].name) == 0) {
            s->operation = operations[i].name;
            s->run = operations[i].run;
        }
    s->smallest = atoll(argv[2]);
    s->largest = atoll(argv[3]);
    s->factor = atoll(argv[4]);
    s->iterations = atoi(argv[5]);
    for (int i = 6; i < argc; i++)
        s->names[s->count++] = argv[i];
    return s->run != NULL && s->smallest >= 4 && s->largest >= s->smallest && s->factor > 1 &&
           s->iterations >= ITERATIONS_MIN;
}

int main(int argc, char **argv)
{
    setup s;
    if (!parse(argc, argv, &s)) {
        fprintf(stderr,
                "usage: kolo-regret allreduce|broadcast|allgather|reduce_scatter MIN MAX FACTOR ITERATIONS "
                "ALGORITHM...\nMIN from 4, FACTOR from 2, ITERATIONS from %d, up to %d algorithms\n",
                ITERATIONS_MIN, JOBS_MAX - 1);
        return 2;
    }
    s.data = aligned_alloc(PAGE, ((size_t)s.largest + PAGE - 1) / PAGE * PAGE);
    s.times = calloc((size_t)s.iterations * (size_t)s.count, sizeof *s.times);
    const char *variable = strcmp(s.operation, "broadcast") == 0 ? "KOLO_BROADCAST" : "KOLO_ALGORITHM";
    bool good = s.data != NULL && s.times != NULL && memset(s.data, 0, (size_t)s.largest) &&
                jobs_join(variable, s.names, s.count, s.jobs) && sweep(&s) && jobs_leave(s.jobs, s.count);
    free(s.data);
    free(s.times);
    return good ? 0 : 1;
}
