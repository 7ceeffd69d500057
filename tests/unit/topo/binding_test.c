/* binding_test.c - real threads on real cores: affinity is respected, and nothing is bound outside of it. */
#include "unit/topo/machines.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/error.h"

static cpu_set_t affinity(void)
{
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    return set;
}

static size_t first_cpu(const cpu_set_t *set)
{
    size_t cpu = 0;
    while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, set))
        cpu++;
    return cpu;
}

/* Runs `check` in a process of its own, as affinity is not given back: this program again, with the check's name.
 * First the child runs `before`: what is bound before exec holds for all threads, those of a sanitizer included. */
static void in_process(const char *check, bool (*before)(void))
{
    char *argv[] = {"binding_test", (char *)(uintptr_t)check, NULL};
    unsetenv("HWLOC_SYNTHETIC");
    unsetenv("HWLOC_XMLFILE");
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!before || before())
            execv("/proc/self/exe", argv);
        _exit(100);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHECK(condition)                                                                                              \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                           \
            return 1;                                                                                                 \
        }                                                                                                             \
    } while (0)

/* ---- on one CPU of several ------------------------------------------------------------------ */

static bool bind_to_first_cpu(void)
{
    cpu_set_t all = affinity(), one;
    CPU_ZERO(&one);
    CPU_SET(first_cpu(&all), &one);
    return sched_setaffinity(0, sizeof(one), &one) == 0;
}

static int check_restricted(void)
{
    cpu_set_t one = affinity();
    size_t mine = first_cpu(&one), others = mine == 0 ? 1 : 0; /* may exist or not: not ours either way */
    kolo_topo *topo;
    CHECK(kolo_topo_create(NULL, &topo) == KOLO_OK);
    CHECK(kolo_topo_is_real(topo) && kolo_topo_is_restricted(topo));
    CHECK(kolo_topo_allowed_cores(topo) == 1);

    char mine_text[24], others_text[24], both_text[64];
    snprintf(mine_text, sizeof(mine_text), "%zu", mine);
    snprintf(others_text, sizeof(others_text), "%zu", others);
    snprintf(both_text, sizeof(both_text), "%s,%s", mine_text, others_text);
    kolo_binding binding;
    kolo_topo_binding(topo, 0, 1, &binding);
    CHECK(binding.bound && strcmp(binding.rank_cpus, mine_text) == 0 && strcmp(binding.comm_cpus, mine_text) == 0);
    kolo_topo_binding(topo, 1, 2, &binding); /* they share it */
    CHECK(binding.bound && strcmp(binding.rank_cpus, mine_text) == 0 && strcmp(binding.comm_cpus, mine_text) == 0);

    CHECK(kolo_topo_bind_thread(topo, others_text) == KOLO_ERR_INVALID);
    CHECK(strstr(kolo_error_current()->message, others_text) != NULL);
    CHECK(kolo_topo_bind_thread(topo, both_text) == KOLO_ERR_INVALID);
    CHECK(kolo_topo_bind_thread(topo, mine_text) == KOLO_OK);
    cpu_set_t now = affinity();
    CHECK(CPU_EQUAL(&now, &one));
    kolo_topo_destroy(topo);
    return 0;
}

static void restricted__one_cpu_of_several(void **state)
{
    (void)state;
    cpu_set_t all = affinity();
    if (CPU_COUNT(&all) < 2)
        skip();
    in_process("restricted", bind_to_first_cpu);
}

/* ---- on all of them ------------------------------------------------------------------------- */

static int check_bind_each_part(void)
{
    kolo_topo *topo;
    CHECK(kolo_topo_create(NULL, &topo) == KOLO_OK);
    cpu_set_t all = affinity();
    int32_t cores = kolo_topo_allowed_cores(topo);
    for (int32_t rank = 0; rank < cores; rank++) {
        kolo_binding binding;
        kolo_topo_binding(topo, rank, cores, &binding);
        CHECK(binding.bound);
        CHECK(kolo_topo_bind_thread(topo, binding.rank_cpus) == KOLO_OK);
        cpu_set_t now = affinity(), within;
        CPU_AND(&within, &now, &all);
        CHECK(CPU_COUNT(&now) > 0 && CPU_EQUAL(&within, &now));
        CHECK(cores == 1 || CPU_COUNT(&now) < CPU_COUNT(&all));
    }
    CHECK(kolo_topo_bind_thread(topo, "") == KOLO_OK);
    kolo_topo_destroy(topo);
    return 0;
}

