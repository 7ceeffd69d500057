/* test_fork.c - a forked child and what it inherits: clear errors, a clean exit, and a parent that goes on. */
#include "unit/api/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
enum { CHILD_MAY_START_THREADS = 0 }; /* a limit of ThreadSanitizer */
#else
enum { CHILD_MAY_START_THREADS = 1 };
#endif

static int is_child;

/* LeakSanitizer asks this before it looks: what the parent's threads held on their stacks at the fork, nobody can free. */
int __lsan_is_turned_off(void) __attribute__((visibility("default")));
int __lsan_is_turned_off(void)
{
    return is_child;
}

typedef struct inherited {
    kolo_context *ctx;
    kolo_request *done, *pending;
    void *memory;
} inherited;

/* Runs check in a child; its answer is the child's exit status, 0 for success. */
static void in_child(int (*check)(const inherited *have), const inherited *have)
{
    int status = -1;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        is_child = 1;
        exit(check(have));
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the child ended with status 0x%x", status);
}

static int is_refused(kolo_status status)
{
    return status == KOLO_ERR_STATE && kolo_last_error()->status == KOLO_ERR_STATE &&
           strstr(kolo_last_error()->message, "fork") != NULL;
}

static int every_call_is_refused(const inherited *have)
{
    int done = 0;
    for (int call = 0; call < HOST_CALLS; call++)
        if (!is_refused(host_call(call, have->ctx))) {
            fprintf(stderr, "%s: %s\n", host_call_name(call), kolo_last_error()->message);
            return 1;
        }
    if (!is_refused(kolo_finalize(have->ctx)) || !is_refused(kolo_free(have->ctx, have->memory)))
        return 2;
    /* A result that was there before the fork can be read; one that was not never comes. */
    if (kolo_test(have->done, &done) != KOLO_OK || done != 1 || kolo_wait(have->done, -1) != KOLO_OK)
        return 3;
    if (have->pending != NULL &&
        (!is_refused(kolo_wait(have->pending, -1)) || !is_refused(kolo_wait(have->pending, 0)) ||
         !is_refused(kolo_test(have->pending, &done)) || done != 0))
        return 4;
    kolo_request_free(have->done);
    kolo_request_free(have->pending);
    return 0;
}

static int child_has_a_job_of_its_own(const inherited *have)
{
    kolo_context *own = NULL;
    float data[2] = {1, 2};
    const int64_t count = 2;
    (void)have;
    kolo_args args = host_args("w", data, &count);
    if (kolo_init(NULL, &own) != KOLO_OK || kolo_allreduce(own, &args, NULL) != KOLO_OK ||
        kolo_finalize(own) != KOLO_OK)
        return 1;
    return is_refused(kolo_progress(have->ctx)) ? 0 : 2;
}

static int grandchild_is_refused_too(const inherited *have)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        exit(every_call_is_refused(have));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? every_call_is_refused(have) : 9;
}

/* A callback that holds the engine's step, and with it a request that is not over, until the fork has been made. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int inside, open;
} gate;

static void hold(void *user, kolo_request *request, kolo_status status)
{
    gate *g = user;
    (void)request;
    (void)status;
    pthread_mutex_lock(&g->lock);
    g->inside = 1;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static inherited start(gate *g)
{
    inherited have = {.ctx = host_init(NULL)};
    float data[2] = {0};
    const int64_t count = 2;
    kolo_args args = host_args("w", data, &count);
    assert_int_equal(kolo_alloc(have.ctx, 100, &have.memory), KOLO_OK);
    assert_int_equal(kolo_barrier(have.ctx, NULL, &have.done), KOLO_OK);
    assert_int_equal(kolo_wait(have.done, -1), KOLO_OK);
    if (g == NULL)
        return have;
    args.done = hold;
    args.user = g;
    args.output.shape = &(const int64_t){0};
    assert_int_equal(kolo_allreduce(have.ctx, &args, &have.pending), KOLO_OK);
    pthread_mutex_lock(&g->lock);
    while (!g->inside)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
    return have;
}

static void end(inherited *have)
{
    /* The parent's job never noticed. */
    if (have->pending != NULL)
        assert_int_equal(kolo_wait(have->pending, -1), KOLO_OK);
    assert_int_equal(kolo_barrier(have->ctx, NULL, NULL), KOLO_OK);
    kolo_request_free(have->done);
    kolo_request_free(have->pending);
    host_finalize(have->ctx);
}

static void child__is_refused_everywhere(void **state)
{
    (void)state;
    inherited have = start(NULL);
    in_child(every_call_is_refused, &have);
    in_child(grandchild_is_refused_too, &have);
    end(&have);
}

static void child__forked_while_an_operation_is_under_way(void **state)
{
    (void)state;
    gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    inherited have = start(&g);
    in_child(every_call_is_refused, &have);
    pthread_mutex_lock(&g.lock);
    g.open = 1;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.lock);
    end(&have);
}

static void child__may_join_a_job_of_its_own(void **state)
{
    (void)state;
    if (!CHILD_MAY_START_THREADS)
        skip();
    inherited have = start(NULL);
    in_child(child_has_a_job_of_its_own, &have);
    end(&have);
}

int main(void)
{
    host_clear_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(child__is_refused_everywhere),
        cmocka_unit_test(child__forked_while_an_operation_is_under_way),
        cmocka_unit_test(child__may_join_a_job_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
