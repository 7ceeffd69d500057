/* check.c - every argument of an operation is looked at here, before anything is queued. */
#include "api/check.h"

#include "base/error.h"
#include "plan/slice.h"

#include <math.h>
#include <string.h>

/* ---- structs of other versions -------------------------------------------------------------------------- */

/* More than any version will have: a size that was never set must not lead far out of the struct. */
enum { STRUCT_SIZE_MAX = 4096 };

static kolo_status read_struct(const char *type, const void *given, size_t given_size, size_t first_size, void *known,
                               size_t known_size)
{
    if (given_size < first_size)
        return kolo_fail(KOLO_ERR_INVALID,
                         "%s.struct_size is %zu, less than any version's (%zu); start from the initialiser macro", type,
                         given_size, first_size);
    if (given_size > STRUCT_SIZE_MAX || given_size % _Alignof(kolo_args) != 0)
        return kolo_fail(KOLO_ERR_INVALID,
                         "%s.struct_size is %zu, which is no version's; start from the initialiser macro", type,
                         given_size);
    const uint8_t *bytes = given;
    for (size_t i = known_size; i < given_size; i++)
        if (bytes[i] != 0)
            return kolo_fail(KOLO_ERR_VERSION,
                             "%s has %zu bytes, this library knows %zu, and byte %zu beyond them is set: the program "
                             "uses a feature of a newer Kolo than this %s",
                             type, given_size, known_size, i, kolo_version());
    memcpy(known, given, given_size < known_size ? given_size : known_size);
    return KOLO_OK;
}

kolo_status kolo_args_read(const kolo_args *given, kolo_args *copy, const kolo_args **args)
{
    if (given == NULL)
        return kolo_fail(KOLO_ERR_INVALID, "args is NULL");
    *args = given;
    if (given->struct_size == sizeof(*copy))
        return KOLO_OK;
    *args = copy;
    *copy = (kolo_args)KOLO_ARGS_INIT;
    return read_struct("kolo_args", given, given->struct_size, sizeof(*copy), copy, sizeof(*copy));
}

kolo_status kolo_init_args_read(const kolo_init_args *given, kolo_init_args *args)
{
    *args = (kolo_init_args)KOLO_INIT_ARGS_INIT;
    return read_struct("kolo_init_args", given, given->struct_size, sizeof(*args), args, sizeof(*args));
}

/* ---- the operation --------------------------------------------------------------------------------------- */

static kolo_status check_name(const char *name)
{
    if (name == NULL)
        return KOLO_OK;
    size_t length = strnlen(name, KOLO_NAME_MAX + 1);
    if (length == 0 || length > KOLO_NAME_MAX)
        return kolo_fail(KOLO_ERR_INVALID, "a tensor's name has 1 to %d bytes, this one %s", KOLO_NAME_MAX,
                         length == 0 ? "none" : "more");
    if (name[0] == '#')
        return kolo_fail(KOLO_ERR_INVALID, "the name '%.40s' starts with '#', which is for operations without a name",
                         name);
    return KOLO_OK;
}

static bool reduces(kolo_collective collective)
{
    return collective == KOLO_ALLREDUCE || collective == KOLO_REDUCE_SCATTER;
}

kolo_status kolo_check_operation(kolo_collective collective, const kolo_args *args, int32_t size,
                                 kolo_operation *operation)
{
    KOLO_TRY(check_name(args->name));
    if ((args->flags & ~(uint64_t)KOLO_NOTIFY_FD) != 0)
        return kolo_fail(KOLO_ERR_INVALID,
                         "flags 0x%llx has bits that this Kolo does not know; KOLO_NOTIFY_FD is the only flag",
                         (unsigned long long)args->flags);
    *operation = (kolo_operation){.collective = collective, .prescale = 1.0, .postscale = 1.0};
    if (collective == KOLO_BROADCAST) {
        if (args->root < 0 || args->root >= size)
            return kolo_fail(KOLO_ERR_INVALID, "broadcast from root %d in a job of %d ranks; the root is 0 to %d",
                             args->root, size, size - 1);
        operation->root = args->root;
    }
    if (!reduces(collective))
        return KOLO_OK;
    if ((int)args->op < KOLO_SUM || args->op > KOLO_PRODUCT)
        return kolo_fail(KOLO_ERR_INVALID,
                         "operator %d is unknown; KOLO_SUM, KOLO_AVERAGE, KOLO_MIN, KOLO_MAX or KOLO_PRODUCT",
                         (int)args->op);
    if (!isfinite(args->prescale) || !isfinite(args->postscale))
        return kolo_fail(KOLO_ERR_INVALID, "prescale %g and postscale %g must be finite", args->prescale,
                         args->postscale);
    operation->op = args->op;
    if (fabs(args->prescale) <= 0 || fabs(args->postscale) <= 0)
        return kolo_fail(KOLO_ERR_INVALID,
                         "prescale %g and postscale %g: 0 would make every result 0; args start from KOLO_ARGS_INIT, "
                         "which sets both to 1",
                         args->prescale, args->postscale);
    operation->prescale = args->prescale;
    operation->postscale = args->postscale;
    return KOLO_OK;
}

