/* kolo_backend.c - turns the harness's calls into Kolo's. */
#include "kolo_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef kolo_status (*operation_fn)(kolo_context *ctx, const kolo_args *args, kolo_request **request);

enum { NAME_BYTES = 48 };

/* One tensor's operation, ready to be submitted any number of times. */
typedef struct submission {
    kolo_args args;
    char name[NAME_BYTES];
    kolo_request *request;
} submission;

struct kolo_backend {
    kolo_context *ctx;
    perf_call call;
    int64_t input_count;  /* the shape of each tensor's input */
    int64_t output_count; /* and of its output */
    operation_fn operation;
    bool root_copies; /* a broadcast out of place, and this rank is its root */
    submission *tensors;
    kolo_args group;    /* all of them at once */
    kolo_tensor *lists; /* its outputs, then its inputs: 2 * room */
    size_t room;
    int made; /* so many of the tensors have a prepared request: 1 for a whole group */
};

static kolo_dtype dtype_of(perf_type type)
{
    switch (type) {
    case PERF_INT8:
        return KOLO_INT8;
    case PERF_UINT8:
        return KOLO_UINT8;
    case PERF_INT16:
        return KOLO_INT16;
    case PERF_INT32:
        return KOLO_INT32;
    case PERF_INT64:
        return KOLO_INT64;
    case PERF_HALF:
        return KOLO_FLOAT16;
    case PERF_DOUBLE:
        return KOLO_FLOAT64;
    case PERF_BFLOAT16:
        return KOLO_BFLOAT16;
    default:
        return KOLO_FLOAT32;
    }
}

static kolo_reduce_op reduce_op_of(perf_redop redop)
{
    static const kolo_reduce_op ops[PERF_REDOP_COUNT] = {
        [PERF_SUM] = KOLO_SUM, [PERF_PROD] = KOLO_PRODUCT, [PERF_MIN] = KOLO_MIN,
        [PERF_MAX] = KOLO_MAX, [PERF_AVG] = KOLO_AVERAGE,
    };
    return ops[redop];
}

static operation_fn operation_of(perf_op op)
{
    static const operation_fn operations[PERF_OP_COUNT] = {
        [PERF_ALLREDUCE] = kolo_allreduce,           [PERF_BROADCAST] = kolo_broadcast,
        [PERF_ALLGATHER] = kolo_allgather,           [PERF_BARRIER] = kolo_barrier,
        [PERF_REDUCE_SCATTER] = kolo_reduce_scatter, [PERF_GROUPED_ALLREDUCE] = kolo_allreduce,
    };
    return operations[op];
}

static bool is_prepared(perf_op op)
{
    return op == PERF_PREPARED_ALLREDUCE || op == PERF_PREPARED_GROUP;
}

bool kolo_backend_report(kolo_context *ctx, const char *call)
{
    const kolo_error *error = kolo_last_error();
    if (ctx != NULL)
        fprintf(stderr, "kolo-perf: rank %d: %s: %s\n", (int)kolo_rank(ctx), call, error->message);
    else
        fprintf(stderr, "kolo-perf: %s: %s\n", call, error->message);
    return false;
}

static kolo_tensor vector_of(void *data, const int64_t *count, kolo_dtype dtype)
{
    return (kolo_tensor){.data = data, .device_type = KOLO_DEVICE_CPU, .ndim = 1, .dtype = dtype, .shape = count};
}

static void prepare_tensor(kolo_backend *self, int index)
{
    const perf_call *call = &self->call;
    submission *tensor = &self->tensors[index];
    kolo_dtype dtype = dtype_of(call->type);
    size_t shift = (size_t)index * call->stride;
    tensor->args = (kolo_args)KOLO_ARGS_INIT;
    tensor->request = NULL;
    /* The same name for the same buffer, whatever the size: a job knows a handful of tensors. */
    snprintf(tensor->name, sizeof tensor->name, "perf.%s.%s.%d", perf_op_name(call->op), call->in_place ? "in" : "out",
             index);
    tensor->args.name = tensor->name;
    tensor->args.op = reduce_op_of(call->redop);
    tensor->args.root = call->root;
    if (call->op == PERF_BARRIER)
        return;
    tensor->args.output = vector_of(call->output + shift, &self->output_count, dtype);
    if (!call->in_place && call->op != PERF_BROADCAST)
        tensor->args.input = vector_of(call->input + shift, &self->input_count, dtype);
}

/* All tensors as one operation, under the name of the first. */
static void prepare_group(kolo_backend *self)
{
    const perf_call *call = &self->call;
    kolo_tensor *inputs = self->lists + call->tensors;
    for (int k = 0; k < call->tensors; k++) {
        self->lists[k] = self->tensors[k].args.output;
        inputs[k] = self->tensors[k].args.input;
    }
    self->group = self->tensors[0].args;
    self->group.input = self->group.output = (kolo_tensor){0};
    self->group.outputs = self->lists;
    self->group.inputs = call->in_place ? NULL : inputs;
    self->group.tensors = (size_t)call->tensors;
}

static bool is_grouped(perf_op op)
{
    return op == PERF_GROUPED_ALLREDUCE || op == PERF_PREPARED_GROUP;
}

static bool make_requests(kolo_backend *self)
{
    const perf_call *call = &self->call;
    bool grouped = is_grouped(call->op);
    int count = grouped ? 1 : call->tensors;
    for (; self->made < count; self->made++) {
        submission *one = &self->tensors[self->made];
        if (kolo_prepare(self->ctx, grouped ? &self->group : &one->args, &one->request) != KOLO_OK)
            return kolo_backend_report(self->ctx, perf_op_name(call->op));
    }
    return true;
}

