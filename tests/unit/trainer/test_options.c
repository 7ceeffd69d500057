/* test_options.c - the command line: defaults, every kind of value, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trainer/options.h"

/* Splits line at spaces (in place of a shell) and parses it. */
static bool parse(const char *line, train_options *options, train_failure *failure)
{
    static char copy[1024];
    char *argv[64] = {(char *)"kolo-train"};
    int argc = 1;
    char *rest;

    (void)strncpy(copy, line, sizeof copy - 1);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    return train_options_parse(options, argc, argv, failure);
}

static train_options parse_good(const char *line)
{
    train_failure failure;
    train_options options;

    if (!parse(line, &options, &failure))
        fail_msg("%s: %s", line, failure.text);
    return options;
}

static void assert_refused(const char *line, const char *word)
{
    train_failure failure = {.text = ""};
    train_options options;

    if (parse(line, &options, &failure))
        fail_msg("%s: accepted", line);
    if (strstr(failure.text, word) == NULL)
        fail_msg("%s: \"%s\" lacks \"%s\"", line, failure.text, word);
}

static void parse__defaults(void **state)
{
    train_options options = parse_good("");

    (void)state;
    assert_string_equal(options.data, "/usr/share/datasets/fashion-mnist");
    assert_int_equal(options.hidden_count, 2);
    assert_int_equal(options.hidden[0], 512);
    assert_int_equal(options.epochs, 10);
    assert_int_equal(options.batch, 64);
    assert_int_equal(options.optimizer, TRAIN_SGD);
    assert_true(options.lr == 0.05 && options.momentum == 0.9);
    assert_false(options.resume);
    assert_false(options.help);
}

static void parse__every_option(void **state)
{
    train_options o =
        parse_good("--data d --hidden 3,4,5 --epochs 7 --stop-after 2 --batch=8 --optimizer adam --lr 1e-2 "
                   "--momentum 0.5 --weight-decay 0.01 --warmup 9 --decay step --decay-every 4 "
                   "--decay-factor 0.5 --seed 11 --threads 2 --limit 100 --checkpoint c --resume "
                   "--log-loss=l --dump-params p");

    (void)state;
    assert_string_equal(o.data, "d");
    assert_true(o.hidden_count == 3 && o.hidden[0] == 3 && o.hidden[2] == 5);
    assert_true(o.epochs == 7 && o.stop_after == 2 && o.batch == 8 && o.optimizer == TRAIN_ADAM);
    assert_true(o.lr == 0.01 && o.momentum == 0.5 && o.weight_decay == 0.01 && o.warmup == 9);
    assert_true(o.decay == TRAIN_DECAY_STEP && o.decay_every == 4 && o.decay_factor == 0.5);
    assert_true(o.seed == 11 && o.threads == 2 && o.limit == 100 && o.resume);
    assert_string_equal(o.checkpoint, "c");
    assert_string_equal(o.log_loss, "l");
    assert_string_equal(o.dump, "p");
}

static void parse__defaults_that_depend_on_others(void **state)
{
    (void)state;
    assert_true(parse_good("--optimizer adam").lr == 0.001);
    assert_int_equal(parse_good("--hidden none").hidden_count, 0);
    assert_int_equal(parse_good("--hidden 7").hidden_count, 1);
}

static void parse__help(void **state)
{
    (void)state;
    assert_true(parse_good("--help").help);
}

static void parse__unknown(void **state)
{
    (void)state;
    assert_refused("--epoch 3", "unknown argument \"--epoch\"");
    assert_refused("--epochss=3", "unknown argument");
    assert_refused("data", "unknown argument \"data\"");
    assert_refused("-h", "--help");
}

static void parse__value_missing_or_superfluous(void **state)
{
    (void)state;
    assert_refused("--epochs", "needs a value");
    assert_refused("--resume=yes", "takes no value");
    assert_refused("--data=", "--data");
}

static void parse__bad_numbers(void **state)
{
    static const char *const lines[] = {"--epochs 0",   "--epochs -1",     "--epochs 1.5",
                                        "--epochs x",   "--epochs 3x",     "--epochs=",
                                        "--batch 0",    "--batch 1e9",     "--batch 99999999999999999999",
                                        "--seed -1",    "--threads 0",     "--limit 0",
                                        "--lr 0",       "--lr -1",         "--lr nan",
                                        "--lr inf",     "--lr 1e999",      "--lr 0.1.2",
                                        "--momentum 1", "--momentum -0.1", "--weight-decay 2",
                                        "--warmup -1",  "--decay-every 0", "--decay-factor 2"};

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_refused(lines[i], "expected a");
}

static void parse__bad_words(void **state)
{
    (void)state;
    assert_refused("--optimizer rmsprop", "sgd or adam");
    assert_refused("--decay linear", "cosine, step or none");
    assert_refused("--hidden 12,", "--hidden 12,");
    assert_refused("--hidden ,12", "--hidden");
    assert_refused("--hidden 0", "--hidden");
    assert_refused("--hidden 12;13", "--hidden");
    assert_refused("--hidden 65537", "--hidden");
    assert_refused("--hidden 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", "at most 15");
}

static void parse__options_that_do_not_fit(void **state)
{
    (void)state;
    assert_refused("--resume", "--checkpoint");
    assert_refused("--epochs 3 --stop-after 4", "beyond");
}

static void help__names_every_option(void **state)
{
    static const char *const names[] = {"--data", "--hidden", "--resume", "--dump-params", "test_accuracy="};
    char *text = NULL;
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);

    (void)state;
    assert_non_null(file);
    train_options_print_help(file);
    assert_int_equal(fclose(file), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_non_null(strstr(text, names[i]));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__defaults),
        cmocka_unit_test(parse__every_option),
        cmocka_unit_test(parse__defaults_that_depend_on_others),
        cmocka_unit_test(parse__help),
        cmocka_unit_test(parse__unknown),
        cmocka_unit_test(parse__value_missing_or_superfluous),
        cmocka_unit_test(parse__bad_numbers),
        cmocka_unit_test(parse__bad_words),
        cmocka_unit_test(parse__options_that_do_not_fit),
        cmocka_unit_test(help__names_every_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
