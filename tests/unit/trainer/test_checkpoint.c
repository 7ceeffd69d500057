/* test_checkpoint.c - a checkpoint comes back bit for bit; a broken, foreign or unfitting one changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "trainer/checkpoint.h"
#include "unit/trainer/files.h"

enum { HEADER_BYTES = 128 };

/* Everything a checkpoint refers to. */
typedef struct training {
    train_model model;
    train_optimizer optimizer;
    float *parameters;
    train_checkpoint checkpoint;
} training;

static training *training_create(train_optimizer_kind kind, int32_t hidden)
{
    const train_options options = {.optimizer = kind};
    training *t = calloc(1, sizeof *t);
    train_failure failure;

    assert_non_null(t);
    assert_true(train_model_init(&t->model, 6, &hidden, 1, 3, &failure));
    assert_true(train_optimizer_init(&t->optimizer, &t->model, &options, &failure));
    t->parameters = calloc((size_t)t->model.vector_count, sizeof(float));
    assert_non_null(t->parameters);
    t->checkpoint =
        (train_checkpoint){.model = &t->model, .optimizer = &t->optimizer, .parameters = t->parameters, .seed = 5};
    return t;
}

static training *training_create_filled(train_optimizer_kind kind)
{
    training *t = training_create(kind, 4);

    train_model_randomize(&t->model, 1, t->parameters);
    for (int32_t i = 0; i < t->optimizer.state_count; i++)
        train_model_randomize(&t->model, 2 + (uint64_t)i, t->optimizer.state[i]);
    t->optimizer.steps = 1234;
    t->checkpoint.epochs_done = 3;
    return t;
}

static void training_destroy(training *t)
{
    train_optimizer_fini(&t->optimizer);
    free(t->parameters);
    free(t);
}

static void assert_same(const training *one, const training *other)
{
    size_t bytes = (size_t)one->model.vector_count * sizeof(float);

    assert_int_equal(one->checkpoint.epochs_done, other->checkpoint.epochs_done);
    assert_int_equal(one->optimizer.steps, other->optimizer.steps);
    assert_memory_equal(one->parameters, other->parameters, bytes);
    for (int32_t i = 0; i < one->optimizer.state_count; i++)
        assert_memory_equal(one->optimizer.state[i], other->optimizer.state[i], bytes);
}

static void write_good(train_optimizer_kind kind)
{
    train_failure failure;
    training *t = training_create_filled(kind);

    if (!train_checkpoint_write(&t->checkpoint, files_path("good"), &failure))
        fail_msg("%s", failure.text);
    training_destroy(t);
}

/* Reading name into t fails, says both words, and leaves t as it was: fresh. */
static void assert_refused(training *t, const char *name, const char *word, const char *other)
{
    train_failure failure = {.text = ""};
    training *fresh = training_create(t->optimizer.kind, t->model.sizes[1]);

    assert_false(train_checkpoint_read(&t->checkpoint, files_path(name), &failure));
    if (strstr(failure.text, word) == NULL || strstr(failure.text, other) == NULL || strstr(failure.text, name) == NULL)
        fail_msg("\"%s\" lacks \"%s\", \"%s\" or \"%s\"", failure.text, word, other, name);
    assert_same(t, fresh);
    training_destroy(fresh);
    training_destroy(t);
}

static void seal(uint8_t *file, size_t bytes)
{
    uint32_t crc = (uint32_t)crc32(crc32(0, NULL, 0), file, (uInt)(bytes - 4));

    memcpy(file + bytes - 4, &crc, sizeof crc);
}

static void read__gives_back_what_was_written(void **state)
{
    static const train_optimizer_kind kinds[] = {TRAIN_SGD, TRAIN_ADAM};
    train_failure failure;

    (void)state;
    for (int i = 0; i < 2; i++) {
        training *written = training_create_filled(kinds[i]);
        training *read = training_create(kinds[i], 4);

        assert_true(train_checkpoint_write(&written->checkpoint, files_path("good"), &failure));
        if (!train_checkpoint_read(&read->checkpoint, files_path("good"), &failure))
            fail_msg("%s", failure.text);
        assert_same(read, written);
        training_destroy(written);
        training_destroy(read);
    }
}

