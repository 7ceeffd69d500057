/* overlap.c - tensors that overlap where they must not: refused on the rank that gives them, and on nobody else. After
 * each refusal the same operation is given right, and matches the others'. */
#include "rank.h"

#include <string.h>

enum { COUNT = 4000, SPACE = 3 * COUNT };

typedef kolo_status (*call_fn)(kolo_context *ctx, const kolo_args *args, kolo_request **request);

static float memory[SPACE];

static kolo_args args_of(float *input, const int64_t *in_shape, float *output, const int64_t *out_shape)
{
    kolo_args args = KOLO_ARGS_INIT;
    kolo_tensor tensor = {.device_type = KOLO_DEVICE_CPU, .ndim = 1, .dtype = KOLO_FLOAT32};
    args.output = args.input = tensor;
    args.input.data = input;
    args.input.shape = in_shape;
    args.output.data = output;
    args.output.shape = out_shape;
    return args;
}

static void refuse(kolo_context *ctx, call_fn call, const kolo_args *args)
{
    kolo_request *request = NULL;
    EXPECT(call(ctx, args, NULL), KOLO_ERR_INVALID);
    EXPECT(call(ctx, args, &request), KOLO_ERR_INVALID);
    CHECK(request == NULL, "a request of a refused operation");
    CHECK(strstr(kolo_last_error()->message, "overlap") != NULL, "the reason is told");
}

/* Everybody in turn is the one who errs. */
static void refuse_then_run(kolo_context *ctx, call_fn call, kolo_args args, int64_t shift)
{
    for (int32_t errs = 0; errs < rank_count; errs++) {
        kolo_args bad = args;
        bad.input.data = (float *)args.output.data + shift;
        if (rank_number == errs)
            refuse(ctx, call, &bad);
        memset(memory, 0, sizeof(memory));
        OK(call(ctx, &args, NULL));
    }
}

static void test_pairs(kolo_context *ctx)
{
    int64_t whole = COUNT, offset, part;
    kolo_slice(whole, rank_count, rank_number, &offset, &part);
    float *far = memory + COUNT;
    kolo_args same = args_of(far, &whole, memory, &whole);
    const int64_t shifts[] = {1, COUNT - 1, -1, -(COUNT - 1)};
    for (size_t i = 0; i < sizeof(shifts) / sizeof(*shifts); i++) {
        same.output.data = shifts[i] < 0 ? far : memory;
        same.input.data = shifts[i] < 0 ? memory : far;
        refuse_then_run(ctx, kolo_allreduce, same, shifts[i]);
    }
    /* A slice within the whole is no exception, not even where it belongs: that is what data NULL says. */
    kolo_args gather = args_of(far, &part, memory, &whole), scatter = args_of(memory, &whole, far, &part);
    refuse_then_run(ctx, kolo_allgather, gather, offset);
    refuse_then_run(ctx, kolo_allgather, gather, 0);
    refuse_then_run(ctx, kolo_allgather, gather, whole - 1);
    refuse_then_run(ctx, kolo_reduce_scatter, scatter, -offset);
    refuse_then_run(ctx, kolo_reduce_scatter, scatter, 0);
    refuse_then_run(ctx, kolo_reduce_scatter, scatter, part - 1);
    kolo_args beside = args_of(memory + COUNT, &whole, memory, &whole); /* touching is fine */
    OK(kolo_allreduce(ctx, &beside, NULL));
    beside.input.data = memory; /* in place, said twice */
    OK(kolo_allreduce(ctx, &beside, NULL));
    OK(kolo_broadcast(ctx, &beside, NULL)); /* has no input */
}

static void test_group(kolo_context *ctx)
{
    enum { TENSORS = 3 };
    static const int64_t count[] = {1000};
    kolo_tensor list[TENSORS];
    kolo_args args = KOLO_ARGS_INIT;
    args.outputs = list;
    args.tensors = TENSORS;
    for (int32_t errs = 0; errs < rank_count; errs++) {
        for (int i = 0; i < TENSORS; i++) {
            list[i] = kolo_vector(memory + 1000 * (ptrdiff_t)i, count, KOLO_FLOAT32);
            memory[1000 * i] = (float)i;
        }
        if (rank_number == errs) {
            list[2].data = memory + 1999;
            EXPECT(kolo_allreduce(ctx, &args, NULL), KOLO_ERR_INVALID);
            CHECK(strstr(kolo_last_error()->message, "output of tensor 1") != NULL, "what overlaps is told");
            CHECK(strstr(kolo_last_error()->message, "output of tensor 2") != NULL, "what overlaps is told");
            list[2].data = memory + 2000;
        }
        OK(kolo_allreduce(ctx, &args, NULL));
        float wanted = 2 * (float)rank_count;
        CHECK(memory[2000] >= wanted && memory[2000] <= wanted, "the sum is %g", (double)memory[2000]);
    }
}

int main(void)
{
    kolo_context *ctx = rank_join();
    test_pairs(ctx);
    test_group(ctx);
    rank_leave(ctx);
    printf("passed\n");
    return 0;
}
