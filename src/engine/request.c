/* request.c - the life of one submitted operation. */
#include "engine/request.h"

#include "base/error.h"
#include "base/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request of one tensor with a name of up to some 150 bytes fits into a block; others are made by themselves. */
enum { BLOCK_BYTES = 512, BLOCKS_KEPT = 4096 };
static kolo_pool blocks = {.block_bytes = BLOCK_BYTES, .zero_bytes = sizeof(kolo_request), .most = BLOCKS_KEPT};

__attribute__((destructor)) static void empty_blocks(void)
{
    kolo_pool_empty(&blocks);
}

/* The request and what lies behind it, which is not zeroed. */
static kolo_request *make(size_t tail_bytes)
{
    size_t bytes = sizeof(kolo_request) + tail_bytes;
    bool pooled = bytes <= BLOCK_BYTES;
    kolo_request *made = pooled ? kolo_pool_take(&blocks) : malloc(bytes);
    if (made == NULL)
        return NULL;
    if (!pooled)
        memset(made, 0, sizeof(*made));
    made->pooled = pooled;
    return made;
}

/* All but the description, for which the end of the copies is answered. */
static uint8_t *fill(kolo_request *request, const kolo_request_spec *spec, size_t name_bytes)
{
    size_t pieces = spec->operation.piece_count;
    char *tail = (char *)(request + 1);
    request->pieces = (kolo_piece *)(void *)tail;
    if (pieces > 0)
        memcpy(tail, spec->pieces, pieces * sizeof(kolo_piece));
    tail += pieces * sizeof(kolo_piece);
    request->name = memcpy(tail, spec->name, name_bytes);
    request->operation = spec->operation;
    request->flags = spec->flags;
    request->done = spec->done;
    request->user = spec->user;
    request->pieces_left = pieces;
    atomic_init(&request->refs, 1);
    return (uint8_t *)tail + name_bytes;
}

void kolo_request_describe(kolo_writer *writer, const kolo_request_spec *spec)
{
    kolo_describe_operation(writer, &spec->operation);
    for (size_t i = 0; i < spec->operation.piece_count; i++)
        kolo_describe_piece(writer, spec->pieces[i].type, spec->ndims[i], spec->shapes[i]);
}

bool kolo_request_is_described(const kolo_request_spec *spec, const uint8_t *bytes, size_t size)
{
    const uint8_t *end = bytes + size, *at = kolo_description_match_operation(bytes, end, &spec->operation);
    for (size_t i = 0; at != NULL && i < spec->operation.piece_count; i++)
        at = kolo_description_match_piece(at, end, spec->pieces[i].type, spec->ndims[i], spec->shapes[i]);
    return at == end;
}

static int64_t deadline_of(int64_t timeout_ns, int64_t now_ns)
{
    if (timeout_ns <= 0)
        return INT64_MAX;
    if (now_ns == KOLO_COUNT_LATER)
        return KOLO_COUNT_LATER;
    return timeout_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + timeout_ns;
}

/* The usual one: in a block, described where it stays. NULL: it does not fit, or there is no memory. */
static kolo_request *make_small(const kolo_request_spec *spec, size_t name_bytes)
{
    size_t before = sizeof(kolo_request) + spec->operation.piece_count * sizeof(kolo_piece) + name_bytes;
    kolo_request *made = before < BLOCK_BYTES ? make(before - sizeof(kolo_request)) : NULL;
    if (made == NULL)
        return NULL;
    kolo_writer writer;
    kolo_writer_init(&writer, fill(made, spec, name_bytes), BLOCK_BYTES - before);
    kolo_request_describe(&writer, spec);
    if (!writer.ok) {
        kolo_pool_give(&blocks, made);
        return NULL;
    }
    made->description = writer.data;
    made->description_size = writer.size;
    return made;
}

/* More than its description takes; room for any piece behind it makes describing faster. */
static size_t description_bound(const kolo_request_spec *spec)
{
    enum { OPERATION = 64, PIECE = 2, DIMENSION = 10 };
    size_t bound = OPERATION + PIECE + DIMENSION * (size_t)KOLO_MAX_DIMS;
    for (size_t i = 0; i < spec->operation.piece_count; i++)
        bound += PIECE + DIMENSION * (size_t)spec->ndims[i];
    return bound;
}

