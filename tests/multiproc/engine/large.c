/* large.c - collectives of 5 GiB in place: more than 2^32 elements and bytes. Exit code 77: not enough memory here.
 *
 *     engine_large private|shared      in memory of malloc, or of kolo_alloc */
#include "rank.h"

#include <stdlib.h>
#include <string.h>

#define COUNT ((INT64_C(5) << 30) + 3)
enum { NEEDED_GIB = 12, SKIPPED = 77 };

static int64_t available_kib(void)
{
    char line[256];
    int64_t kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    CHECK(file != NULL, "/proc/meminfo cannot be read");
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "MemAvailable:", strlen("MemAvailable:")) == 0)
            kib = strtoll(line + strlen("MemAvailable:"), NULL, 10);
    fclose(file);
    return kib;
}

/* Any 2^32 elements, and any two slices, differ somewhere. */
static int value_of(int32_t rank, int64_t index)
{
    return (int)((index ^ index >> 7 ^ index >> 15 ^ index >> 23 ^ index >> 32) & 31) + rank;
}

static void fill(int8_t *data, int64_t first, int64_t count)
{
    memset(data, -1, (size_t)COUNT);
    for (int64_t i = first; i < first + count; i++)
        data[i] = (int8_t)value_of(rank_number, i);
}

static int sum_of(int64_t index)
{
    int sum = 0;
    for (int32_t rank = 0; rank < rank_count; rank++)
        sum += value_of(rank, index);
    return sum;
}

static void check(const char *what, int64_t index, int got, int wanted)
{
    CHECK(got == wanted, "%s: element %lld is %d, not %d", what, (long long)index, got, wanted);
}

static void test_allreduce(kolo_context *ctx, const kolo_args *args, int8_t *data)
{
    fill(data, 0, COUNT);
    OK(kolo_allreduce(ctx, args, NULL));
    for (int64_t i = 0; i < COUNT; i++)
        check("allreduce", i, data[i], sum_of(i));
}

static void test_broadcast(kolo_context *ctx, const kolo_args *args, int8_t *data)
{
    fill(data, 0, rank_number == args->root ? COUNT : 0);
    OK(kolo_broadcast(ctx, args, NULL));
    for (int64_t i = 0; i < COUNT; i++)
        check("broadcast", i, data[i], value_of(args->root, i));
}

static void test_slices(kolo_context *ctx, const kolo_args *args, int8_t *data)
{
    int64_t first, count;
    kolo_slice(COUNT, rank_count, rank_number, &first, &count);
    fill(data, 0, COUNT);
    OK(kolo_reduce_scatter(ctx, args, NULL));
    for (int64_t i = first; i < first + count; i++)
        check("reduce_scatter", i, data[i], sum_of(i));
    fill(data, first, count);
    OK(kolo_allgather(ctx, args, NULL));
    for (int32_t rank = 0; rank < rank_count; rank++) {
        kolo_slice(COUNT, rank_count, rank, &first, &count);
        for (int64_t i = first; i < first + count; i++)
            check("allgather", i, data[i], value_of(rank, i));
    }
}

int main(int argc, char **argv)
{
    if (available_kib() < (int64_t)NEEDED_GIB << 20) {
        printf("skipped: %lld MiB of memory are available, %d GiB are needed\n", (long long)(available_kib() >> 10),
               NEEDED_GIB);
        return SKIPPED;
    }
    kolo_context *ctx = rank_join();
    void *data = NULL;
    bool shared = argc > 1 && strcmp(argv[1], "shared") == 0;
    if (shared)
        OK(kolo_alloc(ctx, (size_t)COUNT, &data));
    else
        data = rank_memory((size_t)COUNT);
    kolo_args args = KOLO_ARGS_INIT;
    args.name = "large";
    args.root = rank_count - 1;
    args.output = KOLO_VECTOR(data, COUNT, KOLO_INT8);
    test_allreduce(ctx, &args, data);
    test_broadcast(ctx, &args, data);
    test_slices(ctx, &args, data);
    if (shared)
        OK(kolo_free(ctx, data));
    else
        free(data);
    rank_leave(ctx);
    printf("passed\n");
    return 0;
}
