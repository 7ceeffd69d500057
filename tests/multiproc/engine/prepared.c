/* prepared.c - operations that are started again and again, with new numbers each time: one tensor and groups, private and
 * in kolo_alloc's memory, one or several in flight in another order on every rank, some of them submitted by a call
 * instead, and waited for in several ways.
 *
 *     engine_prepared TURNS */
#include "rank.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { OPERATIONS = 12, TENSORS_MAX = 40, COUNT_MAX = 3000 };

/* One operation, as all ranks draw it. */
typedef struct work {
    char name[24];
    size_t tensors;
    int64_t counts[TENSORS_MAX];
    bool is_shared[TENSORS_MAX]; /* in kolo_alloc's memory: this rank's own draw */
    float *data[TENSORS_MAX];
    kolo_tensor list[TENSORS_MAX];
    kolo_args args;
    kolo_request *prepared, *request;
} work;

/* Whole numbers, so that sums are exact in any order. */
static float number_of(int64_t turn, size_t tensor, int64_t index, int32_t rank)
{
    return (float)(random_of((uint64_t)turn, (uint64_t)index * 64 + tensor) % 1000 + 7 * (uint64_t)rank);
}

static void draw(kolo_context *ctx, work *one, int index, random_source *common, random_source *own)
{
    one->tensors = index % 3 == 0 ? 1 : 1 + (size_t)random_below(common, TENSORS_MAX);
    snprintf(one->name, sizeof(one->name), "work %d", index);
    bool all_shared = random_below(own, 2) == 0;
    for (size_t i = 0; i < one->tensors; i++) {
        one->counts[i] = (int64_t)random_below(common, random_below(common, 3) == 0 ? COUNT_MAX : 40);
        size_t bytes = (size_t)one->counts[i] * sizeof(float);
        one->is_shared[i] = all_shared || random_below(own, 4) == 0;
        if (one->is_shared[i])
            OK(kolo_alloc(ctx, bytes, (void **)&one->data[i]));
        else
            one->data[i] = rank_memory(bytes + 1);
        one->list[i] = kolo_vector(one->data[i], &one->counts[i], KOLO_FLOAT32);
    }
    one->args = (kolo_args)KOLO_ARGS_INIT;
    one->args.name = one->name;
    if (one->tensors == 1 && random_below(own, 2) == 0) {
        one->args.output = one->list[0];
    } else {
        one->args.outputs = one->list;
        one->args.tensors = one->tensors;
    }
    OK(kolo_prepare(ctx, &one->args, &one->prepared));
}

static void drop(kolo_context *ctx, work *one)
{
    kolo_request_free(one->prepared);
    for (size_t i = 0; i < one->tensors; i++)
        if (one->is_shared[i])
            OK(kolo_free(ctx, one->data[i]));
        else
            free(one->data[i]);
}

static void begin(kolo_context *ctx, work *one, int64_t turn, random_source *own)
{
    for (size_t i = 0; i < one->tensors; i++)
        for (int64_t k = 0; k < one->counts[i]; k++)
            one->data[i][k] = number_of(turn, i, k, rank_number);
    one->request = NULL;
    if (random_below(own, 4) > 0)
        OK(kolo_start(one->prepared));
    else
        OK(kolo_allreduce(ctx, &one->args, &one->request));
}

static void wait_somehow(kolo_request *request, random_source *own)
{
    int done = 0;
    switch (random_below(own, 8)) {
    case 0:
        while (kolo_test(request, &done) == KOLO_OK && !done)
            sched_yield();
        break;
    case 1:
        while (kolo_wait(request, 1000) == KOLO_ERR_TIMEOUT)
            continue;
        break;
    default:
        break;
    }
    OK(kolo_wait(request, -1));
}

static void finish(work *one, int64_t turn, random_source *own)
{
    wait_somehow(one->request != NULL ? one->request : one->prepared, own);
    kolo_request_free(one->request);
    for (size_t i = 0; i < one->tensors; i++)
        for (int64_t k = 0; k < one->counts[i]; k++) {
            float wanted =
                (float)rank_count * number_of(turn, i, k, 0) + 7.0f * (float)(rank_count * (rank_count - 1) / 2);
            CHECK(one->data[i][k] >= wanted && one->data[i][k] <= wanted,
                  "turn %lld, %s, tensor %zu, element %lld: %g, not %g", (long long)turn, one->name, i, (long long)k,
                  (double)one->data[i][k], (double)wanted);
        }
}

static void run_turns(kolo_context *ctx, work *all, int64_t turns, random_source *own)
{
    int32_t order[OPERATIONS];
    for (int64_t turn = 0; turn < turns; turn++) {
        int32_t in_flight = turn % 3 == 0 ? 1 : 1 + (int32_t)(random_of(3, (uint64_t)turn) % OPERATIONS);
        random_shuffle(own, order, in_flight);
        for (int32_t i = 0; i < in_flight; i++) {
            begin(ctx, &all[order[i]], turn, own);
            random_pause(own);
        }
        for (int32_t i = 0; i < in_flight; i++)
            finish(&all[i], turn, own);
    }
}

/* A rank that starts another operation than the others fails it for all; each start anew, and the right one goes on. */
static void test_mismatch(kolo_context *ctx)
{
    float data[2] = {1, 2};
    int64_t counts[2] = {1, 2};
    kolo_args args = KOLO_ARGS_INIT;
    kolo_request *right, *wrong;
    args.name = "odd";
    args.output = kolo_vector(data, &counts[0], KOLO_FLOAT32);
    OK(kolo_prepare(ctx, &args, &right));
    args.output = kolo_vector(data, &counts[1], KOLO_FLOAT32);
    OK(kolo_prepare(ctx, &args, &wrong));
    for (int turn = 0; turn < 3; turn++) {
        kolo_request *mine = rank_number == 0 ? wrong : right;
        OK(kolo_start(mine));
        EXPECT(kolo_wait(mine, -1), KOLO_ERR_MISMATCH);
        CHECK(strcmp(kolo_request_error(mine)->tensor, "odd") == 0, "the error says which tensor");
        OK(kolo_start(right));
        OK(kolo_wait(right, -1));
        CHECK(kolo_request_error(right) == NULL, "its last error is forgotten");
    }
    kolo_request_free(right);
    kolo_request_free(wrong);
}

static void run_job(int64_t turns)
{
    static work all[OPERATIONS];
    kolo_context *ctx = rank_join();
    random_source common = {.seed = 11}, own = {.seed = (uint64_t)rank_number + 12};
    for (int i = 0; i < OPERATIONS; i++)
        draw(ctx, &all[i], i, &common, &own);
    run_turns(ctx, all, turns, &own);
    if (rank_count > 1)
        test_mismatch(ctx);
    for (int i = 0; i < OPERATIONS; i++)
        drop(ctx, &all[i]);
    OK(kolo_barrier(ctx, NULL, NULL));
    rank_leave(ctx);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2, "usage: engine_prepared TURNS");
    run_job(rank_number_of(argv[1]));
    run_job(3); /* the same processes may meet again */
    printf("passed\n");
    return 0;
}
