/* test_requests.c - what an operation in a job of one rank answers, and the life of its request. */
#include "unit/api/host.h"

#include <sys/mman.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 4, BURST = 50 };

static kolo_context *ctx;
static const int64_t count = COUNT;

static void finish(kolo_request *request)
{
    if (kolo_wait(request, -1) != KOLO_OK)
        fail_msg("%s", kolo_last_error()->message);
    assert_null(kolo_request_error(request));
    kolo_request_free(request);
}

/* ---- results of one rank ----------------------------------------------------------------------------------------- */

static void results__are_the_input_scaled(void **state)
{
    (void)state;
    static kolo_status (*const operations[])(kolo_context *, const kolo_args *, kolo_request **) = {
        kolo_allreduce, kolo_reduce_scatter, kolo_allgather, kolo_broadcast};
    for (size_t o = 0; o < 4; o++)
        for (int in_place = 0; in_place < 2; in_place++) {
            float input[COUNT] = {1, -2, 3, 0.5f}, output[COUNT] = {9, 9, 9, 9};
            kolo_args args = host_args("w", output, &count);
            int reduces = o < 2;
            args.prescale = 0.5;
            args.postscale = 8.0;
            args.op = KOLO_AVERAGE;
            if (in_place || o == 3)
                memcpy(output, input, sizeof(output));
            if (!in_place) {
                args.input = args.output;
                args.input.data = input;
            }
            assert_int_equal(operations[o](ctx, &args, NULL), KOLO_OK);
            for (int i = 0; i < COUNT; i++)
                assert_true(output[i] == (reduces ? 4.0f : 1.0f) * input[i]);
        }
}

