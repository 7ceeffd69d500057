/* mpi_driver.c - MPI's collective operations behind kolo-perf's harness: the same flags, buffers, clock, checks and
 * output, so that the figures can be laid beside Kolo's. Built by run.py with each MPI's own compiler. */
#include "../perf/harness.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct mpi_backend {
    perf_call call;
    MPI_Datatype type;
    MPI_Op op;
    MPI_Request *requests;
    int made; /* so many of them are persistent */
    int rank;
    int ranks;
    int *slice_counts; /* of every rank */
    int *slice_offsets;
} mpi_backend;

static bool find_type(perf_type type, MPI_Datatype *found)
{
    switch (type) {
    case PERF_INT8:
        *found = MPI_INT8_T;
        return true;
    case PERF_UINT8:
        *found = MPI_UINT8_T;
        return true;
    case PERF_INT16:
        *found = MPI_INT16_T;
        return true;
    case PERF_INT32:
        *found = MPI_INT32_T;
        return true;
    case PERF_INT64:
        *found = MPI_INT64_T;
        return true;
    case PERF_FLOAT:
        *found = MPI_FLOAT;
        return true;
    case PERF_DOUBLE:
        *found = MPI_DOUBLE;
        return true;
    default: /* no 16-bit floats in MPI */
        return false;
    }
}

static bool find_op(perf_redop redop, MPI_Op *found)
{
    switch (redop) {
    case PERF_SUM:
        *found = MPI_SUM;
        return true;
    case PERF_PROD:
        *found = MPI_PROD;
        return true;
    case PERF_MIN:
        *found = MPI_MIN;
        return true;
    case PERF_MAX:
        *found = MPI_MAX;
        return true;
    default: /* no average in MPI */
        return false;
    }
}

/* MPI 4 has requests that are made once; before it, a prepared all-reduce is one like any other. */
static bool make_requests(mpi_backend *self)
{
#if MPI_VERSION >= 4
    const perf_call *call = &self->call;
    for (; self->made < call->tensors; self->made++) {
        size_t shift = (size_t)self->made * call->stride;
        if (MPI_Allreduce_init(call->in_place ? MPI_IN_PLACE : call->input + shift, call->output + shift,
                               (int)call->count, self->type, self->op, MPI_COMM_WORLD, MPI_INFO_NULL,
                               &self->requests[self->made]) != MPI_SUCCESS)
            return false;
    }
#else
    (void)self;
#endif
    return true;
}

static void finish(void *opaque)
{
    mpi_backend *self = opaque;
    for (; self->made > 0; self->made--)
        MPI_Request_free(&self->requests[self->made - 1]);
}

static bool prepare(void *opaque, const perf_call *call)
{
    mpi_backend *self = opaque;
    self->call = *call;
    if (call->op == PERF_BARRIER)
        return true;
    bool reduces = perf_op_reduces(call->op);
    if (!find_type(call->type, &self->type) || (reduces && !find_op(call->redop, &self->op)) ||
        (call->async && !perf_op_is_allreduce(call->op))) {
        fprintf(stderr, "mpi_driver: no %s of %s with %s here%s\n", perf_op_name(call->op), perf_type_name(call->type),
                reduces ? perf_redop_name(call->redop) : "none", call->async ? ", asynchronously" : "");
        return false;
    }
    if (call->count > INT32_MAX) {
        fprintf(stderr, "mpi_driver: MPI counts to 2147483647 elements; choose a smaller -e\n");
        return false;
    }
    for (int rank = 0; rank < self->ranks; rank++) {
        int64_t offset;
        int64_t count;
        perf_slice(call->count, self->ranks, rank, &offset, &count);
        self->slice_offsets[rank] = (int)offset;
        self->slice_counts[rank] = (int)count;
    }
    free(self->requests);
    self->requests = malloc((size_t)call->tensors * sizeof(MPI_Request));
    return self->requests != NULL && (call->op != PERF_PREPARED_ALLREDUCE || make_requests(self));
}

static bool broadcast(const mpi_backend *self)
{
    const perf_call *call = &self->call;
    if (!call->in_place && self->rank == call->root)
        memcpy(call->output, call->input, (size_t)call->count * perf_type_size(call->type));
    return MPI_Bcast(call->output, (int)call->count, self->type, call->root, MPI_COMM_WORLD) == MPI_SUCCESS;
}

/* MPI leaves an in-place result at the front, Kolo at the slice's offset. */
static bool reduce_scatter(const mpi_backend *self)
{
    const perf_call *call = &self->call;
    size_t size = perf_type_size(call->type);
    if (MPI_Reduce_scatter(call->in_place ? MPI_IN_PLACE : call->input, call->output, self->slice_counts, self->type,
                           self->op, MPI_COMM_WORLD) != MPI_SUCCESS)
        return false;
    if (call->in_place)
        memmove(call->output + (size_t)call->offset * size, call->output, (size_t)call->slice_count * size);
    return true;
}

