/* check.h - arguments of operations: from what the user gave to what the engine takes, or a sentence about what is
 * wrong. */
#ifndef KOLO_API_CHECK_H
#define KOLO_API_CHECK_H

#include "engine/request.h"

/* A user's args struct of the size it claims: fields the user does not know are zero, bytes we do not know must be. *args:
 * the struct itself, or if its size is another than ours, the copy. */
KOLO_NODISCARD kolo_status kolo_args_read(const kolo_args *given, kolo_args *copy, const kolo_args **args);
KOLO_NODISCARD kolo_status kolo_init_args_read(const kolo_init_args *given, kolo_init_args *args);

/* Name, operator, root, factors; `size`: ranks of the job. */
KOLO_NODISCARD kolo_status kolo_check_operation(kolo_collective collective, const kolo_args *args, int32_t size,
                                                kolo_operation *operation);

/* One tensor pair of an operation. *shape_of: the tensor whose shape describes the whole. */
KOLO_NODISCARD kolo_status kolo_check_piece(const kolo_operation *operation, const kolo_args *args, int32_t size,
                                            int32_t rank, kolo_piece *piece, const kolo_tensor **shape_of);

/* The usual tensors of an all-reduce, with nothing to refuse: contiguous, of the type that the piece has already; in place,
 * or apart. False: anything else, and the rest of the piece means nothing. */
bool kolo_check_plain(const kolo_args *args, kolo_piece *piece);

/* What a group's tensors are, one entry each. */
typedef struct kolo_check_lists {
    kolo_piece *pieces;
    const int64_t **shapes;
    int32_t *ndims;
} kolo_check_lists;

/* A grouped all-reduce: the operation, as `first` has it, which is given[0], or its copy; and all its tensors into the
 * lists, each fine alone. And together: what one writes, no other reads or writes. check_group.c */
KOLO_NODISCARD kolo_status kolo_check_group(const kolo_args *given, const kolo_args *first, size_t count, int32_t size,
                                            int32_t rank, kolo_operation *operation, kolo_check_lists *lists);

#endif