static void group__completes_together(void **state)
{
    (void)state;
    float a[COUNT] = {1, 2, 3, 4};
    int32_t b[COUNT] = {5, 6, 7, 8};
    kolo_tensor list[2] = {host_args(NULL, a, &count).output, kolo_vector(b, &count, KOLO_INT32)};
    kolo_args args = host_group("g", list, 2);
    kolo_request *request = NULL;
    assert_int_equal(kolo_allreduce(ctx, &args, &request), KOLO_OK);
    finish(request);
    assert_true(a[3] == 4.0f && b[3] == 8);
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

static void test__tells_when_it_is_over(void **state)
{
    (void)state;
    float data[COUNT] = {0};
    kolo_args args = host_args("w", data, &count);
    kolo_request *request = NULL;
    int done = 0;
    assert_int_equal(kolo_allreduce(ctx, &args, &request), KOLO_OK);
    while (!done) {
        assert_int_equal(kolo_test(request, &done), KOLO_OK);
        assert_int_equal(kolo_progress(ctx), KOLO_OK);
    }
    assert_int_equal(kolo_test(request, &done), KOLO_OK);
    assert_int_equal(done, 1);
    assert_int_equal(kolo_wait(request, 0), KOLO_OK);
    assert_int_equal(kolo_wait(request, -1), KOLO_OK);
    kolo_request_free(request);
}

static void handle__may_go_at_once(void **state)
{
    (void)state;
    float data[BURST][COUNT];
    for (int i = 0; i < BURST; i++) {
        kolo_args args = host_args("w", data[i], &count);
        kolo_request *request = NULL;
        assert_int_equal(kolo_allreduce(ctx, &args, &request), KOLO_OK);
        kolo_request_free(request);
    }
    assert_int_equal(kolo_barrier(ctx, NULL, NULL), KOLO_OK);
    float last[COUNT];
    kolo_args args = host_args("w", last, &count); /* after all of its name */
    assert_int_equal(kolo_allreduce(ctx, &args, NULL), KOLO_OK);
}

static void request__outlives_its_context(void **state)
{
    (void)state;
    kolo_context *own = host_init(NULL);
    kolo_request *request = NULL;
    int done = 0;
    assert_int_equal(kolo_barrier(own, NULL, &request), KOLO_OK);
    host_finalize(own); /* which completes it */
    assert_int_equal(kolo_test(request, &done), KOLO_OK);
    assert_int_equal(done, 1);
    assert_int_equal(kolo_wait(request, -1), KOLO_OK);
    assert_null(kolo_request_error(request));
    kolo_request_free(request);
}

static void completion_fd__counts(void **state)
{
    (void)state;
    static float data[BURST][COUNT];
    int fd = -1, again = -1;
    uint64_t seen = 0, number = 0;
    assert_int_equal(kolo_completion_fd(ctx, &fd), KOLO_OK);
    assert_int_equal(kolo_completion_fd(ctx, &again), KOLO_OK);
    assert_int_equal(fd, again);
    assert_true(read(fd, &number, sizeof(number)) < 0 && errno == EAGAIN);
    for (int i = 0; i < BURST; i++) {
        kolo_args args = host_args(NULL, data[i], &count);
        kolo_request *request = NULL;
        args.flags = KOLO_NOTIFY_FD;
        assert_int_equal(kolo_allreduce(ctx, &args, &request), KOLO_OK);
        kolo_request_free(request);
    }
    while (seen < BURST) {
        host_wait_readable(fd);
        assert_int_equal(read(fd, &number, sizeof(number)), sizeof(number));
        seen += number;
    }
    assert_int_equal(seen, BURST);
}

/* ---- callbacks --------------------------------------------------------------------------------------------------- */

typedef struct callback {
    kolo_context *ctx;
    float data[COUNT];
    _Atomic int calls;
    int left;
    kolo_status submitted, synchronous, waited, finalized, progressed;
    kolo_request *next;
    char text[256];
} callback;

static void count_call(void *user, kolo_request *request, kolo_status status)
{
    callback *c = user;
    assert_non_null(request);
    assert_int_equal(status, KOLO_OK);
    atomic_fetch_add(&c->calls, 1);
}

static void callback__is_called_once_before_the_wait_returns(void **state)
{
    (void)state;
    callback c = {.ctx = ctx};
    for (int i = 1; i <= BURST; i++) {
        kolo_args args = host_args("w", c.data, &count);
        kolo_request *request = NULL;
        args.done = count_call;
        args.user = &c;
        if (i % 2 == 0) {
            assert_int_equal(kolo_allreduce(ctx, &args, NULL), KOLO_OK);
        } else {
            assert_int_equal(kolo_allreduce(ctx, &args, &request), KOLO_OK);
            finish(request);
        }
        assert_int_equal(atomic_load(&c.calls), i);
    }
}

static void submit_next(void *user, kolo_request *request, kolo_status status)
{
    callback *c = user;
    (void)status;
    kolo_request_free(request);
    if (--c->left == 0)
        return;
    kolo_args args = host_args("chain", c->data, &count);
    args.done = submit_next;
    args.user = c;
    args.flags = KOLO_NOTIFY_FD;
    c->submitted = kolo_allreduce(c->ctx, &args, &c->next);
}

static void callback__may_submit_and_free(void **state)
{
    (void)state;
    callback c = {.ctx = host_init(NULL), .left = BURST};
    kolo_args args = host_args("chain", c.data, &count);
    uint64_t number = 0;
    int fd;
    args.done = submit_next;
    args.user = &c;
    args.flags = KOLO_NOTIFY_FD;
    assert_int_equal(kolo_completion_fd(c.ctx, &fd), KOLO_OK);
    assert_int_equal(kolo_allreduce(c.ctx, &args, &c.next), KOLO_OK);
    for (uint64_t seen = 0; seen < BURST; seen += number) {
        host_wait_readable(fd);
        assert_int_equal(read(fd, &number, sizeof(number)), sizeof(number));
    }
    host_finalize(c.ctx);
    assert_int_equal(c.left, 0);
    assert_int_equal(c.submitted, KOLO_OK);
}

static void misbehave(void *user, kolo_request *request, kolo_status status)
{
    callback *c = user;
    (void)request;
    (void)status;
    kolo_args args = host_args("never", c->data, &count);
    c->synchronous = kolo_allreduce(c->ctx, &args, NULL);
    snprintf(c->text, sizeof(c->text), "%.255s", kolo_last_error()->message);
    c->finalized = kolo_finalize(c->ctx);
    c->progressed = kolo_progress(c->ctx);
    c->submitted = kolo_barrier(c->ctx, NULL, &c->next);
    c->waited = kolo_wait(c->next, -1);
}

static void callback__that_waits_gets_an_error(void **state)
{
    (void)state;
    callback c = {.ctx = host_init(NULL)};
    kolo_args args = host_args("w", c.data, &count);
    args.done = misbehave;
    args.user = &c;
    assert_int_equal(kolo_allreduce(c.ctx, &args, NULL), KOLO_OK);
    assert_int_equal(c.synchronous, KOLO_ERR_STATE);
    assert_non_null(strstr(c.text, "a completion callback must not wait"));
    assert_int_equal(c.finalized, KOLO_ERR_STATE);
    assert_int_equal(c.progressed, KOLO_OK);
    assert_int_equal(c.submitted, KOLO_OK);
    assert_int_equal(c.waited, KOLO_ERR_STATE);
    finish(c.next);
    /* The refused operation was not queued: nothing with its name is under way, and its memory is the caller's. */
    float data[COUNT] = {1, 2, 3, 4};
    args = host_args("never", data, &count);
    args.op = KOLO_MAX;
    assert_int_equal(kolo_allreduce(c.ctx, &args, NULL), KOLO_OK);
    host_finalize(c.ctx);
}

/* ---- many threads ------------------------------------------------------------------------------------------------ */

static void *use_it(void *argument)
{
    char name[2] = {(char)('a' + *(int *)argument), '\0'};
    for (int i = 0; i < BURST; i++) {
        float data[COUNT] = {(float)i};
        kolo_args args = host_args(name, data, &count);
        kolo_request *request = NULL;
        args.postscale = 3.0;
        if (kolo_allreduce(ctx, &args, i % 2 == 0 ? &request : NULL) != KOLO_OK ||
            (request != NULL && kolo_wait(request, -1) != KOLO_OK))
            return NULL;
        kolo_request_free(request);
        if (data[0] < 3.0f * (float)i || data[0] > 3.0f * (float)i)
            return NULL;
    }
    return argument;
}

static void threads__share_a_context(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, use_it, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *fine = NULL;
        pthread_join(threads[i], &fine);
        assert_ptr_equal(fine, &numbers[i]);
    }
}

