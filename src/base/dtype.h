/* dtype.h - element types by index, and tensors' arithmetic. */
#ifndef KOLO_BASE_DTYPE_H
#define KOLO_BASE_DTYPE_H

#include <kolo/types.h>
#include <stdbool.h>

/* A dense index for tables: KOLO_DTYPE_FLOAT32, ... */
typedef enum kolo_dtype_id {
#define KOLO_DTYPE_ID(NAME, name, code, bits, ctype) KOLO_DTYPE_##NAME,
    KOLO_DTYPE_LIST(KOLO_DTYPE_ID)
#undef KOLO_DTYPE_ID
    KOLO_DTYPE_COUNT
} kolo_dtype_id;

/* False for a type that Kolo does not move. */
bool kolo_dtype_find(kolo_dtype dtype, kolo_dtype_id *id);
kolo_dtype kolo_dtype_of(kolo_dtype_id id);
const char *kolo_dtype_name(kolo_dtype_id id); /* "float32" */
size_t kolo_dtype_size(kolo_dtype_id id);      /* bytes */
bool kolo_dtype_is_float(kolo_dtype_id id);
const char *kolo_reduce_op_name(kolo_reduce_op op); /* "sum"; "?" outside the list */

#endif
