/* limits.c - what the machine itself allows, in nanoseconds, as JSON: the flight of a cache line from one core to another
 * (one way), and handing a core over to another process by sched_yield. */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BLOCKS = 21, TURNS = 500, LINE = 64 };

typedef struct table {
    _Alignas(LINE) atomic_int ball; /* even: ours to play, odd: theirs */
} table;

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void bind_to(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        perror("limits: sched_setaffinity");
}

static void wait_for(table *t, int value, int yields)
{
    while (atomic_load_explicit(&t->ball, memory_order_acquire) != value) {
        if (yields)
            sched_yield();
    }
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Median over blocks of the time of one pass of the ball. */
static double play(table *t, int our_core, int their_core, int yields)
{
    double passes[BLOCKS];
    int last = 2 * TURNS * (BLOCKS + 1);
    atomic_store(&t->ball, 0);
    pid_t other = fork();
    if (other < 0) {
        perror("limits: fork");
        exit(1);
    }
    bind_to(other == 0 ? their_core : our_core);
    if (other == 0) {
        for (int turn = 1; turn < last; turn += 2) {
            wait_for(t, turn, yields);
            atomic_store_explicit(&t->ball, turn + 1, memory_order_release);
        }
        _exit(0);
    }
    int turn = 0;
    for (int block = -1; block < BLOCKS; block++) { /* the first one waits for the other to start */
        double start = now_ns();
        for (int i = 0; i < TURNS; i++, turn += 2) {
            atomic_store_explicit(&t->ball, turn + 1, memory_order_release);
            wait_for(t, turn + 2, yields);
        }
        if (block >= 0)
            passes[block] = (now_ns() - start) / (2 * TURNS);
    }
    waitpid(other, NULL, 0);
    qsort(passes, BLOCKS, sizeof *passes, compare);
    return passes[BLOCKS / 2];
}

int main(void)
{
    cpu_set_t allowed;
    int cores[2] = {-1, -1};
    sched_getaffinity(0, sizeof allowed, &allowed);
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
        if (CPU_ISSET(cpu, &allowed)) {
            cores[1] = cores[0];
            cores[0] = cpu;
        }
    }
    if (cores[1] < 0) {
        fprintf(stderr, "limits: one core only: no cache line flies\n");
        return 1;
    }
    table *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t == MAP_FAILED) {
        perror("limits: mmap");
        return 1;
    }
    printf("{\"flight_ns\": %.1f, \"yield_ns\": %.1f}\n", play(t, cores[0], cores[1], 0),
           play(t, cores[0], cores[0], 1));
    return 0;
}