static bool execute_one(const mpi_backend *self)
{
    const perf_call *call = &self->call;
    const void *input = call->in_place ? MPI_IN_PLACE : call->input;
    switch (call->op) {
    case PERF_BARRIER:
        return MPI_Barrier(MPI_COMM_WORLD) == MPI_SUCCESS;
    case PERF_BROADCAST:
        return broadcast(self);
    case PERF_REDUCE_SCATTER:
        return reduce_scatter(self);
    case PERF_ALLGATHER:
        return MPI_Allgatherv(input, (int)call->slice_count, self->type, call->output, self->slice_counts,
                              self->slice_offsets, self->type, MPI_COMM_WORLD) == MPI_SUCCESS;
    default:
        return MPI_Allreduce(input, call->output, (int)call->count, self->type, self->op, MPI_COMM_WORLD) ==
               MPI_SUCCESS;
    }
}

/* MPI knows no groups: what a program does instead is one after another. */
static bool execute_group(const mpi_backend *self)
{
    const perf_call *call = &self->call;
    for (int k = 0; k < call->tensors; k++) {
        size_t shift = (size_t)k * call->stride;
        if (MPI_Allreduce(call->in_place ? MPI_IN_PLACE : call->input + shift, call->output + shift, (int)call->count,
                          self->type, self->op, MPI_COMM_WORLD) != MPI_SUCCESS)
            return false;
    }
    return true;
}

static bool execute(void *opaque)
{
    mpi_backend *self = opaque;
    const perf_call *call = &self->call;
    if (call->op == PERF_GROUPED_ALLREDUCE || call->op == PERF_PREPARED_GROUP)
        return execute_group(self);
    if (self->made > 0)
        return MPI_Startall(self->made, self->requests) == MPI_SUCCESS &&
               MPI_Waitall(self->made, self->requests, MPI_STATUSES_IGNORE) == MPI_SUCCESS;
    if (!call->async)
        return execute_one(self);
    int count = (int)call->count;
    for (int k = 0; k < call->tensors; k++) {
        size_t shift = (size_t)k * call->stride;
        MPI_Iallreduce(call->in_place ? MPI_IN_PLACE : call->input + shift, call->output + shift, count, self->type,
                       self->op, MPI_COMM_WORLD, &self->requests[k]);
    }
    return MPI_Waitall(call->tensors, self->requests, MPI_STATUSES_IGNORE) == MPI_SUCCESS;
}

static bool barrier(void *opaque)
{
    (void)opaque;
    return MPI_Barrier(MPI_COMM_WORLD) == MPI_SUCCESS;
}

static bool combine(void *opaque, perf_combine how, double *values, size_t count)
{
    (void)opaque;
    MPI_Op op = how == PERF_COMBINE_MAX ? MPI_MAX : MPI_SUM;
    return MPI_Allreduce(MPI_IN_PLACE, values, (int)count, MPI_DOUBLE, op, MPI_COMM_WORLD) == MPI_SUCCESS;
}

static bool on_one_host(int ranks)
{
    MPI_Comm host;
    int local = 0;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
    MPI_Comm_size(host, &local);
    MPI_Comm_free(&host);
    return local == ranks;
}

int main(int argc, char **argv)
{
    perf_options options;
    char message[512] = "see kolo-perf --help";
    if (perf_options_parse(argc, argv, &options, message, sizeof message) != PERF_PARSE_RUN || options.ops[PERF_IDLE]) {
        fprintf(stderr, "mpi_driver: %s\n", options.ops[PERF_IDLE] ? "idle is kolo-perf's alone" : message);
        return PERF_EXIT_USAGE;
    }
    MPI_Init(&argc, &argv);
    mpi_backend self = {0};
    perf_backend backend = {.self = &self,
                            .program = "mpi_driver",
                            .name = "mpi",
                            .prepare = prepare,
                            .finish = finish,
                            .execute = execute,
                            .barrier = barrier,
                            .combine = combine};
    char version[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    MPI_Get_library_version(version, &length);
    for (int i = 0; i < length; i++) { /* its first words are enough */
        if (version[i] == ',' || version[i] == '\n')
            version[i] = '\0';
    }
    backend.version = version;
    MPI_Comm_rank(MPI_COMM_WORLD, &backend.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &backend.ranks);
    backend.one_host = on_one_host(backend.ranks);
    self.rank = backend.rank;
    self.ranks = backend.ranks;
    self.slice_counts = calloc((size_t)backend.ranks, sizeof(int));
    self.slice_offsets = calloc((size_t)backend.ranks, sizeof(int));
    if (self.slice_counts == NULL || self.slice_offsets == NULL)
        MPI_Abort(MPI_COMM_WORLD, PERF_EXIT_FAILED);
    perf_outcome outcome = perf_harness_run(&options, &backend);
    free(self.requests);
    free(self.slice_counts);
    free(self.slice_offsets);
    if (outcome == PERF_STOPPED)
        MPI_Abort(MPI_COMM_WORLD, PERF_EXIT_FAILED);
    MPI_Finalize();
    if (outcome == PERF_REFUSED)
        return PERF_EXIT_USAGE;
    return outcome == PERF_RIGHT ? PERF_EXIT_OK : PERF_EXIT_FAILED;
}