static void finish(void *opaque)
{
    kolo_backend *self = opaque;
    for (; self->made > 0; self->made--)
        kolo_request_free(self->tensors[self->made - 1].request);
}

static bool prepare(void *opaque, const perf_call *call)
{
    kolo_backend *self = opaque;
    size_t count = (size_t)call->tensors;
    if (count > self->room) {
        submission *tensors = realloc(self->tensors, count * sizeof *tensors);
        self->tensors = tensors != NULL ? tensors : self->tensors;
        kolo_tensor *lists = realloc(self->lists, 2 * count * sizeof *lists);
        self->lists = lists != NULL ? lists : self->lists;
        if (tensors == NULL || lists == NULL) {
            fprintf(stderr, "kolo-perf: not enough memory for %zu tensors\n", count);
            return false;
        }
        self->room = count;
    }
    self->call = *call;
    self->input_count = call->op == PERF_ALLGATHER ? call->slice_count : call->count;
    self->output_count = call->op == PERF_REDUCE_SCATTER && !call->in_place ? call->slice_count : call->count;
    self->operation = operation_of(call->op);
    self->root_copies = call->op == PERF_BROADCAST && !call->in_place && kolo_rank(self->ctx) == call->root;
    for (int k = 0; k < call->tensors; k++)
        prepare_tensor(self, k);
    if (is_grouped(call->op))
        prepare_group(self);
    return !is_prepared(call->op) || make_requests(self);
}

static bool start(kolo_backend *self, submission *tensor)
{
    kolo_status status =
        self->made > 0 ? kolo_start(tensor->request) : self->operation(self->ctx, &tensor->args, &tensor->request);
    return status == KOLO_OK || kolo_backend_report(self->ctx, perf_op_name(self->call.op));
}

static bool wait_for(kolo_backend *self, submission *tensor)
{
    kolo_status status = kolo_wait(tensor->request, -1);
    if (status != KOLO_OK)
        kolo_backend_report(self->ctx, perf_op_name(self->call.op));
    if (self->made == 0) {
        kolo_request_free(tensor->request);
        tensor->request = NULL;
    }
    return status == KOLO_OK;
}

static bool execute_async(kolo_backend *self)
{
    int count = self->made > 0 ? self->made : self->call.tensors;
    int started = 0;
    while (started < count && start(self, &self->tensors[started]))
        started++;
    bool good = started == count;
    for (int k = 0; k < started; k++) /* also after a failure: until then the buffers are Kolo's */
        good &= wait_for(self, &self->tensors[k]);
    return good;
}

static bool execute(void *opaque)
{
    kolo_backend *self = opaque;
    const perf_call *call = &self->call;
    if (self->root_copies) {
        size_t bytes = (size_t)call->count * perf_type_size(call->type);
        for (int k = 0; k < call->tensors; k++)
            memcpy(call->output + (size_t)k * call->stride, call->input + (size_t)k * call->stride, bytes);
    }
    bool grouped = call->op == PERF_GROUPED_ALLREDUCE;
    if ((call->async && !grouped) || self->made > 0)
        return execute_async(self);
    if (self->operation(self->ctx, grouped ? &self->group : &self->tensors[0].args, NULL) != KOLO_OK)
        return kolo_backend_report(self->ctx, perf_op_name(call->op));
    return true;
}

static bool barrier(void *opaque)
{
    kolo_backend *self = opaque;
    kolo_args args = KOLO_ARGS_INIT;
    args.name = "perf.start";
    if (kolo_barrier(self->ctx, &args, NULL) != KOLO_OK)
        return kolo_backend_report(self->ctx, "barrier");
    return true;
}

static bool combine(void *opaque, perf_combine how, double *values, size_t count)
{
    kolo_backend *self = opaque;
    int64_t shape = (int64_t)count;
    kolo_args args = KOLO_ARGS_INIT;
    args.name = how == PERF_COMBINE_MAX ? "perf.max" : "perf.sum";
    args.op = how == PERF_COMBINE_MAX ? KOLO_MAX : KOLO_SUM;
    args.output = vector_of(values, &shape, KOLO_FLOAT64);
    if (kolo_allreduce(self->ctx, &args, NULL) != KOLO_OK)
        return kolo_backend_report(self->ctx, "allreduce of the measured times");
    return true;
}

static bool allocate(void *opaque, size_t bytes, void **memory)
{
    kolo_backend *self = opaque;
    if (kolo_alloc(self->ctx, bytes, memory) != KOLO_OK)
        return kolo_backend_report(self->ctx, "kolo_alloc");
    return true;
}

static void release(void *opaque, void *memory)
{
    kolo_backend *self = opaque;
    if (kolo_free(self->ctx, memory) != KOLO_OK)
        kolo_backend_report(self->ctx, "kolo_free");
}

kolo_backend *kolo_backend_create(kolo_context *ctx, perf_backend *backend)
{
    kolo_backend *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    self->ctx = ctx;
    *backend = (perf_backend){
        .self = self,
        .program = "kolo-perf",
        .name = "kolo",
        .version = kolo_version(),
        .rank = kolo_rank(ctx),
        .ranks = kolo_size(ctx),
        .one_host = kolo_local_size(ctx) == kolo_size(ctx),
        .prepare = prepare,
        .finish = finish,
        .execute = execute,
        .barrier = barrier,
        .combine = combine,
        .allocate = allocate,
        .release = release,
    };
    return self;
}

void kolo_backend_destroy(kolo_backend *self)
{
    if (self == NULL)
        return;
    free(self->tensors);
    free(self->lists);
    free(self);
}