static void bind__each_part_in_turn(void **state)
{
    (void)state;
    in_process("each part", NULL);
}

static void bind__not_a_list(void **state)
{
    (void)state;
    kolo_topo *topo = load_machine(NULL, NULL);
    cpu_set_t before = affinity();
    static const char *const wrong[] = {"a",     "0-",  "-0", "0,", ",0",  "0 ",           " 0",
                                        "1-0",   "0-0-0", "0x1", "0\n", "+0", "0;1", "0-4294967296",
                                        "99999999999999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_int_equal(kolo_topo_bind_thread(topo, wrong[i]), KOLO_ERR_INVALID);
        assert_non_null(strstr(kolo_error_current()->message, wrong[i]));
    }
    cpu_set_t after = affinity();
    assert_true(CPU_EQUAL(&before, &after));
    kolo_topo_destroy(topo);
}

/* ---- on a machine that is only described ---------------------------------------------------- */

typedef struct log_lines {
    int debug, warn;
    char last[256];
} log_lines;

static void count_line(void *user, kolo_log_level level, const char *line)
{
    log_lines *lines = user;
    lines->debug += level == KOLO_LOG_DEBUG;
    lines->warn += level == KOLO_LOG_WARN;
    snprintf(lines->last, sizeof(lines->last), "%s", line);
}

static void bind__described_machine_binds_nothing(void **state)
{
    (void)state;
    kolo_topo_destroy(load_machine("HWLOC_SYNTHETIC", "core:64 pu:1"));
    log_lines lines = {.debug = 0};
    kolo_log log = {.write = count_line, .user = &lines, .level = KOLO_LOG_DEBUG, .rank = 0};
    kolo_topo *topo;
    assert_int_equal(kolo_topo_create(&log, &topo), KOLO_OK);
    cpu_set_t before = affinity();
    int said = lines.debug;
    assert_int_equal(kolo_topo_bind_thread(topo, "63"), KOLO_OK);
    assert_int_equal(lines.debug, said + 1);
    assert_int_equal(kolo_topo_bind_thread(topo, "64"), KOLO_ERR_INVALID);
    cpu_set_t after = affinity();
    assert_true(CPU_EQUAL(&before, &after));
    assert_false(kolo_topo_is_restricted(topo));
    kolo_topo_destroy(topo);
}

static void create__description_unreadable(void **state)
{
    (void)state;
    log_lines lines = {.debug = 0};
    kolo_log log = {.write = count_line, .user = &lines, .level = KOLO_LOG_WARN, .rank = 0};
    kolo_topo_destroy(load_machine(NULL, NULL));
    assert_int_equal(setenv("HWLOC_SYNTHETIC", "nonsense:3", 1), 0);
    kolo_topo *topo;
    assert_int_equal(kolo_topo_create(&log, &topo), KOLO_OK);
    assert_true(kolo_topo_is_real(topo));
    assert_int_equal(lines.warn, 1);
    assert_non_null(strstr(lines.last, "HWLOC_SYNTHETIC=nonsense:3"));
    kolo_topo_destroy(topo);
    unsetenv("HWLOC_SYNTHETIC");
}

static void destroy__null(void **state)
{
    (void)state;
    kolo_topo_destroy(NULL);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return strcmp(argv[1], "restricted") == 0 ? check_restricted() : check_bind_each_part();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restricted__one_cpu_of_several), cmocka_unit_test(bind__each_part_in_turn),
        cmocka_unit_test(bind__not_a_list),               cmocka_unit_test(bind__described_machine_binds_nothing),
        cmocka_unit_test(create__description_unreadable), cmocka_unit_test(destroy__null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
