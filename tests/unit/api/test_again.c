/* test_again.c - calls with a list of tensors that come again: the same ones are remembered, and whatever is different is
 * noticed, in a job of one rank. */
#include "unit/api/host.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { TENSORS = 5, MOST = 6, PLACES = 2 };

/* A group out of place, and other memory for the same. */
typedef struct call {
    kolo_args args;
    kolo_tensor inputs[TENSORS], outputs[TENSORS];
    char name[16];
    int64_t shapes[TENSORS][2], other_shapes[TENSORS][2];
    float in[TENSORS][PLACES][MOST], out[TENSORS][PLACES][MOST];
} call;

static kolo_tensor tensor_of(float *data, const int64_t *shape)
{
    return (kolo_tensor){
        .data = data, .device_type = KOLO_DEVICE_CPU, .ndim = 2, .dtype = KOLO_FLOAT32, .shape = shape};
}

static void make(call *c)
{
    *c = (call){.args = host_group(c->name, c->outputs, TENSORS), .name = "again"};
    c->args.inputs = c->inputs;
    for (int i = 0; i < TENSORS; i++) {
        for (int d = 0; d < 2; d++)
            c->shapes[i][d] = c->other_shapes[i][d] = 2;
        c->outputs[i] = tensor_of(c->out[i][0], c->shapes[i]);
        if (i != 1) /* that one is in place */
            c->inputs[i] = tensor_of(c->in[i][0], c->shapes[i]);
    }
}

static int64_t elements_of(const kolo_tensor *tensor)
{
    int64_t count = 1;
    for (int32_t d = 0; d < tensor->ndim; d++)
        count *= tensor->shape[d];
    return count;
}

/* Where tensor i reads. */
static const float *source(const call *c, size_t i)
{
    bool in_place = c->args.inputs == NULL || c->inputs[i].data == NULL;
    const kolo_tensor *from = in_place ? &c->outputs[i] : &c->inputs[i];
    return (const float *)(const void *)((const char *)from->data + from->byte_offset);
}

static float value_of(size_t i, int place, int e, bool is_out)
{
    return (float)(100 * (int)i + 20 * place + e + (is_out ? 10 : 0) + 1);
}

static void fill(call *c)
{
    for (size_t i = 0; i < TENSORS; i++) {
        for (int place = 0; place < PLACES; place++) {
            for (int e = 0; e < MOST; e++) {
                c->in[i][place][e] = value_of(i, place, e, false);
                c->out[i][place][e] = value_of(i, place, e, true);
            }
        }
    }
}

/* Calls, and looks at all memory there is: what should have changed did, and nothing else. */
static void run(kolo_context *ctx, call *c)
{
    call expected;
    fill(c);
    memcpy(&expected, c, sizeof(expected));
    const float factor = (float)(c->args.prescale * c->args.postscale);
    for (size_t i = 0; i < c->args.tensors; i++) {
        const kolo_tensor *to = &c->outputs[i];
        size_t at = (size_t)((const char *)to->data - (const char *)c) + (size_t)to->byte_offset;
        float *out = (float *)(void *)((char *)&expected + at);
        for (int64_t e = 0; e < elements_of(to); e++)
            out[e] = source(c, i)[e] * factor;
    }
    if (kolo_allreduce(ctx, &c->args, NULL) != KOLO_OK)
        fail_msg("%s", kolo_last_error()->message);
    assert_memory_equal(c->in, expected.in, sizeof(c->in));
    assert_memory_equal(c->out, expected.out, sizeof(c->out));
}

/* ---- what may be different ---------------------------------------------------------------------------------------- */

static void move_output(call *c)
{
    c->outputs[TENSORS - 1].data = c->out[TENSORS - 1][1];
}

static void move_input(call *c)
{
    c->inputs[2].data = c->in[2][1];
}

static void begin_later(call *c)
{
    c->outputs[3].byte_offset = 8;
}

static void read_later(call *c)
{
    c->inputs[3].byte_offset = 8;
}

static void go_in_place(call *c)
{
    c->inputs[2].data = NULL;
}

static void go_in_place_with_all(call *c)
{
    c->args.inputs = NULL;
}

static void go_out_of_place(call *c)
{
    c->inputs[1] = tensor_of(c->in[1][0], c->shapes[1]);
}