/* ---- one tensor or many ---------------------------------------------------------------------------------- */

kolo_status kolo_check_one(kolo_collective collective, const kolo_args *args)
{
    if (args->tensors == 0 && args->inputs == NULL && args->outputs == NULL)
        return KOLO_OK;
    if (collective != KOLO_ALLREDUCE)
        return kolo_fail(KOLO_ERR_UNSUPPORTED, "args.inputs, outputs and tensors are for all-reduces, not for %s",
                         kolo_collective_name(collective));
    return kolo_fail(KOLO_ERR_INVALID, "args.tensors is 0, but a list of tensors is set: say how many there are");
}

static bool is_set(const kolo_tensor *tensor)
{
    return tensor->data != NULL || tensor->dtype.bits != 0 || tensor->shape != NULL || tensor->ndim != 0;
}

kolo_status kolo_check_list(const kolo_args *args)
{
    if (args->tensors > KOLO_PIECES_MAX)
        return kolo_fail(KOLO_ERR_INVALID, "args.tensors is %zu; 1 to %d can be reduced at once", args->tensors,
                         KOLO_PIECES_MAX);
    if (args->outputs == NULL)
        return kolo_fail(KOLO_ERR_INVALID, "args.tensors is %zu, but args.outputs is NULL", args->tensors);
    if (is_set(&args->output) || is_set(&args->input))
        return kolo_fail(KOLO_ERR_INVALID,
                         "args.tensors is %zu, and args.output or args.input is set, too: which one "
                         "is to be reduced, the tensor or the list?",
                         args->tensors);
    return KOLO_OK;
}

/* ---- tensors ---------------------------------------------------------------------------------------------- */

static kolo_status check_contiguous(const char *which, const kolo_tensor *tensor)
{
    int64_t expected = 1;
    for (int32_t d = tensor->ndim - 1; tensor->strides != NULL && d >= 0; d--) {
        if (tensor->shape[d] != 1 && tensor->strides[d] != expected)
            return kolo_fail(KOLO_ERR_UNSUPPORTED,
                             "the %s is not contiguous: stride %lld in dimension %d, %lld expected; copy it first",
                             which, (long long)tensor->strides[d], d, (long long)expected);
        expected *= tensor->shape[d];
    }
    return KOLO_OK;
}

static kolo_status count_elements(const char *which, const kolo_tensor *tensor, size_t element_bytes, int64_t *count)
{
    int64_t product = 1;
    bool empty = false, too_many = false;
    if (tensor->ndim < 0 || tensor->ndim > KOLO_MAX_DIMS)
        return kolo_fail(KOLO_ERR_INVALID, "the %s has %d dimensions; 0 to %d are possible", which, tensor->ndim,
                         KOLO_MAX_DIMS);
    if (tensor->ndim > 0 && tensor->shape == NULL)
        return kolo_fail(KOLO_ERR_INVALID, "the %s has %d dimension%s, but shape is NULL", which, tensor->ndim,
                         tensor->ndim == 1 ? "" : "s");
    for (int32_t d = 0; d < tensor->ndim; d++) {
        if (tensor->shape[d] < 0)
            return kolo_fail(KOLO_ERR_INVALID, "dimension %d of the %s is %lld", d, which, (long long)tensor->shape[d]);
        empty = empty || tensor->shape[d] == 0;
        too_many = __builtin_mul_overflow(product, tensor->shape[d], &product) || too_many;
    }
    *count = empty ? 0 : product;
    if (too_many && !empty)
        return kolo_fail(KOLO_ERR_INVALID, "the %s has more elements than 64 bits count", which);
    if (__builtin_mul_overflow(*count, (int64_t)element_bytes, &product))
        return kolo_fail(KOLO_ERR_INVALID, "the %s has more bytes than 64 bits count", which);
    return KOLO_OK;
}