static void write__replaces_and_leaves_no_temporary_file(void **state)
{
    (void)state;
    files_write("good", "old", 3);
    write_good(TRAIN_SGD);
    write_good(TRAIN_SGD);
    assert_int_not_equal(access(files_path("good.tmp"), F_OK), 0);
}

static void write__folder_is_missing(void **state)
{
    training *t = training_create_filled(TRAIN_SGD);
    train_failure failure = {.text = ""};

    (void)state;
    assert_false(train_checkpoint_write(&t->checkpoint, files_path("nowhere/file"), &failure));
    assert_non_null(strstr(failure.text, "nowhere/file"));
    assert_non_null(strstr(failure.text, "No such file"));
    training_destroy(t);
}

static void write__target_is_a_folder(void **state)
{
    training *t = training_create_filled(TRAIN_SGD);
    train_failure failure = {.text = ""};

    (void)state;
    assert_int_equal(mkdir(files_path("folder"), 0700), 0);
    assert_false(train_checkpoint_write(&t->checkpoint, files_path("folder"), &failure));
    assert_non_null(strstr(failure.text, "cannot write"));
    assert_int_not_equal(access(files_path("folder.tmp"), F_OK), 0);
    assert_int_equal(rmdir(files_path("folder")), 0);
    training_destroy(t);
}

static void write__device_is_full(void **state)
{
    training *t = training_create_filled(TRAIN_SGD);
    train_failure failure = {.text = ""};

    (void)state;
    write_good(TRAIN_SGD);
    assert_int_equal(symlink("/dev/full", files_path("good.tmp")), 0);
    t->checkpoint.epochs_done = 9;
    assert_false(train_checkpoint_write(&t->checkpoint, files_path("good"), &failure));
    assert_non_null(strstr(failure.text, "No space left"));
    training *old = training_create(TRAIN_SGD, 4); /* the old file is whole */
    assert_true(train_checkpoint_read(&old->checkpoint, files_path("good"), &failure));
    assert_int_equal(old->checkpoint.epochs_done, 3);
    training_destroy(old);
    training_destroy(t);
}

static void write__name_too_long(void **state)
{
    static char name[5000];
    training *t = training_create_filled(TRAIN_SGD);
    train_failure failure = {.text = ""};

    (void)state;
    memset(name, 'x', sizeof name - 1);
    assert_false(train_checkpoint_write(&t->checkpoint, name, &failure));
    assert_non_null(strstr(failure.text, "too long"));
    training_destroy(t);
}

static void read__no_such_file(void **state)
{
    (void)state;
    assert_refused(training_create(TRAIN_SGD, 4), "missing", "no checkpoint", "leave out --resume");
}

static void read__is_a_folder(void **state)
{
    (void)state;
    assert_int_equal(mkdir(files_path("folder"), 0700), 0);
    assert_refused(training_create(TRAIN_SGD, 4), "folder", "not a file", "--checkpoint");
    assert_int_equal(rmdir(files_path("folder")), 0);
}

static void read__truncated_anywhere(void **state)
{
    size_t bytes;

    (void)state;
    write_good(TRAIN_ADAM);
    uint8_t *file = files_read("good", &bytes);
    for (size_t cut = 0; cut < bytes; cut += 13) {
        files_write("cut", file, cut);
        assert_refused(training_create(TRAIN_ADAM, 4), "cut", cut < HEADER_BYTES + 4 ? "truncated" : "damaged",
                       "bytes");
    }
    files_write("cut", file, bytes - 1);
    assert_refused(training_create(TRAIN_ADAM, 4), "cut", "damaged", "start over");
    free(file);
}

