/* operations.c - every collective, type and operator, at awkward counts, against the reference.
 *
 *     engine_operations BATCH STRIDE [TURNS PARTS]
 *
 * BATCH operations are in flight at a time, submitted in another order on every rank (1: one after the other, waiting
 * inside the call). STRIDE: every STRIDE-th case only. TURNS: each case so many times under one name. PARTS of 4
 * tensors, at random, lie in memory of kolo_alloc. */
#include "reference.h"

#include <stdlib.h>
#include <string.h>

/* FACTORS_MAX: ranks whose scaled product float16 can hold. */
enum { BATCH_MAX = 256, GROUP_MAX = 300, FACTORS_MAX = 5 };

typedef struct batch {
    kolo_context *ctx;
    int32_t capacity, count;
    operation cases[BATCH_MAX];
    trial trials[BATCH_MAX];
    random_source random; /* this rank's own */
    int64_t stride, seen, done, turns;
} batch;

/* Without a name, where it comes once. */
static void run_one(batch *run, trial *one)
{
    char text[256];
    trial_begin(one, &run->cases[0], run->turns > 1 ? "single" : NULL);
    kolo_status status = trial_submit(run->ctx, one, NULL);
    CHECK(status == KOLO_OK, "%s: %s", kolo_status_name(status), operation_text(&one->what, text, sizeof(text)));
    trial_check(one);
}

static void finish(trial *one)
{
    char text[256];
    kolo_status status = kolo_wait(one->request, -1);
    CHECK(status == KOLO_OK, "%s: %s", kolo_status_name(status), operation_text(&one->what, text, sizeof(text)));
    kolo_request_free(one->request);
    trial_check(one);
}

static void run_many(batch *run)
{
    int32_t order[BATCH_MAX];
    char name[16];
    random_shuffle(&run->random, order, run->count);
    for (int32_t i = 0; i < run->count; i++) {
        trial *one = &run->trials[order[i]];
        snprintf(name, sizeof(name), "tensor %d", (int)order[i]);
        trial_begin(one, &run->cases[order[i]], name); /* copied by the call */
        OK(trial_submit(run->ctx, one, &one->request));
    }
    for (int32_t i = 0; i < run->count; i++)
        finish(&run->trials[i]);
}

static void flush(batch *run)
{
    for (int64_t turn = 0; turn < run->turns; turn++)
        if (run->count == 1)
            run_one(run, &run->trials[0]);
        else
            run_many(run);
    run->count = 0;
}

static void add(batch *run, const operation *what)
{
    if (run->seen++ % run->stride != 0)
        return;
    run->cases[run->count++] = *what;
    run->done++;
    if (run->count == run->capacity)
        flush(run);
}

/* ---- the cases ---------------------------------------------------------------------------------------- */

static void vary(operation *what, uint64_t seed)
{
    static const double before[] = {0.5, 3.0, 1.0 / 3.0}, after[] = {0.25, 1.5, -1.0};
    what->seed = seed;
    what->prescale = what->postscale = 1.0;
    what->shift = random_of(seed, 1) % 4 == 0 ? random_of(seed, 2) % 7 : 0;
    what->root = (int32_t)(random_of(seed, 3) % (uint64_t)rank_count);
    if (!what->type->is_float || what->kind == BROADCAST || what->kind == ALLGATHER)
        return;
    if (random_of(seed, 4) % 3 == 0 && (what->op != KOLO_PRODUCT || rank_count <= FACTORS_MAX))
        what->prescale = before[random_of(seed, 5) % 3];
    if (random_of(seed, 6) % 3 == 0)
        what->postscale = after[random_of(seed, 7) % 3];
}

static void add_counts(batch *run, operation *what, uint64_t *seed)
{
    int64_t n = rank_count;
    const int64_t counts[] = {0, 1, n - 1, n, n + 1, 7, 97, 1009, 4099};
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
        for (int place = 0; place < 2; place++) {
            what->count = counts[i];
            what->in_place = place == 1;
            vary(what, ++*seed);
            add(run, what);
        }
}

