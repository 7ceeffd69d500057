/* kolo/types.h - what both sides of Kolo share: status codes, element types, tensors, operators.
 *
 * Included by kolo/kolo.h (the host side) and kolo/transport.h (the module side).
 * C11 and C++17. Everything here is plain data; nothing has to be linked.
 */
#ifndef KOLO_TYPES_H
#define KOLO_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KOLO_NODISCARD __attribute__((warn_unused_result))
#define KOLO_PRINTF(fmt_index, args_index) __attribute__((format(printf, fmt_index, args_index)))
#else
#define KOLO_NODISCARD
#define KOLO_PRINTF(fmt_index, args_index)
#endif

/* ---- status ------------------------------------------------------------------------------- */

/* One list: the enum, kolo_status_name() and kolo_status_text() are made from it. Numbers are ABI. */
#define KOLO_STATUS_LIST(X)                                                                        \
    X(OK, 0, "success")                                                                            \
    X(ERR_INVALID, 1, "invalid argument")                                                          \
    X(ERR_MEMORY, 2, "out of memory")                                                              \
    X(ERR_STATE, 3, "not possible in this state")                                                  \
    X(ERR_MISMATCH, 4, "ranks disagree about a tensor")                                            \
    X(ERR_TIMEOUT, 5, "deadline passed")                                                           \
    X(ERR_UNSUPPORTED, 6, "not supported here")                                                    \
    X(ERR_TRANSPORT, 7, "transport failed")                                                        \
    X(ERR_PEER, 8, "a rank is gone")                                                               \
    X(ERR_BOOTSTRAP, 9, "the job could not be assembled")                                          \
    X(ERR_SYSTEM, 10, "system call failed")                                                        \
    X(ERR_PROTOCOL, 11, "malformed bytes from a peer")                                             \
    X(ERR_CANCELED, 12, "canceled")                                                                \
    X(ERR_VERSION, 13, "incompatible versions")                                                    \
    X(ERR_CONFIG, 14, "invalid configuration")                                                     \
    X(ERR_INTERNAL, 15, "internal error, please report it")

typedef enum kolo_status {
#define KOLO_STATUS_ENUM(name, number, text) KOLO_##name = number,
    KOLO_STATUS_LIST(KOLO_STATUS_ENUM)
#undef KOLO_STATUS_ENUM
} kolo_status;

/* ---- element types, as DLPack describes them ------------------------------------------------ */

/* DLDataTypeCode's numbers. */
enum { KOLO_CODE_INT = 0, KOLO_CODE_UINT = 1, KOLO_CODE_FLOAT = 2, KOLO_CODE_BFLOAT = 4 };

/* Layout of DLDataType. lanes is 1 for every type Kolo moves. */
typedef struct kolo_dtype {
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
} kolo_dtype;

/* X(enum name, printed name, DLPack code, bits, C storage type) */
#define KOLO_DTYPE_LIST(X)                                                                         \
    X(FLOAT32, float32, KOLO_CODE_FLOAT, 32, float)                                                \
    X(FLOAT64, float64, KOLO_CODE_FLOAT, 64, double)                                               \
    X(FLOAT16, float16, KOLO_CODE_FLOAT, 16, uint16_t)                                             \
    X(BFLOAT16, bfloat16, KOLO_CODE_BFLOAT, 16, uint16_t)                                          \
    X(INT8, int8, KOLO_CODE_INT, 8, int8_t)                                                        \
    X(INT16, int16, KOLO_CODE_INT, 16, int16_t)                                                    \
    X(INT32, int32, KOLO_CODE_INT, 32, int32_t)                                                    \
    X(INT64, int64, KOLO_CODE_INT, 64, int64_t)                                                    \
    X(UINT8, uint8, KOLO_CODE_UINT, 8, uint8_t)