/* The shape stays where it is. */
static void shrink(call *c)
{
    c->shapes[TENSORS - 1][1] = 1;
}

static void grow(call *c)
{
    c->shapes[1][0] = 3;
}

static void flatten(call *c)
{
    c->outputs[0].ndim = c->inputs[0].ndim = 1;
}

static void leave_one_out(call *c)
{
    c->args.tensors--;
}

static void scale(call *c)
{
    c->args.prescale = 0.5;
}

static void scale_results(call *c)
{
    c->args.postscale = 4.0;
}

/* Nothing is different: the same shape, elsewhere. */
static void move_shape(call *c)
{
    c->outputs[0].shape = c->other_shapes[0];
}

static void rename_it(call *c)
{
    c->name[0] = 'A';
}

static void take_its_name(call *c)
{
    c->args.name = NULL;
}

static void let_it_average(call *c)
{
    c->args.op = KOLO_AVERAGE;
}

typedef void (*change_fn)(call *c);

static void calls__that_differ_are_told_apart(void **state)
{
    (void)state;
    static const change_fn changes[] = {
        move_output,   move_input,     begin_later,         read_later, go_in_place,   go_out_of_place, shrink,
        grow,          flatten,        leave_one_out,       scale,      scale_results, move_shape,      rename_it,
        take_its_name, let_it_average, go_in_place_with_all};
    kolo_context *ctx = host_init(NULL);
    for (size_t k = 0; k < sizeof(changes) / sizeof(changes[0]); k++) {
        call c;
        make(&c);
        for (int turn = 0; turn < 3; turn++)
            run(ctx, &c);
        changes[k](&c);
        for (int turn = 0; turn < 3; turn++)
            run(ctx, &c);
        make(&c);
        run(ctx, &c);
    }
    host_finalize(ctx);
}

/* ---- what is refused, also where it was right before ------------------------------------------------------------------ */

static const int64_t gaps[2] = {4, 2};

static void lose_data(call *c)
{
    c->outputs[4].data = NULL;
}

static void lose_shape(call *c)
{
    c->outputs[2].shape = NULL;
}

static void read_with_gaps(call *c)
{
    c->inputs[2].strides = gaps;
}

static void write_with_gaps(call *c)
{
    c->outputs[1].strides = gaps;
}

static void leave_the_cpu(call *c)
{
    c->outputs[3].device_type = 2;
}

static void read_elsewhere(call *c)
{
    c->inputs[3].device_type = 2;
}

static void widen(call *c)
{
    c->outputs[3].dtype.bits = 24;
}

static void overlap(call *c)
{
    c->outputs[3].data = c->out[2][0];
}

static void read_more(call *c)
{
    c->inputs[0].shape = c->other_shapes[0];
    c->other_shapes[0][0] = 3;
}

static void lose_the_list(call *c)
{
    c->args.outputs = NULL;
}

static void say_it_twice(call *c)
{
    c->args.output = c->outputs[0];
}

static void lose_an_operator(call *c)
{
    c->args.op = (kolo_reduce_op)77;
}

static void lose_factors(call *c)
{
    c->args.postscale = 0;
}

static void calls__that_are_wrong_are_refused(void **state)
{
    (void)state;
    static const change_fn changes[] = {lose_data,        lose_shape,   read_with_gaps, write_with_gaps, leave_the_cpu,
                                        read_elsewhere,   widen,        overlap,        read_more,       lose_the_list,
                                        lose_an_operator, lose_factors, say_it_twice};
    kolo_context *ctx = host_init(NULL);
    for (size_t k = 0; k < sizeof(changes) / sizeof(changes[0]); k++) {
        call c;
        make(&c);
        for (int turn = 0; turn < 3; turn++)
            run(ctx, &c);
        changes[k](&c);
        if (kolo_allreduce(ctx, &c.args, NULL) == KOLO_OK)
            fail_msg("change %zu was not noticed", k);
        assert_string_equal(kolo_last_error()->operation, "allreduce");
        assert_string_equal(kolo_last_error()->tensor, "again");
        make(&c);
        run(ctx, &c);
    }
    host_finalize(ctx);
}

