/* test_log.c - what the library says, and where: through the host's callback, or one line per event on stderr; never
 * anything else. */
#include "unit/api/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what a piece of work prints on stdout and stderr ------------------------------------------------------------ */

typedef struct capture {
    FILE *file;
    int saved[2];
    char text[4096];
} capture;

static void capture_begin(capture *c)
{
    fflush(NULL);
    c->file = tmpfile();
    assert_non_null(c->file);
    for (int fd = 1; fd <= 2; fd++) {
        c->saved[fd - 1] = dup(fd);
        assert_true(c->saved[fd - 1] >= 0 && dup2(fileno(c->file), fd) == fd);
    }
}

static void capture_end(capture *c)
{
    fflush(NULL);
    for (int fd = 1; fd <= 2; fd++) {
        (void)dup2(c->saved[fd - 1], fd);
        close(c->saved[fd - 1]);
    }
    rewind(c->file);
    c->text[fread(c->text, 1, sizeof(c->text) - 1, c->file)] = '\0';
    fclose(c->file);
}

static kolo_status init_with(host_log *log, kolo_context **ctx)
{
    kolo_init_args args = KOLO_INIT_ARGS_INIT;
    if (log != NULL) {
        args.log = host_log_line;
        args.log_user = log;
    }
    return kolo_init(&args, ctx);
}

/* A whole life, with an error in it. */
static void live(host_log *log)
{
    kolo_context *ctx = NULL;
    if (init_with(log, &ctx) != KOLO_OK)
        return;
    assert_int_equal(kolo_barrier(ctx, NULL, NULL), KOLO_OK);
    assert_int_equal(kolo_allreduce(ctx, NULL, NULL), KOLO_ERR_INVALID);
    assert_int_equal(kolo_finalize(ctx), KOLO_OK);
}

static void output__is_empty_with_a_callback(void **state)
{
    (void)state;
    host_log log = HOST_LOG_INIT;
    capture c;
    setenv("KOLO_LOG", "debug", 1);
    setenv("KOLO_CHUNKS", "1M", 1);
    capture_begin(&c);
    live(&log);
    capture_end(&c);
    unsetenv("KOLO_LOG");
    unsetenv("KOLO_CHUNKS");
    assert_string_equal(c.text, "");
    assert_true(host_log_contains(&log, "INFO: rank 0 of 1 (local 0 of 1) over alone"));
    assert_true(host_log_contains(&log, "WARN: "));
}

static void output__is_empty_without_events(void **state)
{
    (void)state;
    capture c;
    capture_begin(&c);
    live(NULL);
    capture_end(&c);
    assert_string_equal(c.text, "");
}

static void default_log__is_one_line_with_the_rank(void **state)
{
    (void)state;
    capture c;
    setenv("KOLO_CHUNKS", "1M", 1);
    capture_begin(&c);
    live(NULL);
    capture_end(&c);
    unsetenv("KOLO_CHUNKS");
    assert_memory_equal(c.text, "kolo[0] WARN: ", 14);
    assert_non_null(strstr(c.text, "KOLO_CHUNKS"));
    assert_ptr_equal(strchr(c.text, '\n'), c.text + strlen(c.text) - 1);
}

static void unknown_variable__is_named_with_the_nearest(void **state)
{
    (void)state;
    host_log log = HOST_LOG_INIT;
    setenv("KOLO_CHUNKS", "1M", 1);
    live(&log);
    unsetenv("KOLO_CHUNKS");
    assert_int_equal(log.lines, 1);
    assert_true(host_log_contains(&log, "WARN: "));
    assert_true(host_log_contains(
        &log, "KOLO_CHUNKS is not a variable of Kolo's and is ignored; the nearest one is KOLO_CHUNK\n"));
}

