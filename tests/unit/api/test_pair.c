/* test_pair.c - two contexts of one process as a job of two ranks: operations, errors, memory. */
#include "unit/api/pair.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 1001 };

/* ---- the five operations ----------------------------------------------------------------------------------------- */

static void all_operations(player *p, kolo_context *ctx)
{
    static float data[2][COUNT], whole[2][COUNT];
    static const int64_t count = COUNT;
    float *own = data[p->rank], *all = whole[p->rank];
    int64_t offset, slice;
    CHECK(p, kolo_rank(ctx) == p->rank && kolo_size(ctx) == 2 && kolo_local_rank(ctx) == p->rank &&
                 kolo_local_size(ctx) == 2);
    kolo_slice(COUNT, 2, p->rank, &offset, &slice);

    for (int i = 0; i < COUNT; i++)
        own[i] = (float)(i + 10000 * p->rank);
    kolo_args args = host_args("sum", own, &count);
    CHECK(p, kolo_allreduce(ctx, &args, NULL) == KOLO_OK);
    for (int i = 0; i < COUNT; i++)
        CHECK(p, own[i] == (float)(2 * i + 10000));

    for (int i = 0; i < COUNT; i++)
        own[i] = (float)(i + p->rank);
    args = host_args("slices", all, &slice);
    args.input = host_args(NULL, own, &count).output;
    args.op = KOLO_MAX;
    CHECK(p, kolo_reduce_scatter(ctx, &args, NULL) == KOLO_OK);
    for (int64_t i = 0; i < slice; i++)
        CHECK(p, all[i] == (float)(offset + i + 1));

    memmove(own, all, (size_t)slice * sizeof(float));
    args = host_args("gather", all, &count);
    args.input = host_args(NULL, own, &slice).output;
    CHECK(p, kolo_allgather(ctx, &args, NULL) == KOLO_OK);
    for (int i = 0; i < COUNT; i++)
        CHECK(p, all[i] == (float)(i + 1));

    for (int i = 0; i < COUNT; i++)
        own[i] = p->rank == 1 ? (float)i : -1.0f;
    args = host_args(NULL, own, &count);
    args.root = 1;
    CHECK(p, kolo_broadcast(ctx, &args, NULL) == KOLO_OK);
    for (int i = 0; i < COUNT; i++)
        CHECK(p, own[i] == (float)i);
    CHECK(p, kolo_barrier(ctx, NULL, NULL) == KOLO_OK);
}

static void operations__of_two_ranks(void **state)
{
    (void)state;
    play_both(all_operations, all_operations, KOLO_OK);
}

/* ---- names in another order, many at a time ---------------------------------------------------------------------- */

enum { TENSORS = 40 };

static void shuffled(player *p, kolo_context *ctx)
{
    static float data[2][TENSORS][7];
    static const int64_t count = 7;
    for (int round = 0; round < 5; round++) {
        kolo_request *requests[TENSORS] = {NULL};
        for (int i = 0; i < TENSORS; i++) {
            int t = p->rank == 0 ? i : (7 * i + round) % TENSORS;
            char name[16];
            snprintf(name, sizeof(name), "t%d", t);
            for (int e = 0; e < 7; e++)
                data[p->rank][t][e] = (float)(t + e + p->rank);
            kolo_args args = host_args(name, data[p->rank][t], &count);
            CHECK(p, kolo_allreduce(ctx, &args, &requests[t]) == KOLO_OK);
        }
        for (int t = TENSORS - 1; t >= 0; t--) {
            CHECK(p, kolo_wait(requests[t], -1) == KOLO_OK);
            for (int e = 0; e < 7; e++)
                CHECK(p, data[p->rank][t][e] == (float)(2 * (t + e) + 1));
            kolo_request_free(requests[t]);
        }
    }
}

