/* test_error.c - what a failing call leaves behind, per thread. */
#include "cmocka_all.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"

static void fail__records_and_returns_status(void **state)
{
    (void)state;
    assert_int_equal(kolo_fail(KOLO_ERR_INVALID, "count is %d", -3), KOLO_ERR_INVALID);
    const kolo_error *error = kolo_error_current();
    assert_int_equal(error->struct_size, sizeof(kolo_error));
    assert_int_equal(error->status, KOLO_ERR_INVALID);
    assert_int_equal(error->sys_errno, 0);
    assert_string_equal(error->message, "count is -3");
}

static void fail__forgets_the_error_before(void **state)
{
    (void)state;
    (void)kolo_fail_errno(KOLO_ERR_SYSTEM, ENOENT, "first");
    strcpy(kolo_error_current()->tensor, "weights");
    strcpy(kolo_error_current()->ranks, "0-2");
    (void)kolo_fail(KOLO_ERR_STATE, "second");
    assert_int_equal(kolo_error_current()->sys_errno, 0);
    assert_string_equal(kolo_error_current()->tensor, "");
    assert_string_equal(kolo_error_current()->ranks, "");
}

static void fail__arguments_may_be_the_old_error(void **state)
{
    (void)state;
    (void)kolo_fail(KOLO_ERR_SYSTEM, "inner");
    (void)kolo_fail(KOLO_ERR_BOOTSTRAP, "outer: %s", kolo_error_current()->message);
    assert_string_equal(kolo_error_current()->message, "outer: inner");
}

static void fail__too_long_is_cut(void **state)
{
    (void)state;
    char text[2 * sizeof(kolo_error_current()->message)];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    (void)kolo_fail(KOLO_ERR_INVALID, "%s", text);
    assert_int_equal(strlen(kolo_error_current()->message), sizeof(kolo_error_current()->message) - 1);
}

static void fail_errno__adds_the_system_s_reason(void **state)
{
    (void)state;
    assert_int_equal(kolo_fail_errno(KOLO_ERR_SYSTEM, ENOENT, "can't open %s", "/x"), KOLO_ERR_SYSTEM);
    assert_int_equal(kolo_error_current()->sys_errno, ENOENT);
    assert_string_equal(kolo_error_current()->message, "can't open /x (No such file or directory)");
}

static void fail_errno__unknown_number(void **state)
{
    (void)state;
    (void)kolo_fail_errno(KOLO_ERR_SYSTEM, 99999, "odd");
    assert_string_equal(kolo_error_current()->message, "odd (Unknown error 99999)");
}

static void fail_errno__too_long_keeps_the_reason(void **state)
{
    (void)state;
    char text[2 * sizeof(kolo_error_current()->message)];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    (void)kolo_fail_errno(KOLO_ERR_SYSTEM, ENOENT, "%s", text);
    const char *message = kolo_error_current()->message;
    assert_int_equal(strlen(message), sizeof(kolo_error_current()->message) - 1);
    assert_non_null(strstr(message, "x (No such file or directory)"));
}

static void clear__forgets(void **state)
{
    (void)state;
    (void)kolo_fail_errno(KOLO_ERR_SYSTEM, EIO, "gone soon");
    kolo_error_clear();
    assert_int_equal(kolo_error_current()->status, KOLO_OK);
    assert_int_equal(kolo_error_current()->sys_errno, 0);
    assert_int_equal(kolo_error_current()->struct_size, sizeof(kolo_error));
    assert_string_equal(kolo_error_current()->message, "");
}

static void adopt__takes_over_all_fields(void **state)
{
    (void)state;
    kolo_error error = {.status = KOLO_ERR_PEER, .sys_errno = EPIPE, .ranks = "3", .message = "rank 3 is gone"};
    assert_int_equal(kolo_error_adopt(&error), KOLO_ERR_PEER);
    assert_int_equal(kolo_error_current()->struct_size, sizeof(kolo_error));
    assert_int_equal(kolo_error_current()->sys_errno, EPIPE);
    assert_string_equal(kolo_error_current()->ranks, "3");
    assert_int_equal(kolo_error_adopt(kolo_error_current()), KOLO_ERR_PEER);
    assert_string_equal(kolo_error_current()->message, "rank 3 is gone");
}

static void *fail_elsewhere(void *unused)
{
    (void)unused;
    bool fresh = kolo_error_current()->status == KOLO_OK && kolo_error_current()->struct_size == sizeof(kolo_error);
    (void)kolo_fail(KOLO_ERR_MEMORY, "elsewhere");
    return fresh ? kolo_error_current() : NULL;
}

static void current__is_per_thread(void **state)
{
    (void)state;
    (void)kolo_fail(KOLO_ERR_INVALID, "here");
    pthread_t thread;
    void *fresh = NULL;
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, &fresh), 0);
    assert_non_null(fresh);
    assert_string_equal(kolo_error_current()->message, "here");
}

static kolo_status pass_up(kolo_status status, int *steps)
{
    (*steps)++;
    KOLO_TRY(status);
    (*steps)++;
    return KOLO_OK;
}

static void try__returns_on_failure_only(void **state)
{
    (void)state;
    int steps = 0;
    assert_int_equal(pass_up(KOLO_ERR_TIMEOUT, &steps), KOLO_ERR_TIMEOUT);
    assert_int_equal(steps, 1);
    assert_int_equal(pass_up(KOLO_OK, &steps), KOLO_OK);
    assert_int_equal(steps, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail__records_and_returns_status),
        cmocka_unit_test(fail__forgets_the_error_before),
        cmocka_unit_test(fail__arguments_may_be_the_old_error),
        cmocka_unit_test(fail__too_long_is_cut),
        cmocka_unit_test(fail_errno__adds_the_system_s_reason),
        cmocka_unit_test(fail_errno__unknown_number),
        cmocka_unit_test(fail_errno__too_long_keeps_the_reason),
        cmocka_unit_test(clear__forgets),
        cmocka_unit_test(adopt__takes_over_all_fields),
        cmocka_unit_test(current__is_per_thread),
        cmocka_unit_test(try__returns_on_failure_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