static kolo_status check_tensor(const char *which, const kolo_tensor *tensor, kolo_dtype_id *type, int64_t *count)
{
    if (!kolo_dtype_find(tensor->dtype, type))
        return kolo_fail(KOLO_ERR_UNSUPPORTED, "the %s has type {code %d, bits %d, lanes %d}, which Kolo does not move",
                         which, tensor->dtype.code, tensor->dtype.bits, tensor->dtype.lanes);
    if (tensor->device_type != KOLO_DEVICE_CPU)
        return kolo_fail(KOLO_ERR_UNSUPPORTED, "the %s is on device type %d; only CPU memory (%d) is supported", which,
                         tensor->device_type, KOLO_DEVICE_CPU);
    KOLO_TRY(count_elements(which, tensor, kolo_dtype_size(*type), count));
    if (*count > 0) /* the strides of an empty tensor mean nothing, and producers fill in anything */
        KOLO_TRY(check_contiguous(which, tensor));
    if (tensor->data == NULL && *count > 0)
        return kolo_fail(KOLO_ERR_INVALID, "the %s has %lld elements, but data is NULL", which, (long long)*count);
    return KOLO_OK;
}

static void *first_element(const kolo_tensor *tensor)
{
    return tensor->data != NULL ? (char *)tensor->data + tensor->byte_offset : NULL;
}

/* How many elements input and output must have, given the whole. */
static kolo_status check_counts(kolo_collective collective, int64_t whole, int64_t part, int32_t size, int32_t rank)
{
    if (collective == KOLO_ALLREDUCE && part == whole)
        return KOLO_OK;
    if (collective == KOLO_ALLREDUCE)
        return kolo_fail(KOLO_ERR_INVALID,
                         "the input has %lld elements, the output %lld; an all-reduce needs equal counts",
                         (long long)part, (long long)whole);
    int64_t own = kolo_slice_of(whole, size, rank).count;
    if (collective == KOLO_REDUCE_SCATTER && part != own)
        return kolo_fail(KOLO_ERR_INVALID,
                         "the output has %lld elements; this rank's slice of %lld has %lld (kolo_slice tells)",
                         (long long)part, (long long)whole, (long long)own);
    if (collective == KOLO_ALLGATHER && part != own)
        return kolo_fail(KOLO_ERR_INVALID,
                         "the input has %lld elements; this rank's slice of %lld has %lld (kolo_slice tells)",
                         (long long)part, (long long)whole, (long long)own);
    return KOLO_OK;
}

static kolo_status check_overlap(const kolo_piece *piece, int64_t input_count, int64_t output_count)
{
    uintptr_t element_bytes = kolo_dtype_size(piece->type);
    uintptr_t in = (uintptr_t)piece->input, out = (uintptr_t)piece->output;
    uintptr_t in_bytes = (uintptr_t)input_count * element_bytes, out_bytes = (uintptr_t)output_count * element_bytes;
    if (in_bytes == 0 || out_bytes == 0 || in + in_bytes <= out || out + out_bytes <= in)
        return KOLO_OK;
    return kolo_fail(
        KOLO_ERR_INVALID,
        "input (%p, %zu bytes) and output (%p, %zu bytes) overlap; make them equal (leave input.data NULL) or separate",
        (const void *)in, (size_t)in_bytes, (const void *)out, (size_t)out_bytes);
}

static kolo_status check_factors(const kolo_operation *operation, kolo_dtype_id type)
{
    bool scales = operation->prescale < 1.0 || operation->prescale > 1.0 || operation->postscale < 1.0 ||
                  operation->postscale > 1.0;
    if (scales && !kolo_dtype_is_float(type))
        return kolo_fail(KOLO_ERR_INVALID,
                         "prescale %g and postscale %g: tensors of %s cannot be scaled; both must be 1",
                         operation->prescale, operation->postscale, kolo_dtype_name(type));
    return KOLO_OK;
}

