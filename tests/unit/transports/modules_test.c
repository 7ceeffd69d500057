/* modules_test.c - the loader refuses what it should, and says why. Arguments: a folder with test modules. */
#include "api/modules.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *folder;
static char last_line[1024];

static void note_line(void *user, kolo_log_level level, const char *line)
{
    (void)user, (void)level;
    snprintf(last_line, sizeof(last_line), "%s", line);
}

static const kolo_log notes = {.write = note_line, .level = KOLO_LOG_INFO, .rank = -1};

static void refused(const char *name, kolo_status status, const char *part)
{
    const kolo_transport_ops *ops = NULL;
    void *handle = NULL;
    assert_int_equal(kolo_module_load(name, folder, &notes, &ops, &handle), status);
    assert_null(ops);
    assert_null(handle);
    if (!strstr(kolo_error_current()->message, part))
        fail_msg("\"%s\" is not in \"%s\"", part, kolo_error_current()->message);
    char path[1024];
    snprintf(path, sizeof(path), "%s/kolo_transport_%s.so", folder, name);
    assert_non_null(strstr(kolo_error_current()->message, path)); /* where */
}

static void load__not_a_shared_object(void **state)
{
    (void)state;
    refused("text", KOLO_ERR_CONFIG, "cannot be loaded");
}

static void load__no_entry_symbol(void **state)
{
    (void)state;
    refused("no_entry", KOLO_ERR_CONFIG, "has no symbol kolo_transport_module");
}

static void load__no_table(void **state)
{
    (void)state;
    refused("null_table", KOLO_ERR_CONFIG, "no transport table");
}

static void load__wrong_magic(void **state)
{
    (void)state;
    refused("wrong_magic", KOLO_ERR_CONFIG, "0x12345678, not 0x4b6f4c54");
}

static void load__newer_abi(void **state)
{
    (void)state;
    refused("new_abi", KOLO_ERR_VERSION, "speaks transport ABI 3-4, this library 1");
}

static void load__older_abi(void **state)
{
    (void)state;
    refused("old_abi", KOLO_ERR_VERSION, "speaks transport ABI 0, this library 1");
}

static void load__short_table(void **state)
{
    (void)state;
    refused("short_table", KOLO_ERR_VERSION, "table of 64 bytes");
}

static void load__function_missing(void **state)
{
    (void)state;
    refused("no_send", KOLO_ERR_CONFIG, "lacks send");
}

static void load__control_messages_too_small(void **state)
{
    (void)state;
    refused("small_control", KOLO_ERR_CONFIG, "4096");
}

static void load__not_found(void **state)
{
    (void)state;
    const kolo_transport_ops *ops;
    void *handle;
    assert_int_equal(kolo_module_load("nix", "/no/where:/usr/none", NULL, &ops, &handle), KOLO_ERR_UNSUPPORTED);
    assert_non_null(strstr(kolo_error_current()->message, "kolo_transport_nix.so in /no/where:/usr/none"));
    assert_int_equal(kolo_module_load("nix", "", NULL, &ops, &handle), KOLO_ERR_UNSUPPORTED);
    assert_int_equal(kolo_module_load("nix", NULL, NULL, &ops, &handle), KOLO_ERR_UNSUPPORTED);
    assert_non_null(strstr(kolo_error_current()->message, "KOLO_TRANSPORT_PATH names no folder"));
    assert_int_equal(kolo_module_load("nix", ":::", NULL, &ops, &handle), KOLO_ERR_UNSUPPORTED);
}

static void load__name_is_no_name(void **state)
{
    (void)state;
    static const char *const names[] = {NULL, "", "../fine", "fi ne", "a/b", "fine.so"};
    const kolo_transport_ops *ops;
    void *handle;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(kolo_module_load(names[i], folder, NULL, &ops, &handle), KOLO_ERR_CONFIG);
}

static void load__first_folder_that_has_it(void **state)
{
    (void)state;
    char list[1024], expected[1024];
    const kolo_transport_ops *ops = NULL;
    void *handle = NULL;
    snprintf(list, sizeof(list), "/no/where::%s:/usr/none", folder);
    assert_int_equal(kolo_module_load("fine", list, &notes, &ops, &handle), KOLO_OK);
    assert_string_equal(ops->name, "fine");
    snprintf(expected, sizeof(expected), "transport fine from %s/kolo_transport_fine.so", folder);
    assert_non_null(strstr(last_line, expected));
    kolo_module_unload(handle);
    kolo_module_unload(NULL);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    folder = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load__not_a_shared_object),
        cmocka_unit_test(load__no_entry_symbol),
        cmocka_unit_test(load__no_table),
        cmocka_unit_test(load__wrong_magic),
        cmocka_unit_test(load__newer_abi),
        cmocka_unit_test(load__older_abi),
        cmocka_unit_test(load__short_table),
        cmocka_unit_test(load__function_missing),
        cmocka_unit_test(load__control_messages_too_small),
        cmocka_unit_test(load__not_found),
        cmocka_unit_test(load__name_is_no_name),
        cmocka_unit_test(load__first_folder_that_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