static int set_up(void **state)
{
    (void)state;
    host_clear_environment();
    ctx = host_init(NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    host_finalize(ctx);
    return 0;
}

/* The operation is over before the call returns, and so may be the memory of its args: "copied by the call". */
typedef struct passing {
    kolo_args args;
    kolo_tensor list[1];
} passing;

static void unmap_args(void *user, kolo_request *request, kolo_status status)
{
    (void)request;
    (void)status;
    assert_int_equal(munmap(user, sizeof(passing)), 0);
}

static void args__may_go_when_the_operation_is_over(void **state)
{
    (void)state;
    float data[COUNT] = {1};
    for (int call = 0; call < 3; call++) {
        passing *all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(all != MAP_FAILED);
        all->list[0] = host_args(NULL, data, &count).output;
        all->args = call == 1 ? host_group("gone", all->list, 1) : host_args("gone", data, &count);
        all->args.done = unmap_args;
        all->args.user = all;
        kolo_status status = call < 2 ? kolo_allreduce(ctx, &all->args, NULL) : kolo_barrier(ctx, &all->args, NULL);
        assert_int_equal(status, KOLO_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(args__may_go_when_the_operation_is_over),
        cmocka_unit_test(results__are_the_input_scaled),
        cmocka_unit_test(group__completes_together),
        cmocka_unit_test(test__tells_when_it_is_over),
        cmocka_unit_test(handle__may_go_at_once),
        cmocka_unit_test(request__outlives_its_context),
        cmocka_unit_test(completion_fd__counts),
        cmocka_unit_test(callback__is_called_once_before_the_wait_returns),
        cmocka_unit_test(callback__may_submit_and_free),
        cmocka_unit_test(callback__that_waits_gets_an_error),
        cmocka_unit_test(threads__share_a_context),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