/* The usual tensor, with nothing to refuse: contiguous memory of this type. */
static inline bool is_plain(const kolo_tensor *tensor, kolo_dtype type, int64_t *count)
{
    enum { ELEMENT_BYTES_MAX = 16 };
    int64_t product = 1;
    if (tensor->data == NULL || tensor->shape == NULL || tensor->strides != NULL ||
        tensor->device_type != KOLO_DEVICE_CPU || tensor->ndim < 0 || tensor->ndim > KOLO_MAX_DIMS ||
        memcmp(&tensor->dtype, &type, sizeof(type)) != 0)
        return false;
    for (int32_t d = 0; d < tensor->ndim; d++)
        if (tensor->shape[d] < 0 || __builtin_mul_overflow(product, tensor->shape[d], &product))
            return false;
    *count = product;
    return product <= INT64_MAX / ELEMENT_BYTES_MAX;
}

bool kolo_check_plain(const kolo_tensor *input, const kolo_tensor *output, kolo_piece *piece)
{
    kolo_dtype type = kolo_dtype_of(piece->type);
    int64_t input_count;
    if (!is_plain(output, type, &piece->count))
        return false;
    piece->output = (char *)output->data + output->byte_offset;
    piece->input = piece->output;
    if (input == NULL || input->data == NULL)
        return true;
    if (!is_plain(input, type, &input_count) || input_count != piece->count)
        return false;
    piece->input = (char *)input->data + input->byte_offset;
    uintptr_t in = (uintptr_t)piece->input, out = (uintptr_t)piece->output;
    uintptr_t bytes = (uintptr_t)piece->count * kolo_dtype_size(piece->type);
    return in + bytes <= out || out + bytes <= in;
}

kolo_status kolo_check_piece(const kolo_operation *operation, const kolo_tensor *input, const kolo_tensor *output,
                             int32_t size, int32_t rank, kolo_piece *piece, const kolo_tensor **shape_of)
{
    kolo_collective collective = operation->collective;
    kolo_dtype_id input_type = KOLO_DTYPE_FLOAT32;
    int64_t input_count = 0, output_count = 0;
    bool in_place = collective == KOLO_BROADCAST || input == NULL || input->data == NULL;
    *shape_of = output;
    if (collective == KOLO_ALLREDUCE && kolo_dtype_find(output->dtype, &piece->type) &&
        kolo_check_plain(input, output, piece))
        return check_factors(operation, piece->type);
    if (output->data == NULL && output->dtype.bits == 0)
        return kolo_fail(
            KOLO_ERR_INVALID,
            "the output was not set; give it the tensor, as kolo_vector(data, &count, KOLO_FLOAT32) makes it "
            "(in place: the output alone); of many at once, args.outputs is the list");
    KOLO_TRY(check_tensor("output", output, &piece->type, &output_count));
    KOLO_TRY(check_factors(operation, piece->type));
    piece->output = first_element(output);
    piece->input = piece->output;
    piece->count = output_count;
    if (in_place)
        return KOLO_OK;
    /* An empty tensor may have no memory: then data NULL with a shape is still an input, but there is nothing to check
     * beyond. */
    KOLO_TRY(check_tensor("input", input, &input_type, &input_count));
    if (input_type != piece->type)
        return kolo_fail(KOLO_ERR_INVALID, "the input is %s, the output %s; types must be equal",
                         kolo_dtype_name(input_type), kolo_dtype_name(piece->type));
    bool input_is_whole = collective == KOLO_REDUCE_SCATTER;
    int64_t whole = input_is_whole ? input_count : output_count;
    int64_t part = input_is_whole ? output_count : input_count;
    KOLO_TRY(check_counts(collective, whole, part, size, rank));
    piece->input = first_element(input);
    piece->count = whole;
    *shape_of = input_is_whole ? input : output;
    if (piece->input == piece->output && collective == KOLO_ALLREDUCE)
        return KOLO_OK;
    return check_overlap(piece, input_count, output_count);
}
