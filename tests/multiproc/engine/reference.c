/* reference.c - the expected result of a collective operation, element by element.
 *
 * Floats are multiples of 1/4 (for a product: powers of two), so that sums and products are exact in every order and
 * type; what is left to a tolerance is the rounding by factors that are no powers of two, and the one of an average. */
#include "reference.h"

#include "support/unwatched.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD_BYTES = 32, GUARD = 0xA5 };
/* Products of more factors than these leave float16's range. */
enum { FEW = 5 };

const char *operation_text(const operation *what, char *text, size_t capacity)
{
    static const char *const kinds[COLLECTIVES] = {"allreduce", "broadcast", "reduce_scatter", "allgather"};
#define OP_NAME(symbol, number, printed) [number] = #printed,
    static const char *const ops[] = {KOLO_REDUCE_OP_LIST(OP_NAME)};
    snprintf(text, capacity, "%s %s %s, %lld elements, root %d, %s, shift %zu, prescale %g, postscale %g",
             kinds[what->kind], ops[what->op], what->type->name, (long long)what->count, (int)what->root,
             what->in_place ? "in place" : "out of place", what->shift, what->prescale, what->postscale);
    return text;
}

/* ---- inputs ---------------------------------------------------------------------------------------- */

UNWATCHED static bool reduces(const operation *what)
{
    return what->kind == ALLREDUCE || what->kind == REDUCE_SCATTER;
}

UNWATCHED static uint64_t draw(const operation *what, int32_t rank, int64_t index)
{
    return random_of(what->seed + (uint64_t)rank * 1000003, (uint64_t)index);
}

UNWATCHED static double input_float(const operation *what, int32_t rank, int64_t index)
{
    uint64_t drawn = draw(what, rank, index);
    bool picks = what->op == KOLO_MIN || what->op == KOLO_MAX;
    if (what->op == KOLO_PRODUCT && reduces(what))
        return (drawn & 8 ? -1.0 : 1.0) * (rank < FEW ? ldexp(1.0, (int)(drawn % 3) - 1) : 1.0);
    if (picks && drawn % 61 == 0)
        return (double)NAN;
    if (picks && drawn % 7 == 0)
        return drawn & 8 ? -0.0 : 0.0;
    return ((double)(drawn % 17) - 8.0) / 4;
}

UNWATCHED static int64_t input_integer(const operation *what, int32_t rank, int64_t index)
{
    return element_wrap(what->type, (int64_t)draw(what, rank, index));
}

UNWATCHED static void draw_input(const operation *what, char *data, int64_t first, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (what->type->is_float)
            element_set_float(what->type, data, i, input_float(what, rank_number, first + i));
        else
            element_set_integer(what->type, data, i, input_integer(what, rank_number, first + i));
}

static void write_input(const operation *what, char *tensor, int64_t first, int64_t count)
{
    size_t bytes = (size_t)count * what->type->bytes;
    char *own = rank_memory(bytes);
    draw_input(what, own, first, count);
    memcpy(tensor, own, bytes);
    free(own);
}

/* ---- expected --------------------------------------------------------------------------------------- */

UNWATCHED static double pick_float(kolo_reduce_op op, double a, double b)
{
    if (isnan(a) || isnan(b))
        return (double)NAN;
    bool a_less = a < b || (fpclassify(a) == FP_ZERO && fpclassify(b) == FP_ZERO && signbit(a));
    return a_less == (op == KOLO_MIN) ? a : b;
}

/* *size: the sum of the absolute values, which bounds the rounding. */
UNWATCHED static double reduced_float(const operation *what, int64_t index, double *size)
{
    double result = 0;
    *size = 0;
    for (int32_t rank = 0; rank < rank_count; rank++) {
        double value = input_float(what, rank, index) * what->prescale;
        *size += fabs(value);
        if (rank == 0)
            result = value;
        else if (what->op == KOLO_PRODUCT)
            result *= value;
        else if (what->op == KOLO_MIN || what->op == KOLO_MAX)
            result = pick_float(what->op, result, value);
        else
            result += value;
    }
    if (what->op == KOLO_AVERAGE)
        result /= rank_count;
    return result * what->postscale;
}

