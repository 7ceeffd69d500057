/* test_idx.c - the IDX reader: whole files, and every way in which one can be broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "trainer/idx.h"
#include "unit/trainer/files.h"

static uint8_t good[4096];

static size_t make_good(void)
{
    return files_make_idx(good, 3, (const uint32_t[]){5, 6, 7}, 256);
}

/* Reading name in ndim dimensions fails, leaves nothing behind, and says both words. */
static void assert_refused(const char *name, uint32_t ndim, const char *word, const char *other)
{
    train_failure failure = {.text = ""};
    train_idx idx;

    assert_false(train_idx_read(files_path(name), ndim, &idx, &failure));
    assert_null(idx.data);
    if (strstr(failure.text, word) == NULL || strstr(failure.text, other) == NULL || strstr(failure.text, name) == NULL)
        fail_msg("\"%s\" lacks \"%s\", \"%s\" or \"%s\"", failure.text, word, other, name);
}

static void read__raw_and_gzipped_are_the_same(void **state)
{
    size_t bytes = make_good();
    train_failure failure;
    train_idx raw;
    train_idx zipped;

    (void)state;
    files_write("raw", good, bytes);
    files_write_gzip("zipped", good, bytes);
    assert_true(train_idx_read(files_path("raw"), 3, &raw, &failure));
    assert_true(train_idx_read(files_path("zipped"), 3, &zipped, &failure));
    assert_int_equal(raw.count, 5 * 6 * 7);
    assert_int_equal(raw.dims[0], 5);
    assert_int_equal(raw.dims[2], 7);
    assert_int_equal(raw.data[209], 209);
    assert_memory_equal(raw.data, zipped.data, raw.count);
    train_idx_fini(&raw);
    train_idx_fini(&zipped);
}

static void read__no_such_file(void **state)
{
    (void)state;
    assert_refused("missing", 3, "cannot open", "apt install dataset-fashion-mnist");
}

static void read__is_a_folder(void **state)
{
    train_failure failure = {.text = ""};
    train_idx idx;

    (void)state;
    assert_false(train_idx_read(files_folder(), 3, &idx, &failure));
    assert_non_null(strstr(failure.text, files_folder()));
}

static void read__empty(void **state)
{
    (void)state;
    files_write("empty", "", 0);
    assert_refused("empty", 3, "truncated", "offset 0");
}

static void read__wrong_magic(void **state)
{
    size_t bytes = make_good();

    (void)state;
    good[2] = 9;
    files_write("signed", good, bytes);
    assert_refused("signed", 3, "magic number", "0x00000903");
    make_good();
    files_write("images", good, bytes);
    assert_refused("images", 1, "magic number", "0x00000801");
    files_write("text", "hello, this is not an IDX file", 30);
    assert_refused("text", 3, "magic number", "offset 0");
}

static void read__truncated_anywhere(void **state)
{
    size_t bytes = make_good();

    (void)state;
    for (size_t cut = 0; cut < bytes; cut += cut < 20 ? 1 : 37) {
        files_write("cut", good, cut);
        assert_refused("cut", 3, "truncated", "reinstall");
    }
    files_write("cut", good, bytes - 1);
    assert_refused("cut", 3, "truncated", "offset 225");
}

static void read__trailing_bytes(void **state)
{
    size_t bytes = make_good();

    (void)state;
    files_write("long", good, bytes + 1);
    assert_refused("long", 3, "trailing", "offset 226");
    files_write_gzip("long.gz", good, bytes + 1);
    assert_refused("long.gz", 3, "trailing", "offset 226");
}

static void read__impossible_dimensions(void **state)
{
    static const uint32_t none[] = {5, 0, 7};
    size_t bytes = make_good();

    (void)state;
    for (int i = 4; i < 16; i++)
        good[i] = 0xff;
    files_write("huge", good, bytes);
    assert_refused("huge", 3, "dimension 1", "4294967295");
    files_write("none", good, files_make_idx(good, 3, none, 256));
    assert_refused("none", 3, "dimension 1", "offset 8");
}

static void read__gzip_truncated_anywhere(void **state)
{
    size_t plain = make_good();
    size_t bytes;

    (void)state;
    files_write_gzip("whole.gz", good, plain);
    uint8_t *zipped = files_read("whole.gz", &bytes);
    for (size_t cut = 12; cut < bytes; cut++) { /* the last 8 bytes are the check sum and the length */
        files_write("cut.gz", zipped, cut);
        assert_refused("cut.gz", 3, "truncated", "reinstall");
    }
    free(zipped);
}

static void read__gzip_damaged(void **state)
{
    size_t plain = make_good();
    size_t bytes;

    (void)state;
    files_write_gzip("whole.gz", good, plain);
    uint8_t *zipped = files_read("whole.gz", &bytes);
    zipped[bytes - 8] ^= 1; /* the check sum */
    files_write("flip.gz", zipped, bytes);
    assert_refused("flip.gz", 3, "damaged", "check");
    free(zipped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read__raw_and_gzipped_are_the_same),
        cmocka_unit_test(read__no_such_file),
        cmocka_unit_test(read__is_a_folder),
        cmocka_unit_test(read__empty),
        cmocka_unit_test(read__wrong_magic),
        cmocka_unit_test(read__truncated_anywhere),
        cmocka_unit_test(read__trailing_bytes),
        cmocka_unit_test(read__impossible_dimensions),
        cmocka_unit_test(read__gzip_truncated_anywhere),
        cmocka_unit_test(read__gzip_damaged),
    };

    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