#ifdef __cplusplus
#define KOLO_DTYPE(code_, bits_) (kolo_dtype{(uint8_t)(code_), (uint8_t)(bits_), 1})
#else
#define KOLO_DTYPE(code_, bits_) ((kolo_dtype){(uint8_t)(code_), (uint8_t)(bits_), 1})
#endif
#define KOLO_FLOAT32 KOLO_DTYPE(KOLO_CODE_FLOAT, 32)
#define KOLO_FLOAT64 KOLO_DTYPE(KOLO_CODE_FLOAT, 64)
#define KOLO_FLOAT16 KOLO_DTYPE(KOLO_CODE_FLOAT, 16)
#define KOLO_BFLOAT16 KOLO_DTYPE(KOLO_CODE_BFLOAT, 16)
#define KOLO_INT8 KOLO_DTYPE(KOLO_CODE_INT, 8)
#define KOLO_INT16 KOLO_DTYPE(KOLO_CODE_INT, 16)
#define KOLO_INT32 KOLO_DTYPE(KOLO_CODE_INT, 32)
#define KOLO_INT64 KOLO_DTYPE(KOLO_CODE_INT, 64)
#define KOLO_UINT8 KOLO_DTYPE(KOLO_CODE_UINT, 8)

/* ---- tensors -------------------------------------------------------------------------------- */

enum { KOLO_DEVICE_CPU = 1 }; /* kDLCPU */
enum { KOLO_MAX_DIMS = 16 };

/* Layout of DLTensor: a DLPack producer's DLTensor can be copied here as it is.
 * data + byte_offset is the first element. strides (in elements) may be NULL: C-contiguous. Kolo
 * moves contiguous CPU memory; other strides or devices answer KOLO_ERR_UNSUPPORTED. ndim 0 is a scalar
 * (1 element); any dimension may be 0. */
typedef struct kolo_tensor {
    void *data;
    int32_t device_type;
    int32_t device_id;
    int32_t ndim;
    kolo_dtype dtype;
    const int64_t *shape;
    const int64_t *strides;
    uint64_t byte_offset;
} kolo_tensor;

/* A one-dimensional tensor over memory of the caller's; its shape is *count, which must live until the call. */
static inline kolo_tensor kolo_vector(void *data, const int64_t *count, kolo_dtype dtype)
{
    kolo_tensor tensor = {data, KOLO_DEVICE_CPU, 0, 1, dtype, count, NULL, 0};
    return tensor;
}

/* The same for C, where the shape needs no variable: KOLO_VECTOR(grad, n, KOLO_FLOAT32). It ends with the innermost block
 * around it, which may be a single statement after if or for: make the call in the same block. In C++ it would end with
 * the statement, before the call. */
#ifndef __cplusplus
#define KOLO_VECTOR(data_, count_, dtype_)                                                         \
    ((kolo_tensor){.data = (data_),                                                                \
                   .device_type = KOLO_DEVICE_CPU,                                                 \
                   .ndim = 1,                                                                      \
                   .dtype = dtype_,                                                                \
                   .shape = (const int64_t[]){(int64_t)(count_)}})
#endif

/* ---- operators ------------------------------------------------------------------------------ */

/* How elements of different ranks are combined. Integer sums and products wrap. AVERAGE of integers
 * is the wrapped sum divided by the number of ranks, rounded toward zero. MIN and MAX of floats
 * return NaN when any input is NaN. */
#define KOLO_REDUCE_OP_LIST(X) X(SUM, 0, sum) X(AVERAGE, 1, average) X(MIN, 2, min) X(MAX, 3, max) X(PRODUCT, 4, product)

typedef enum kolo_reduce_op {
#define KOLO_REDUCE_OP_ENUM(name, number, text) KOLO_##name = number,
    KOLO_REDUCE_OP_LIST(KOLO_REDUCE_OP_ENUM)
#undef KOLO_REDUCE_OP_ENUM
} kolo_reduce_op;

/* ---- logging -------------------------------------------------------------------------------- */

typedef enum kolo_log_level {
    KOLO_LOG_ERROR = 0,
    KOLO_LOG_WARN = 1,
    KOLO_LOG_INFO = 2,
    KOLO_LOG_DEBUG = 3
} kolo_log_level;

/* Called with one finished line (no newline). Any thread, also inside kolo calls; must not call Kolo. */
typedef void (*kolo_log_fn)(void *user, kolo_log_level level, const char *line);

#ifdef __cplusplus
}
#endif
#endif /* KOLO_TYPES_H */
