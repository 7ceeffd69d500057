/* dtype.c - the element types' properties, from the one list. */
#include "base/dtype.h"

const kolo_dtype_row kolo_dtype_rows[KOLO_DTYPE_COUNT] = {
#define DTYPE_ROW(NAME, name, code, bits, ctype)                                                                       \
    {{code, bits, 1}, sizeof(ctype), (code) == KOLO_CODE_FLOAT || (code) == KOLO_CODE_BFLOAT, #name},
    KOLO_DTYPE_LIST(DTYPE_ROW)
#undef DTYPE_ROW
};

const char *kolo_reduce_op_name(kolo_reduce_op op)
{
    switch (op) {
#define OP_NAME(name, number, text)                                                                                    \
    case KOLO_##name:                                                                                                  \
        return #text;
        KOLO_REDUCE_OP_LIST(OP_NAME)
#undef OP_NAME
    }
    return "?";
}