static kolo_status make_large(const kolo_request_spec *spec, size_t name_bytes, kolo_request **request)
{
    size_t pieces = spec->operation.piece_count, bound = description_bound(spec);
    kolo_request *made = make(pieces * sizeof(kolo_piece) + name_bytes + bound);
    if (made == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a request of %zu tensors", pieces);
    kolo_writer writer;
    kolo_writer_init(&writer, fill(made, spec, name_bytes), bound);
    kolo_request_describe(&writer, spec);
    made->description = writer.data;
    made->description_size = writer.size;
    *request = made;
    if (writer.size <= KOLO_DESCRIPTION_MAX)
        return KOLO_OK;
    *request = NULL;
    kolo_request_release(made);
    return kolo_fail(KOLO_ERR_INVALID,
                     "%zu tensors with their shapes take %zu bytes to describe; at most %d: submit smaller groups",
                     pieces, writer.size, KOLO_DESCRIPTION_MAX);
}

kolo_status kolo_request_create(const kolo_request_spec *spec, int64_t now_ns, kolo_request **request)
{
    size_t name_bytes = strlen(spec->name) + 1;
    kolo_request *made = make_small(spec, name_bytes);
    if (made == NULL)
        KOLO_TRY(make_large(spec, name_bytes, &made));
    made->timeout_ns = spec->timeout_ns;
    made->deadline_ns = deadline_of(spec->timeout_ns, now_ns);
    *request = made;
    return KOLO_OK;
}

void kolo_request_count_from(kolo_request *request, int64_t now_ns)
{
    request->deadline_ns = deadline_of(request->timeout_ns, now_ns);
}

void kolo_request_renew(kolo_request *request)
{
    free(request->error);
    request->error = NULL;
    request->status = KOLO_OK;
    request->pieces_left = request->operation.piece_count;
    request->running = request->asked = request->posted = false;
    atomic_store_explicit(&request->waited, 0, memory_order_relaxed);
    atomic_store_explicit(&request->state, KOLO_REQUEST_PENDING, memory_order_release);
}

void kolo_request_retain(kolo_request *request)
{
    atomic_fetch_add_explicit(&request->refs, 1, memory_order_relaxed);
}

void kolo_request_release(kolo_request *request)
{
    /* The last one need not count down. */
    if (atomic_load_explicit(&request->refs, memory_order_acquire) != 1 &&
        atomic_fetch_sub_explicit(&request->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(request->error);
    if (request->pooled)
        kolo_pool_give(&blocks, request);
    else
        free(request);
}

/* Where there are no other references, nobody else can count. */
static void count_to(kolo_request *request, uint32_t from, uint32_t to)
{
    if (atomic_load_explicit(&request->refs, memory_order_acquire) == from)
        atomic_store_explicit(&request->refs, to, memory_order_relaxed);
    else
        atomic_fetch_add_explicit(&request->refs, to - from, memory_order_relaxed);
}

void kolo_request_lend(kolo_request *request)
{
    count_to(request, 1, 2);
}

void kolo_request_end_lent(kolo_request *request)
{
    count_to(request, 2, 1);
    atomic_store_explicit(&request->state, KOLO_REQUEST_DONE, memory_order_release);
}

char *kolo_request_title(const char *name, char text[KOLO_TITLE_BYTES])
{
    if (strcmp(name, KOLO_FAREWELL) == 0)
        snprintf(text, KOLO_TITLE_BYTES, "kolo_finalize");
    else if (name[0] == '#')
        snprintf(text, KOLO_TITLE_BYTES, "operation %.100s (unnamed)", name);
    else
        snprintf(text, KOLO_TITLE_BYTES, "'%.100s'", name);
    return text;
}

bool kolo_request_is_named(const char *name)
{
    return name[0] != '#' && strcmp(name, KOLO_FAREWELL) != 0;
}

const char *kolo_request_label(const char *name, char text[KOLO_TITLE_BYTES])
{
    return kolo_request_is_named(name) ? name : kolo_request_title(name, text);
}

void kolo_request_finish(kolo_request *request, const kolo_error *error)
{
    request->status = error != NULL ? error->status : KOLO_OK;
    if (error != NULL && (request->error = malloc(sizeof(*error))) != NULL)
        *request->error = *error;
    atomic_store_explicit(&request->state, KOLO_REQUEST_FINISHING, memory_order_release);
    if (request->done != NULL)
        request->done(request->user, request, request->status);
    atomic_store_explicit(&request->state, KOLO_REQUEST_DONE, memory_order_release);
}
