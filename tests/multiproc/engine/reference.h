/* reference.h - one collective operation: inputs that every rank can work out for all, and what must come out. */
#ifndef TESTS_ENGINE_REFERENCE_H
#define TESTS_ENGINE_REFERENCE_H

#include "rank.h"

typedef enum collective { ALLREDUCE, BROADCAST, REDUCE_SCATTER, ALLGATHER, COLLECTIVES } collective;

typedef struct operation {
    collective kind;
    const element_type *type;
    kolo_reduce_op op;
    int32_t root;
    int64_t count;
    double prescale, postscale;
    bool in_place;
    size_t shift; /* bytes by which the tensors are off the allocator's alignment */
    uint64_t seed; /* of the inputs */
} operation;

/* An operation with its memory: tensors between guards. */
typedef struct trial {
    operation what;
    char *input, *output; /* allocations */
    bool input_is_shared, output_is_shared;
    size_t input_bytes, output_bytes; /* of the tensors */
    kolo_args args;
    int64_t input_shape, output_shape;
    kolo_request *request;
} trial;

/* From now on `parts` of 4 tensors, at random, get memory from kolo_alloc; the others, and all of them at first, from
 * malloc. */
void trial_share(kolo_context *ctx, uint64_t parts, random_source *random);
/* The trial must stay where it is until trial_check: args point into it. name: NULL or a text that lives as long. */
void trial_begin(trial *one, const operation *what, const char *name);
kolo_status trial_submit(kolo_context *ctx, trial *one, kolo_request **request);
/* Compares every output element, the guards and (out of place) the input; frees the memory. */
void trial_check(trial *one);
/* "allreduce sum float16, 97 elements, in place, ..." */
const char *operation_text(const operation *what, char *text, size_t capacity);

#endif
