/* describe.c - canonical descriptions of operations: encode, validate, print, compare. */
#include "engine/describe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* An operation is put together first, and appended in one go: this is done for every operation. So is a piece; or where
 * it stays, if there is room for any. */
enum {
    OPERATION_BYTES = 2 + 4 + 8 + 8 + 4,
    VARINT_BYTES_MAX = 10,
    PIECE_BYTES_MAX = 2 + VARINT_BYTES_MAX * KOLO_MAX_DIMS
};

static inline uint8_t *put(uint8_t *at, uint64_t value, size_t size)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(at, &value, size); /* one store, where compilers leave the loop a loop */
#else
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (8 * i));
#endif
    return at + size;
}

static inline uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* LEB128: most dimensions take one or two bytes, so thousands of tensors fit in one description. */
static inline uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static uint64_t read_varint(kolo_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = kolo_read_u8(reader);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    reader->ok = false;
    return 0;
}

bool kolo_operation_is_alike(const kolo_operation *a, const kolo_operation *b)
{
    return a->collective == b->collective && a->op == b->op &&
           memcmp(&a->prescale, &b->prescale, sizeof(double)) == 0 &&
           memcmp(&a->postscale, &b->postscale, sizeof(double)) == 0;
}

/* Where what takes at most `most` bytes is put together: at the end of the message, if it has room for so many. */
static inline uint8_t *begin(const kolo_writer *writer, uint8_t *aside, size_t most)
{
    bool has_room = writer->ok && writer->capacity - writer->size >= most;
    return has_room ? writer->data + writer->size : aside;
}

static inline void end(kolo_writer *writer, const uint8_t *aside, const uint8_t *start, const uint8_t *at)
{
    if (start == aside)
        kolo_write_raw(writer, aside, (size_t)(at - start));
    else
        writer->size += (size_t)(at - start);
}

void kolo_describe_operation(kolo_writer *writer, const kolo_operation *operation)
{
    uint8_t aside[OPERATION_BYTES], *start = begin(writer, aside, OPERATION_BYTES), *at = start;
    *at++ = (uint8_t)operation->collective;
    *at++ = (uint8_t)operation->op;
    at = put(at, (uint32_t)operation->root, sizeof(uint32_t));
    at = put(at, bits_of(operation->prescale), sizeof(uint64_t));
    at = put(at, bits_of(operation->postscale), sizeof(uint64_t));
    at = put(at, (uint32_t)operation->piece_count, sizeof(uint32_t));
    end(writer, aside, start, at);
}

void kolo_describe_piece(kolo_writer *writer, kolo_dtype_id type, int32_t ndim, const int64_t *shape)
{
    uint8_t aside[PIECE_BYTES_MAX], *start = begin(writer, aside, 2 + VARINT_BYTES_MAX * (size_t)ndim), *at = start;
    *at++ = (uint8_t)type;
    *at++ = (uint8_t)ndim;
    for (int32_t d = 0; d < ndim; d++)
        at = put_varint(at, (uint64_t)shape[d]);
    end(writer, aside, start, at);
}

