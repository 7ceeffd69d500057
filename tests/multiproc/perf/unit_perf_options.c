/* unit_perf_options.c - the benchmark's command line: what it accepts, and what it says about the rest. */
#include "benchmarks/perf/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_WORDS = 32 };

/* "allreduce -b 4" as main() would get it. The options point into the line: it must outlive them. */
static perf_parse parse(char *line, perf_options *options, char *message, size_t size)
{
    char *argv[MAX_WORDS + 1] = {(char[]){"kolo-perf"}};
    int argc = 1;
    for (char *word = strtok(line, " "); word != NULL && argc < MAX_WORDS; word = strtok(NULL, " "))
        argv[argc++] = word;
    return perf_options_parse(argc, argv, options, message, size);
}

static void parse__defaults_of_nccl_tests(void **state)
{
    (void)state;
    perf_options o;
    char message[256] = "";
    char line[] = "allreduce";
    assert_int_equal(parse(line, &o, message, sizeof message), PERF_PARSE_RUN);
    assert_true(o.ops[PERF_ALLREDUCE] && !o.ops[PERF_BROADCAST]);
    assert_true(o.types[PERF_FLOAT] && !o.types[PERF_DOUBLE] && o.redops[PERF_SUM] && !o.redops[PERF_AVG]);
    assert_int_equal(o.min_bytes, 32 << 20);
    assert_int_equal(o.max_bytes, 32 << 20);
    assert_int_equal(o.step_bytes, 1 << 20);
    assert_int_equal(o.iterations, 20);
    assert_int_equal(o.warmup, 5);
    assert_int_equal(o.checks, 1);
    assert_int_equal(o.mode, PERF_ISOLATED);
    assert_int_equal(o.buffers, PERF_PRIVATE);
    assert_int_equal(o.async, 0);
    assert_null(o.json_path);
}

static void parse__every_option(void **state)
{
    (void)state;
    perf_options o;
    char message[256] = "";
    char line[] =
        "-g 1 -b 1k -e 2G -f 4 -n 7 -w 0 -c 3 -d half,int16 -o avg,prod -r 2 --async 9 --buffers kolo --mode b2b "
        "--json out.json "
        "broadcast,barrier";
    assert_int_equal(parse(line, &o, message, sizeof message), PERF_PARSE_RUN);
    assert_true(o.ops[PERF_BROADCAST] && o.ops[PERF_BARRIER] && !o.ops[PERF_ALLREDUCE]);
    assert_true(o.types[PERF_HALF] && o.types[PERF_INT16] && !o.types[PERF_FLOAT]);
    assert_true(o.redops[PERF_AVG] && o.redops[PERF_PROD] && !o.redops[PERF_SUM]);
    assert_int_equal(o.min_bytes, 1024);
    assert_int_equal(o.max_bytes, INT64_C(2) << 30);
    assert_int_equal(o.step_factor, 4);
    assert_int_equal(o.iterations, 7);
    assert_int_equal(o.warmup, 0);
    assert_int_equal(o.checks, 3);
    assert_int_equal(o.root, 2);
    assert_int_equal(o.async, 9);
    assert_int_equal(o.buffers, PERF_KOLO);
    assert_int_equal(o.mode, PERF_B2B);
    assert_string_equal(o.json_path, "out.json");
}

static void parse__all_leaves_out_memcpy_and_idle(void **state)
{
    (void)state;
    perf_options o;
    char message[256] = "";
    char line[] = "all -d all -o all";
    assert_int_equal(parse(line, &o, message, sizeof message), PERF_PARSE_RUN);
    for (int op = 0; op < PERF_OP_COUNT; op++)
        assert_int_equal(o.ops[op], op < PERF_MEMCPY);
    for (int type = 0; type < PERF_TYPE_COUNT; type++)
        assert_true(o.types[type]);
    for (int redop = 0; redop < PERF_REDOP_COUNT; redop++)
        assert_true(o.redops[redop]);
}

static void parse__bad_arguments_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *expected;
    } cases[] = {
        {"", "which operation"},
        {"alltoall", "alltoall"},
        {"allreduce broadcast", "broadcast"},
        {"allreduce,idle", "idle runs alone"},
        {"allreduce -b", "-b needs a value"},
        {"allreduce --json", "--json needs a value"},
        {"allreduce -q", "-q is not an option"},
        {"allreduce --bogus", "--bogus is not an option"},
        {"allreduce -b 5X", "-b 5X"},
        {"allreduce -b 5KK", "-b 5KK"},
        {"allreduce -b -4", "-b -4"},
        {"allreduce -b 0x4", "-b 0x4"},
        {"allreduce -e 9999999999G", "-e 9999999999G"},
        {"allreduce -b 8 -e 4", "-b 8 is more than -e 4"},
        {"allreduce -b 4 -e 8 -i 0", "-i 0"},
        {"allreduce -f 1", "-f 1"},
        {"allreduce -g 2", "-g 2: each rank has one tensor"},
        {"allreduce -g", "-g needs a value"},
        {"allreduce -n 0", "-n 0"},
        {"allreduce -n 2.5", "-n 2.5"},
        {"allreduce -w -1", "-w -1"},
        {"allreduce -c x", "-c x"},
        {"allreduce -d float,", "-d float,"},
        {"allreduce -d float7", "-d float7"},
        {"allreduce -d aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "-d aaaa"},
        {"allreduce -o xor", "-o xor"},
        {"allreduce -r -1", "-r -1"},
        {"allreduce --async 0", "--async 0"},
        {"allreduce --buffers shared", "--buffers shared"},
        {"allreduce --mode fast", "--mode fast"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        perf_options o;
        char message[512] = "";
        char *line = strdup(cases[i].line);
        assert_non_null(line);
        perf_parse result = parse(line, &o, message, sizeof message);
        free(line);
        if (result != PERF_PARSE_BAD || strstr(message, cases[i].expected) == NULL)
            fail_msg("'%s' answered %d, '%s'", cases[i].line, (int)result, message);
    }
}

static void parse__a_short_message_buffer_is_enough(void **state)
{
    (void)state;
    perf_options o;
    char message[8] = "";
    char line[] = "allreduce -b nonsense";
    assert_int_equal(parse(line, &o, message, sizeof message), PERF_PARSE_BAD);
    assert_true(memchr(message, '\0', sizeof message) != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__defaults_of_nccl_tests),           cmocka_unit_test(parse__every_option),
        cmocka_unit_test(parse__all_leaves_out_memcpy_and_idle),   cmocka_unit_test(parse__bad_arguments_are_named),
        cmocka_unit_test(parse__a_short_message_buffer_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
