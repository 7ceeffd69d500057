/* heap.c - memory of kolo_alloc that comes and goes while operations run on it.
 *
 *     engine_heap churn SEED      tensors change their memory from turn to turn, each rank as it likes: shared or private,
 *                                 given back as soon as their operation is complete, while others are under way
 *     engine_heap node SEED       says what the system has been told about where a tensor shall be
 *     engine_heap threads SEED    small operations of several threads that wait, beside large ones in flight */
#include "rank.h"

#include "support/unwatched.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TENSORS = 10, TURNS = 60, THREADS = 3, CALLS = 400, PIECE = 1024 };

typedef struct item {
    char name[24];
    int64_t count;
    float *data;
    bool is_shared;
    kolo_request *request;
} item;

UNWATCHED static float value_of(int64_t key, int32_t rank, int64_t index)
{
    return (float)((key * 131 + rank * 7 + index) % 1000);
}

/* Elements at, at + 1, ... of this rank's input, or of the sum. */
UNWATCHED static void draw(float *piece, int64_t at, int64_t count, int64_t key, int32_t first, int32_t end)
{
    for (int64_t i = 0; i < count; i++) {
        piece[i] = 0;
        for (int32_t rank = first; rank < end; rank++)
            piece[i] += value_of(key, rank, at + i);
    }
}

static int64_t part_of(int64_t count, int64_t at)
{
    return count - at < PIECE ? count - at : PIECE;
}

static void fill(const item *one, int64_t key)
{
    float piece[PIECE];
    for (int64_t at = 0; at < one->count; at += PIECE) {
        int64_t part = part_of(one->count, at);
        draw(piece, at, part, key, rank_number, rank_number + 1);
        memcpy(one->data + at, piece, (size_t)part * sizeof(*piece));
    }
}

static void check(const item *one, int64_t key)
{
    float piece[PIECE];
    for (int64_t at = 0; at < one->count; at += PIECE) {
        int64_t part = part_of(one->count, at);
        draw(piece, at, part, key, 0, rank_count);
        if (memcmp(one->data + at, piece, (size_t)part * sizeof(*piece)) == 0)
            continue;
        for (int64_t i = 0; i < part; i++)
            CHECK(one->data[at + i] <= piece[i] && one->data[at + i] >= piece[i],
                  "%s, %lld: element %lld of %lld is %g, not %g", one->name, (long long)key, (long long)(at + i),
                  (long long)one->count, (double)one->data[at + i], (double)piece[i]);
    }
}

/* ---- churn -------------------------------------------------------------------------------------------- */

static void give(kolo_context *ctx, item *one)
{
    if (one->data == NULL)
        return;
    memset(one->data, 0xEE, (size_t)one->count * sizeof(*one->data)); /* whoever still looks shall see it */
    if (one->is_shared)
        OK(kolo_free(ctx, one->data));
    else
        free(one->data);
    one->data = NULL;
}

/* New memory must hold zeros, whatever was there before. */
static void take(kolo_context *ctx, item *one, random_source *random)
{
    void *memory = NULL;
    size_t bytes = (size_t)one->count * sizeof(*one->data);
    one->is_shared = random_below(random, 5) > 0;
    if (one->is_shared)
        OK(kolo_alloc(ctx, bytes, &memory));
    one->data = one->is_shared ? memory : rank_memory(bytes);
    static const float zeros[PIECE];
    for (int64_t at = 0; at < one->count; at += PIECE)
        CHECK(memcmp(one->data + at, zeros, (size_t)part_of(one->count, at) * sizeof(*zeros)) == 0,
              "fresh memory holds other things than zeros");
}

static void submit(kolo_context *ctx, item *one)
{
    kolo_args args = KOLO_ARGS_INIT;
    args.name = one->name;
    args.output = KOLO_VECTOR(one->data, one->count, KOLO_FLOAT32);
    OK(kolo_allreduce(ctx, &args, &one->request));
}