static void read__trailing_byte(void **state)
{
    size_t bytes;

    (void)state;
    write_good(TRAIN_SGD);
    uint8_t *file = files_read("good", &bytes);
    file[bytes] = 0; /* files_read leaves room */
    files_write("long", file, bytes + 1);
    assert_refused(training_create(TRAIN_SGD, 4), "long", "damaged", "bytes");
    free(file);
}

static void read__any_flipped_bit(void **state)
{
    size_t bytes;

    (void)state;
    write_good(TRAIN_SGD);
    uint8_t *file = files_read("good", &bytes);
    for (size_t i = 0; i < bytes; i++) {
        file[i] ^= (uint8_t)(1u << (i % 8));
        files_write("flip", file, bytes);
        assert_refused(training_create(TRAIN_SGD, 4), "flip", "checkpoint", "");
        file[i] ^= (uint8_t)(1u << (i % 8));
    }
    file[bytes - 100] ^= 1;
    files_write("flip", file, bytes);
    assert_refused(training_create(TRAIN_SGD, 4), "flip", "damaged", "check sum");
    free(file);
}

static void read__foreign_file(void **state)
{
    uint8_t foreign[1000] = "PK";

    (void)state;
    files_write("foreign", foreign, sizeof foreign);
    assert_refused(training_create(TRAIN_SGD, 4), "foreign", "not a checkpoint", "--checkpoint");
}

static void read__other_version(void **state)
{
    size_t bytes;

    (void)state;
    write_good(TRAIN_SGD);
    uint8_t *file = files_read("good", &bytes);
    file[8] = 77;
    seal(file, bytes);
    files_write("version", file, bytes);
    assert_refused(training_create(TRAIN_SGD, 4), "version", "77", "version 1");
    free(file);
}

static void read__other_architecture(void **state)
{
    (void)state;
    write_good(TRAIN_SGD);
    assert_refused(training_create(TRAIN_SGD, 5), "good", "6-4-3", "6-5-3");
}

static void read__other_optimizer(void **state)
{
    (void)state;
    write_good(TRAIN_SGD);
    assert_refused(training_create(TRAIN_ADAM, 4), "good", "--optimizer sgd", "adam");
}

static void read__other_seed(void **state)
{
    training *t = training_create(TRAIN_SGD, 4);

    (void)state;
    write_good(TRAIN_SGD);
    t->checkpoint.seed = 6;
    assert_refused(t, "good", "--seed 5", "6");
}

/* A header whose sum is right, but that no kolo-train wrote. */
static void read__contradicting_header(void **state)
{
    static const size_t offsets[] = {28, 39, 48, 52}; /* epochs (high half), steps (sign), layers, states */
    size_t bytes;

    (void)state;
    write_good(TRAIN_SGD);
    for (int i = 0; i < 4; i++) {
        uint8_t *file = files_read("good", &bytes);

        file[offsets[i]] = 200;
        seal(file, bytes);
        files_write("odd", file, bytes);
        assert_refused(training_create(TRAIN_SGD, 4), "odd", "invalid", "checkpoint");
        free(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read__gives_back_what_was_written),
        cmocka_unit_test(write__replaces_and_leaves_no_temporary_file),
        cmocka_unit_test(write__folder_is_missing),
        cmocka_unit_test(write__target_is_a_folder),
        cmocka_unit_test(write__device_is_full),
        cmocka_unit_test(write__name_too_long),
        cmocka_unit_test(read__no_such_file),
        cmocka_unit_test(read__is_a_folder),
        cmocka_unit_test(read__truncated_anywhere),
        cmocka_unit_test(read__trailing_byte),
        cmocka_unit_test(read__any_flipped_bit),
        cmocka_unit_test(read__foreign_file),
        cmocka_unit_test(read__other_version),
        cmocka_unit_test(read__other_architecture),
        cmocka_unit_test(read__other_optimizer),
        cmocka_unit_test(read__other_seed),
        cmocka_unit_test(read__contradicting_header),
    };

    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
