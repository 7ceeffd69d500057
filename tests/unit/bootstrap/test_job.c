/* test_job.c - who am I: every variable and argument, right and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"
#include "bootstrap/job.h"

#define ENV(...) ((char *[]){__VA_ARGS__, NULL})

static void expect_error(const kolo_init_args *args, char **envp, kolo_status status, const char *first,
                         const char *second)
{
    kolo_job job = {.rank = 77};
    kolo_error_clear();
    assert_int_equal(kolo_job_detect(args, envp, &job), status);
    const char *message = kolo_error_current()->message;
    if (strstr(message, first) == NULL || strstr(message, second) == NULL)
        fail_msg("expected '%s' and '%s' in: %s", first, second, message);
    assert_int_equal(job.rank, 77); /* the output is set on success only */
}

static void detect__no_launcher_is_a_job_of_one(void **state)
{
    (void)state;
    kolo_job job;
    /* Without RANK and WORLD_SIZE the other variables are leftovers of something else. */
    assert_int_equal(kolo_job_detect(NULL, ENV("MASTER_PORT=nonsense", "LOCAL_RANK=9", "RANKS=3"), &job), KOLO_OK);
    assert_int_equal(job.rank, 0);
    assert_int_equal(job.size, 1);
    assert_int_equal(job.local_rank, -1);
    assert_int_equal(job.local_size, -1);
    assert_int_equal(job.master_port, 0);
    assert_int_equal(kolo_job_detect(NULL, NULL, &job), KOLO_OK);
    assert_int_equal(job.size, 1);
    assert_null(job.foreign);
}

static void detect__launchers_that_are_not_read_are_named(void **state)
{
    (void)state;
    kolo_job job;
    assert_int_equal(kolo_job_detect(NULL, ENV("PMI_SIZE=2", "OMPI_COMM_WORLD_SIZE=1"), &job), KOLO_OK);
    assert_int_equal(job.size, 1);
    assert_string_equal(job.foreign, "PMI_SIZE");
    assert_int_equal(kolo_job_detect(NULL, ENV("SLURM_NTASKS=4", "SLURM_STEP_NUM_TASKS=1", "PMI_SIZE=many"), &job),
                     KOLO_OK);
    assert_null(job.foreign);
    assert_int_equal(kolo_job_detect(NULL, ENV("RANK=0", "WORLD_SIZE=1", "PMI_SIZE=2"), &job), KOLO_OK);
    assert_null(job.foreign);
}

static void detect__all_variables_are_read(void **state)
{
    (void)state;
    kolo_job job;
    char **envp =
        ENV("RANK=5", "WORLD_SIZE=8", "LOCAL_RANK=1", "LOCAL_WORLD_SIZE=4", "MASTER_ADDR=node-a", "MASTER_PORT=29500");
    assert_int_equal(kolo_job_detect(NULL, envp, &job), KOLO_OK);
    assert_int_equal(job.rank, 5);
    assert_int_equal(job.size, 8);
    assert_int_equal(job.local_rank, 1);
    assert_int_equal(job.local_size, 4);
    assert_string_equal(job.master_addr, "node-a");
    assert_int_equal(job.master_port, 29500);
}

static void detect__local_variables_may_lack(void **state)
{
    (void)state;
    kolo_job job;
    assert_int_equal(kolo_job_detect(NULL, ENV("RANK=1", "WORLD_SIZE=2", "MASTER_ADDR=::1", "MASTER_PORT=1"), &job),
                     KOLO_OK);
    assert_int_equal(job.local_rank, -1);
    assert_int_equal(job.local_size, -1);
}

static void detect__one_rank_needs_no_meeting_point(void **state)
{
    (void)state;
    kolo_job job;
    assert_int_equal(kolo_job_detect(NULL, ENV("RANK=0", "WORLD_SIZE=1"), &job), KOLO_OK);
    assert_int_equal(job.size, 1);
    assert_int_equal(job.master_port, 0);
}

static void detect__arguments_win(void **state)
{
    (void)state;
    kolo_job job;
    kolo_init_args args = KOLO_INIT_ARGS_INIT;
    args.rank = 2;
    args.size = 3;
    args.master_addr = "127.0.0.1";
    args.master_port = 4000;
    char **envp =
        ENV("RANK=x", "WORLD_SIZE=x", "LOCAL_RANK=x", "LOCAL_WORLD_SIZE=x", "MASTER_ADDR=other", "MASTER_PORT=x");
    assert_int_equal(kolo_job_detect(&args, envp, &job), KOLO_OK);
    assert_int_equal(job.rank, 2);
    assert_int_equal(job.size, 3);
    assert_int_equal(job.local_rank, -1);
    assert_string_equal(job.master_addr, "127.0.0.1");
    assert_int_equal(job.master_port, 4000);
}

static void detect__default_arguments_read_the_environment(void **state)
{
    (void)state;
    kolo_job job;
    kolo_init_args args = KOLO_INIT_ARGS_INIT;
    assert_int_equal(kolo_job_detect(&args, ENV("RANK=1", "WORLD_SIZE=2", "MASTER_ADDR=h", "MASTER_PORT=65535"), &job),
                     KOLO_OK);
    assert_int_equal(job.rank, 1);
    assert_int_equal(job.master_port, 65535);
}

