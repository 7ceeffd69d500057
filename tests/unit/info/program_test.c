/* program_test.c - kolo-info as a process: arguments, environment, and what it prints about described machines. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/config.h"

static const char *program;

typedef struct outcome {
    char text[65536]; /* standard output and standard error */
    int status;
} outcome;

enum { ARGS_MAX = 8, SANITIZERS = 3 };

static void read_all(int fd, outcome *result)
{
    size_t used = 0;
    for (;;) {
        ssize_t got = read(fd, result->text + used, sizeof(result->text) - 1 - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    result->text[used] = '\0';
}

/* Both lists end with NULL; env is all the environment there is, but for what sanitizers need. */
static outcome *run(char *const *args, char *const *env)
{
    static outcome result;
    char *argv[ARGS_MAX + 2] = {(char *)(uintptr_t)program}, *envp[ARGS_MAX + SANITIZERS + 1] = {NULL};
    size_t count = 0;
    for (; args[count]; count++) {
        assert_true(count < ARGS_MAX);
        argv[count + 1] = args[count];
    }
    for (count = 0; env[count]; count++) {
        assert_true(count < ARGS_MAX);
        envp[count] = env[count];
    }
    static const char *const sanitizers[] = {"ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"};
    static char options[SANITIZERS][512];
    for (size_t i = 0; i < SANITIZERS; i++) {
        const char *value = getenv(sanitizers[i]);
        snprintf(options[i], sizeof(options[i]), "%s=%s", sanitizers[i], value ? value : "");
        envp[count++] = options[i];
    }

    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (dup2(ends[1], STDOUT_FILENO) < 0 || dup2(ends[1], STDERR_FILENO) < 0)
            _exit(120);
        execve(program, argv, envp);
        _exit(121);
    }
    close(ends[1]);
    read_all(ends[0], &result);
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    result.status = WEXITSTATUS(status);
    return &result;
}

#define ARGS(...) ((char *[]){__VA_ARGS__ NULL})
#define ENV(...)  ((char *[]){__VA_ARGS__ NULL})

static void assert_has(const outcome *result, const char *text)
{
    if (!strstr(result->text, text))
        fail_msg("'%s' is missing in:\n%s", text, result->text);
}

/* ---- arguments ------------------------------------------------------------------------------ */

static void arguments__wrong_ones_exit_2(void **state)
{
    (void)state;
    static char *const wrong[][3] = {{"--np", "0"}, {"--np", "-1"}, {"--np", "two"},  {"--np", "3x"}, {"--np", "65537"},
                                     {"--np"},      {"--np="},      {"--frobnicate"}, {"4"},          {""}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        const outcome *result = run(wrong[i], ENV());
        assert_int_equal(result->status, 2);
        assert_has(result, "kolo-info: ");
        assert_has(result, strncmp(wrong[i][0], "--np", 4) == 0 ? "expected a number of ranks" : "unknown argument");
    }
    assert_has(run(ARGS("4", ), ENV()), "unknown argument '4'; a number of ranks is --np 4\n");
    assert_has(run(ARGS("--frobnicate", ), ENV()), "unknown argument '--frobnicate'; see kolo-info --help\n");
}

static void arguments__help_and_version(void **state)
{
    (void)state;
    const outcome *result = run(ARGS("--help", ), ENV());
    assert_int_equal(result->status, 0);
    assert_has(result, "--selection");
    result = run(ARGS("--version", ), ENV());
    assert_int_equal(result->status, 0);
    assert_true(strncmp(result->text, "kolo ", 5) == 0);
    assert_has(result, ", ABI ");
    assert_ptr_equal(strchr(result->text, '\n'), result->text + strlen(result->text) - 1); /* one line */
}

/* ---- configuration -------------------------------------------------------------------------- */

/* The line of a variable: "  KOLO_X   value   origin   meaning". */
static void assert_variable(const outcome *result, const char *variable, const char *value, const char *origin)
{
    char key[64], seen_value[256] = "", seen_origin[32] = "";
    snprintf(key, sizeof(key), "\n  %s ", variable);
    const char *table = strstr(result->text, "\nconfiguration\n");
    assert_non_null(table);
    const char *line = strstr(table, key);
    assert_non_null(line);
    assert_int_equal(sscanf(line + strlen(key), "%255s %31s", seen_value, seen_origin), 2);
    assert_string_equal(seen_value, value);
    assert_string_equal(seen_origin, origin);
}

static void configuration__every_variable_is_shown(void **state)
{
    (void)state;
    const outcome *result = run(ARGS(), ENV());
    assert_int_equal(result->status, 0);
    kolo_config config;
    char *empty[] = {NULL};
    assert_int_equal(kolo_config_init(&config, empty, NULL), KOLO_OK);
    for (size_t i = 0; i < kolo_config_count(); i++) {
        kolo_config_entry entry;
        kolo_config_describe(&config, i, &entry);
        assert_variable(result, entry.variable, *entry.value ? entry.value : "-", "default");
        assert_has(result, entry.meaning);
    }
    kolo_config_fini(&config);
}

static void configuration__origin_is_shown(void **state)
{
    (void)state;
    const outcome *result = run(ARGS(), ENV("KOLO_CHUNK=128K", "KOLO_JOB_SECRET=hush", ));
    assert_int_equal(result->status, 0);
    assert_variable(result, "KOLO_CHUNK", "128K", "environment");
    assert_variable(result, "KOLO_FUSION", "16M", "default");
    assert_variable(result, "KOLO_JOB_SECRET", "(set)", "environment");
    assert_null(strstr(result->text, "hush"));
}

static void configuration__invalid_values_are_named_and_the_rest_is_shown(void **state)
{
    (void)state;
    const outcome *result = run(ARGS(), ENV("KOLO_CHUNK=banana", "KOLO_FUSION=1M", "KOLO_QUEUE_DEPTH=0", ));
    assert_int_equal(result->status, 1);
    assert_has(result, "KOLO_CHUNK is 'banana'");
    assert_has(result, "KOLO_QUEUE_DEPTH is '0'");
    assert_variable(result, "KOLO_FUSION", "1M", "environment");
    assert_variable(result, "KOLO_CHUNK", "256K", "default");
    assert_has(result, "\nplacement of ");
}

/* Values that parse, and that kolo_init would refuse. */
static void configuration__values_without_meaning_are_named(void **state)
{
    (void)state;
    static const struct {
        char *set;
        const char *said;
    } cases[] = {
        {"KOLO_ALGORITHM=foo", "KOLO_ALGORITHM=foo names no algorithm for allreduce; one of auto, ring,"},
        {"KOLO_ALGORITHM=shared", "KOLO_ALGORITHM=shared names no algorithm"},
        {"KOLO_BROADCAST=ring", "KOLO_BROADCAST=ring names no algorithm for broadcast; one of auto, binomial,"},
        {"KOLO_ALGORITHM=binomial", "attach (that is one of KOLO_BROADCAST's)"},
        {"KOLO_PRICES=flight=fast", "flight=fast"},
        {"KOLO_PRICES=foo",
         "KOLO_PRICES: 'foo' is no price; auto, default, or some of these, like flight=200ns,copy=30us: message,"},
        {"KOLO_TRANSPORT=tcp", "KOLO_TRANSPORT=tcp names no transport"},
        {"KOLO_BIND=cores", "KOLO_BIND=cores is unknown"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const outcome *result = run(ARGS(), ENV(cases[i].set, "KOLO_FUSION=1M", ));
        assert_int_equal(result->status, 1);
        assert_has(result, "kolo_init would fail\n  ");
        assert_has(result, cases[i].said);
        assert_variable(result, "KOLO_FUSION", "1M", "environment");
        assert_has(result, "\nplacement of ");
    }
    const outcome *fine = run(ARGS(), ENV("KOLO_ALGORITHM=direct", "KOLO_BROADCAST=chain", "KOLO_PRICES=flight=2us",
                                          "KOLO_TRANSPORT=ucx", "KOLO_BIND=none", ));
    assert_int_equal(fine->status, 0);
    assert_null(strstr(fine->text, "kolo_init would fail"));
}

static void configuration__unknown_variable_is_named(void **state)
{
    (void)state;
    const outcome *result = run(ARGS(), ENV("KOLO_CHUNKS=1", ));
    assert_int_equal(result->status, 0);
    assert_has(result, "KOLO_CHUNKS");
}

static void launcher__variables_seen(void **state)
{
    (void)state;
    const outcome *result = run(ARGS(), ENV("RANK=3", "MASTER_ADDR=node7", "SLURM_PROCID=11", ));
    assert_int_equal(result->status, 0);
    assert_has(result, "  RANK                        3\n");
    assert_has(result, "  MASTER_ADDR                 node7\n");
    assert_has(result, "  SLURM_PROCID                11  (not read by Kolo)\n");
    result = run(ARGS(), ENV());
    assert_has(result, "a job of one rank");
}

/* ---- devices -------------------------------------------------------------------------------- */

static void devices__iface_chooses(void **state)
{
    (void)state;
    const outcome *result = run(ARGS(), ENV("KOLO_IFACE=lo", ));
    assert_has(result, "\n  lo ");
    assert_has(result, "chosen");
    result = run(ARGS(), ENV("KOLO_IFACE=^lo,nosuch0", ));
    assert_has(result, "left out");
    assert_has(result, "KOLO_IFACE names nosuch0");
    assert_int_equal(result->status, 0);
}

/* ---- machines ------------------------------------------------------------------------------- */

static void machine__synthetic(void **state)
{
    (void)state;
    const outcome *result = run(ARGS("--np", "3", ), ENV("HWLOC_SYNTHETIC=pack:2 l3:1 core:4 pu:2", ));
    assert_int_equal(result->status, 0);
    assert_has(result, "not this machine");
    assert_has(result, "8 of 8 cores allowed");
    assert_has(result, "placement of 3 ranks");
    assert_has(result, "\n      0  0-3                           2  2-3 ");
    assert_has(result, "\n      2  8-15                          4  14-15 ");
    assert_has(result, "ring: 0 1 2, and back to 0");
}

static void machine__one_core(void **state)
{
    (void)state;
    const outcome *result = run(ARGS(), ENV("HWLOC_SYNTHETIC=core:1 pu:1", ));
    assert_int_equal(result->status, 0);
    assert_has(result, "placement of 1 rank on");
    assert_has(result, "shares the core");
    result = run(ARGS("-np", "2", ), ENV("HWLOC_SYNTHETIC=core:1 pu:1", ));
    assert_has(result, "\n    0-1  0                             1  shares the core ");
    result = run(ARGS("-np", "3", ), ENV("HWLOC_SYNTHETIC=core:2 pu:1", ));
    assert_has(result, "no rank is bound: 3 ranks share 2 cores, and not evenly\n");
    result = run(ARGS(), ENV("HWLOC_SYNTHETIC=core:1 pu:1", "KOLO_BIND=none", ));
    assert_has(result, "no rank is bound: KOLO_BIND=none");
}

static void machine__exported(void **state)
{
    (void)state;
    const outcome *result = run(ARGS(), ENV("HWLOC_XMLFILE=" TOPO_DATA "/allowed-part.xml", ));
    assert_int_equal(result->status, 0);
    assert_has(result, "4 of 8 cores allowed");
    assert_has(result, "only CPU 5 allowed");
    assert_has(result, "placement of 4 ranks");
    assert_has(result, "ring: 0 1 2 3, and back to 0");
}

static void machine__many_ranks(void **state)
{
    (void)state;
    const outcome *result = run(ARGS("--np=64", ), ENV("HWLOC_SYNTHETIC=numa:4 core:16 pu:1", ));
    assert_int_equal(result->status, 0);
    assert_has(result, "\n     63  63 ");
    assert_has(result, "    3  node 3\n");
    assert_has(result, "\n        16 17 ");
}

/* ---- selection ------------------------------------------------------------------------------ */

static void selection__every_size_and_operation(void **state)
{
    (void)state;
    static char *const sizes[] = {"2", "7", "65536"};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        const outcome *result = run(ARGS("--selection", "--np", sizes[i], ), ENV("HWLOC_SYNTHETIC=core:2 pu:1", ));
        assert_int_equal(result->status, 0);
        const char *table = strstr(result->text, "\nselection for ");
        assert_non_null(table);
        assert_non_null(strstr(table, "\n      4 B  "));
        assert_non_null(strstr(table, "\n      1 GiB"));
        assert_null(strstr(table, "nan"));
        assert_null(strstr(table, " -  ")); /* every cell has its algorithm */
        const char *shared = strstr(table, "\n  where all ranks share memory\n");
        assert_non_null(shared);
        assert_non_null(strstr(table, "\n  where ranks send messages\n")); /* of a described machine: not measured */
        assert_non_null(strstr(shared, "  direct  "));
        assert_true(strstr(table, "  direct  ") > shared); /* only there */
    }
}

static void selection__one_rank_has_none(void **state)
{
    (void)state;
    const outcome *result = run(ARGS("--selection", "--np", "1", ), ENV());
    assert_int_equal(result->status, 0);
    const char *table = strstr(result->text, "\nselection for 1 rank\n  nothing to choose");
    assert_non_null(table);
    assert_null(strstr(table, " us"));
}

static void selection__number_of_ranks_from_the_launcher(void **state)
{
    (void)state;
    const outcome *result =
        run(ARGS("--selection", ), ENV("HWLOC_SYNTHETIC=core:4 pu:1", "WORLD_SIZE=6", "LOCAL_WORLD_SIZE=3", ));
    assert_has(result, "\nplacement of 3 ranks ");
    assert_has(result, "\nselection for 6 ranks\n");
    result = run(ARGS("--selection", ), ENV("HWLOC_SYNTHETIC=core:4 pu:1", "WORLD_SIZE=2", ));
    assert_has(result, "\nplacement of 2 ranks ");
    assert_has(result, "\nselection for 2 ranks\n");
    result = run(ARGS("--selection", ), ENV("HWLOC_SYNTHETIC=core:4 pu:1", "WORLD_SIZE=two", ));
    assert_has(result, "\nselection for 4 ranks\n");
    result = run(ARGS("--selection", "--np", "3", ), ENV("HWLOC_SYNTHETIC=core:4 pu:1", "WORLD_SIZE=2", ));
    assert_has(result, "\nplacement of 3 ranks ");
    assert_has(result, "\nselection for 3 ranks\n");
}

/* Then it sees its own cores only: nothing can be said about the others', nor measured there. */
static void selection__rank_that_is_bound(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    if (CPU_COUNT(&before) < 2)
        skip();
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    const outcome *result = run(ARGS("--selection", ), ENV("WORLD_SIZE=2", "LOCAL_WORLD_SIZE=2", ));
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
    assert_int_equal(result->status, 0);
    assert_has(result, "\nplacement of 2 ranks on this machine\n  this rank is bound already, to 1 core;");
    assert_has(result, "\nselection for 2 ranks\n  prices, not measured (this rank is bound;");
}

static void selection__forced(void **state)
{
    (void)state;
    const outcome *result =
        run(ARGS("--selection", "--np", "4", ), ENV("KOLO_ALGORITHM=ring", "KOLO_BROADCAST=chain", ));
    const char *table = strstr(result->text, "\nselection for ");
    assert_non_null(table);
    assert_non_null(strstr(table, "KOLO_ALGORITHM=ring: "));
    assert_null(strstr(table, "oneshot"));
    assert_null(strstr(table, "binomial"));
    assert_null(strstr(table, "  shared "));
}

static void selection__tensors_of_kolo_alloc(void **state)
{
    (void)state;
    const outcome *result = run(ARGS("--selection", "--np", "2", ), ENV("KOLO_PRICES=default", ));
    const char *head = strstr(result->text, "allreduce from kolo_alloc");
    assert_non_null(head);
    const char *largest = strstr(head, "\n      1 GiB  shared  ");
    assert_non_null(largest);
    assert_non_null(strstr(largest, "  direct  "));
    assert_true(strstr(result->text, "\n  where all ranks share memory\n") < head);  /* only there */
    result = run(ARGS("--selection", "--np", "65", ), ENV("KOLO_PRICES=default", )); /* too many for that */
    assert_null(strstr(result->text, "  shared  "));
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s KOLO-INFO\n", argv[0]);
        return 2;
    }
    program = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments__wrong_ones_exit_2),
        cmocka_unit_test(arguments__help_and_version),
        cmocka_unit_test(configuration__every_variable_is_shown),
        cmocka_unit_test(configuration__origin_is_shown),
        cmocka_unit_test(configuration__invalid_values_are_named_and_the_rest_is_shown),
        cmocka_unit_test(configuration__values_without_meaning_are_named),
        cmocka_unit_test(configuration__unknown_variable_is_named),
        cmocka_unit_test(launcher__variables_seen),
        cmocka_unit_test(devices__iface_chooses),
        cmocka_unit_test(machine__synthetic),
        cmocka_unit_test(machine__one_core),
        cmocka_unit_test(machine__exported),
        cmocka_unit_test(machine__many_ranks),
        cmocka_unit_test(selection__every_size_and_operation),
        cmocka_unit_test(selection__one_rank_has_none),
        cmocka_unit_test(selection__number_of_ranks_from_the_launcher),
        cmocka_unit_test(selection__rank_that_is_bound),
        cmocka_unit_test(selection__forced),
        cmocka_unit_test(selection__tensors_of_kolo_alloc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
