/* large.c - an all-reduce of more than 2^31 elements and bytes. Exit code 77: not enough memory here. */
#include "rank.h"

#include <stdlib.h>
#include <string.h>

#define COUNT ((INT64_C(1) << 31) + 5)
enum { NEEDED_GIB = 14, SKIPPED = 77 };

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

static int8_t value_of(int32_t rank, int64_t index)
{
    return (int8_t)((index * 7 + (index >> 13)) % 50 + rank);
}

int main(void)
{
    if (available_kib() < (int64_t)NEEDED_GIB << 20) {
        printf("skipped: %lld MiB of memory are available, %d GiB are needed\n", (long long)(available_kib() >> 10),
               NEEDED_GIB);
        return SKIPPED;
    }
    kolo_context *ctx = rank_join();
    int8_t *data = rank_memory((size_t)COUNT);
    for (int64_t i = 0; i < COUNT; i++)
        data[i] = value_of(rank_number, i);
    kolo_args args = KOLO_ARGS_INIT;
    args.name = "large";
    args.output = KOLO_VECTOR(data, COUNT, KOLO_INT8);
    OK(kolo_allreduce(ctx, &args, NULL));
    for (int64_t i = 0; i < COUNT; i++) {
        int sum = 0;
        for (int32_t rank = 0; rank < rank_count; rank++)
            sum += value_of(rank, i);
        if (data[i] != (int8_t)sum)
            FAIL("element %lld is %d, not %d", (long long)i, data[i], (int8_t)sum);
    }
    free(data);
    rank_leave(ctx);
    printf("passed\n");
    return 0;
}
