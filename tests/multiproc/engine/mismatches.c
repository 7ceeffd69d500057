/* mismatches.c - ranks that disagree about one tensor after the other: an error on all, and the job goes on. */
#include "rank.h"

#include <string.h>

enum { ROWS = 12, COLUMNS = 7 };

typedef struct variant {
    kolo_status (*call)(kolo_context *ctx, const kolo_args *args, kolo_request **request);
    bool whole; /* int32, not float32 */
    int64_t shape[2];
    kolo_reduce_op op;
    int32_t root;
    double prescale;
    const char *text; /* that the error must hold */
} variant;

typedef struct disagreement {
    const char *name;
    variant most, last; /* what the last rank submits */
} disagreement;

static const disagreement disagreements[] = {
    {"shapes",
     {kolo_allreduce, false, {ROWS, COLUMNS}, KOLO_SUM, 0, 1, "float32 [12, 7]"},
     {kolo_allreduce, false, {COLUMNS, ROWS}, KOLO_SUM, 0, 1, "float32 [7, 12]"}},
    {"types",
     {kolo_allreduce, false, {ROWS, COLUMNS}, KOLO_SUM, 0, 1, "float32"},
     {kolo_allreduce, true, {ROWS, COLUMNS}, KOLO_SUM, 0, 1, "int32"}},
    {"operators",
     {kolo_allreduce, false, {ROWS, COLUMNS}, KOLO_MIN, 0, 1, "min"},
     {kolo_allreduce, false, {ROWS, COLUMNS}, KOLO_MAX, 0, 1, "max"}},
    {"factors",
     {kolo_allreduce, false, {ROWS, COLUMNS}, KOLO_SUM, 0, 0.5, "0.5"},
     {kolo_allreduce, false, {ROWS, COLUMNS}, KOLO_SUM, 0, 2, "2"}},
    {"roots",
     {kolo_broadcast, false, {ROWS, COLUMNS}, KOLO_SUM, 0, 1, "from rank 0"},
     {kolo_broadcast, false, {ROWS, COLUMNS}, KOLO_SUM, 1, 1, "from rank 1"}},
    {"collectives",
     {kolo_allreduce, false, {ROWS, COLUMNS}, KOLO_SUM, 0, 1, "allreduce"},
     {kolo_broadcast, false, {ROWS, COLUMNS}, KOLO_SUM, 0, 1, "broadcast"}},
};

static void submit(kolo_context *ctx, const char *name, const variant *what, kolo_request **request)
{
    static double data[ROWS * COLUMNS];
    kolo_args args = KOLO_ARGS_INIT;
    args.name = name;
    args.op = what->op;
    args.root = what->root;
    args.prescale = what->prescale;
    args.output = (kolo_tensor){.data = data,
                                .device_type = KOLO_DEVICE_CPU,
                                .ndim = 2,
                                .dtype = what->whole ? KOLO_INT32 : KOLO_FLOAT32,
                                .shape = what->shape};
    OK(what->call(ctx, &args, request));
}

/* "ranks 0-2" or "rank 3". */
static void ranks_text(char *text, size_t capacity, int32_t first, int32_t last)
{
    if (first == last)
        snprintf(text, capacity, "rank %d:", (int)first);
    else
        snprintf(text, capacity, "ranks %d-%d:", (int)first, (int)last);
}

static void check_error(const kolo_error *error, const disagreement *about)
{
    char most[32], last[32];
    ranks_text(most, sizeof(most), 0, rank_count - 2);
    ranks_text(last, sizeof(last), rank_count - 1, rank_count - 1);
    CHECK(error != NULL && error->status == KOLO_ERR_MISMATCH, "%s: no error", about->name);
    CHECK(strcmp(error->tensor, about->name) == 0, "%s: the error is about '%s'", about->name, error->tensor);
    const char *wanted[] = {most, last, about->most.text, about->last.text};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        CHECK(strstr(error->message, wanted[i]) != NULL, "%s: '%s' is not in '%s'", about->name, wanted[i],
              error->message);
}

static void disagree(kolo_context *ctx, const disagreement *about)
{
    kolo_request *request = NULL;
    submit(ctx, about->name, rank_number == rank_count - 1 ? &about->last : &about->most, &request);
    EXPECT(kolo_wait(request, -1), KOLO_ERR_MISMATCH);
    check_error(kolo_request_error(request), about);
    check_error(kolo_last_error(), about);
    kolo_request_free(request);
    submit(ctx, about->name, &about->most, &request); /* the name is good for another try */
    OK(kolo_wait(request, -1));
    kolo_request_free(request);
}

/* Groups of different lengths. */
static void disagree_about_groups(kolo_context *ctx)
{
    float data[3] = {1, 2, 3};
    const int64_t shape[] = {1};
    kolo_tensor list[3];
    for (int i = 0; i < 3; i++)
        list[i] = kolo_vector(data + i, shape, KOLO_FLOAT32);
    kolo_args args = KOLO_ARGS_INIT;
    args.name = "group";
    args.outputs = list;
    args.tensors = rank_number == 0 ? 2 : 3;
    EXPECT(kolo_allreduce(ctx, &args, NULL), KOLO_ERR_MISMATCH);
    CHECK(strcmp(kolo_last_error()->tensor, "group") == 0, "the error is about '%s'", kolo_last_error()->tensor);
}

/* A group on one rank, one tensor on the others, and neither has a name. */
static void disagree_about_grouping(kolo_context *ctx)
{
    float data[2] = {1, 2};
    const kolo_tensor list[2] = {KOLO_VECTOR(&data[0], 1, KOLO_FLOAT32), KOLO_VECTOR(&data[1], 1, KOLO_FLOAT32)};
    kolo_args args = KOLO_ARGS_INIT;
    if (rank_number == 0) {
        args.outputs = list;
        args.tensors = 2;
    } else {
        args.output = list[0];
    }
    EXPECT(kolo_allreduce(ctx, &args, NULL), KOLO_ERR_MISMATCH);
    const kolo_error *error = kolo_last_error();
    CHECK(strcmp(error->tensor, "operation #0 (unnamed)") == 0 && strcmp(error->operation, "allreduce") == 0,
          "the error is about '%s' of '%s'", error->operation, error->tensor);
    const char *wanted[] = {"operation #0 (unnamed)", "rank 0: allreduce sum of 2 tensors", "args.outputs"};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        CHECK(strstr(error->message, wanted[i]) != NULL, "'%s' is not in '%s'", wanted[i], error->message);
}

int main(void)
{
    float one = 1;
    kolo_args args = KOLO_ARGS_INIT;
    kolo_context *ctx = rank_join();
    CHECK(rank_count >= 2, "nobody to disagree with");
    for (size_t i = 0; i < sizeof(disagreements) / sizeof(*disagreements); i++)
        disagree(ctx, &disagreements[i]);
    disagree_about_groups(ctx);
    disagree_about_grouping(ctx);
    args.output = KOLO_VECTOR(&one, 1, KOLO_FLOAT32);
    OK(kolo_allreduce(ctx, &args, NULL));
    CHECK(one >= (float)rank_count && one <= (float)rank_count, "the job goes on: %g", (double)one);
    rank_leave(ctx);
    printf("passed\n");
    return 0;
}
