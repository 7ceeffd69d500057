/* test_prepared.c - operations that are made once and started again and again, in a job of one rank. */
#include "unit/api/host.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNT = 4 };

static const int64_t count = COUNT;

static kolo_request *prepare(kolo_context *ctx, const kolo_args *args)
{
    kolo_request *request = NULL;
    if (kolo_prepare(ctx, args, &request) != KOLO_OK)
        fail_msg("%s", kolo_last_error()->message);
    assert_non_null(request);
    return request;
}

static void run(kolo_request *request)
{
    if (kolo_start(request) != KOLO_OK || kolo_wait(request, -1) != KOLO_OK)
        fail_msg("%s", kolo_last_error()->message);
    assert_null(kolo_request_error(request));
}

static void start__works_on_what_lies_there_now(void **state)
{
    (void)state;
    kolo_context *ctx = host_init(NULL);
    float a[COUNT], b[COUNT];
    char name[] = "both";
    int64_t *shape = malloc(sizeof(*shape));
    assert_non_null(shape);
    *shape = COUNT;
    kolo_tensor list[2] = {host_args(NULL, a, shape).output, host_args(NULL, b, shape).output};
    kolo_args args = host_group(name, list, 2);
    args.prescale = 0.5;
    kolo_request *request = prepare(ctx, &args);
    memset(&args, 0xff, sizeof(args)); /* all of it was copied */
    memset(list, 0xff, sizeof(list));
    memset(name, 'x', sizeof(name));
    free(shape);
    for (int turn = 1; turn <= 20; turn++) {
        for (int i = 0; i < COUNT; i++) {
            a[i] = (float)(2 * turn + i);
            b[i] = (float)(4 * turn);
        }
        run(request);
        assert_true(a[3] == (float)turn + 1.5f && b[0] == (float)(2 * turn));
    }
    kolo_request_free(request);
    host_finalize(ctx);
}

static void prepare__refuses(void **state)
{
    (void)state;
    kolo_context *ctx = host_init(NULL);
    float data[COUNT] = {0};
    kolo_args args = host_args(NULL, data, &count);
    kolo_request *request = NULL;
    host_expect(kolo_prepare(ctx, &args, &request), KOLO_ERR_INVALID, "needs a name");
    args.name = "w";
    host_expect(kolo_prepare(ctx, &args, NULL), KOLO_ERR_INVALID, "somewhere to put the request");
    host_expect(kolo_prepare(ctx, NULL, &request), KOLO_ERR_INVALID, "args is NULL");
    args.outputs = &args.output;
    host_expect(kolo_prepare(ctx, &args, &request), KOLO_ERR_INVALID, "args.tensors is 0");
    args.tensors = 1;
    host_expect(kolo_prepare(ctx, &args, &request), KOLO_ERR_INVALID, "the tensor or the list");
    args.outputs = NULL;
    args.tensors = 0;
    host_expect(kolo_prepare(NULL, &args, &request), KOLO_ERR_INVALID, "the context is NULL");
    args.output.data = NULL;
    host_expect(kolo_prepare(ctx, &args, &request), KOLO_ERR_INVALID, "data is NULL");
    assert_null(strstr(kolo_last_error()->message, "list"));
    assert_string_equal(kolo_last_error()->operation, "prepare");
    assert_string_equal(kolo_last_error()->tensor, "w");
    assert_null(request);
    host_finalize(ctx);
}

static void unstarted__has_no_end_to_wait_for(void **state)
{
    (void)state;
    kolo_context *ctx = host_init(NULL);
    float data[COUNT] = {0};
    int done;
    kolo_args args = host_args("w", data, &count);
    kolo_request *request = prepare(ctx, &args);
    host_expect(kolo_wait(request, -1), KOLO_ERR_STATE, "'w' was prepared, but not started");
    host_expect(kolo_wait(request, 0), KOLO_ERR_STATE, "kolo_start");
    host_expect(kolo_test(request, &done), KOLO_ERR_STATE, "not started");
    assert_null(kolo_request_error(request));
    run(request);
    assert_int_equal(kolo_wait(request, 0), KOLO_OK);
    kolo_request_free(request);
    kolo_request_free(prepare(ctx, &args)); /* never started */
    host_finalize(ctx);
}

static kolo_status started_inside;
static atomic_int completions;

static void start_again(void *user, kolo_request *request, kolo_status status)
{
    (void)user;
    assert_int_equal(status, KOLO_OK);
    started_inside = kolo_start(request);
    atomic_fetch_add(&completions, 1);
}

