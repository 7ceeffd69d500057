/* bits.c - random floats through all-reduces and reduce-scatters under random timing; prints checksums.
 *
 *     engine_bits SEED       SEED: of the timing and the order of submission, never of the data */
#include "rank.h"

#include <stdlib.h>
#include <string.h>

enum { TENSORS = 48, ROUNDS = 2 };

typedef struct item {
    const element_type *type;
    kolo_reduce_op op;
    int64_t count;
    bool scatters;
    char *data;
    kolo_request *request;
} item;

/* Bits of floats near 1 of both signs, so that sums round in every possible way and nothing overflows. */
static void fill(const item *tensor, uint64_t seed)
{
    for (int64_t i = 0; i < tensor->count; i++) {
        uint64_t drawn = random_of(seed, (uint64_t)i);
        char *at = tensor->data + (size_t)i * tensor->type->bytes;
        uint64_t sign = drawn >> 63, exponent = drawn >> 60 & 3, bits;
        if (tensor->type->bytes == 8)
            bits = sign << 63 | (1021 + exponent) << 52 | (drawn & 0xFFFFFFFFFFFFF);
        else if (tensor->type->bytes == 4)
            bits = sign << 31 | (125 + exponent) << 23 | (drawn & 0x7FFFFF);
        else if (tensor->type->dtype.code == KOLO_CODE_BFLOAT)
            bits = sign << 15 | (125 + exponent) << 7 | (drawn & 0x7F);
        else
            bits = sign << 15 | (13 + exponent) << 10 | (drawn & 0x3FF);
        memcpy(at, &bits, tensor->type->bytes);
    }
}

static void make(item *tensor, int32_t index)
{
    uint64_t drawn = random_of(4711, (uint64_t)index);
    static const kolo_reduce_op ops[] = {KOLO_SUM, KOLO_SUM, KOLO_AVERAGE, KOLO_PRODUCT};
    static const int64_t limits[] = {40, 3000, 70000};
    tensor->type = &element_types[drawn % 4]; /* the float types come first */
    tensor->op = ops[drawn >> 8 & 3];
    tensor->count = (int64_t)(random_of(drawn, 1) % (uint64_t)limits[index % 3]) + 1;
    tensor->scatters = (drawn >> 16) % 8 == 0;
    tensor->data = rank_memory((size_t)tensor->count * tensor->type->bytes);
    CHECK(tensor->type->is_float, "%s is no float", tensor->type->name);
}

static void submit(kolo_context *ctx, item *tensor, int32_t index)
{
    char name[32];
    kolo_args args = KOLO_ARGS_INIT;
    snprintf(name, sizeof(name), "tensor %d", (int)index);
    args.name = name;
    args.op = tensor->op;
    args.output = KOLO_VECTOR(tensor->data, tensor->count, tensor->type->dtype);
    if (tensor->op == KOLO_AVERAGE)
        args.prescale = 1.0 / 3.0;
    if (tensor->scatters)
        OK(kolo_reduce_scatter(ctx, &args, &tensor->request));
    else
        OK(kolo_allreduce(ctx, &args, &tensor->request));
}

static void report(const item *tensor, int32_t round, int32_t index)
{
    int64_t offset = 0, count = tensor->count;
    if (tensor->scatters)
        kolo_slice(tensor->count, rank_count, rank_number, &offset, &count);
    uint32_t crc = crc_of(tensor->data + (size_t)offset * tensor->type->bytes, (size_t)count * tensor->type->bytes);
    if (tensor->scatters)
        printf("crc %d.%d of rank %d: %08x\n", (int)round, (int)index, (int)rank_number, (unsigned)crc);
    else
        printf("crc %d.%d: %08x\n", (int)round, (int)index, (unsigned)crc);
}

int main(int argc, char **argv)
{
    static item tensors[TENSORS];
    int32_t order[TENSORS];
    CHECK(argc == 2, "usage: engine_bits SEED");
    kolo_context *ctx = rank_join();
    random_source random = {.seed = random_of((uint64_t)rank_number_of(argv[1]), (uint64_t)rank_number)};
    for (int32_t i = 0; i < TENSORS; i++)
        make(&tensors[i], i);
    for (int32_t round = 0; round < ROUNDS; round++) {
        random_shuffle(&random, order, TENSORS);
        for (int32_t i = 0; i < TENSORS; i++) {
            fill(&tensors[order[i]], random_of((uint64_t)rank_number, (uint64_t)(round * TENSORS + order[i])));
            random_pause(&random);
            submit(ctx, &tensors[order[i]], order[i]);
        }
        for (int32_t i = 0; i < TENSORS; i++) {
            OK(kolo_wait(tensors[i].request, -1));
            kolo_request_free(tensors[i].request);
            report(&tensors[i], round, i);
        }
    }
    for (int32_t i = 0; i < TENSORS; i++)
        free(tensors[i].data);
    rank_leave(ctx);
    return 0;
}
