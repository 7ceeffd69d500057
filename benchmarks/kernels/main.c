/* main.c - kolo-kernel-bench: the reduction kernels' speed, per type, operator and instruction set, in the cache
 * and from memory, beside a triad and scalar loops measured in the same run; then copies, and folds of a few bytes.
 *
 *     kolo-kernel-bench [-r rounds] [-c cache_bytes] [-m memory_bytes]
 *
 * Sizes are bytes of one operand (three are in play). All candidates take turns in every round; the median over
 * rounds is printed. GB/s counts two reads and one write; a write's own read-for-ownership is not counted. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reduce/reduce.h"
#include "timing.h"
#include "yardstick.h"

enum { MAX_CASES = 256 };

typedef void (*sum_fn)(void *dst, const void *a, const void *b, size_t count);

typedef struct bench_case {
    const char *isa; /* of the library; NULL: a yardstick */
    const char *name;
    kolo_dtype_id type;
    kolo_reduce_op op;
    sum_fn scalar; /* NULL with isa NULL: the triad */
    double seconds[MAX_ROUNDS];
} bench_case;

typedef struct buffers {
    void *dst, *a, *b;
    size_t bytes;
} buffers;

static bench_case cases[MAX_CASES];
static size_t case_count;

static void add_case(bench_case added)
{
    if (case_count < MAX_CASES)
        cases[case_count++] = added;
}

static void list_cases(void)
{
    add_case((bench_case){.name = "triad", .type = KOLO_DTYPE_FLOAT32});
    add_case((bench_case){.name = "scalar", .type = KOLO_DTYPE_FLOAT32, .scalar = yardstick_scalar_float32});
    add_case((bench_case){.name = "scalar", .type = KOLO_DTYPE_FLOAT16, .scalar = yardstick_scalar_float16});
    add_case((bench_case){.name = "scalar", .type = KOLO_DTYPE_BFLOAT16, .scalar = yardstick_scalar_bfloat16});
    static const kolo_reduce_op ops[] = {KOLO_SUM, KOLO_MIN, KOLO_MAX, KOLO_PRODUCT};
    for (int type = 0; type < KOLO_DTYPE_COUNT; type++) {
        for (size_t op = 0; op < sizeof(ops) / sizeof(*ops); op++) {
            for (size_t isa = 0; isa < kolo_reduce_isa_count(); isa++)
                add_case((bench_case){.isa = kolo_reduce_isa_name(isa),
                                      .name = kolo_reduce_isa_name(isa),
                                      .type = (kolo_dtype_id)type,
                                      .op = ops[op]});
        }
    }
}

static void run_once(const bench_case *c, const buffers *memory)
{
    size_t count = memory->bytes / kolo_dtype_size(c->type);
    if (c->isa != NULL)
        kolo_reduce_fold(&(kolo_reduction){.type = c->type, .op = c->op}, (void *const[]){memory->dst}, 1,
                         (const void *const[]){memory->a, memory->b}, 2, count);
    else if (c->scalar != NULL)
        c->scalar(memory->dst, memory->a, memory->b, count);
    else
        yardstick_triad(memory->dst, memory->a, memory->b, 1.5f, count);
}

/* Seconds a pass, over enough passes for the clock. */
static double measure(const bench_case *c, const buffers *memory)
{
    size_t passes = ((size_t)16 << 20) / memory->bytes + 1;
    if (c->isa != NULL && !kolo_reduce_force(c->isa))
        return 0.0;
    run_once(c, memory);
    double start = now_seconds();
    for (size_t i = 0; i < passes; i++)
        run_once(c, memory);
    return (now_seconds() - start) / (double)passes;
}

/* Ordinary numbers in every type: 1.0 or so for floats, small integers. */
static void fill(void *memory, size_t bytes, kolo_dtype_id type)
{
    static const float one = 1.0f;
    static const double one64 = 1.0;
    static const uint16_t half = 0x3c00, bfloat = 0x3f80;
    static const uint8_t ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    const void *element = type == KOLO_DTYPE_FLOAT32    ? (const void *)&one
                          : type == KOLO_DTYPE_FLOAT64  ? (const void *)&one64
                          : type == KOLO_DTYPE_FLOAT16  ? (const void *)&half
                          : type == KOLO_DTYPE_BFLOAT16 ? (const void *)&bfloat
                                                        : (const void *)ones;
    size_t size = kolo_dtype_size(type);
    for (size_t at = 0; at + size <= bytes; at += size)
        memcpy((char *)memory + at, element, size);
}

