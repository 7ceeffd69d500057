/* codec.c - the codec byte by byte: no alignment demands, the same on either byte order. */
#include "base/codec.h"

#include <string.h>

/* Stands in for an empty message without memory, so that no arithmetic is done on NULL. */
static uint8_t nothing[1];

/* ---- writing -------------------------------------------------------------------------------- */

void kolo_writer_init(kolo_writer *writer, void *memory, size_t capacity)
{
    *writer =
        (kolo_writer){.data = memory != NULL ? memory : nothing, .capacity = memory != NULL ? capacity : 0, .ok = true};
}

/* Inlined where size is constant, the bytes become one store: descriptions are written for every operation. */
#define INLINE inline __attribute__((always_inline))

/* size bytes at the end of the message, or NULL. */
static INLINE uint8_t *claim(kolo_writer *writer, size_t size)
{
    if (!writer->ok || size > writer->capacity - writer->size) {
        writer->ok = false;
        return NULL;
    }
    uint8_t *place = writer->data + writer->size;
    writer->size += size;
    return place;
}

static INLINE void write_integer(kolo_writer *writer, uint64_t value, size_t size)
{
    uint8_t *place = claim(writer, size);
    if (place == NULL)
        return;
    for (size_t i = 0; i < size; i++)
        place[i] = (uint8_t)(value >> (8 * i));
}

void kolo_write_u8(kolo_writer *writer, uint8_t value)
{
    write_integer(writer, value, 1);
}

void kolo_write_u16(kolo_writer *writer, uint16_t value)
{
    write_integer(writer, value, 2);
}

void kolo_write_u32(kolo_writer *writer, uint32_t value)
{
    write_integer(writer, value, 4);
}

void kolo_write_u64(kolo_writer *writer, uint64_t value)
{
    write_integer(writer, value, 8);
}

void kolo_write_f64(kolo_writer *writer, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    write_integer(writer, bits, 8);
}

void kolo_write_raw(kolo_writer *writer, const void *data, size_t size)
{
    uint8_t *place = claim(writer, size);
    if (place != NULL && size > 0)
        memcpy(place, data, size);
}

void kolo_write_bytes(kolo_writer *writer, const void *data, size_t size)
{
    if (size > UINT32_MAX)
        writer->ok = false;
    kolo_write_u32(writer, (uint32_t)size);
    kolo_write_raw(writer, data, size);
}

/* ---- reading -------------------------------------------------------------------------------- */

void kolo_reader_init(kolo_reader *reader, const void *data, size_t size)
{
    *reader = (kolo_reader){.data = data != NULL ? data : nothing, .size = data != NULL ? size : 0, .ok = true};
}

const void *kolo_read_raw(kolo_reader *reader, size_t size)
{
    if (!reader->ok || size > reader->size - reader->offset) {
        reader->ok = false;
        return NULL;
    }
    const uint8_t *place = reader->data + reader->offset;
    reader->offset += size;
    return place;
}

static uint64_t read_integer(kolo_reader *reader, size_t size)
{
    const uint8_t *place = kolo_read_raw(reader, size);
    uint64_t value = 0;
    for (size_t i = 0; place != NULL && i < size; i++)
        value |= (uint64_t)place[i] << (8 * i);
    return value;
}

uint8_t kolo_read_u8(kolo_reader *reader)
{
    return (uint8_t)read_integer(reader, 1);
}

uint16_t kolo_read_u16(kolo_reader *reader)
{
    return (uint16_t)read_integer(reader, 2);
}

uint32_t kolo_read_u32(kolo_reader *reader)
{
    return (uint32_t)read_integer(reader, 4);
}

uint64_t kolo_read_u64(kolo_reader *reader)
{
    return read_integer(reader, 8);
}

double kolo_read_f64(kolo_reader *reader)
{
    uint64_t bits = read_integer(reader, 8);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

const void *kolo_read_bytes(kolo_reader *reader, size_t max, size_t *size)
{
    size_t length = kolo_read_u32(reader);
    if (length > max)
        reader->ok = false;
    const void *data = kolo_read_raw(reader, length);
    *size = data != NULL ? length : 0;
    return data;
}

bool kolo_reader_done(const kolo_reader *reader)
{
    return reader->ok && reader->offset == reader->size;
}