static void names__match_in_any_order(void **state)
{
    (void)state;
    play_both(shuffled, shuffled, KOLO_OK);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static void disagree(player *p, kolo_context *ctx)
{
    float data[8] = {0};
    const int64_t count = 4 + p->rank;
    kolo_request *request = NULL;
    kolo_args args = host_args("w", data, &count);
    CHECK(p, kolo_allreduce(ctx, &args, NULL) == KOLO_ERR_MISMATCH);
    /* In the order in which the root heard of them. */
    CHECK(p, strstr(kolo_last_error()->message, "rank 0: allreduce sum float32 [4]") != NULL);
    CHECK(p, strstr(kolo_last_error()->message, "rank 1: allreduce sum float32 [5]") != NULL);
    CHECK(p, strcmp(kolo_last_error()->tensor, "w") == 0 && strcmp(kolo_last_error()->operation, "allreduce") == 0);
    CHECK(p, strcmp(kolo_last_error()->ranks, "0") == 0 || strcmp(kolo_last_error()->ranks, "1") == 0);
    CHECK(p, kolo_allreduce(ctx, &args, &request) == KOLO_OK);
    CHECK(p, kolo_wait(request, -1) == KOLO_ERR_MISMATCH);
    int done = 0;
    CHECK(p, kolo_test(request, &done) == KOLO_ERR_MISMATCH && done == 1);
    CHECK(p, kolo_request_error(request) != NULL && kolo_request_error(request)->status == KOLO_ERR_MISMATCH);
    kolo_request_free(request);
    const int64_t agreed = 4;
    args = host_args("w", data, &agreed);
    CHECK(p, kolo_allreduce(ctx, &args, NULL) == KOLO_OK); /* the job goes on */
}

static void disagreement__is_told_on_both_ranks(void **state)
{
    (void)state;
    play_both(disagree, disagree, KOLO_OK);
}

/* The one that waits holds its peer up until its own waits are done. */
static void wait_in_vain(player *p, kolo_context *ctx)
{
    float data[4] = {0};
    const int64_t count = 4;
    kolo_request *request = NULL;
    kolo_args args = host_args("late", data, &count);
    CHECK(p, kolo_allreduce(ctx, &args, &request) == KOLO_OK);
    CHECK(p, kolo_request_error(request) == NULL);
    CHECK(p, kolo_wait(request, 0) == KOLO_ERR_TIMEOUT);
    CHECK(p, kolo_wait(request, 2000000) == KOLO_ERR_TIMEOUT);
    CHECK(p, strstr(kolo_last_error()->message, "'late' is not complete after 0.002 s; it goes on") != NULL);
    CHECK(p, strcmp(kolo_last_error()->operation, "allreduce") == 0 && strcmp(kolo_last_error()->tensor, "late") == 0);
    args = host_args("go", data, &count);
    CHECK(p, kolo_broadcast(ctx, &args, NULL) == KOLO_OK);
    CHECK(p, kolo_wait(request, -1) == KOLO_OK);
    kolo_request_free(request);
}

static void come_late(player *p, kolo_context *ctx)
{
    float data[4] = {0};
    const int64_t count = 4;
    kolo_args args = host_args("go", data, &count);
    CHECK(p, kolo_broadcast(ctx, &args, NULL) == KOLO_OK);
    args = host_args("late", data, &count);
    CHECK(p, kolo_allreduce(ctx, &args, NULL) == KOLO_OK);
}

static void wait__that_passes_leaves_the_operation_alone(void **state)
{
    (void)state;
    play_both(wait_in_vain, come_late, KOLO_OK);
    play_both(come_late, wait_in_vain, KOLO_OK);
}

static void set_a_deadline(player *p, kolo_context *ctx)
{
    float data[4] = {0};
    const int64_t count = 4;
    kolo_args args = host_args("missed", data, &count);
    args.timeout_ns = 50000000;
    CHECK(p, kolo_allreduce(ctx, &args, NULL) == KOLO_ERR_TIMEOUT);
    CHECK(p,
          strstr(kolo_last_error()->message, "'missed' passed its deadline: it was not submitted by rank 1") != NULL);
    CHECK(p, strcmp(kolo_last_error()->ranks, "1") == 0);
    CHECK(p,
          strcmp(kolo_last_error()->operation, "allreduce") == 0 && strcmp(kolo_last_error()->tensor, "missed") == 0);
}

static void stay_away(player *p, kolo_context *ctx)
{
    kolo_args args = KOLO_ARGS_INIT;
    args.name = "never";
    CHECK(p, kolo_barrier(ctx, &args, NULL) == KOLO_ERR_TIMEOUT); /* the job is over, for the same reason */
    CHECK(p, strstr(kolo_last_error()->message, "'missed' passed its deadline") != NULL);
}

static void deadline__names_who_is_missing_on_both_ranks(void **state)
{
    (void)state;
    play_both(set_a_deadline, stay_away, KOLO_ERR_TIMEOUT);
}

/* ---- without names ----------------------------------------------------------------------------------------------- */

static void add_unnamed(player *p, kolo_context *ctx)
{
    static float data[2][2];
    static const int64_t count = 2;
    kolo_args args = host_args(NULL, data[p->rank], &count);
    args.timeout_ns = INT64_C(20) * 1000 * 1000 * 1000;
    data[p->rank][0] = 1;
    CHECK(p, kolo_allreduce(ctx, &args, NULL) == KOLO_OK && data[p->rank][0] == 2);
}

/* Too long to be described: found only after the checks. */
static void fail_then_add_unnamed(player *p, kolo_context *ctx)
{
    enum { TOO_MANY = 4096 };
    static float data[1];
    static const int64_t ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    kolo_tensor group[TOO_MANY];
    for (int i = 0; i < TOO_MANY; i++) {
        group[i] = host_args(NULL, data, ones).output;
        group[i].ndim = 8;
    }
    kolo_args args = host_group(NULL, group, TOO_MANY);
    CHECK(p, kolo_allreduce(ctx, &args, NULL) == KOLO_ERR_INVALID);
    add_unnamed(p, ctx);
}

static void unnamed__that_was_refused_does_not_count(void **state)
{
    (void)state;
    play_both(fail_then_add_unnamed, add_unnamed, KOLO_OK);
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

/* Whether the mapping that holds it is a segment that the other rank has mapped too. */
static bool is_shared(const void *memory)
{
    char line[512];
    bool shared = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start <= (uintptr_t)memory && (uintptr_t)memory < end)
            shared = strstr(line, "rw-s") != NULL && strstr(line, "memfd:kolo") != NULL;
    }
    if (maps != NULL)
        fclose(maps);
    return shared;
}

