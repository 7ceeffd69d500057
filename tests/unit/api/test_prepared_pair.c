/* test_prepared_pair.c - small prepared operations in a job of two ranks: every way to wait for them, what is submitted
 * before their end, and ends that are none. */
#include "unit/api/pair.h"

#include <sched.h>
#include <stdbool.h>
#include <string.h>

enum { COUNT = 4, TURNS = 200 };

static const int64_t count = COUNT;

static kolo_request *prepare(player *p, kolo_context *ctx, const char *name, float *data, int64_t timeout_ns)
{
    kolo_request *request = NULL;
    kolo_args args = host_args(name, data, &count);
    args.timeout_ns = timeout_ns;
    CHECK(p, kolo_prepare(ctx, &args, &request) == KOLO_OK);
    return request;
}

static void fill(player *p, float *data, int turn)
{
    for (int i = 0; i < COUNT; i++)
        data[i] = (float)(turn + i + p->rank);
}

static void start(player *p, kolo_request *request, float *data, int turn)
{
    fill(p, data, turn);
    CHECK(p, kolo_start(request) == KOLO_OK);
}

static void check(player *p, const float *data, int turn)
{
    for (int i = 0; i < COUNT; i++)
        CHECK(p, data[i] == (float)(2 * (turn + i) + 1));
}

/* ---- every way to wait ------------------------------------------------------------------------------------------- */

static void *wait_elsewhere(void *argument)
{
    return kolo_wait(argument, -1) == KOLO_OK ? argument : NULL;
}

static void wait_on_threads(player *p, kolo_request *request, int threads)
{
    enum { MOST = 2 };
    pthread_t thread[MOST];
    for (int i = 0; i < threads; i++)
        CHECK(p, pthread_create(&thread[i], NULL, wait_elsewhere, request) == 0);
    for (int i = 0; i < threads; i++) {
        void *fine = NULL;
        pthread_join(thread[i], &fine);
        CHECK(p, fine == request);
    }
}

/* Until it is over. */
static void look(player *p, kolo_request *request)
{
    int done = 0;
    while (kolo_test(request, &done) == KOLO_OK && !done)
        sched_yield();
    CHECK(p, done == 1);
}

enum { WAIT, WAIT_LONG, WAIT_OFTEN, LOOK, PROGRESS, OTHER_THREAD, THREADS, WAYS };

static void wait_by(player *p, kolo_context *ctx, kolo_request *request, int way)
{
    int done = 0;
    switch (way) {
    case WAIT_LONG:
        CHECK(p, kolo_wait(request, INT64_C(60000000000)) == KOLO_OK);
        break;
    case WAIT_OFTEN:
        while (kolo_wait(request, 0) == KOLO_ERR_TIMEOUT)
            sched_yield();
        break;
    case LOOK:
        look(p, request);
        break;
    case PROGRESS:
        while (kolo_test(request, &done) == KOLO_OK && !done)
            CHECK(p, kolo_progress(ctx) == KOLO_OK);
        break;
    case OTHER_THREAD:
    case THREADS:
        wait_on_threads(p, request, way == THREADS ? 2 : 1);
        break;
    default:
        CHECK(p, kolo_wait(request, -1) == KOLO_OK);
    }
    CHECK(p, kolo_wait(request, 0) == KOLO_OK && kolo_request_error(request) == NULL);
}

/* In each pair of ways; waits that need nobody first, before the thread has been asked not to rest. */
static void wait_in_all_ways(player *p, kolo_context *ctx)
{
    float data[COUNT];
    kolo_request *request = prepare(p, ctx, "w", data, 0);
    for (int turn = 0; turn < TURNS; turn++) {
        int way = turn < TURNS / 4 ? WAIT : p->rank == 0 ? turn % WAYS : turn / WAYS % WAYS;
        start(p, request, data, turn);
        wait_by(p, ctx, request, way);
        check(p, data, turn);
    }
    kolo_request_free(request);
}

