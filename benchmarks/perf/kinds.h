/* kinds.h - what a benchmark can run: operations, element types, reductions; their names, sizes and bandwidth factors.
 * Independent of any library under test: Kolo's and every peer's driver share it. */
#ifndef PERF_KINDS_H
#define PERF_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* MEMCPY is the floor to compare with: every rank copies its input to its output, at the same time.
 * GROUPED_ALLREDUCE is one call for all tensors of an iteration.
 * PREPARED_ALLREDUCE and PREPARED_GROUP are the same as ALLREDUCE and GROUPED_ALLREDUCE, of requests that are made once
 * and started in each iteration.
 * IDLE measures what a job costs that does nothing. */
typedef enum perf_op {
    PERF_ALLREDUCE,
    PERF_BROADCAST,
    PERF_ALLGATHER,
    PERF_REDUCE_SCATTER,
    PERF_BARRIER,
    PERF_MEMCPY,
    PERF_GROUPED_ALLREDUCE,
    PERF_PREPARED_ALLREDUCE,
    PERF_PREPARED_GROUP,
    PERF_IDLE,
    PERF_OP_COUNT
} perf_op;

typedef enum perf_type {
    PERF_INT8,
    PERF_UINT8,
    PERF_INT16,
    PERF_INT32,
    PERF_INT64,
    PERF_HALF,
    PERF_FLOAT,
    PERF_DOUBLE,
    PERF_BFLOAT16,
    PERF_TYPE_COUNT
} perf_type;

typedef enum perf_redop { PERF_SUM, PERF_PROD, PERF_MIN, PERF_MAX, PERF_AVG, PERF_REDOP_COUNT } perf_redop;

const char *perf_op_name(perf_op op);
const char *perf_type_name(perf_type type);
const char *perf_redop_name(perf_redop redop);

/* The kind of that name; false if there is none. Types answer to nccl-tests' names and to Kolo's (float32, ...). */
bool perf_op_find(const char *name, perf_op *op);
bool perf_type_find(const char *name, perf_type *type);
bool perf_redop_find(const char *name, perf_redop *redop);

size_t perf_type_size(perf_type type);
bool perf_type_is_float(perf_type type);
bool perf_op_is_allreduce(perf_op op); /* whichever way it is called */
bool perf_op_reduces(perf_op op);      /* the reduction matters */
bool perf_op_has_root(perf_op op);     /* the root matters */
bool perf_op_has_data(perf_op op);     /* there are sizes and types */

/* busbw / algbw, as nccl-tests defines it: the bytes that must cross the busiest link, over the size. */
double perf_bus_factor(perf_op op, int ranks);

/* The part of count elements that belongs to rank: the first count % ranks ranks get one more. */
void perf_slice(int64_t count, int ranks, int rank, int64_t *offset, int64_t *slice_count);

#endif
