/* test_arguments.c - everything that can be wrong about one operation; nothing of it is queued. */
#include "unit/api/host.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static kolo_context *ctx;
static float data[64], other[64];

typedef kolo_status (*operation_fn)(kolo_context *ctx, const kolo_args *args, kolo_request **request);

static const int64_t four[1] = {4};

static kolo_args usual(void)
{
    return host_args("w", data, four);
}

static void refused(operation_fn operation, const kolo_args *args, kolo_status status, const char *text)
{
    kolo_request *request = (kolo_request *)(void *)data;
    host_expect(operation(ctx, args, &request), status, text);
    assert_ptr_equal(request, data); /* untouched */
    host_expect(operation(ctx, args, NULL), status, text);
}

static void accepted(operation_fn operation, const kolo_args *args)
{
    if (operation(ctx, args, NULL) != KOLO_OK)
        fail_msg("%s", kolo_last_error()->message);
}

/* ---- the operation ----------------------------------------------------------------------------------------------- */

static void args__missing(void **state)
{
    (void)state;
    refused(kolo_allreduce, NULL, KOLO_ERR_INVALID, "args is NULL");
    refused(kolo_broadcast, NULL, KOLO_ERR_INVALID, "args is NULL");
    refused(kolo_reduce_scatter, NULL, KOLO_ERR_INVALID, "args is NULL");
    refused(kolo_allgather, NULL, KOLO_ERR_INVALID, "args is NULL");
    assert_int_equal(kolo_barrier(ctx, NULL, NULL), KOLO_OK); /* which needs none */
}

static void error__names_operation_and_tensor(void **state)
{
    (void)state;
    kolo_args args = usual();
    args.output.data = NULL;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "the output has 4 elements, but data is NULL");
    assert_string_equal(kolo_last_error()->operation, "allreduce");
    assert_string_equal(kolo_last_error()->tensor, "w");
    args.name = NULL;
    refused(kolo_reduce_scatter, &args, KOLO_ERR_INVALID, "data is NULL");
    assert_string_equal(kolo_last_error()->operation, "reduce_scatter");
    assert_string_equal(kolo_last_error()->tensor, "");
    kolo_args group = host_group("g", &args.output, 1);
    host_expect(kolo_allreduce(ctx, &group, NULL), KOLO_ERR_INVALID, "tensor 0 of the list: the output has 4 elements");
    assert_string_equal(kolo_last_error()->tensor, "g");
}

static void name__bounds(void **state)
{
    (void)state;
    char name[257];
    kolo_args args = usual();
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    args.name = name;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "a tensor's name has 1 to 255 bytes, this one more");
    name[255] = '\0';
    accepted(kolo_allreduce, &args);
    args.name = "";
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "this one none");
    refused(kolo_barrier, &args, KOLO_ERR_INVALID, "this one none");
    args.name = "#1";
    refused(kolo_broadcast, &args, KOLO_ERR_INVALID, "starts with '#', which is for operations without a name");
    args.name = "a#1";
    accepted(kolo_broadcast, &args);
}

static void operator__unknown(void **state)
{
    (void)state;
    kolo_args args = usual();
    for (int op = KOLO_SUM; op <= KOLO_PRODUCT; op++) {
        args.op = (kolo_reduce_op)op;
        accepted(kolo_allreduce, &args);
    }
    int32_t wrong[] = {-1, KOLO_PRODUCT + 1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        memcpy(&args.op, &wrong[i], sizeof(args.op));
        refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "is unknown; KOLO_SUM, KOLO_AVERAGE");
        refused(kolo_reduce_scatter, &args, KOLO_ERR_INVALID, "is unknown; KOLO_SUM, KOLO_AVERAGE");
        accepted(kolo_allgather, &args); /* adds nothing */
    }
}

static void factors__must_be_finite_and_for_floats(void **state)
{
    (void)state;
    kolo_args args = usual();
    const double wrong[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    for (size_t i = 0; i < 3; i++) {
        args = usual();
        args.prescale = wrong[i];
        refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "must be finite");
        args = usual();
        args.postscale = wrong[i];
        refused(kolo_reduce_scatter, &args, KOLO_ERR_INVALID, "must be finite");
    }
    args = usual();
    args.output.dtype = KOLO_INT32;
    args.prescale = 0.5;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID,
            "prescale 0.5 and postscale 1: tensors of int32 cannot be scaled; both must be 1");
    args.prescale = 1.0;
    args.postscale = 2.0;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "tensors of int32 cannot be scaled");
    args.postscale = 1.0;
    accepted(kolo_allreduce, &args);
}

