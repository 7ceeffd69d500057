/* test_dataset.c - four files become two normalised sets, or an error that names the culprit. */
#include <setjmp.h>
#include <stdarg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "trainer/dataset.h"
#include "unit/trainer/files.h"

static uint8_t buffer[4096];

static void write_images(const char *name, uint32_t count, uint32_t height, uint32_t width)
{
    files_write(name, buffer, files_make_idx(buffer, 3, (const uint32_t[]){count, height, width}, 251));
}

static void write_labels(const char *name, uint32_t count, uint32_t modulus)
{
    files_write(name, buffer, files_make_idx(buffer, 1, &count, modulus));
}

/* Twenty training and seven test samples of 2 x 3 pixels. */
static int write_good(void **state)
{
    (void)state;
    (void)unlink(files_path("t10k-labels-idx1-ubyte.gz"));
    write_images("train-images-idx3-ubyte", 20, 2, 3);
    write_labels("train-labels-idx1-ubyte", 20, 10);
    write_images("t10k-images-idx3-ubyte", 7, 2, 3);
    write_labels("t10k-labels-idx1-ubyte", 7, 10);
    return 0;
}

static void assert_refused(const char *word, const char *other)
{
    train_failure failure = {.text = ""};
    train_data data;

    assert_false(train_data_read(&data, files_folder(), 0, &failure));
    assert_null(data.training.images.data);
    if (strstr(failure.text, word) == NULL || strstr(failure.text, other) == NULL)
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", failure.text, word, other);
}

static void read__normalises_by_the_training_samples(void **state)
{
    train_failure failure;
    train_data data;
    float inputs[20 * 6];
    uint8_t labels[20];
    double sum = 0;
    double squares = 0;

    (void)state;
    assert_true(train_data_read(&data, files_folder(), 0, &failure));
    assert_int_equal(data.training.count, 20);
    assert_int_equal(data.test.count, 7);
    assert_int_equal(data.training.pixels, 6);
    train_dataset_gather(&data.training, NULL, 0, 20, inputs, labels);
    for (int i = 0; i < 120; i++) {
        sum += (double)inputs[i];
        squares += (double)inputs[i] * (double)inputs[i];
    }
    assert_true(fabs(sum / 120) < 1e-5);
    assert_true(fabs(squares / 120 - 1) < 1e-5);
    assert_true(data.training.scale == data.test.scale && data.training.shift == data.test.shift);
    train_data_fini(&data);
}

static void read__limit_uses_the_first_samples(void **state)
{
    train_failure failure;
    train_data data;

    (void)state;
    assert_true(train_data_read(&data, files_folder(), 5, &failure));
    assert_int_equal(data.training.count, 5);
    assert_int_equal(data.test.count, 7);
    train_data_fini(&data);
    assert_true(train_data_read(&data, files_folder(), 500, &failure));
    assert_int_equal(data.training.count, 20);
    train_data_fini(&data);
}

static void gather__follows_the_indices(void **state)
{
    static const uint32_t indices[] = {19, 3};
    train_failure failure;
    train_data data;
    float picked[2 * 6];
    float all[20 * 6];
    uint8_t labels[20];

    (void)state;
    assert_true(train_data_read(&data, files_folder(), 0, &failure));
    train_dataset_gather(&data.training, NULL, 0, 20, all, labels);
    train_dataset_gather(&data.training, indices, 0, 2, picked, labels);
    assert_memory_equal(picked, all + 19 * 6, 6 * sizeof(float));
    assert_memory_equal(picked + 6, all + 3 * 6, 6 * sizeof(float));
    assert_int_equal(labels[0], 9);
    assert_int_equal(labels[1], 3);
    train_data_fini(&data);
}

static void checksum__sees_data_and_limit(void **state)
{
    train_failure failure;
    train_data data;

    (void)state;
    assert_true(train_data_read(&data, files_folder(), 0, &failure));
    uint32_t whole = train_dataset_checksum(&data.training);
    data.training.count = 19;
    assert_int_not_equal(train_dataset_checksum(&data.training), whole);
    data.training.count = 20;
    data.training.labels.data[4] ^= 1;
    assert_int_not_equal(train_dataset_checksum(&data.training), whole);
    train_data_fini(&data);
}

static void read__file_missing(void **state)
{
    (void)state;
    assert_int_equal(unlink(files_path("t10k-labels-idx1-ubyte")), 0);
    assert_refused("t10k-labels-idx1-ubyte", "apt install dataset-fashion-mnist");
}

static void read__gzipped_file_comes_first(void **state)
{
    uint32_t count = 7;

    (void)state;
    files_write_gzip("t10k-labels-idx1-ubyte.gz", buffer, files_make_idx(buffer, 1, &count, 256) - 1);
    assert_refused("t10k-labels-idx1-ubyte.gz", "truncated");
}

static void read__label_out_of_range(void **state)
{
    (void)state;
    write_labels("train-labels-idx1-ubyte", 20, 11);
    assert_refused("offset 18", "is 10");
}

static void read__counts_differ(void **state)
{
    (void)state;
    write_labels("train-labels-idx1-ubyte", 19, 10);
    assert_refused("20 pictures", "19 labels");
}

static void read__sizes_differ(void **state)
{
    (void)state;
    write_images("t10k-images-idx3-ubyte", 7, 3, 2);
    assert_refused("2 x 3", "3 x 2");
}

static void read__folder_name_too_long(void **state)
{
    static char name[5000];
    train_failure failure = {.text = ""};
    train_data data;

    (void)state;
    memset(name, 'x', sizeof name - 1);
    assert_false(train_data_read(&data, name, 0, &failure));
    assert_non_null(strstr(failure.text, "too long"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(read__normalises_by_the_training_samples, write_good),
        cmocka_unit_test_setup(read__limit_uses_the_first_samples, write_good),
        cmocka_unit_test_setup(gather__follows_the_indices, write_good),
        cmocka_unit_test_setup(checksum__sees_data_and_limit, write_good),
        cmocka_unit_test_setup(read__file_missing, write_good),
        cmocka_unit_test_setup(read__gzipped_file_comes_first, write_good),
        cmocka_unit_test_setup(read__label_out_of_range, write_good),
        cmocka_unit_test_setup(read__counts_differ, write_good),
        cmocka_unit_test_setup(read__sizes_differ, write_good),
        cmocka_unit_test(read__folder_name_too_long),
    };

    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