static inline uint64_t get(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

const uint8_t *kolo_description_match_operation(const uint8_t *at, const uint8_t *end, const kolo_operation *operation)
{
    bool same = at != NULL && end - at >= OPERATION_BYTES && at[0] == (uint8_t)operation->collective &&
                at[1] == (uint8_t)operation->op && get(at + 2, 4) == (uint32_t)operation->root &&
                get(at + 6, 8) == bits_of(operation->prescale) && get(at + 14, 8) == bits_of(operation->postscale) &&
                get(at + 22, 4) == (uint32_t)operation->piece_count;
    return same ? at + OPERATION_BYTES : NULL;
}

static inline const uint8_t *match_varint(const uint8_t *at, const uint8_t *end, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        if (at == end || *at++ != (uint8_t)(value | 0x80))
            return NULL;
    return at < end && *at == (uint8_t)value ? at + 1 : NULL;
}

const uint8_t *kolo_description_match_piece(const uint8_t *at, const uint8_t *end, kolo_dtype_id type, int32_t ndim,
                                            const int64_t *shape)
{
    if (at == NULL || end - at < 2 || at[0] != (uint8_t)type || at[1] != (uint8_t)ndim)
        return NULL;
    at += 2;
    for (int32_t d = 0; at != NULL && d < ndim; d++)
        at = match_varint(at, end, (uint64_t)shape[d]);
    return at;
}

static bool read_operation(kolo_reader *reader, kolo_operation *operation)
{
    uint8_t collective = kolo_read_u8(reader);
    uint8_t op = kolo_read_u8(reader);
    *operation = (kolo_operation){.collective = (kolo_collective)collective, .op = (kolo_reduce_op)op};
    operation->root = (int32_t)kolo_read_u32(reader);
    operation->prescale = kolo_read_f64(reader);
    operation->postscale = kolo_read_f64(reader);
    operation->piece_count = kolo_read_u32(reader);
    return reader->ok && collective < KOLO_COLLECTIVE_COUNT && op <= KOLO_PRODUCT &&
           operation->piece_count <= KOLO_PIECES_MAX;
}

typedef struct piece {
    kolo_dtype_id type;
    int32_t ndim;
    int64_t shape[KOLO_MAX_DIMS];
} piece;

static bool read_piece(kolo_reader *reader, piece *out)
{
    uint8_t type = kolo_read_u8(reader);
    uint8_t ndim = kolo_read_u8(reader);
    if (!reader->ok || type >= KOLO_DTYPE_COUNT || ndim > KOLO_MAX_DIMS)
        return false;
    out->type = (kolo_dtype_id)type;
    out->ndim = ndim;
    for (int32_t d = 0; d < ndim; d++)
        out->shape[d] = (int64_t)read_varint(reader);
    return reader->ok;
}

bool kolo_description_valid(const void *bytes, size_t size)
{
    kolo_reader reader;
    kolo_reader_init(&reader, bytes, size);
    kolo_operation operation;
    if (!read_operation(&reader, &operation))
        return false;
    piece ignored;
    for (size_t i = 0; i < operation.piece_count; i++)
        if (!read_piece(&reader, &ignored))
            return false;
    return kolo_reader_done(&reader);
}

/* A text that grows up to its capacity and is cut there. */
typedef struct text_out {
    char *text;
    size_t capacity, size;
} text_out;

static void KOLO_PRINTF(2, 3) append(text_out *out, const char *format, ...)
{
    if (out->size + 1 >= out->capacity)
        return;
    va_list list;
    va_start(list, format);
    int n = vsnprintf(out->text + out->size, out->capacity - out->size, format, list);
    va_end(list);
    if (n > 0)
        out->size += (size_t)n < out->capacity - out->size ? (size_t)n : out->capacity - out->size - 1;
}

static void append_operation(text_out *out, const kolo_operation *operation)
{
    append(out, "%s", kolo_collective_name(operation->collective));
    if (operation->collective == KOLO_ALLREDUCE || operation->collective == KOLO_REDUCE_SCATTER)
        append(out, " %s", kolo_reduce_op_name(operation->op));
    if (operation->collective == KOLO_BROADCAST)
        append(out, " from rank %d", operation->root);
    if (kolo_operation_scales_inputs(operation))
        append(out, " prescale %g", operation->prescale);
    if (operation->postscale < 1.0 || operation->postscale > 1.0)
        append(out, " postscale %g", operation->postscale);
}

char *kolo_description_format(const void *bytes, size_t size, size_t focus, char *text, size_t capacity)
{
    text_out out = {.text = text, .capacity = capacity};
    text[0] = '\0';
    kolo_reader reader;
    kolo_reader_init(&reader, bytes, size);
    kolo_operation operation;
    if (!read_operation(&reader, &operation)) {
        append(&out, "(malformed description)");
        return text;
    }
    append_operation(&out, &operation);
    if (operation.piece_count > 1)
        append(&out, " of %zu tensors, tensor %zu:", operation.piece_count, focus);
    piece p;
    for (size_t i = 0; i < operation.piece_count && read_piece(&reader, &p); i++) {
        if (i != focus)
            continue;
        append(&out, " %s [", kolo_dtype_name(p.type));
        for (int32_t d = 0; d < p.ndim; d++)
            append(&out, "%s%lld", d > 0 ? ", " : "", (long long)p.shape[d]);
        append(&out, "]");
    }
    return text;
}

static bool same_piece(const piece *a, const piece *b)
{
    return a->type == b->type && a->ndim == b->ndim &&
           memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof(a->shape[0])) == 0;
}

size_t kolo_description_pieces(const void *bytes, size_t size)
{
    kolo_reader reader;
    kolo_reader_init(&reader, bytes, size);
    kolo_operation operation;
    return read_operation(&reader, &operation) ? operation.piece_count : 0;
}

size_t kolo_description_difference(const void *a, size_t a_size, const void *b, size_t b_size)
{
    kolo_reader ra, rb;
    kolo_reader_init(&ra, a, a_size);
    kolo_reader_init(&rb, b, b_size);
    kolo_operation oa, ob;
    if (!read_operation(&ra, &oa) || !read_operation(&rb, &ob) || oa.piece_count != ob.piece_count)
        return 0;
    piece pa, pb;
    for (size_t i = 0; i < oa.piece_count && read_piece(&ra, &pa) && read_piece(&rb, &pb); i++)
        if (!same_piece(&pa, &pb))
            return i;
    return 0;
}