static void detect__half_an_identity(void **state)
{
    (void)state;
    expect_error(NULL, ENV("RANK=0"), KOLO_ERR_CONFIG, "RANK is set ('0')", "WORLD_SIZE is not");
    expect_error(NULL, ENV("WORLD_SIZE=4"), KOLO_ERR_CONFIG, "WORLD_SIZE is set ('4')", "RANK is not");
    kolo_init_args args = KOLO_INIT_ARGS_INIT;
    args.rank = 0;
    expect_error(&args, NULL, KOLO_ERR_INVALID, "rank is 0", "WORLD_SIZE");
    args.rank = -1;
    args.size = 4;
    expect_error(&args, NULL, KOLO_ERR_INVALID, "size is 4", "RANK");
}

static void detect__bad_rank_and_size(void **state)
{
    (void)state;
    static char *const bad[] = {"", "one", "1x", " 1", "-1", "99999999999999999999", "0x1", "1.0"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char rank[64], size[64];
        snprintf(rank, sizeof(rank), "RANK=%s", bad[i]);
        snprintf(size, sizeof(size), "WORLD_SIZE=%s", bad[i]);
        expect_error(NULL, ENV(rank, "WORLD_SIZE=4", "MASTER_ADDR=h", "MASTER_PORT=1"), KOLO_ERR_CONFIG, "RANK is '",
                     bad[i]);
        expect_error(NULL, ENV("RANK=0", size, "MASTER_ADDR=h", "MASTER_PORT=1"), KOLO_ERR_CONFIG, "WORLD_SIZE is '",
                     bad[i]);
    }
    expect_error(NULL, ENV("RANK=0", "WORLD_SIZE=0"), KOLO_ERR_CONFIG, "WORLD_SIZE is '0'", "1 to");
    expect_error(NULL, ENV("RANK=4", "WORLD_SIZE=4"), KOLO_ERR_CONFIG, "RANK is 4", "0 to 3");
    kolo_init_args args = KOLO_INIT_ARGS_INIT;
    args.rank = 3;
    args.size = 2;
    expect_error(&args, NULL, KOLO_ERR_INVALID, "rank is 3", "size is 2");
    args.rank = -5;
    expect_error(&args, NULL, KOLO_ERR_INVALID, "rank is -5", "0 to 1");
    args.rank = 0;
    args.size = 0;
    expect_error(&args, NULL, KOLO_ERR_INVALID, "size is 0", "1 to");
}

static void detect__bad_local_variables(void **state)
{
    (void)state;
    expect_error(NULL, ENV("RANK=0", "WORLD_SIZE=2", "LOCAL_RANK=a"), KOLO_ERR_CONFIG, "LOCAL_RANK is 'a'", "0 to 1");
    expect_error(NULL, ENV("RANK=0", "WORLD_SIZE=2", "LOCAL_WORLD_SIZE=3"), KOLO_ERR_CONFIG, "LOCAL_WORLD_SIZE is '3'",
                 "1 to 2");
    expect_error(NULL, ENV("RANK=0", "WORLD_SIZE=4", "LOCAL_RANK=2", "LOCAL_WORLD_SIZE=2"), KOLO_ERR_CONFIG,
                 "LOCAL_RANK is 2", "0 to 1");
}

static void detect__bad_meeting_point(void **state)
{
    (void)state;
    static char *const ports[] = {"", "0", "65536", "-1", "http"};
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        char port[64];
        snprintf(port, sizeof(port), "MASTER_PORT=%s", ports[i]);
        expect_error(NULL, ENV("RANK=0", "WORLD_SIZE=2", "MASTER_ADDR=h", port), KOLO_ERR_CONFIG, "MASTER_PORT is '",
                     "1 to 65535");
    }
    expect_error(NULL, ENV("RANK=0", "WORLD_SIZE=2", "MASTER_PORT=1"), KOLO_ERR_CONFIG, "MASTER_ADDR is not set",
                 "2 ranks");
    expect_error(NULL, ENV("RANK=0", "WORLD_SIZE=2", "MASTER_PORT=1", "MASTER_ADDR="), KOLO_ERR_CONFIG,
                 "MASTER_ADDR is empty", "");
    expect_error(NULL, ENV("RANK=0", "WORLD_SIZE=2", "MASTER_ADDR=h"), KOLO_ERR_CONFIG, "MASTER_PORT is not set",
                 "free port");
    char longest[320] = "MASTER_ADDR=";
    memset(longest + strlen(longest), 'a', 256);
    expect_error(NULL, ENV("RANK=0", "WORLD_SIZE=2", longest, "MASTER_PORT=1"), KOLO_ERR_CONFIG,
                 "MASTER_ADDR has 256 bytes", "255");
    kolo_init_args args = KOLO_INIT_ARGS_INIT;
    args.rank = 0;
    args.size = 2;
    args.master_addr = "h";
    args.master_port = 70000;
    expect_error(&args, NULL, KOLO_ERR_INVALID, "master_port is 70000", "65535");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detect__no_launcher_is_a_job_of_one),
        cmocka_unit_test(detect__launchers_that_are_not_read_are_named),
        cmocka_unit_test(detect__all_variables_are_read),
        cmocka_unit_test(detect__local_variables_may_lack),
        cmocka_unit_test(detect__one_rank_needs_no_meeting_point),
        cmocka_unit_test(detect__arguments_win),
        cmocka_unit_test(detect__default_arguments_read_the_environment),
        cmocka_unit_test(detect__half_an_identity),
        cmocka_unit_test(detect__bad_rank_and_size),
        cmocka_unit_test(detect__bad_local_variables),
        cmocka_unit_test(detect__bad_meeting_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
