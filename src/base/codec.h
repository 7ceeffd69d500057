/* codec.h - bounded little-endian writing and reading of messages. No allocation, no alignment demands.
 *
 * Errors stick: after the first overrun every further call does nothing (reads answer 0), and ok is false. So a
 * decoder reads everything, then checks once. */
#ifndef KOLO_BASE_CODEC_H
#define KOLO_BASE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kolo_writer {
    uint8_t *data;
    size_t size; /* bytes written */
    size_t capacity;
    bool ok;
} kolo_writer;

typedef struct kolo_reader {
    const uint8_t *data;
    size_t size;
    size_t offset;
    bool ok;
} kolo_reader;

void kolo_writer_init(kolo_writer *writer, void *memory, size_t capacity);
void kolo_write_u8(kolo_writer *writer, uint8_t value);
void kolo_write_u16(kolo_writer *writer, uint16_t value);
void kolo_write_u32(kolo_writer *writer, uint32_t value);
void kolo_write_u64(kolo_writer *writer, uint64_t value);
void kolo_write_f64(kolo_writer *writer, double value);
/* The bytes as they are; and with a u32 length before them. */
void kolo_write_raw(kolo_writer *writer, const void *data, size_t size);
void kolo_write_bytes(kolo_writer *writer, const void *data, size_t size);

void kolo_reader_init(kolo_reader *reader, const void *data, size_t size);
uint8_t kolo_read_u8(kolo_reader *reader);
uint16_t kolo_read_u16(kolo_reader *reader);
uint32_t kolo_read_u32(kolo_reader *reader);
uint64_t kolo_read_u64(kolo_reader *reader);
double kolo_read_f64(kolo_reader *reader);
/* A view into the message (no copy); NULL and !ok on overrun, or when the length is above max. */
const void *kolo_read_raw(kolo_reader *reader, size_t size);
const void *kolo_read_bytes(kolo_reader *reader, size_t max, size_t *size);
/* True when everything was read without an error and nothing is left. */
bool kolo_reader_done(const kolo_reader *reader);

#endif