static void add_all(batch *run)
{
    uint64_t seed = 0;
    for (int kind = 0; kind < COLLECTIVES; kind++)
        for (int type = 0; type < ELEMENT_TYPES; type++)
            for (int op = KOLO_SUM; op <= KOLO_PRODUCT; op++) {
                operation what = {.kind = (collective)kind, .type = &element_types[type], .op = (kolo_reduce_op)op};
                if (op == KOLO_SUM || kind == ALLREDUCE || kind == REDUCE_SCATTER)
                    add_counts(run, &what, &seed);
            }
    if (run->count > 0)
        flush(run);
}

static void broadcast_from_everybody(batch *run)
{
    for (int32_t root = 0; root < rank_count; root++)
        for (int64_t count = 1; count < 100000; count = count * 31 + 5) {
            const element_type *type = &element_types[(size_t)(root + count) % ELEMENT_TYPES];
            operation what = {.kind = BROADCAST,
                              .type = type,
                              .root = root,
                              .count = count,
                              .prescale = 1,
                              .postscale = 1,
                              .seed = (uint64_t)count};
            add(run, &what);
        }
    if (run->count > 0)
        flush(run);
}

/* ---- groups ----------------------------------------------------------------------------------------------- */

static void run_group(kolo_context *ctx, int32_t count, const element_type *only, kolo_reduce_op op, bool wait)
{
    trial *trials = rank_memory((size_t)count * sizeof(*trials));
    kolo_tensor *inputs = rank_memory((size_t)count * sizeof(*inputs));
    kolo_tensor *outputs = rank_memory((size_t)count * sizeof(*outputs));
    kolo_request *request = NULL;
    uint64_t seed = (uint64_t)count * 77 + (uint64_t)op;
    for (int32_t i = 0; i < count; i++) {
        uint64_t drawn = random_of(seed, (uint64_t)i);
        const element_type *type = only != NULL ? only : &element_types[drawn % ELEMENT_TYPES];
        operation what = {.kind = ALLREDUCE,
                          .type = type,
                          .op = op,
                          .count = (int64_t)(drawn >> 8) % 700,
                          .prescale = 1,
                          .postscale = only != NULL && only->is_float ? 0.5 : 1,
                          .in_place = drawn >> 40 & 1,
                          .shift = (drawn >> 41) % 3,
                          .seed = drawn};
        if (drawn >> 50 & 1)
            what.count %= 3;
        trial_begin(&trials[i], &what, NULL);
        inputs[i] = trials[i].args.input;
        outputs[i] = trials[i].args.output;
    }
    kolo_args args = trials[0].args;
    args.input = args.output = (kolo_tensor){0};
    args.inputs = inputs;
    args.outputs = outputs;
    args.tensors = (size_t)count;
    OK(kolo_allreduce(ctx, &args, wait ? NULL : &request));
    if (!wait)
        OK(kolo_wait(request, -1));
    kolo_request_free(request);
    for (int32_t i = 0; i < count; i++)
        trial_check(&trials[i]);
    free(trials);
    free(inputs);
    free(outputs);
}

static void run_groups(kolo_context *ctx)
{
    static const int32_t counts[] = {1, 3, GROUP_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
        for (int op = KOLO_SUM; op <= KOLO_PRODUCT; op++) {
            run_group(ctx, counts[i], NULL, (kolo_reduce_op)op, op % 2 == 0);
            run_group(ctx, counts[i], &element_types[op], (kolo_reduce_op)op, op % 2 == 1);
        }
}

int main(int argc, char **argv)
{
    static batch run;
    CHECK(argc == 3 || argc == 5, "usage: engine_operations BATCH STRIDE [TURNS PARTS]");
    run.capacity = (int32_t)rank_number_of(argv[1]);
    run.stride = rank_number_of(argv[2]);
    CHECK(run.capacity >= 1 && run.capacity <= BATCH_MAX && run.stride >= 1, "BATCH is 1 to %d, STRIDE 1 or more",
          BATCH_MAX);
    run.turns = argc == 5 ? rank_number_of(argv[3]) : 1;
    run.ctx = rank_join();
    run.random.seed = (uint64_t)rank_number + 1;
    trial_share(run.ctx, argc == 5 ? (uint64_t)rank_number_of(argv[4]) : 0, &run.random);
    add_all(&run);
    broadcast_from_everybody(&run);
    OK(kolo_barrier(run.ctx, NULL, NULL));
    run_groups(run.ctx);
    OK(kolo_barrier(run.ctx, NULL, NULL));
    rank_leave(run.ctx);
    printf("passed %lld\n", (long long)run.done);
    return 0;
}