static void add_in_kolos_memory(player *p, kolo_context *ctx)
{
    static const int64_t counts[] = {1, 1000, 300000, 700001};
    const char *heap = getenv("KOLO_SHM_HEAP");
    for (int i = 0; i < 8; i++) {
        const int64_t *count = &counts[i % 4];
        void *memory = NULL;
        CHECK(p, kolo_alloc(ctx, (size_t)*count * sizeof(float), &memory) == KOLO_OK);
        CHECK(p, kolo_last_error()->status == KOLO_OK);
        CHECK(p, is_shared(memory) == (heap == NULL || strcmp(heap, "0") != 0));
        float *data = memory;
        for (int64_t e = 0; e < *count; e++) {
            CHECK(p, data[e] == 0);
            data[e] = (float)(e % 1000 + p->rank);
        }
        kolo_args args = host_args("kolo's", data, count);
        CHECK(p, kolo_allreduce(ctx, &args, NULL) == KOLO_OK);
        for (int64_t e = 0; e < *count; e++)
            CHECK(p, data[e] == (float)(2 * (e % 1000) + 1));
        if (i != 3) /* that goes with the context */
            CHECK(p, kolo_free(ctx, memory) == KOLO_OK);
    }
}

static void alloc__shared_by_both_ranks(void **state)
{
    (void)state;
    play_both(add_in_kolos_memory, add_in_kolos_memory, KOLO_OK);
    setenv("KOLO_SHM_HEAP", "0", 1);
    play_both(add_in_kolos_memory, add_in_kolos_memory, KOLO_OK);
    unsetenv("KOLO_SHM_HEAP");
}

/* The first that is too large for the heap says so, the second does not. */
static void outgrow_the_heap(player *p, kolo_context *ctx)
{
    void *first = NULL, *second = NULL, *fits = NULL;
    CHECK(p, kolo_alloc(ctx, 3 << 20, &first) == KOLO_OK && !is_shared(first));
    CHECK(p, kolo_alloc(ctx, 3 << 20, &second) == KOLO_OK && !is_shared(second));
    pthread_mutex_lock(&p->log.lock);
    const char *once = strstr(p->log.text, "kolo_alloc: private memory");
    CHECK(p, once != NULL && strstr(once + 1, "kolo_alloc: private memory") == NULL);
    pthread_mutex_unlock(&p->log.lock);
    CHECK(p, kolo_alloc(ctx, 2 << 20, &fits) == KOLO_OK && is_shared(fits));
    CHECK(p, kolo_free(ctx, first) == KOLO_OK && kolo_free(ctx, second) == KOLO_OK);
    CHECK(p, kolo_free(ctx, second) == KOLO_ERR_INVALID && kolo_free(ctx, (char *)fits + 4096) == KOLO_ERR_INVALID);
    CHECK(p, kolo_free(ctx, fits) == KOLO_OK && kolo_free(ctx, fits) == KOLO_ERR_INVALID);
}

static void alloc__no_room__private(void **state)
{
    (void)state;
    setenv("KOLO_SHM_HEAP", "2M", 1);
    setenv("KOLO_LOG", "debug", 1);
    play_both(outgrow_the_heap, outgrow_the_heap, KOLO_OK);
    unsetenv("KOLO_SHM_HEAP");
    unsetenv("KOLO_LOG");
}

/* A peer that is late may still store there. */
static void free_after_the_end(player *p, kolo_context *ctx)
{
    void *before = NULL, *after = NULL;
    CHECK(p, kolo_alloc(ctx, 8192, &before) == KOLO_OK);
    if (p->rank == 0)
        set_a_deadline(p, ctx);
    else
        stay_away(p, ctx);
    CHECK(p, kolo_free(ctx, before) == KOLO_OK);
    CHECK(p, kolo_free(ctx, before) == KOLO_ERR_INVALID);
    CHECK(p, kolo_alloc(ctx, 8192, &after) == KOLO_OK && is_shared(after) && after != before);
    memset(before, 1, 8192);
}

static void free__broken_job__goes_to_nobody_else(void **state)
{
    (void)state;
    play_both(free_after_the_end, free_after_the_end, KOLO_ERR_TIMEOUT);
}

int main(void)
{
    host_clear_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations__of_two_ranks),
        cmocka_unit_test(names__match_in_any_order),
        cmocka_unit_test(disagreement__is_told_on_both_ranks),
        cmocka_unit_test(wait__that_passes_leaves_the_operation_alone),
        cmocka_unit_test(deadline__names_who_is_missing_on_both_ranks),
        cmocka_unit_test(unnamed__that_was_refused_does_not_count),
        cmocka_unit_test(alloc__shared_by_both_ranks),
        cmocka_unit_test(alloc__no_room__private),
        cmocka_unit_test(free__broken_job__goes_to_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
