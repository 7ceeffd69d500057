/* few.c - folds of a few bytes, which are on the path of the smallest call: nanoseconds a call. */
#include <stdio.h>
#include <string.h>

#include "reduce/reduce.h"
#include "timing.h"

enum { CALLS = 20000 };

static const size_t sizes[] = {4, 8, 12, 16, 20, 32, 48, 64, 96, 128, 256, 512};
static const kolo_dtype_id types[] = {KOLO_DTYPE_FLOAT32, KOLO_DTYPE_FLOAT64, KOLO_DTYPE_BFLOAT16};
enum { SIZES = sizeof(sizes) / sizeof(*sizes), TYPES = sizeof(types) / sizeof(*types) };

/* Each call's result is an input of the next one: the time is from an input's arrival to the result. */
static double measure(const kolo_reduction *reduction, size_t bytes)
{
    static _Alignas(64) char memory[2][1024];
    void *dst = memory[0];
    const void *inputs[] = {memory[0], memory[1]};
    size_t count = bytes / kolo_dtype_size(reduction->type);
    memset(memory, 0, sizeof(memory));
    double start = now_seconds();
    for (int i = 0; i < CALLS; i++)
        kolo_reduce_fold(reduction, &dst, 1, inputs, 2, count);
    return (now_seconds() - start) / CALLS;
}

void few_run(int rounds)
{
    static double seconds[SIZES][2 * TYPES][MAX_ROUNDS];
    for (int round = 0; round < rounds; round++)
        for (int s = 0; s < SIZES; s++)
            for (int c = 0; c < 2 * TYPES; c++) {
                bool averages = c >= TYPES;
                const kolo_reduction reduction = {.type = types[c % TYPES],
                                                  .op = averages ? KOLO_AVERAGE : KOLO_SUM,
                                                  .final = true,
                                                  .size = 2,
                                                  .postscale = 1.0};
                if (sizes[s] >= kolo_dtype_size(reduction.type))
                    seconds[s][c][round] = measure(&reduction, sizes[s]);
            }
    printf("# folds of two inputs, in nanoseconds from an input to the result\n%8s", "bytes");
    for (int c = 0; c < 2 * TYPES; c++)
        printf(" %8s %s", kolo_dtype_name(types[c % TYPES]), c < TYPES ? "sum" : "avg");
    printf("\n");
    for (int s = 0; s < SIZES; s++) {
        printf("%8zu", sizes[s]);
        for (int c = 0; c < 2 * TYPES; c++)
            printf(" %12.1f", median(seconds[s][c], (size_t)rounds) * 1e9);
        printf("\n");
    }
}
