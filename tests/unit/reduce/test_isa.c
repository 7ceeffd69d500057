/* test_isa.c - the choice of the instruction set. */
#include "reference.h"

#include <string.h>

static void list__portable_first_default_last(void **state)
{
    (void)state;
    size_t count = kolo_reduce_isa_count();
    assert_true(count >= 1);
    assert_string_equal(kolo_reduce_isa_name(0), "portable");
    assert_string_equal(kolo_reduce_isa(), kolo_reduce_isa_name(count - 1));
    assert_null(kolo_reduce_isa_name(count));
}

static void force__each_and_back(void **state)
{
    (void)state;
    size_t count = kolo_reduce_isa_count();
    for (size_t i = 0; i < count; i++) {
        assert_true(kolo_reduce_force(kolo_reduce_isa_name(i)));
        assert_string_equal(kolo_reduce_isa(), kolo_reduce_isa_name(i));
    }
    assert_true(kolo_reduce_force(NULL));
    assert_string_equal(kolo_reduce_isa(), kolo_reduce_isa_name(count - 1));
}

static void force__unknown_changes_nothing(void **state)
{
    (void)state;
    const char *before = kolo_reduce_isa();
    assert_false(kolo_reduce_force("mmx"));
    assert_false(kolo_reduce_force(""));
    assert_string_equal(kolo_reduce_isa(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list__portable_first_default_last),
        cmocka_unit_test(force__each_and_back),
        cmocka_unit_test(force__unknown_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