static void turn(kolo_context *ctx, item *items, int64_t number, random_source *random)
{
    int32_t order[TENSORS];
    random_shuffle(random, order, TENSORS);
    for (int32_t i = 0; i < TENSORS; i++) {
        item *one = &items[order[i]];
        if (one->data == NULL)
            take(ctx, one, random);
        fill(one, number * TENSORS + order[i]);
        random_pause(random);
        submit(ctx, one);
    }
    random_shuffle(random, order, TENSORS);
    for (int32_t i = 0; i < TENSORS; i++) {
        item *one = &items[order[i]];
        OK(kolo_wait(one->request, -1));
        kolo_request_free(one->request);
        check(one, number * TENSORS + order[i]);
        if (random_below(random, 2) == 0)
            give(ctx, one);
    }
}

static void test_churn(kolo_context *ctx, random_source *random)
{
    static const int64_t limits[] = {100, 2000, 40000, 700000};
    item items[TENSORS] = {0};
    for (int32_t i = 0; i < TENSORS; i++) {
        snprintf(items[i].name, sizeof(items[i].name), "tensor %d", (int)i);
        items[i].count = (int64_t)(random_of(5, (uint64_t)i) % (uint64_t)limits[i % 4]) + 1;
    }
    int64_t turns = kolo_size(ctx) > 5 ? TURNS / 6 : TURNS; /* many ranks take long where cores are few */
    turns = SANITIZED && turns == TURNS ? TURNS / 4 : turns;
    for (int64_t number = 0; number < turns; number++) {
        /* Now and then a tensor has another length from here on, on all ranks alike: across the bounds of what is small. */
        int32_t other = (int32_t)(random_of(6, (uint64_t)number) % TENSORS);
        if (number % 4 == 3) {
            give(ctx, &items[other]);
            items[other].count = (int64_t)(random_of(7, (uint64_t)number) % (uint64_t)limits[number / 4 % 4]) + 1;
        }
        turn(ctx, items, number, random);
    }
    for (int32_t i = 0; i < TENSORS; i++)
        give(ctx, &items[i]);
}

/* ---- threads ------------------------------------------------------------------------------------------- */

typedef struct worker {
    kolo_context *ctx;
    pthread_t thread;
    int number;
    random_source random;
} worker;

/* Each its own names, so that the threads of a rank need not take turns as on the others. */
static void *call(void *user)
{
    worker *self = user;
    float memory[300];
    item one = {.data = memory};
    snprintf(one.name, sizeof(one.name), "call %d", self->number);
    for (int64_t i = 0; i < CALLS; i++) {
        kolo_args args = KOLO_ARGS_INIT;
        one.count = i / 100 % 2 == 0 ? 1 : 300;
        fill(&one, i);
        args.name = one.name;
        args.output = KOLO_VECTOR(one.data, one.count, KOLO_FLOAT32);
        random_pause(&self->random);
        OK(kolo_allreduce(self->ctx, &args, NULL));
        check(&one, i);
    }
    return NULL;
}

static void test_threads(kolo_context *ctx, random_source *random)
{
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.ctx = ctx, .number = i, .random = {.seed = random_next(random)}};
        CHECK(pthread_create(&workers[i].thread, NULL, call, &workers[i]) == 0, "a thread");
    }
    test_churn(ctx, random);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(workers[i].thread, NULL) == 0, "joining a thread");
}

/* ---- node --------------------------------------------------------------------------------------------- */

static void test_node(kolo_context *ctx)
{
    enum { AT_ADDRESS = 2, NODES = 1024 };
    void *memory;
    int mode = -1;
    unsigned long nodes[NODES / 8 / sizeof(unsigned long)] = {0};
    OK(kolo_alloc(ctx, 1000, &memory));
    if (syscall(SYS_get_mempolicy, &mode, nodes, (unsigned long)NODES, memory, AT_ADDRESS) != 0)
        printf("policy unknown\n");
    else
        printf("policy %d nodes %lx\n", mode, nodes[0]);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3, "usage: engine_heap churn|node|threads SEED");
    kolo_context *ctx = rank_join();
    random_source random = {.seed = random_of((uint64_t)rank_number_of(argv[2]), (uint64_t)rank_number)};
    if (strcmp(argv[1], "churn") == 0)
        test_churn(ctx, &random);
    else if (strcmp(argv[1], "node") == 0)
        test_node(ctx);
    else
        test_threads(ctx, &random);
    rank_leave(ctx);
    printf("passed\n");
    return 0;
}
