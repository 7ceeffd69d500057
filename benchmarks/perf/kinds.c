/* kinds.c - the tables behind kinds.h. */
#include "kinds.h"

#include <string.h>

static const char *const op_names[PERF_OP_COUNT] = {
    [PERF_ALLREDUCE] = "allreduce",
    [PERF_BROADCAST] = "broadcast",
    [PERF_ALLGATHER] = "allgather",
    [PERF_REDUCE_SCATTER] = "reduce_scatter",
    [PERF_BARRIER] = "barrier",
    [PERF_MEMCPY] = "memcpy",
    [PERF_GROUPED_ALLREDUCE] = "grouped_allreduce",
    [PERF_PREPARED_ALLREDUCE] = "prepared_allreduce",
    [PERF_PREPARED_GROUP] = "prepared_group",
    [PERF_IDLE] = "idle",
};

static const struct {
    const char *name;
    const char *alias;
    size_t size;
    bool is_float;
} types[PERF_TYPE_COUNT] = {
    [PERF_INT8] = {"int8", "char", 1, false},        [PERF_UINT8] = {"uint8", "uchar", 1, false},
    [PERF_INT16] = {"int16", "short", 2, false},     [PERF_INT32] = {"int32", "int", 4, false},
    [PERF_INT64] = {"int64", "long", 8, false},      [PERF_HALF] = {"half", "float16", 2, true},
    [PERF_FLOAT] = {"float", "float32", 4, true},    [PERF_DOUBLE] = {"double", "float64", 8, true},
    [PERF_BFLOAT16] = {"bfloat16", "bf16", 2, true},
};

static const struct {
    const char *name;
    const char *alias;
} redops[PERF_REDOP_COUNT] = {
    [PERF_SUM] = {"sum", "sum"}, [PERF_PROD] = {"prod", "product"}, [PERF_MIN] = {"min", "min"},
    [PERF_MAX] = {"max", "max"}, [PERF_AVG] = {"avg", "average"},
};

const char *perf_op_name(perf_op op)
{
    return op_names[op];
}

const char *perf_type_name(perf_type type)
{
    return types[type].name;
}

const char *perf_redop_name(perf_redop redop)
{
    return redops[redop].name;
}

bool perf_op_find(const char *name, perf_op *op)
{
    for (int i = 0; i < PERF_OP_COUNT; i++) {
        if (strcmp(name, op_names[i]) == 0) {
            *op = (perf_op)i;
            return true;
        }
    }
    return false;
}

bool perf_type_find(const char *name, perf_type *type)
{
    for (int i = 0; i < PERF_TYPE_COUNT; i++) {
        if (strcmp(name, types[i].name) == 0 || strcmp(name, types[i].alias) == 0) {
            *type = (perf_type)i;
            return true;
        }
    }
    return false;
}

bool perf_redop_find(const char *name, perf_redop *redop)
{
    for (int i = 0; i < PERF_REDOP_COUNT; i++) {
        if (strcmp(name, redops[i].name) == 0 || strcmp(name, redops[i].alias) == 0) {
            *redop = (perf_redop)i;
            return true;
        }
    }
    return false;
}

size_t perf_type_size(perf_type type)
{
    return types[type].size;
}

bool perf_type_is_float(perf_type type)
{
    return types[type].is_float;
}

bool perf_op_is_allreduce(perf_op op)
{
    return op == PERF_ALLREDUCE || op == PERF_GROUPED_ALLREDUCE || op == PERF_PREPARED_ALLREDUCE ||
           op == PERF_PREPARED_GROUP;
}

bool perf_op_reduces(perf_op op)
{
    return perf_op_is_allreduce(op) || op == PERF_REDUCE_SCATTER;
}

bool perf_op_has_root(perf_op op)
{
    return op == PERF_BROADCAST;
}

bool perf_op_has_data(perf_op op)
{
    return op != PERF_BARRIER && op != PERF_IDLE;
}

double perf_bus_factor(perf_op op, int ranks)
{
    double others = (double)(ranks - 1) / (double)ranks;
    switch (op) {
    case PERF_ALLREDUCE:
    case PERF_GROUPED_ALLREDUCE:
    case PERF_PREPARED_ALLREDUCE:
    case PERF_PREPARED_GROUP:
        return 2.0 * others;
    case PERF_ALLGATHER:
    case PERF_REDUCE_SCATTER:
        return others;
    default:
        return 1.0;
    }
}

void perf_slice(int64_t count, int ranks, int rank, int64_t *offset, int64_t *slice_count)
{
    int64_t each = count / ranks;
    int64_t longer = count % ranks;
    *offset = each * rank + (rank < longer ? rank : longer);
    *slice_count = each + (rank < longer ? 1 : 0);
}