static void run_size(const char *title, size_t bytes, int rounds)
{
    buffers memory = {.bytes = bytes};
    memory.dst = aligned_alloc(4096, bytes);
    memory.a = aligned_alloc(4096, bytes);
    memory.b = aligned_alloc(4096, bytes);
    if (memory.dst == NULL || memory.a == NULL || memory.b == NULL) {
        fprintf(stderr, "kolo-kernel-bench: no memory for three buffers of %zu bytes\n", bytes);
        exit(1);
    }
    fill(memory.dst, bytes, KOLO_DTYPE_UINT8);
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < case_count; i++) {
            if (i == 0 || cases[i].type != cases[i - 1].type) {
                fill(memory.a, bytes, cases[i].type);
                fill(memory.b, bytes, cases[i].type);
            }
            cases[i].seconds[round] = measure(&cases[i], &memory);
        }
    }
    double triad = 0.0, scalar[KOLO_DTYPE_COUNT] = {0};
    printf("# %s: %zu bytes an operand\n", title, bytes);
    printf("%-10s %-8s %-10s %9s %9s %9s %9s\n", "type", "op", "by", "GB/s", "Gelem/s", "x triad", "x scalar");
    for (size_t i = 0; i < case_count; i++) {
        bench_case *c = &cases[i];
        double seconds = median(c->seconds, (size_t)rounds);
        if (i == 0)
            triad = seconds;
        if (c->scalar != NULL)
            scalar[c->type] = seconds;
        bool is_sum = c->isa == NULL || c->op == KOLO_SUM;
        printf("%-10s %-8s %-10s %9.2f %9.3f %9.2f ", kolo_dtype_name(c->type),
               i == 0 ? "-" : kolo_reduce_op_name(c->op), c->name, 3.0 * (double)bytes / seconds * 1e-9,
               (double)(bytes / kolo_dtype_size(c->type)) / seconds * 1e-9, triad / seconds);
        if (is_sum && scalar[c->type] > 0.0)
            printf("%9.2f\n", scalar[c->type] / seconds);
        else
            printf("%9s\n", "-");
    }
    free(memory.dst);
    free(memory.a);
    free(memory.b);
}

static size_t parse_number(const char *text, size_t min, size_t max, const char *option)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < min || value > max) {
        fprintf(stderr, "kolo-kernel-bench: %s is '%s', but must be a number from %zu to %zu\n", option, text, min,
                max);
        exit(2);
    }
    return (size_t)value;
}

int main(int argc, char **argv)
{
    size_t rounds = 7, cache_bytes = 128 << 10, memory_bytes = 64 << 20;
    for (int i = 1; i < argc; i += 2) {
        bool last = i + 1 >= argc;
        if (!last && strcmp(argv[i], "-r") == 0) {
            rounds = parse_number(argv[i + 1], 7, MAX_ROUNDS, "-r");
        } else if (!last && strcmp(argv[i], "-c") == 0) {
            cache_bytes = parse_number(argv[i + 1], 4096, SIZE_MAX / 16, "-c");
        } else if (!last && strcmp(argv[i], "-m") == 0) {
            memory_bytes = parse_number(argv[i + 1], 4096, SIZE_MAX / 16, "-m");
        } else {
            fprintf(stderr, "usage: kolo-kernel-bench [-r rounds, 7 to %d] [-c cache_bytes] [-m memory_bytes]\n",
                    MAX_ROUNDS);
            return strcmp(argv[i], "-h") == 0 ? 0 : 2;
        }
    }
    list_cases();
    run_size("in the L2 cache", cache_bytes / 4096 * 4096, (int)rounds);
    run_size("from memory", memory_bytes / 4096 * 4096, (int)rounds);
    (void)kolo_reduce_force(NULL);
    copies_run("in the L2 cache", cache_bytes / 4096 * 4096, (int)rounds);
    copies_run("from memory", memory_bytes / 4096 * 4096, (int)rounds);
    few_run((int)rounds);
    return 0;
}