UNWATCHED static int64_t reduced_integer(const operation *what, int64_t index)
{
    uint64_t result = 0;
    for (int32_t rank = 0; rank < rank_count; rank++) {
        uint64_t value = (uint64_t)input_integer(what, rank, index);
        if (rank == 0)
            result = value;
        else if (what->op == KOLO_PRODUCT)
            result *= value;
        else if (what->op == KOLO_MIN)
            result = (int64_t)value < (int64_t)result ? value : result;
        else if (what->op == KOLO_MAX)
            result = (int64_t)value > (int64_t)result ? value : result;
        else
            result += value;
    }
    int64_t wrapped = element_wrap(what->type, (int64_t)result);
    return what->op == KOLO_AVERAGE ? wrapped / rank_count : wrapped;
}

UNWATCHED static int32_t owner_of(const operation *what, int64_t index)
{
    int64_t offset, count;
    for (int32_t rank = 0; rank < rank_count; rank++) {
        kolo_slice(what->count, rank_count, rank, &offset, &count);
        if (index < offset + count)
            return rank;
    }
    FAIL("element %lld of %lld is nobody's", (long long)index, (long long)what->count);
}

UNWATCHED static bool is_power_of_two(double factor)
{
    int exponent;
    return fabs(frexp(factor, &exponent)) <= 0.5;
}

UNWATCHED static bool same_float(double got, double wanted, double tolerance)
{
    if (isnan(wanted))
        return isnan(got);
    if (tolerance > 0)
        return fabs(got - wanted) <= tolerance;
    return got <= wanted && got >= wanted && !signbit(got) == !signbit(wanted);
}

UNWATCHED static void check_float(const operation *what, const char *data, int64_t at, int64_t index)
{
    char text[256];
    double wanted, size = 0, tolerance = 0;
    if (reduces(what)) {
        wanted = reduced_float(what, index, &size);
        bool picks = what->op == KOLO_MIN || what->op == KOLO_MAX;
        bool exact = is_power_of_two(what->prescale) && is_power_of_two(what->postscale) && what->op != KOLO_AVERAGE;
        double scale = what->op == KOLO_SUM || what->op == KOLO_AVERAGE ? size * fabs(what->postscale) : fabs(wanted);
        tolerance = exact ? 0 : what->type->epsilon * 1.01 * (rank_count + 3) * (picks ? fabs(wanted) : scale);
    } else {
        wanted = input_float(what, what->kind == BROADCAST ? what->root : owner_of(what, index), index);
    }
    double got = element_float(what->type, data, at);
    CHECK(same_float(got, wanted, tolerance) || (what->op == KOLO_SUM && fabs(got) <= 0 && fabs(wanted) <= 0),
          "element %lld is %.17g, not %.17g (within %g): %s", (long long)index, got, wanted, tolerance,
          operation_text(what, text, sizeof(text)));
}

UNWATCHED static void check_integer(const operation *what, const char *data, int64_t at, int64_t index)
{
    char text[256];
    int64_t got = element_integer(what->type, data, at);
    int64_t wanted = reduces(what)              ? reduced_integer(what, index)
                     : what->kind == BROADCAST ? input_integer(what, what->root, index)
                                               : input_integer(what, owner_of(what, index), index);
    CHECK(got == wanted, "element %lld is %lld, not %lld: %s", (long long)index, (long long)got, (long long)wanted,
          operation_text(what, text, sizeof(text)));
}

/* ---- trials ------------------------------------------------------------------------------------------- */

static kolo_context *sharing;
static uint64_t shared_parts;
static random_source *sharing_random;

void trial_share(kolo_context *ctx, uint64_t parts, random_source *random)
{
    sharing = ctx;
    shared_parts = parts;
    sharing_random = random;
}

static char *guarded(size_t bytes, size_t shift, bool *is_shared)
{
    void *memory = NULL;
    *is_shared = shared_parts > 0 && random_below(sharing_random, 4) < shared_parts;
    if (*is_shared)
        OK(kolo_alloc(sharing, bytes + shift + 2 * GUARD_BYTES, &memory));
    else
        memory = rank_memory(bytes + shift + 2 * GUARD_BYTES);
    memset(memory, GUARD, bytes + shift + 2 * GUARD_BYTES);
    return memory;
}

/* Overwritten first: the operation is complete, so that nobody may look any more. */
static void release(char *memory, size_t bytes, bool is_shared)
{
    memset(memory, GUARD, bytes);
    if (is_shared)
        OK(kolo_free(sharing, memory));
    else
        free(memory);
}

static char *tensor_at(const trial *one, char *memory)
{
    return memory + GUARD_BYTES + one->what.shift;
}

