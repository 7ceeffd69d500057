/* test_dtype.c - the types' table. */
#include "cmocka_all.h"

#include <string.h>

#include "base/dtype.h"

static void find__every_known_type(void **state)
{
    (void)state;
    for (int i = 0; i < KOLO_DTYPE_COUNT; i++) {
        kolo_dtype_id id = KOLO_DTYPE_COUNT;
        kolo_dtype dtype = kolo_dtype_of((kolo_dtype_id)i);
        assert_true(kolo_dtype_find(dtype, &id));
        assert_int_equal(id, i);
        assert_int_equal(kolo_dtype_size(id) * 8, dtype.bits);
        assert_int_equal(dtype.lanes, 1);
    }
}

static void find__unknown(void **state)
{
    (void)state;
    kolo_dtype_id id = KOLO_DTYPE_COUNT;
    kolo_dtype vector = KOLO_FLOAT32;
    vector.lanes = 4;
    assert_false(kolo_dtype_find(vector, &id));
    assert_false(kolo_dtype_find(KOLO_DTYPE(KOLO_CODE_UINT, 64), &id));
    assert_false(kolo_dtype_find(KOLO_DTYPE(KOLO_CODE_FLOAT, 8), &id));
    assert_false(kolo_dtype_find(KOLO_DTYPE(3, 32), &id)); /* an opaque handle */
    assert_false(kolo_dtype_find((kolo_dtype){0, 0, 0}, &id));
    assert_int_equal(id, KOLO_DTYPE_COUNT);
}

static void name__and_kind(void **state)
{
    (void)state;
    assert_string_equal(kolo_dtype_name(KOLO_DTYPE_FLOAT32), "float32");
    assert_string_equal(kolo_dtype_name(KOLO_DTYPE_BFLOAT16), "bfloat16");
    assert_string_equal(kolo_dtype_name(KOLO_DTYPE_UINT8), "uint8");
    for (int i = 0; i < KOLO_DTYPE_COUNT; i++)
        assert_int_equal(kolo_dtype_is_float((kolo_dtype_id)i),
                         strstr(kolo_dtype_name((kolo_dtype_id)i), "float") != NULL);
}

static void op_name__known_and_not(void **state)
{
    (void)state;
    assert_string_equal(kolo_reduce_op_name(KOLO_SUM), "sum");
    assert_string_equal(kolo_reduce_op_name(KOLO_PRODUCT), "product");
    assert_string_equal(kolo_reduce_op_name((kolo_reduce_op)5), "?");
    assert_string_equal(kolo_reduce_op_name((kolo_reduce_op)-1), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find__every_known_type),
        cmocka_unit_test(find__unknown),
        cmocka_unit_test(name__and_kind),
        cmocka_unit_test(op_name__known_and_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
