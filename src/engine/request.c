/* request.c - the life of one submitted operation. */
#include "engine/request.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static void fill(kolo_request *request, const kolo_request_spec *spec, const uint8_t *description, size_t size)
{
    size_t pieces = spec->operation.piece_count;
    size_t name_bytes = strlen(spec->name) + 1;
    char *tail = (char *)(request + 1);
    request->pieces = (kolo_piece *)(void *)tail;
    if (pieces > 0)
        memcpy(request->pieces, spec->pieces, pieces * sizeof(kolo_piece));
    tail += pieces * sizeof(kolo_piece);
    request->name = memcpy(tail, spec->name, name_bytes);
    tail += name_bytes;
    request->description = memcpy(tail, description, size);
    request->description_size = size;
    request->operation = spec->operation;
    request->flags = spec->flags;
    request->done = spec->done;
    request->user = spec->user;
    request->pieces_left = pieces;
    atomic_init(&request->refs, 1);
}

void kolo_request_describe(kolo_writer *writer, const kolo_request_spec *spec)
{
    kolo_describe_operation(writer, &spec->operation);
    for (size_t i = 0; i < spec->operation.piece_count; i++)
        kolo_describe_piece(writer, spec->pieces[i].type, spec->ndims[i], spec->shapes[i]);
}

static int64_t deadline_of(int64_t timeout_ns, int64_t now_ns)
{
    return timeout_ns <= 0 || timeout_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + timeout_ns;
}

kolo_status kolo_request_create(const kolo_request_spec *spec, int64_t now_ns, kolo_request **request)
{
    enum { INLINE_BYTES = 512 };
    uint8_t small[INLINE_BYTES];
    uint8_t *bytes = small;
    size_t pieces = spec->operation.piece_count;
    size_t bound = 64 + pieces * (2 + 10 * (size_t)KOLO_MAX_DIMS);
    if (bound > sizeof(small) && (bytes = malloc(bound)) == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a request of %zu tensors", pieces);
    kolo_writer writer;
    kolo_writer_init(&writer, bytes, bound);
    kolo_request_describe(&writer, spec);
    kolo_status status = KOLO_OK;
    kolo_request *made = NULL;
    if (writer.size > KOLO_DESCRIPTION_MAX)
        status =
            kolo_fail(KOLO_ERR_INVALID,
                      "%zu tensors with their shapes take %zu bytes to describe; at most %d: submit smaller groups",
                      pieces, writer.size, KOLO_DESCRIPTION_MAX);
    else if ((made = calloc(1, sizeof(*made) + pieces * sizeof(kolo_piece) + strlen(spec->name) + 1 + writer.size)) ==
             NULL)
        status = kolo_fail(KOLO_ERR_MEMORY, "no memory for a request of %zu tensors", pieces);
    else
        fill(made, spec, bytes, writer.size);
    if (bytes != small)
        free(bytes);
    if (status != KOLO_OK)
        return status;
    made->deadline_ns = deadline_of(spec->timeout_ns, now_ns);
    *request = made;
    return KOLO_OK;
}

void kolo_request_retain(kolo_request *request)
{
    atomic_fetch_add_explicit(&request->refs, 1, memory_order_relaxed);
}

void kolo_request_release(kolo_request *request)
{
    if (atomic_fetch_sub_explicit(&request->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(request->error);
    free(request);
}

void kolo_request_finish(kolo_request *request, const kolo_error *error)
{
    request->status = error != NULL ? error->status : KOLO_OK;
    if (error != NULL && (request->error = malloc(sizeof(*error))) != NULL)
        *request->error = *error;
    atomic_store_explicit(&request->state, KOLO_REQUEST_FINISHING, memory_order_release);
    if (request->done != NULL)
        request->done(request->user, request, request->status);
    atomic_store_explicit(&request->state, KOLO_REQUEST_DONE, memory_order_seq_cst);
}
