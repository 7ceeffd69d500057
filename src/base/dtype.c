/* dtype.c - the element types' properties, from the one list. */
#include "base/dtype.h"

typedef struct dtype_row {
    kolo_dtype dtype;
    const char *name;
    size_t size;
} dtype_row;

static const dtype_row rows[KOLO_DTYPE_COUNT] = {
#define DTYPE_ROW(NAME, name, code, bits, ctype) {{code, bits, 1}, #name, sizeof(ctype)},
    KOLO_DTYPE_LIST(DTYPE_ROW)
#undef DTYPE_ROW
};

bool kolo_dtype_find(kolo_dtype dtype, kolo_dtype_id *id)
{
    for (int i = 0; i < KOLO_DTYPE_COUNT; i++) {
        kolo_dtype known = rows[i].dtype;
        if (known.code == dtype.code && known.bits == dtype.bits && known.lanes == dtype.lanes) {
            *id = (kolo_dtype_id)i;
            return true;
        }
    }
    return false;
}

kolo_dtype kolo_dtype_of(kolo_dtype_id id)
{
    return rows[id].dtype;
}

const char *kolo_dtype_name(kolo_dtype_id id)
{
    return rows[id].name;
}

size_t kolo_dtype_size(kolo_dtype_id id)
{
    return rows[id].size;
}

bool kolo_dtype_is_float(kolo_dtype_id id)
{
    return rows[id].dtype.code == KOLO_CODE_FLOAT || rows[id].dtype.code == KOLO_CODE_BFLOAT;
}

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
