/* test_life.c - contexts come and go, and leave nothing behind. */
#include "unit/api/host.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { TIMES = 200, CONTEXTS = 64 };

static void use(kolo_context *ctx)
{
    float data[3] = {1, 2, 3};
    const int64_t count = 3;
    void *memory = NULL;
    kolo_args args = host_args("w", data, &count);
    assert_int_equal(kolo_allreduce(ctx, &args, NULL), KOLO_OK);
    assert_int_equal(kolo_alloc(ctx, 10000, &memory), KOLO_OK);
}

/* Reading the real machine takes most of kolo_init's time; a description of one in a line takes none. */
static void look_at_the_machine(int really)
{
    if (really)
        unsetenv("HWLOC_SYNTHETIC");
    else
        setenv("HWLOC_SYNTHETIC", "pack:1 core:2 pu:1", 1);
}

static void init_and_finalize__leave_no_fd_and_no_thread(void **state)
{
    (void)state;
    kolo_context *stale = host_init(NULL); /* what the C library opens once, it opens here */
    host_finalize(stale);
    int fds = host_count("/proc/self/fd"), threads = host_count("/proc/self/task");
    for (int i = 0; i < TIMES; i++) {
        look_at_the_machine(i % 20 == 0);
        kolo_context *ctx = host_init(NULL);
        /* A shell is reused as late as possible, so that a stale handle is found out. */
        if (i < CONTEXTS - 1) {
            assert_ptr_not_equal(ctx, stale);
            host_expect(kolo_progress(stale), KOLO_ERR_STATE, "finalized");
        }
        if (i % 10 == 0)
            use(ctx);
        host_finalize(ctx);
    }
    assert_int_equal(host_count("/proc/self/fd"), fds);
    assert_int_equal(host_count("/proc/self/task"), threads);
}

static void init__that_fails_leaves_nothing_either(void **state)
{
    (void)state;
    int fds = host_count("/proc/self/fd"), threads = host_count("/proc/self/task");
    kolo_context *ctx = NULL;
    setenv("KOLO_BIND", "unknown", 1); /* found out early, and more often than there are contexts */
    for (int i = 0; i < CONTEXTS + 1; i++)
        host_expect(kolo_init(NULL, &ctx), KOLO_ERR_CONFIG, "KOLO_BIND=unknown");
    unsetenv("KOLO_BIND");
    setenv("KOLO_ALGORITHM", "unknown", 1); /* late: the machine was looked at by then */
    for (int i = 0; i < 3; i++)
        host_expect(kolo_init(NULL, &ctx), KOLO_ERR_CONFIG, "KOLO_ALGORITHM=unknown");
    assert_string_equal(kolo_last_error()->operation, "init");
    unsetenv("KOLO_ALGORITHM");
    assert_null(ctx);
    assert_int_equal(host_count("/proc/self/fd"), fds);
    assert_int_equal(host_count("/proc/self/task"), threads);
}

static void many_contexts__and_one_too_many(void **state)
{
    (void)state;
    kolo_context *all[CONTEXTS], *more = NULL;
    for (int i = 0; i < CONTEXTS; i++) {
        all[i] = host_init(NULL);
        for (int k = 0; k < i; k++)
            assert_ptr_not_equal(all[i], all[k]);
    }
    host_expect(kolo_init(NULL, &more), KOLO_ERR_STATE, "too many contexts in this process; finalize one first");
    assert_null(more);
    use(all[0]);
    use(all[CONTEXTS - 1]);
    host_finalize(all[17]);
    all[17] = host_init(NULL);
    use(all[17]);
    for (int i = 0; i < CONTEXTS; i++)
        host_finalize(all[i]);
}

static void signals__are_the_hosts(void **state)
{
    (void)state;
    struct sigaction before[NSIG], after;
    sigset_t mask_before, mask_after;
    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &before[number]) != 0)
            before[number].sa_flags = -1;
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &mask_before), 0);
    kolo_context *ctx = host_init(NULL);
    use(ctx);
    for (int number = 1; number < NSIG; number++) {
        if (before[number].sa_flags == -1)
            continue;
        assert_int_equal(sigaction(number, NULL, &after), 0);
        if (after.sa_handler != before[number].sa_handler || after.sa_flags != before[number].sa_flags)
            fail_msg("signal %d has another handler after kolo_init", number);
    }
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &mask_after), 0);
    for (int number = 1; number < NSIG; number++)
        assert_int_equal(sigismember(&mask_before, number), sigismember(&mask_after, number));
    host_finalize(ctx);
}

static void *come_and_go(void *unused)
{
    (void)unused;
    for (int i = 0; i < 5; i++) {
        kolo_context *ctx = NULL;
        if (kolo_init(NULL, &ctx) != KOLO_OK || kolo_barrier(ctx, NULL, NULL) != KOLO_OK ||
            kolo_finalize(ctx) != KOLO_OK)
            return (void *)kolo_last_error()->message;
    }
    return NULL;
}

static void threads__come_and_go_at_the_same_time(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

int main(void)
{
    host_clear_environment();
    look_at_the_machine(0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_and_finalize__leave_no_fd_and_no_thread),
        cmocka_unit_test(init__that_fails_leaves_nothing_either),
        cmocka_unit_test(many_contexts__and_one_too_many),
        cmocka_unit_test(signals__are_the_hosts),
        cmocka_unit_test(threads__come_and_go_at_the_same_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