static void root__must_be_a_rank(void **state)
{
    (void)state;
    kolo_args args = usual();
    args.root = 1;
    refused(kolo_broadcast, &args, KOLO_ERR_INVALID, "broadcast from root 1 in a job of 1 ranks; the root is 0 to 0");
    args.root = -1;
    refused(kolo_broadcast, &args, KOLO_ERR_INVALID, "broadcast from root -1");
    accepted(kolo_allreduce, &args); /* has none */
}

static void flags__unknown(void **state)
{
    (void)state;
    kolo_args args = usual();
    args.flags = KOLO_NOTIFY_FD | 2;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "flags 0x3 has bits that this Kolo does not know");
    args.flags = UINT64_C(1) << 63;
    refused(kolo_barrier, &args, KOLO_ERR_INVALID, "flags 0x8000000000000000 has bits");
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

static void dtype__unknown(void **state)
{
    (void)state;
    static const kolo_dtype wrong[] = {{2, 32, 2}, {2, 32, 0},  {2, 8, 1},  {3, 32, 1},
                                       {5, 64, 1}, {0, 128, 1}, {1, 16, 1}, {255, 255, 65535}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        kolo_args args = usual();
        args.output.dtype = wrong[i];
        refused(kolo_allreduce, &args, KOLO_ERR_UNSUPPORTED, "the output has type {code");
        args = usual();
        args.input = args.output;
        args.input.data = other;
        args.input.dtype = wrong[i];
        refused(kolo_allreduce, &args, KOLO_ERR_UNSUPPORTED, "the input has type {code");
    }
}

static void device__other_than_cpu(void **state)
{
    (void)state;
    kolo_args args = usual();
    args.output.device_type = 2;
    refused(kolo_allreduce, &args, KOLO_ERR_UNSUPPORTED,
            "the output is on device type 2; only CPU memory (1) is supported");
    args = usual();
    args.output.device_id = 3; /* which CPU does not matter */
    accepted(kolo_allreduce, &args);
}

static void shape__impossible(void **state)
{
    (void)state;
    static const int64_t negative[2] = {2, -1}, many[3] = {INT64_MAX, 2, 2}, wide[1] = {INT64_MAX / 4 + 1},
                         none_of_many[3] = {INT64_MAX, 0, INT64_MAX};
    static const int64_t ones[17] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    kolo_args args = usual();
    args.output.ndim = -1;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "the output has -1 dimensions");
    args.output.ndim = 17;
    args.output.shape = ones;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "the output has 17 dimensions; 0 to 16 are possible");
    args.output.ndim = 16;
    accepted(kolo_allreduce, &args);
    args.output.ndim = 1;
    args.output.shape = NULL;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "the output has 1 dimension, but shape is NULL");
    args.output.ndim = 2;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "the output has 2 dimensions, but shape is NULL");
    args.output.ndim = 0;
    accepted(kolo_allreduce, &args); /* a scalar */
    args.output.ndim = 2;
    args.output.shape = negative;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "dimension 1 of the output is -1");
    args.output.ndim = 3;
    args.output.shape = many;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "the output has more elements than 64 bits count");
    args.output.ndim = 1;
    args.output.shape = wide;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "the output has more bytes than 64 bits count");
    args.output.ndim = 3;
    args.output.shape = none_of_many;
    accepted(kolo_allreduce, &args); /* no elements at all */
}