static void start__whoever_waits_and_however(void **state)
{
    (void)state;
    play_both(wait_in_all_ways, wait_in_all_ways, KOLO_OK);
}

/* ---- others under way ---------------------------------------------------------------------------------------------- */

static void add(player *p, kolo_context *ctx, const char *name, float *data, int turn)
{
    kolo_args args = host_args(name, data, &count);
    fill(p, data, turn);
    CHECK(p, kolo_allreduce(ctx, &args, NULL) == KOLO_OK);
    check(p, data, turn);
}

/* Calls, requests and other starts between a start and its end; one rank does by a call what the other has prepared. */
static void mix(player *p, kolo_context *ctx)
{
    float data[3][COUNT];
    kolo_request *a = prepare(p, ctx, "a", data[0], 0), *again = prepare(p, ctx, "a", data[1], 0);
    kolo_request *b = prepare(p, ctx, "b", data[2], 0), *plain;
    for (int turn = 0; turn < TURNS; turn++) {
        start(p, a, data[0], turn);
        float other[COUNT];
        kolo_args args = host_args("plain", other, &count);
        switch (turn % 4) {
        case 0: /* a call */
            add(p, ctx, "plain", other, turn);
            break;
        case 1: /* the same name, in order */
            start(p, again, data[1], turn + 1);
            CHECK(p, kolo_wait(again, -1) == KOLO_OK);
            check(p, data[1], turn + 1);
            break;
        case 2: /* a request, given back at once, and a start */
            fill(p, other, turn);
            CHECK(p, kolo_allreduce(ctx, &args, &plain) == KOLO_OK);
            start(p, b, data[2], turn);
            CHECK(p, kolo_wait(plain, -1) == KOLO_OK && kolo_wait(b, -1) == KOLO_OK);
            kolo_request_free(plain);
            check(p, other, turn);
            check(p, data[2], turn);
            break;
        default: /* nothing */
            break;
        }
        CHECK(p, kolo_wait(a, -1) == KOLO_OK);
        check(p, data[0], turn);
        if (p->rank == 0) {
            start(p, b, data[2], turn);
            CHECK(p, kolo_wait(b, -1) == KOLO_OK);
        } else {
            add(p, ctx, "b", data[2], turn);
        }
        check(p, data[2], turn);
    }
    kolo_request_free(a);
    kolo_request_free(again);
    kolo_request_free(b);
}

static void start__with_others_before_its_end(void **state)
{
    (void)state;
    play_both(mix, mix, KOLO_OK);
}

/* ---- groups that come again ---------------------------------------------------------------------------------------- */

enum { TENSORS = 3 };

/* In this rank's memory, private or of kolo_alloc, and under a name. */
static void add_group(player *p, kolo_context *ctx, const char *name, float *data, int turn)
{
    kolo_tensor group[TENSORS];
    for (int i = 0; i < TENSORS; i++) {
        group[i] = host_args(NULL, data + i * COUNT, &count).output;
        fill(p, data + i * COUNT, turn + i);
    }
    kolo_args args = host_group(name, group, TENSORS);
    args.timeout_ns = INT64_C(60) * 1000 * 1000 * 1000;
    CHECK(p, kolo_allreduce(ctx, &args, NULL) == KOLO_OK);
    for (int i = 0; i < TENSORS; i++)
        check(p, data + i * COUNT, turn + i);
}

/* From now on the thread does not rest. */
static void ask_once(player *p, kolo_context *ctx)
{
    float data[COUNT];
    kolo_request *request = NULL;
    kolo_args args = host_args("asked", data, &count);
    fill(p, data, 0);
    CHECK(p, kolo_allreduce(ctx, &args, &request) == KOLO_OK);
    look(p, request);
    kolo_request_free(request);
}