/* Strides that say nothing new; then they change where they are. */
static void strides__are_compared(void **state)
{
    (void)state;
    kolo_context *ctx = host_init(NULL);
    for (int k = 0; k < 2; k++) {
        int64_t strides[2] = {2, 1}, elsewhere[2] = {2, 1};
        call c;
        make(&c);
        kolo_tensor *tensor = k == 0 ? &c.outputs[2] : &c.inputs[2];
        tensor->strides = strides;
        for (int turn = 0; turn < 3; turn++)
            run(ctx, &c);
        tensor->strides = elsewhere;
        run(ctx, &c);
        elsewhere[0] = 3;
        host_expect(kolo_allreduce(ctx, &c.args, NULL), KOLO_ERR_UNSUPPORTED, "is not contiguous");
        tensor->strides = NULL;
        run(ctx, &c);
    }
    host_finalize(ctx);
}

/* One that lies at 0, if it lay anywhere: it is told from an input that is none, and what comes behind it from itself. */
static void input__without_elements_and_one_that_is_none(void **state)
{
    (void)state;
    kolo_context *ctx = host_init(NULL);
    for (size_t i = 0; i < TENSORS; i++) {
        call c;
        make(&c);
        c.shapes[i][0] = 0;
        c.inputs[i] = tensor_of(NULL, c.shapes[i]);
        for (int turn = 0; turn < 4; turn++) {
            run(ctx, &c);
            c.inputs[i].data = turn % 2 == 0 ? (float *)(uintptr_t)8 : NULL;
            c.inputs[i].byte_offset = turn % 2 == 0 ? -(uint64_t)8 : 0;
        }
    }
    host_finalize(ctx);
}

/* ---- many -------------------------------------------------------------------------------------------------------- */

static void names__more_than_are_remembered(void **state)
{
    (void)state;
    enum { NAMES = 100 };
    kolo_context *ctx = host_init(NULL);
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < NAMES; i++) {
            call c;
            make(&c);
            snprintf(c.name, sizeof(c.name), "n%d", turn == 1 ? NAMES - 1 - i : i);
            run(ctx, &c);
        }
    }
    host_finalize(ctx);
}

static void count_call(void *user, kolo_request *request, kolo_status status)
{
    (void)request;
    *(int *)user += status == KOLO_OK;
}

static void callback__is_called_each_time(void **state)
{
    (void)state;
    int calls = 0;
    kolo_context *ctx = host_init(NULL);
    call c;
    make(&c);
    run(ctx, &c);
    c.args.done = count_call;
    c.args.user = &calls;
    for (int turn = 1; turn <= 3; turn++) {
        run(ctx, &c);
        assert_int_equal(calls, turn);
    }
    host_finalize(ctx);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, TURNS = 300 };

static kolo_context *shared;

static void *call_again(void *argument)
{
    call *c = argument;
    for (int turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < TENSORS; i++)
            for (int e = 0; e < 4; e++)
                c->in[i][0][e] = c->out[i][0][e] = (float)(turn + e);
        if (kolo_allreduce(shared, &c->args, NULL) != KOLO_OK)
            return NULL;
        for (size_t i = 0; i < TENSORS; i++)
            for (int e = 0; e < 4; e++)
                if (c->out[i][0][e] != (float)(turn + e) * 2)
                    return NULL;
    }
    return c;
}

/* Of one name, all at the same time: two of the same memory would be wrong, so each has its own. */
static void threads__call_the_same_name(void **state)
{
    (void)state;
    static call calls[THREADS];
    pthread_t threads[THREADS];
    shared = host_init(NULL);
    for (int k = 0; k < THREADS; k++) {
        make(&calls[k]);
        calls[k].args.prescale = 2.0;
        assert_int_equal(pthread_create(&threads[k], NULL, call_again, &calls[k]), 0);
    }
    for (int k = 0; k < THREADS; k++) {
        void *fine = NULL;
        pthread_join(threads[k], &fine);
        assert_ptr_equal(fine, &calls[k]);
    }
    host_finalize(shared);
}

int main(void)
{
    host_clear_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls__that_differ_are_told_apart),
        cmocka_unit_test(calls__that_are_wrong_are_refused),
        cmocka_unit_test(names__more_than_are_remembered),
        cmocka_unit_test(callback__is_called_each_time),
        cmocka_unit_test(strides__are_compared),
        cmocka_unit_test(input__without_elements_and_one_that_is_none),
        cmocka_unit_test(threads__call_the_same_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