static void check_guards(const trial *one, char *memory, size_t bytes)
{
    char text[256];
    size_t end = GUARD_BYTES + one->what.shift;
    for (size_t i = 0; i < end + bytes + GUARD_BYTES; i++) {
        if (i == end)
            i += bytes;
        CHECK((unsigned char)memory[i] == GUARD, "byte %lld around the tensor was written: %s",
              (long long)i - (long long)end, operation_text(&one->what, text, sizeof(text)));
    }
}

static kolo_tensor tensor_of(const trial *one, char *memory, const int64_t *shape)
{
    return (kolo_tensor){.data = tensor_at(one, memory), .device_type = KOLO_DEVICE_CPU, .ndim = 1,
                         .dtype = one->what.type->dtype, .shape = shape};
}

/* Which elements the input has. */
static void input_range(const operation *what, int64_t *first, int64_t *count)
{
    *first = 0;
    *count = what->count;
    if (what->kind == ALLGATHER)
        kolo_slice(what->count, rank_count, rank_number, first, count);
}

/* Which elements of the result the output has. */
static void output_range(const operation *what, int64_t *first, int64_t *count)
{
    *first = 0;
    *count = what->count;
    if (what->kind == REDUCE_SCATTER)
        kolo_slice(what->count, rank_count, rank_number, first, count);
}

void trial_begin(trial *one, const operation *what, const char *name)
{
    int64_t in_first, in_count, out_first, out_count;
    bool in_place = what->in_place || what->kind == BROADCAST;
    *one = (struct trial){.what = *what, .args = KOLO_ARGS_INIT};
    input_range(what, &in_first, &in_count);
    output_range(what, &out_first, &out_count);
    one->input_shape = in_count;
    one->output_shape = in_place ? what->count : out_count;
    one->input_bytes = (size_t)in_count * what->type->bytes;
    one->output_bytes = (size_t)one->output_shape * what->type->bytes;
    one->output = guarded(one->output_bytes, what->shift, &one->output_is_shared);
    one->args.output = tensor_of(one, one->output, &one->output_shape);
    if (in_place) {
        write_input(what, tensor_at(one, one->output) + (size_t)in_first * what->type->bytes, in_first, in_count);
    } else {
        one->input = guarded(one->input_bytes, what->shift, &one->input_is_shared);
        write_input(what, tensor_at(one, one->input), in_first, in_count);
        one->args.input = tensor_of(one, one->input, &one->input_shape);
    }
    one->args.name = name;
    one->args.op = what->op;
    one->args.root = what->root;
    one->args.prescale = what->prescale;
    one->args.postscale = what->postscale;
}

kolo_status trial_submit(kolo_context *ctx, trial *one, kolo_request **request)
{
    switch (one->what.kind) {
    case ALLREDUCE:
        return kolo_allreduce(ctx, &one->args, request);
    case BROADCAST:
        return kolo_broadcast(ctx, &one->args, request);
    case REDUCE_SCATTER:
        return kolo_reduce_scatter(ctx, &one->args, request);
    case ALLGATHER:
    case COLLECTIVES:
        break;
    }
    return kolo_allgather(ctx, &one->args, request);
}

static void check_input_untouched(trial *one)
{
    const operation *what = &one->what;
    char *expected = rank_memory(one->input_bytes);
    int64_t first, count;
    char text[256];
    input_range(what, &first, &count);
    draw_input(what, expected, first, count);
    CHECK(memcmp(expected, tensor_at(one, one->input), one->input_bytes) == 0, "the input was written: %s",
          operation_text(what, text, sizeof(text)));
    check_guards(one, one->input, one->input_bytes);
    free(expected);
    release(one->input, one->input_bytes, one->input_is_shared);
}

UNWATCHED static void check_elements(const operation *what, const char *data, int64_t first, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (what->type->is_float)
            check_float(what, data, i, first + i);
        else
            check_integer(what, data, i, first + i);
}

void trial_check(trial *one)
{
    const operation *what = &one->what;
    int64_t first, count;
    output_range(what, &first, &count);
    int64_t at = one->output_shape == what->count ? first : 0; /* in place, the slice is at its offset */
    size_t bytes = (size_t)count * what->type->bytes;
    char *own = rank_memory(bytes);
    memcpy(own, tensor_at(one, one->output) + (size_t)at * what->type->bytes, bytes);
    check_elements(what, own, first, count);
    free(own);
    check_guards(one, one->output, one->output_bytes);
    if (one->input != NULL)
        check_input_untouched(one);
    release(one->output, one->output_bytes, one->output_is_shared);
}
