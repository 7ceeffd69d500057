/* check_group.c - a list of tensors: each one, in as few instructions as thousands of them deserve, and that
 * they do not overlap. */
#include "api/check.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Memory that a group's tensor has. */
typedef struct span {
    uintptr_t begin, end;
    uint32_t tensor;
    bool written;
} span;

static span make_span(const kolo_piece *pieces, size_t tensor, bool written)
{
    const kolo_piece *piece = &pieces[tensor];
    uintptr_t begin = (uintptr_t)(written ? piece->output : piece->input);
    uintptr_t bytes = (uintptr_t)piece->count * kolo_dtype_size(piece->type);
    return (span){.begin = begin, .end = begin + bytes, .tensor = (uint32_t)tensor, .written = written};
}

/* Of inputs or outputs. They usually are in order, be it from the last to the first. */
static size_t list_spans(const kolo_piece *pieces, size_t count, bool written, span *spans)
{
    size_t used = 0;
    bool backwards = count > 1 && (uintptr_t)pieces[0].output > (uintptr_t)pieces[1].output;
    for (size_t i = 0; i < count; i++) {
        size_t tensor = backwards ? count - 1 - i : i;
        if (pieces[tensor].count > 0 && (written || pieces[tensor].input != pieces[tensor].output))
            spans[used++] = make_span(pieces, tensor, written);
    }
    return used;
}

static size_t run_end(const span *spans, size_t start, size_t count)
{
    size_t end = start < count ? start + 1 : count;
    while (end < count && spans[end - 1].begin <= spans[end].begin)
        end++;
    return end;
}

/* Merges ordered runs with their neighbours, two by two. */
static void merge_runs(const span *from, span *to, size_t count)
{
    for (size_t start = 0, middle, end; start < count; start = end) {
        middle = run_end(from, start, count);
        end = run_end(from, middle, count);
        for (size_t a = start, b = middle, i = start; i < end; i++)
            to[i] = b == end || (a < middle && from[a].begin <= from[b].begin) ? from[a++] : from[b++];
    }
}

static kolo_status refuse_overlap(const span *a, const span *b)
{
    return kolo_fail(KOLO_ERR_INVALID,
                     "the %s of tensor %u of the list (%p, %zu bytes) and the %s of tensor %u (%p, %zu bytes) overlap; "
                     "only inputs may; give each its own memory, or call one after the other",
                     a->written ? "output" : "input", a->tensor, (const void *)a->begin, (size_t)(a->end - a->begin),
                     b->written ? "output" : "input", b->tensor, (const void *)b->begin, (size_t)(b->end - b->begin));
}

static const span *farther(const span *a, const span *b)
{
    return a != NULL && a->end >= b->end ? a : b;
}

/* By where they begin; so one that overlaps any of those before overlaps the one that reaches farthest. */
static kolo_status check_spans(const span *spans, size_t count)
{
    const span *read = NULL, *written = NULL;
    for (const span *one = spans; one < spans + count; one++) {
        if (written != NULL && one->begin < written->end)
            return refuse_overlap(written, one);
        if (one->written && read != NULL && one->begin < read->end)
            return refuse_overlap(read, one);
        if (one->written)
            written = farther(written, one);
        else
            read = farther(read, one);
    }
    return KOLO_OK;
}

/* From the first byte of some tensors to the last. */
typedef struct hull {
    uintptr_t begin, end;
} hull;

static void extend(hull *h, uintptr_t begin, uintptr_t end)
{
    h->begin = begin < h->begin ? begin : h->begin;
    h->end = end > h->end ? end : h->end;
}

/* The usual group: outputs one behind the other, or before it, and inputs that are these or somewhere else. */
static bool is_in_order(const kolo_piece *pieces, size_t count)
{
    bool forwards = true, backwards = true;
    hull inputs = {.begin = UINTPTR_MAX}, outputs = {.begin = UINTPTR_MAX};
    for (size_t i = 0; i < count; i++) {
        uintptr_t in = (uintptr_t)pieces[i].input, out = (uintptr_t)pieces[i].output;
        uintptr_t bytes = (uintptr_t)pieces[i].count * kolo_dtype_size(pieces[i].type);
        if (bytes == 0)
            continue;
        forwards = forwards && out >= outputs.end;
        backwards = backwards && out + bytes <= outputs.begin;
        extend(&outputs, out, out + bytes);
        if (in != out)
            extend(&inputs, in, in + bytes);
    }
    bool apart = inputs.begin >= outputs.end || outputs.begin >= inputs.end;
    return (forwards || backwards) && apart;
}

static kolo_status check_apart(const kolo_piece *pieces, size_t count)
{
    if (is_in_order(pieces, count))
        return KOLO_OK;
    span *memory = malloc(4 * count * sizeof(*memory)), *spans = memory, *other = memory + 2 * count;
    if (memory == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a group of %zu tensors", count);
    size_t used = list_spans(pieces, count, false, spans);
    used += list_spans(pieces, count, true, spans + used);
    while (run_end(spans, 0, used) < used) {
        merge_runs(spans, other, used);
        span *merged = other;
        other = spans;
        spans = merged;
    }
    kolo_status status = check_spans(spans, used);
    free(memory);
    return status;
}

/* ---- one by one --------------------------------------------------------------------------------------------- */

static kolo_status refuse_piece(kolo_status status, size_t index)
{
    char detail[600];
    snprintf(detail, sizeof(detail), "%.599s", kolo_error_current()->message);
    return kolo_fail(status, "tensor %zu of the list: %s", index, detail);
}

static inline const kolo_tensor *input_of(const kolo_args *args, size_t index)
{
    return args->inputs != NULL ? &args->inputs[index] : NULL;
}

static kolo_status check_piece(const kolo_operation *operation, const kolo_args *args, size_t index, int32_t size,
                               int32_t rank, kolo_check_lists *lists)
{
    const kolo_tensor *shape_of = NULL;
    kolo_status status = kolo_check_piece(operation, input_of(args, index), &args->outputs[index], size, rank,
                                          &lists->pieces[index], &shape_of);
    if (status != KOLO_OK)
        return refuse_piece(status, index);
    lists->ndims[index] = shape_of->ndim;
    lists->shapes[index] = shape_of->shape;
    return KOLO_OK;
}

/* The type of the first can be scaled, if it has to be. So of others of its type there is less to look at. */
kolo_status kolo_check_group(const kolo_args *args, int32_t size, int32_t rank, kolo_operation *operation,
                             kolo_check_lists *lists)
{
    KOLO_TRY(kolo_check_operation(KOLO_ALLREDUCE, args, size, operation));
    for (size_t i = 0; i < args->tensors; i++) {
        const kolo_tensor *output = &args->outputs[i];
        kolo_piece *piece = &lists->pieces[i];
        if (i > 0)
            piece->type = lists->pieces[0].type;
        if (i == 0 || !kolo_check_plain(input_of(args, i), output, piece)) {
            KOLO_TRY(check_piece(operation, args, i, size, rank, lists));
        } else {
            lists->ndims[i] = output->ndim;
            lists->shapes[i] = output->shape;
        }
    }
    operation->piece_count = args->tensors;
    return check_apart(lists->pieces, args->tensors);
}
