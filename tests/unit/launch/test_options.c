/* test_options.c - kolorun's command line: every spelling of an option, and what is wrong with the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "launch/options.h"

static char error[256];

#define PARSE(variable, ...) parse((char *[]){"kolorun", __VA_ARGS__, NULL}, variable, &options)

static bool parse(char **argv, const char *variable, kolorun_options *options)
{
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    return kolorun_options_parse(argc, argv, variable, options, error, sizeof(error));
}

static void parse__plain(void **state)
{
    (void)state;
    kolorun_options options;
    assert_true(PARSE(NULL, "-np", "4", "prog", "-x"));
    assert_int_equal(options.ranks, 4);
    assert_true(options.bind);
    assert_false(options.bind_given);
    assert_false(options.prefix);
    assert_int_equal(options.timeout_ns, 0);
    assert_string_equal(options.program[0], "prog");
    assert_string_equal(options.program[1], "-x");
    assert_null(options.program[2]);
}

static void parse__every_spelling(void **state)
{
    (void)state;
    kolorun_options options;
    static char *const names[] = {"-np", "-n", "--np"};
    for (size_t i = 0; i < 3; i++) {
        assert_true(PARSE(NULL, names[i], "3", "prog"));
        assert_int_equal(options.ranks, 3);
    }
    assert_true(PARSE(NULL, "--np=3", "--bind=none", "--timeout=5", "--prefix", "--", "-prog"));
    assert_int_equal(options.ranks, 3);
    assert_false(options.bind);
    assert_true(options.bind_given);
    assert_true(options.prefix);
    assert_int_equal(options.timeout_ns, 5 * KOLO_NS_PER_S);
    assert_string_equal(options.program[0], "-prog");
    assert_true(PARSE(NULL, "--bind", "auto", "--timeout", "250ms", "-l", "-np", "1", "prog"));
    assert_true(options.bind && options.bind_given && options.prefix);
    assert_int_equal(options.timeout_ns, 250 * KOLO_NS_PER_MS);
}

static void parse__variable_binds_unless_the_option_does(void **state)
{
    (void)state;
    kolorun_options options;
    assert_true(PARSE("none", "-np", "2", "prog"));
    assert_false(options.bind);
    assert_false(options.bind_given);
    assert_true(PARSE("none", "-np", "2", "--bind", "auto", "prog"));
    assert_true(options.bind);
    assert_true(PARSE("", "-np", "2", "prog"));
    assert_true(options.bind);
    assert_false(PARSE("some", "-np", "2", "prog"));
    assert_string_equal(error, "KOLO_BIND is 'some'; expected auto or none");
}

static void parse__help_and_version_need_nothing_else(void **state)
{
    (void)state;
    kolorun_options options;
    assert_true(PARSE("some", "-h"));
    assert_true(options.help);
    assert_true(PARSE(NULL, "-np", "2", "--help"));
    assert_true(options.help);
    assert_true(PARSE(NULL, "--version"));
    assert_true(options.version);
}

static void parse__most_ranks(void **state)
{
    (void)state;
    kolorun_options options;
    assert_true(PARSE(NULL, "-np", "4096", "prog"));
    assert_false(PARSE(NULL, "-np", "4097", "prog"));
    assert_false(PARSE(NULL, "-np", "99999999999999999999", "prog"));
    assert_false(PARSE(NULL, "-np", "-1", "prog"));
    assert_false(PARSE(NULL, "-np", "", "prog"));
    assert_string_equal(error, "the number of ranks is ''; expected 1 to 4096");
}

static void parse__values_are_missing_or_wrong(void **state)
{
    (void)state;
    kolorun_options options;
    static char *const needy[] = {"-np", "-n", "--np", "--bind", "--timeout"};
    for (size_t i = 0; i < sizeof(needy) / sizeof(needy[0]); i++) {
        assert_false(PARSE(NULL, needy[i]));
        assert_non_null(strstr(error, "needs a value"));
        assert_memory_equal(error, needy[i], strlen(needy[i]));
    }
    static char *const times[] = {"", "0", "-1", "0s", "1 s", "soon", "1e99"};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        assert_false(PARSE(NULL, "-np", "1", "--timeout", times[i], "prog"));
        assert_non_null(strstr(error, "--timeout is '"));
    }
    static char *const unknown[] = {"-x", "-", "--", "--bindings", "-np2", "-npx"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_false(PARSE(NULL, unknown[i], "prog"));
    assert_false(PARSE(NULL, "--frob", "prog"));
    assert_string_equal(error, "unknown option '--frob'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__plain),
        cmocka_unit_test(parse__every_spelling),
        cmocka_unit_test(parse__variable_binds_unless_the_option_does),
        cmocka_unit_test(parse__help_and_version_need_nothing_else),
        cmocka_unit_test(parse__most_ranks),
        cmocka_unit_test(parse__values_are_missing_or_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