/* The same tensors under two names, and a name for tensors in two places; in each turn the ranks' memory is of another kind. */
static void call_again(player *p, kolo_context *ctx)
{
    static const char *const names[] = {"a", "b"};
    static float private_data[2][TENSORS * COUNT];
    void *memory = NULL;
    CHECK(p, kolo_alloc(ctx, sizeof(private_data[0]), &memory) == KOLO_OK);
    float *data[] = {private_data[p->rank], memory};
    for (int turn = 0; turn < TURNS && p->wrong[0] == '\0'; turn++) {
        int kind = turn >= TURNS / 2 ? turn / 16 : p->rank == 0 ? turn / 2 : turn / 3;
        add_group(p, ctx, names[turn % 7 % 2], data[kind % 2], turn);
        if (turn == TURNS * 3 / 4)
            ask_once(p, ctx);
    }
    CHECK(p, kolo_free(ctx, memory) == KOLO_OK);
}

static void groups__under_two_names_in_two_places(void **state)
{
    (void)state;
    play_both(call_again, call_again, KOLO_OK);
}

/* ---- ends that are none ---------------------------------------------------------------------------------------------- */

static float left_behind[2][COUNT];

/* The last start's handle is given back, and the context finalized, before it is over. */
static void leave_without_waiting(player *p, kolo_context *ctx)
{
    float *data = left_behind[p->rank];
    kolo_request *request = prepare(p, ctx, "w", data, 0);
    for (int turn = 0; turn < 3; turn++) {
        start(p, request, data, turn);
        if (turn < 2)
            CHECK(p, kolo_wait(request, -1) == KOLO_OK);
    }
    kolo_request_free(request);
}

static void start__then_finalize(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        play_both(leave_without_waiting, leave_without_waiting, KOLO_OK);
        for (int e = 0; e < COUNT; e++)
            assert_true(left_behind[0][e] == (float)(2 * (2 + e) + 1) && left_behind[1][e] == left_behind[0][e]);
    }
}

static int64_t deadline_ns;
static bool looks;

static void miss_its_deadline(player *p, kolo_context *ctx)
{
    float data[COUNT];
    int done = 0;
    kolo_request *request = prepare(p, ctx, "missed", data, deadline_ns);
    for (int turn = 0; turn < 2; turn++) {
        start(p, request, data, turn);
        CHECK(p, kolo_wait(request, -1) == KOLO_OK);
    }
    if (p->rank == 0) {
        start(p, request, data, 2);
        while (looks && kolo_test(request, &done) == KOLO_OK && !done)
            sched_yield();
        CHECK(p, kolo_wait(request, -1) == KOLO_ERR_TIMEOUT);
        CHECK(p, strcmp(kolo_request_error(request)->ranks, "1") == 0);
        CHECK(p, strstr(kolo_request_error(request)->message, "not submitted by rank 1") != NULL);
        CHECK(p, kolo_start(request) == KOLO_OK && kolo_wait(request, -1) == KOLO_ERR_TIMEOUT); /* the job is over */
    } else {
        kolo_args args = KOLO_ARGS_INIT;
        args.name = "never";
        CHECK(p, kolo_barrier(ctx, &args, NULL) == KOLO_ERR_TIMEOUT);
    }
    kolo_request_free(request);
}

static void start__that_misses_its_deadline(void **state)
{
    (void)state;
    static const int64_t deadlines[] = {50000000, INT64_C(1000000000)};
    for (int i = 0; i < 4; i++) {
        deadline_ns = deadlines[i % 2];
        looks = i < 2;
        play_both(miss_its_deadline, miss_its_deadline, KOLO_ERR_TIMEOUT);
    }
}

int main(void)
{
    host_clear_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start__whoever_waits_and_however),      cmocka_unit_test(start__with_others_before_its_end),
        cmocka_unit_test(groups__under_two_names_in_two_places), cmocka_unit_test(start__then_finalize),
        cmocka_unit_test(start__that_misses_its_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