static void level__decides_what_is_said(void **state)
{
    (void)state;
    host_log log = HOST_LOG_INIT;
    setenv("KOLO_LOG", "error", 1);
    setenv("KOLO_CHUNKS", "1M", 1);
    live(&log);
    unsetenv("KOLO_LOG");
    unsetenv("KOLO_CHUNKS");
    assert_int_equal(log.lines, 0);
}

/* ---- values that make no sense ----------------------------------------------------------------------------------- */

static void bad_value__fails_and_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *variable, *value;
    } cases[] = {
        {"KOLO_LOG", "loud"},          {"KOLO_CHUNK", "12 apples"},     {"KOLO_CHUNK", "63"},
        {"KOLO_CHUNK", "-1"},          {"KOLO_TIMEOUT", "soon"},        {"KOLO_TIMEOUT", "-5s"},
        {"KOLO_QUEUE_DEPTH", "15"},    {"KOLO_QUEUE_DEPTH", "1e3"},     {"KOLO_GROUPS_IN_FLIGHT", "0"},
        {"KOLO_GROUPS_IN_FLIGHT", ""}, {"KOLO_SPIN", "sometimes"},      {"KOLO_BIND", "somewhere"},
        {"KOLO_ALGORITHM", "best"},    {"KOLO_BROADCAST", "ring-ring"}, {"KOLO_FUSION", "99999999999999999999"},
        {"KOLO_SHM_WINDOW", "abc"},    {"KOLO_SHM_WINDOW", "-1"},       {"KOLO_SHM_WINDOW", "1e30"},
        {"KOLO_SHM_WINDOW", "auto"},   {"KOLO_SHM_HEAP", "abc"},        {"KOLO_SHM_HEAP", "-1"},
        {"KOLO_SHM_HEAP", "1e30"},     {"KOLO_SHM_HEAP", "2000T"},      {"KOLO_SHM_ATTACH", "maybe"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        host_log log = HOST_LOG_INIT;
        capture c;
        kolo_context *ctx = NULL;
        setenv(cases[i].variable, cases[i].value, 1);
        capture_begin(&c);
        kolo_status status = init_with(&log, &ctx);
        capture_end(&c);
        unsetenv(cases[i].variable);
        host_expect(status, KOLO_ERR_CONFIG, cases[i].variable);
        host_expect(status, KOLO_ERR_CONFIG, cases[i].value);
        assert_string_equal(kolo_last_error()->operation, "init");
        assert_string_equal(c.text, "");
        assert_null(ctx);
    }
}

static void launchers_variables__that_contradict(void **state)
{
    (void)state;
    kolo_context *ctx = NULL;
    setenv("RANK", "3", 1);
    host_expect(kolo_init(NULL, &ctx), KOLO_ERR_CONFIG, "WORLD_SIZE");
    setenv("WORLD_SIZE", "2", 1);
    host_expect(kolo_init(NULL, &ctx), KOLO_ERR_CONFIG, "RANK is 3");
    setenv("RANK", "1", 1);
    host_expect(kolo_init(NULL, &ctx), KOLO_ERR_CONFIG, "MASTER_ADDR");
    unsetenv("RANK");
    unsetenv("WORLD_SIZE");
    kolo_init_args args = KOLO_INIT_ARGS_INIT;
    args.rank = 2;
    args.size = 2;
    host_expect(kolo_init(&args, &ctx), KOLO_ERR_INVALID, "rank is 2");
    args.rank = 0;
    args.size = 0;
    host_expect(kolo_init(&args, &ctx), KOLO_ERR_INVALID, "size is 0");
    assert_null(ctx);
}

int main(void)
{
    host_clear_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output__is_empty_with_a_callback),
        cmocka_unit_test(output__is_empty_without_events),
        cmocka_unit_test(default_log__is_one_line_with_the_rank),
        cmocka_unit_test(unknown_variable__is_named_with_the_nearest),
        cmocka_unit_test(level__decides_what_is_said),
        cmocka_unit_test(bad_value__fails_and_is_named),
        cmocka_unit_test(launchers_variables__that_contradict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