static void start__one_at_a_time(void **state)
{
    (void)state;
    kolo_context *ctx = host_init(NULL);
    float data[COUNT] = {0};
    kolo_args args = host_args("w", data, &count);
    kolo_request *plain = NULL;
    args.done = start_again;
    kolo_request *request = prepare(ctx, &args);
    for (int turn = 1; turn <= 5; turn++) {
        run(request);
        assert_int_equal(atomic_load(&completions), turn);
        assert_int_equal(started_inside, KOLO_ERR_STATE); /* not over before its callback */
    }
    args.done = NULL;
    assert_int_equal(kolo_allreduce(ctx, &args, &plain), KOLO_OK);
    host_expect(kolo_start(plain), KOLO_ERR_INVALID, "'w' cannot be started: its call did that");
    assert_int_equal(kolo_wait(plain, -1), KOLO_OK);
    host_expect(kolo_start(plain), KOLO_ERR_INVALID, "kolo_prepare");
    host_expect(kolo_start(NULL), KOLO_ERR_INVALID, "kolo_start needs a request");
    kolo_request_free(plain);
    assert_int_equal(kolo_start(request), KOLO_OK);
    kolo_request_free(request); /* it goes on */
    host_finalize(ctx);
    assert_int_equal(atomic_load(&completions), 6);
}

/* Fills the submit queue, and starts the one that waits for nothing then. */
static void start_behind_many(void *user, kolo_request *request, kolo_status status)
{
    (void)request;
    (void)status;
    static float data[COUNT];
    kolo_args args = host_args("many", data, &count);
    kolo_context *ctx = *(kolo_context **)user;
    kolo_request *one;
    while (kolo_allreduce(ctx, &args, &one) == KOLO_OK)
        kolo_request_free(one);
    started_inside = kolo_start(((kolo_request **)user)[1]);
}

static void start__refused_leaves_no_old_result(void **state)
{
    (void)state;
    float data[COUNT] = {0};
    setenv("KOLO_QUEUE_DEPTH", "16", 1);
    kolo_context *ctx = host_init(NULL);
    kolo_args args = host_args("w", data, &count);
    kolo_request *request = prepare(ctx, &args), *plain;
    run(request);
    void *both[2] = {ctx, request};
    args.name = "filler";
    args.done = start_behind_many;
    args.user = both;
    assert_int_equal(kolo_allreduce(ctx, &args, &plain), KOLO_OK);
    assert_int_equal(kolo_wait(plain, -1), KOLO_OK);
    assert_int_equal(started_inside, KOLO_ERR_STATE);
    host_expect(kolo_wait(request, 0), KOLO_ERR_STATE, "not started");
    run(request);
    kolo_request_free(plain);
    kolo_request_free(request);
    host_finalize(ctx);
    unsetenv("KOLO_QUEUE_DEPTH");
}

/* Contexts come and go, in the same place at times; a request is of the one that it was prepared in. */
static void start__after_its_context_has_gone(void **state)
{
    (void)state;
    enum { CONTEXTS = 70 };
    float data[COUNT] = {0};
    kolo_args args = host_args("w", data, &count);
    kolo_context *ctx = host_init(NULL);
    kolo_request *request = prepare(ctx, &args), *used = prepare(ctx, &args);
    run(used);
    host_finalize(ctx);
    host_expect(kolo_start(request), KOLO_ERR_STATE, "finalized");
    for (int i = 0; i < CONTEXTS; i++) {
        ctx = host_init(NULL);
        host_expect(kolo_start(request), KOLO_ERR_STATE, "finalized");
        host_expect(kolo_start(used), KOLO_ERR_STATE, "finalized");
        host_finalize(ctx);
    }
    assert_int_equal(kolo_wait(used, -1), KOLO_OK); /* its last result stays */
    host_expect(kolo_wait(request, -1), KOLO_ERR_STATE, "not started, and its context was finalized");
    kolo_request_free(request);
    kolo_request_free(used);
}

static void start__in_a_forked_child(void **state)
{
    (void)state;
    float data[COUNT] = {0};
    int status;
    kolo_args args = host_args("w", data, &count);
    kolo_context *ctx = host_init(NULL);
    kolo_request *request = prepare(ctx, &args);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(kolo_start(request) == KOLO_ERR_STATE && strstr(kolo_last_error()->message, "forked") != NULL &&
                      kolo_wait(request, -1) == KOLO_ERR_STATE && strstr(kolo_last_error()->message, "forked") != NULL
                  ? 0
                  : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    run(request);
    kolo_request_free(request);
    host_finalize(ctx);
}

int main(void)
{
    host_clear_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start__works_on_what_lies_there_now),
        cmocka_unit_test(prepare__refuses),
        cmocka_unit_test(unstarted__has_no_end_to_wait_for),
        cmocka_unit_test(start__one_at_a_time),
        cmocka_unit_test(start__refused_leaves_no_old_result),
        cmocka_unit_test(start__after_its_context_has_gone),
        cmocka_unit_test(start__in_a_forked_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
