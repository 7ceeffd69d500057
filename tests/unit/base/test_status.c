/* test_status.c - every status has a name and a phrase; other numbers have one too. */
#include "cmocka_all.h"

#include <kolo/kolo.h>

static void name__known_is_the_enumerator(void **state)
{
    (void)state;
    assert_string_equal(kolo_status_name(KOLO_OK), "KOLO_OK");
    assert_string_equal(kolo_status_name(KOLO_ERR_INVALID), "KOLO_ERR_INVALID");
    assert_string_equal(kolo_status_name(KOLO_ERR_INTERNAL), "KOLO_ERR_INTERNAL");
}

static void text__known_is_the_phrase(void **state)
{
    (void)state;
    assert_string_equal(kolo_status_text(KOLO_OK), "success");
    assert_string_equal(kolo_status_text(KOLO_ERR_PEER), "a rank is gone");
}

static void both__unknown_number(void **state)
{
    (void)state;
    assert_string_equal(kolo_status_name((kolo_status)-1), "unknown status");
    assert_string_equal(kolo_status_name((kolo_status)9999), "unknown status");
    assert_string_equal(kolo_status_text((kolo_status)9999), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name__known_is_the_enumerator),
        cmocka_unit_test(text__known_is_the_phrase),
        cmocka_unit_test(both__unknown_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