static void strides__must_be_contiguous(void **state)
{
    (void)state;
    static const int64_t shape[2] = {3, 4}, c_order[2] = {4, 1}, fortran[2] = {1, 3}, padded[2] = {5, 1},
                         every_other[2] = {8, 2};
    static const int64_t row[2] = {1, 4}, odd_row[2] = {77, 1}, empty[2] = {3, 0}, empty_strides[2] = {1, 1};
    kolo_args args = usual();
    args.output.ndim = 2;
    args.output.shape = shape;
    args.output.strides = c_order;
    accepted(kolo_allreduce, &args);
    args.output.strides = fortran;
    refused(kolo_allreduce, &args, KOLO_ERR_UNSUPPORTED,
            "the output is not contiguous: stride 3 in dimension 1, 1 expected; copy it first");
    args.output.strides = padded;
    refused(kolo_allreduce, &args, KOLO_ERR_UNSUPPORTED, "stride 5 in dimension 0, 4 expected");
    args.output.strides = every_other;
    refused(kolo_allreduce, &args, KOLO_ERR_UNSUPPORTED, "not contiguous");
    args.output.shape = row; /* the stride of a dimension of 1 is never used */
    args.output.strides = odd_row;
    accepted(kolo_allreduce, &args);
    args.output.shape = empty; /* nor are those of an empty tensor; this is what PyTorch says */
    args.output.strides = empty_strides;
    accepted(kolo_allreduce, &args);
}

static void byte_offset__moves_the_first_element(void **state)
{
    (void)state;
    kolo_args args = usual();
    for (int i = 0; i < 8; i++)
        data[i] = (float)i;
    args.output.byte_offset = 2 * sizeof(float);
    args.postscale = 10.0;
    accepted(kolo_allreduce, &args);
    for (int i = 0; i < 8; i++)
        assert_true(data[i] == (i >= 2 && i < 6 ? 10.0f * (float)i : (float)i));
}

static void input__must_fit_the_output(void **state)
{
    (void)state;
    static const int64_t five[1] = {5};
    kolo_args args = usual();
    args.input = args.output;
    args.input.data = other;
    accepted(kolo_allreduce, &args);
    args.input.dtype = KOLO_INT32;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "the input is int32, the output float32; types must be equal");
    args.input.dtype = KOLO_FLOAT32;
    args.input.shape = five;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID,
            "the input has 5 elements, the output 4; an all-reduce needs equal counts");
    refused(kolo_reduce_scatter, &args, KOLO_ERR_INVALID,
            "the output has 4 elements; this rank's slice of 5 has 5 (kolo_slice tells)");
    refused(kolo_allgather, &args, KOLO_ERR_INVALID,
            "the input has 5 elements; this rank's slice of 4 has 4 (kolo_slice tells)");
    accepted(kolo_broadcast, &args); /* has no input */
}

static void overlap__is_refused(void **state)
{
    (void)state;
    kolo_args args = usual();
    args.input = args.output;
    accepted(kolo_allreduce, &args); /* in place, said twice */
    args.input.data = data + 1;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "overlap; make them equal (leave input.data NULL) or separate");
    args.input.data = data + 3;
    refused(kolo_allgather, &args, KOLO_ERR_INVALID, "overlap");
    args.input.data = data;
    args.output.data = data + 3;
    refused(kolo_reduce_scatter, &args, KOLO_ERR_INVALID, "overlap");
    args.output.data = data + 4; /* side by side */
    accepted(kolo_allreduce, &args);
    accepted(kolo_reduce_scatter, &args);
    accepted(kolo_allgather, &args);
}

static void count_0__is_legal(void **state)
{
    (void)state;
    static const int64_t none[1] = {0};
    static const operation_fn operations[] = {kolo_allreduce, kolo_broadcast, kolo_reduce_scatter, kolo_allgather};
    for (size_t i = 0; i < 4; i++)
        for (int with_memory = 0; with_memory < 2; with_memory++) {
            kolo_args args = host_args("none", with_memory ? data : NULL, none);
            accepted(operations[i], &args);
            args.input = args.output;
            accepted(operations[i], &args);
            args.name = NULL;
            accepted(operations[i], &args);
        }
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

static void group__bounds(void **state)
{
    (void)state;
    enum { MOST = 4096 };
    kolo_tensor *list = calloc(MOST + 1, sizeof(*list));
    assert_non_null(list);
    static float many[MOST + 1];
    static const int64_t one[1] = {1};
    for (int i = 0; i <= MOST; i++) {
        list[i] = host_args(NULL, &many[i], one).output;
        many[i] = (float)i;
    }
    kolo_args args = host_group("group", list, MOST + 1);
    args.postscale = 2.0;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "args.tensors is 4097; 1 to 4096 can be reduced at once");
    args.tensors = SIZE_MAX;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "1 to 4096");
    args.tensors = MOST;
    accepted(kolo_allreduce, &args);
    for (int i = 0; i <= MOST; i++)
        assert_true(many[i] == (i < MOST ? 2.0f * (float)i : (float)i));
    free(list);
}

