/* copies.c - copies beside the C library's memcpy, over where source and destination lie modulo 4096: what a processor
 * makes of a load that follows a store to an address with the same lower 12 bits differs by a factor of 20. */
#include <stdio.h>
#include <string.h>

#include "reduce/reduce.h"
#include "timing.h"

enum { PAGE = 4096, CANDIDATES = 2 };

typedef struct lie {
    size_t src, dst;
} lie;

/* 16: what malloc gives for a large block. */
static const lie lies[] = {{0, 0},  {0, 8},   {0, 16},  {0, 32},  {0, 64}, {0, 512}, {0, 2048}, {0, 4080}, {0, 4032},
                           {16, 0}, {16, 16}, {16, 32}, {16, 80}, {1, 0},  {0, 1},   {4, 132},  {16, 1040}};
enum { LIES = sizeof(lies) / sizeof(*lies) };

static void *copy_by_library(void *dst, const void *src, size_t bytes)
{
    kolo_reduce_copy(dst, src, bytes);
    return dst;
}

/* Volatile, so that no compiler knows which one is memcpy. */
static void *(*const volatile copies[CANDIDATES])(void *, const void *, size_t) = {memcpy, copy_by_library};

static double measure(int candidate, char *dst, const char *src, size_t bytes)
{
    size_t passes = ((size_t)4 << 20) / bytes + 1;
    copies[candidate](dst, src, bytes);
    double start = now_seconds();
    for (size_t i = 0; i < passes; i++)
        copies[candidate](dst, src, bytes);
    return (now_seconds() - start) / (double)passes;
}

void copies_run(const char *title, size_t bytes, int rounds)
{
    static double seconds[LIES][CANDIDATES][MAX_ROUNDS];
    size_t room = (bytes + 3 * PAGE) / PAGE * PAGE;
    char *src = aligned_alloc(PAGE, room), *dst = aligned_alloc(PAGE, room);
    if (src == NULL || dst == NULL) {
        fprintf(stderr, "kolo-kernel-bench: no memory for two buffers of %zu bytes\n", room);
        exit(1);
    }
    memset(src, 1, room);
    memset(dst, 2, room);
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < LIES; i++)
            for (int candidate = 0; candidate < CANDIDATES; candidate++)
                seconds[i][candidate][round] = measure(candidate, dst + lies[i].dst, src + lies[i].src, bytes);
    printf("# copies %s: %zu bytes; where source and destination lie modulo %d\n", title, bytes, PAGE);
    printf("%6s %6s %14s %14s %9s\n", "src", "dst", "memcpy GB/s", "kolo GB/s", "x memcpy");
    for (int i = 0; i < LIES; i++) {
        double libc = median(seconds[i][0], (size_t)rounds), kolo = median(seconds[i][1], (size_t)rounds);
        printf("%6zu %6zu %14.2f %14.2f %9.2f\n", lies[i].src, lies[i].dst, (double)bytes / libc * 1e-9,
               (double)bytes / kolo * 1e-9, libc / kolo);
    }
    free(src);
    free(dst);
}
