/* dtype.h - element types by index, and tensors' arithmetic. */
#ifndef KOLO_BASE_DTYPE_H
#define KOLO_BASE_DTYPE_H

#include <kolo/types.h>
#include <stdbool.h>
#include <string.h>

/* A dense index for tables: KOLO_DTYPE_FLOAT32, ... */
typedef enum kolo_dtype_id {
#define KOLO_DTYPE_ID(NAME, name, code, bits, ctype) KOLO_DTYPE_##NAME,
    KOLO_DTYPE_LIST(KOLO_DTYPE_ID)
#undef KOLO_DTYPE_ID
    KOLO_DTYPE_COUNT
} kolo_dtype_id;

/* Here, since every call asks for them, some for each of thousands of tensors. */
typedef struct kolo_dtype_row {
    kolo_dtype dtype;
    uint8_t size; /* bytes */
    bool is_float;
    const char *name;
} kolo_dtype_row;
extern const kolo_dtype_row kolo_dtype_rows[KOLO_DTYPE_COUNT];

/* False for a type that Kolo does not move. */
static inline bool kolo_dtype_find(kolo_dtype dtype, kolo_dtype_id *id)
{
    for (int i = 0; i < KOLO_DTYPE_COUNT; i++)
        if (memcmp(&kolo_dtype_rows[i].dtype, &dtype, sizeof(dtype)) == 0) {
            *id = (kolo_dtype_id)i;
            return true;
        }
    return false;
}

static inline kolo_dtype kolo_dtype_of(kolo_dtype_id id)
{
    return kolo_dtype_rows[id].dtype;
}

static inline const char *kolo_dtype_name(kolo_dtype_id id) /* "float32" */
{
    return kolo_dtype_rows[id].name;
}

static inline size_t kolo_dtype_size(kolo_dtype_id id) /* bytes */
{
    return kolo_dtype_rows[id].size;
}

static inline bool kolo_dtype_is_float(kolo_dtype_id id)
{
    return kolo_dtype_rows[id].is_float;
}

const char *kolo_reduce_op_name(kolo_reduce_op op); /* "sum"; "?" outside the list */

#endif