static void group__or_one_tensor(void **state)
{
    (void)state;
    kolo_tensor list[2] = {host_args(NULL, data, four).output, host_args(NULL, data + 8, four).output};
    kolo_args args = host_group("g", NULL, 2);
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "args.tensors is 2, but args.outputs is NULL");
    args.outputs = list;
    args.output = list[0];
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "and args.output or args.input is set, too");
    args.output = (kolo_tensor){0};
    args.input = list[0];
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "and args.output or args.input is set, too");
    args.input = (kolo_tensor){0};
    accepted(kolo_allreduce, &args);
    args.tensors = 0;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "args.tensors is 0, but a list of tensors is set");
    args = usual();
    args.inputs = list;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "args.tensors is 0, but a list of tensors is set");
    refused(kolo_broadcast, &args, KOLO_ERR_UNSUPPORTED, "are for all-reduces, not for broadcast");
    refused(kolo_barrier, &args, KOLO_ERR_UNSUPPORTED, "not for barrier");
    args = host_group("g", list, 2);
    refused(kolo_reduce_scatter, &args, KOLO_ERR_UNSUPPORTED, "not for reduce_scatter");
    refused(kolo_allgather, &args, KOLO_ERR_UNSUPPORTED, "not for allgather");
}

static void group__one_bad_tensor_refuses_all(void **state)
{
    (void)state;
    kolo_tensor list[3], inputs[3] = {{0}, {0}, {0}};
    for (int i = 0; i < 3; i++)
        list[i] = host_args(NULL, data + 8 * (ptrdiff_t)i, four).output;
    kolo_args args = host_group("g", list, 3);
    list[2].device_type = 2;
    refused(kolo_allreduce, &args, KOLO_ERR_UNSUPPORTED, "tensor 2 of the list: the output is on device type 2");
    list[2].device_type = KOLO_DEVICE_CPU;
    args.inputs = inputs;
    inputs[1] = list[1];
    inputs[1].ndim = 99;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "tensor 1 of the list: the input has 99 dimensions");
    inputs[1].data = NULL;      /* in place: the rest says nothing */
    list[1].dtype = KOLO_INT32; /* mixed types may share a group */
    accepted(kolo_allreduce, &args);
    args.prescale = 0.5;
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "tensor 1 of the list: prescale 0.5");
    args.prescale = 1;
    list[1] = (kolo_tensor){0};
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "tensor 1 of the list: the output was not set");
}

static void group__too_long_to_describe(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static kolo_tensor list[COUNT];
    static const int64_t shape[16] = {300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 0};
    for (int i = 0; i < COUNT; i++) {
        list[i] = host_args(NULL, data, shape).output;
        list[i].ndim = 16;
    }
    kolo_args args = host_group("g", list, COUNT);
    refused(kolo_allreduce, &args, KOLO_ERR_INVALID, "at most 24576: submit smaller groups");
}

static int set_up(void **state)
{
    (void)state;
    host_clear_environment();
    ctx = host_init(NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    host_finalize(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(args__missing),
        cmocka_unit_test(error__names_operation_and_tensor),
        cmocka_unit_test(name__bounds),
        cmocka_unit_test(operator__unknown),
        cmocka_unit_test(factors__must_be_finite_and_for_floats),
        cmocka_unit_test(root__must_be_a_rank),
        cmocka_unit_test(flags__unknown),
        cmocka_unit_test(dtype__unknown),
        cmocka_unit_test(device__other_than_cpu),
        cmocka_unit_test(shape__impossible),
        cmocka_unit_test(strides__must_be_contiguous),
        cmocka_unit_test(byte_offset__moves_the_first_element),
        cmocka_unit_test(input__must_fit_the_output),
        cmocka_unit_test(overlap__is_refused),
        cmocka_unit_test(count_0__is_legal),
        cmocka_unit_test(group__bounds),
        cmocka_unit_test(group__or_one_tensor),
        cmocka_unit_test(group__one_bad_tensor_refuses_all),
        cmocka_unit_test(group__too_long_to_describe),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
