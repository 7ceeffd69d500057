/* describe.h - what an operation is, as canonical bytes: two ranks agree exactly when their bytes are equal. */
#ifndef KOLO_ENGINE_DESCRIBE_H
#define KOLO_ENGINE_DESCRIBE_H

#include "base/codec.h"
#include "base/dtype.h"
#include "plan/algorithm.h"

/* Bounds that peers' bytes are held to. */
enum { KOLO_NAME_MAX = 255, KOLO_DESCRIPTION_MAX = 24 * 1024, KOLO_PIECES_MAX = 4096 };

/* The operation without its memory. */
typedef struct kolo_operation {
    kolo_collective collective;
    kolo_reduce_op op;
    int32_t root;
    double prescale, postscale;
    size_t piece_count;
} kolo_operation;

/* Inputs are multiplied by something before they are reduced. */
static inline bool kolo_operation_scales_inputs(const kolo_operation *operation)
{
    return operation->prescale < 1.0 || operation->prescale > 1.0;
}

/* They do the same to each element: one schedule can do both, if it does so for tensors of one type. */
bool kolo_operation_is_alike(const kolo_operation *a, const kolo_operation *b);

/* Appends the operation, then each piece with kolo_describe_piece. The writer's ok tells whether it fits. */
void kolo_describe_operation(kolo_writer *writer, const kolo_operation *operation);
void kolo_describe_piece(kolo_writer *writer, kolo_dtype_id type, int32_t ndim, const int64_t *shape);

/* Instead of appending and comparing: where `at` (before end) holds what the above would append, the place behind it; else
 * NULL. at NULL: NULL. */
const uint8_t *kolo_description_match_operation(const uint8_t *at, const uint8_t *end, const kolo_operation *operation);
const uint8_t *kolo_description_match_piece(const uint8_t *at, const uint8_t *end, kolo_dtype_id type, int32_t ndim,
                                            const int64_t *shape);

/* True when `bytes` decode completely: known collective, operator and types, bounds held. */
bool kolo_description_valid(const void *bytes, size_t size);

/* For people: "allreduce sum float32 [512, 784]"; of several pieces, the one numbered `focus`. Cut to capacity. */
char *kolo_description_format(const void *bytes, size_t size, size_t focus, char *text, size_t capacity);

/* How many pieces a valid description has. */
size_t kolo_description_pieces(const void *bytes, size_t size);

/* The first piece in which two valid descriptions differ; 0 if none does or the operations themselves differ. */
size_t kolo_description_difference(const void *a, size_t a_size, const void *b, size_t b_size);

#endif
