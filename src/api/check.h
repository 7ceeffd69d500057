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

/* One tensor of an operation; input NULL, or without data: in place. *shape_of: the one whose shape describes the whole. */
KOLO_NODISCARD kolo_status kolo_check_piece(const kolo_operation *operation, const kolo_tensor *input,
                                            const kolo_tensor *output, int32_t size, int32_t rank, kolo_piece *piece,
                                            const kolo_tensor **shape_of);

/* The usual tensors of an all-reduce, with nothing to refuse: contiguous, of the type that the piece has already; in place,
 * or apart. False: anything else, and the rest of the piece means nothing. */
bool kolo_check_plain(const kolo_tensor *input, const kolo_tensor *output, kolo_piece *piece);

/* One tensor, or a list of them; and not both. */
KOLO_NODISCARD kolo_status kolo_check_one(kolo_collective collective, const kolo_args *args);
KOLO_NODISCARD kolo_status kolo_check_list(const kolo_args *args);

/* What a group's tensors are, one entry each. */
typedef struct kolo_check_lists {
    kolo_piece *pieces;
    const int64_t **shapes;
    int32_t *ndims;
} kolo_check_lists;

/* The all-reduce of args.tensors, into the lists: each fine alone. And together: what one writes, no other reads or
 * writes. check_group.c */
KOLO_NODISCARD kolo_status kolo_check_group(const kolo_args *args, int32_t size, int32_t rank,
                                            kolo_operation *operation, kolo_check_lists *lists);

#endif
