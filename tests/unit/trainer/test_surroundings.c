/* test_surroundings.c - how cores become threads, and what the user sees of the progress. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trainer/progress.h"
#include "trainer/threads.h"

/* A rank on machine with cores first .. first + count - 1. */
static train_cores cores_of(char machine, int first, int count)
{
    train_cores cores = {.machine = {(uint8_t)machine}};

    for (int i = first; i < first + count; i++)
        cores.allowed[i / 64] |= UINT64_C(1) << (i % 64);
    return cores;
}

static void threads__ranks_share_all_cores(void **state)
{
    train_cores all[3] = {cores_of('a', 0, 8), cores_of('a', 0, 8), cores_of('a', 0, 8)};

    (void)state;
    assert_int_equal(train_cores_threads(all, 1, 0), 8);
    assert_int_equal(train_cores_threads(all, 2, 1), 4);
    assert_int_equal(train_cores_threads(all, 3, 0), 2);
}

static void threads__ranks_bound_to_cores_of_their_own(void **state)
{
    const train_cores all[2] = {cores_of('a', 60, 8), cores_of('a', 68, 8)};

    (void)state;
    assert_int_equal(train_cores_threads(all, 2, 0), 8);
    assert_int_equal(train_cores_threads(all, 2, 1), 8);
}

static void threads__cores_overlap_in_part(void **state)
{
    const train_cores all[2] = {cores_of('a', 0, 6), cores_of('a', 4, 2)};

    (void)state;
    assert_int_equal(train_cores_threads(all, 2, 0), 5);
    assert_int_equal(train_cores_threads(all, 2, 1), 1);
}

static void threads__other_machines_do_not_count(void **state)
{
    const train_cores all[3] = {cores_of('a', 0, 4), cores_of('b', 0, 4), cores_of('a', 0, 4)};

    (void)state;
    assert_int_equal(train_cores_threads(all, 3, 0), 2);
    assert_int_equal(train_cores_threads(all, 3, 1), 4);
}

static void threads__more_ranks_than_cores(void **state)
{
    train_cores all[5];

    (void)state;
    for (int i = 0; i < 5; i++)
        all[i] = cores_of('a', 0, 2);
    assert_int_equal(train_cores_threads(all, 5, 4), 1);
}

static void threads__thirds_add_up(void **state)
{
    train_cores all[3] = {cores_of('a', 0, 3), cores_of('a', 0, 3), cores_of('a', 0, 3)};

    (void)state;
    assert_int_equal(train_cores_threads(all, 3, 2), 1);
    all[0] = all[1] = all[2] = cores_of('a', 10, 9);
    assert_int_equal(train_cores_threads(all, 3, 2), 3);
}

static void threads__unknown_cores(void **state)
{
    const train_cores none = {.machine = "a"};

    (void)state;
    assert_int_equal(train_cores_threads(&none, 1, 0), 1);
}

static void cores__of_this_process(void **state)
{
    train_cores cores;

    (void)state;
    train_cores_read(&cores);
    assert_true(cores.machine[0] != 0);
    assert_true(train_cores_threads(&cores, 1, 0) >= 1);
    int found = 0;
    for (int i = 0; i < TRAIN_CORES_WORDS; i++)
        found += cores.allowed[i] != 0;
    assert_true(found > 0);
}

static const train_tally half = {.epoch = 2,
                                 .step = 50,
                                 .steps = 100,
                                 .samples = 3000,
                                 .loss_sum = 1500.0,
                                 .elapsed_ns = 1500000000,
                                 .wait_ns = 75000000};

/* What fn writes into a file, as text to be freed. */
static char *captured(train_progress *progress, bool terminal, void (*fn)(train_progress *))
{
    char *text = NULL;
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);

    assert_non_null(file);
    progress->lines = file;
    progress->bar = terminal ? file : NULL;
    fn(progress);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void two_steps_and_the_end(train_progress *progress)
{
    train_progress_step(progress, &half, 200 * 1000 * 1000);
    train_progress_step(progress, &half, 299 * 1000 * 1000); /* too soon */
    train_progress_epoch(progress, &half);
}

static void progress__plain_line_per_epoch(void **state)
{
    train_progress progress = {.epochs = 10};
    char *text = captured(&progress, false, two_steps_and_the_end);

    (void)state;
    assert_string_equal(text, "epoch  2/10  loss 0.5000      2000 samples/s  comm wait  5.0 %\n");
    free(text);
}

static void progress__bar_on_a_terminal(void **state)
{
    train_progress progress = {.epochs = 10};
    char *text = captured(&progress, true, two_steps_and_the_end);
    const char *bar = "\repoch  2/10 [###############...............]  50 %  loss 0.5000      2000 samples/s";

    (void)state;
    assert_int_equal(strncmp(text, bar, strlen(bar)), 0);
    assert_null(strstr(text + 1, "\repoch")); /* drawn once: the second came too soon */
    assert_non_null(strstr(text, "\r\033[Kepoch  2/10  loss"));
    free(text);
}

static void just_begun(train_progress *progress)
{
    const train_tally nothing = {.epoch = 1, .steps = 7};

    train_progress_epoch(progress, &nothing);
}

static void progress__nothing_done_yet(void **state)
{
    train_progress progress = {.epochs = 1};
    char *text = captured(&progress, false, just_begun);

    (void)state;
    assert_string_equal(text, "epoch  1/1  loss 0.0000         0 samples/s  comm wait  0.0 %\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads__ranks_share_all_cores), cmocka_unit_test(threads__ranks_bound_to_cores_of_their_own),
        cmocka_unit_test(threads__cores_overlap_in_part), cmocka_unit_test(threads__other_machines_do_not_count),
        cmocka_unit_test(threads__more_ranks_than_cores), cmocka_unit_test(threads__thirds_add_up),
        cmocka_unit_test(threads__unknown_cores),         cmocka_unit_test(cores__of_this_process),
        cmocka_unit_test(progress__plain_line_per_epoch), cmocka_unit_test(progress__bar_on_a_terminal),
        cmocka_unit_test(progress__nothing_done_yet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
