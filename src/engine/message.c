/* message.c - control messages: encoding, and decoding of bytes that nobody vouches for. */
#include "engine/message.h"

#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0x4b, VERSION = 1 };

void kolo_message_write_header(kolo_writer *writer, kolo_message_type type, uint32_t sequence)
{
    kolo_write_u8(writer, MAGIC);
    kolo_write_u8(writer, VERSION);
    kolo_write_u8(writer, (uint8_t)type);
    kolo_write_u8(writer, 0);
    kolo_write_u32(writer, sequence);
}

bool kolo_message_read_header(kolo_reader *reader, kolo_message_header *header)
{
    uint8_t magic = kolo_read_u8(reader);
    uint8_t version = kolo_read_u8(reader);
    uint8_t type = kolo_read_u8(reader);
    uint8_t zero = kolo_read_u8(reader);
    header->sequence = kolo_read_u32(reader);
    header->type = (kolo_message_type)type;
    return reader->ok && magic == MAGIC && version == VERSION && zero == 0 && type >= KOLO_MESSAGE_UP &&
           type <= KOLO_MESSAGE_ABORT;
}

/* A string of bounded length without a NUL inside; `capacity` counts the terminator. */
static bool read_text(kolo_reader *reader, char *text, size_t capacity)
{
    size_t size = 0;
    const void *bytes = kolo_read_bytes(reader, capacity - 1, &size);
    if (!reader->ok || (size > 0 && memchr(bytes, '\0', size) != NULL))
        return false;
    if (size > 0)
        memcpy(text, bytes, size);
    text[size] = '\0';
    return true;
}

static void write_text(kolo_writer *writer, const char *text)
{
    kolo_write_bytes(writer, text, strlen(text));
}

/* ---- UP --------------------------------------------------------------------------------------- */

void kolo_up_write_ready(kolo_writer *writer, uint32_t slot)
{
    kolo_write_u8(writer, KOLO_UP_READY);
    kolo_write_u32(writer, slot);
}

void kolo_up_write_describe(kolo_writer *writer, const char *name, bool has_private, const kolo_variant *variants,
                            size_t count)
{
    kolo_write_u8(writer, KOLO_UP_DESCRIBE);
    write_text(writer, name);
    kolo_write_u8(writer, has_private);
    kolo_write_u8(writer, (uint8_t)count);
    for (size_t i = 0; i < count; i++) {
        const kolo_ranks *ranks = &variants[i].ranks;
        size_t ranges = ranks->count < KOLO_VARIANT_RANGES_MAX ? ranks->count : KOLO_VARIANT_RANGES_MAX;
        kolo_write_bytes(writer, variants[i].description, variants[i].description_size);
        kolo_write_u8(writer, (uint8_t)ranges);
        for (size_t r = 0; r < ranges; r++) {
            kolo_write_u32(writer, (uint32_t)ranks->ranges[r].first);
            kolo_write_u32(writer, (uint32_t)ranks->ranges[r].last);
        }
    }
}

void kolo_up_write_expired(kolo_writer *writer, const char *name)
{
    kolo_write_u8(writer, KOLO_UP_EXPIRED);
    write_text(writer, name);
}

static bool read_ranks(kolo_reader *reader, int32_t size, kolo_ranks *ranks)
{
    uint8_t ranges = kolo_read_u8(reader);
    if (!reader->ok || ranges == 0 || ranges > KOLO_VARIANT_RANGES_MAX)
        return false;
    for (uint8_t r = 0; r < ranges; r++) {
        uint32_t first = kolo_read_u32(reader);
        uint32_t last = kolo_read_u32(reader);
        if (!reader->ok || first > last || last >= (uint32_t)size)
            return false;
        if (!kolo_ranks_add(ranks, (int32_t)first, (int32_t)last))
            return false;
    }
    return true;
}

static bool read_variant(kolo_reader *reader, int32_t size, kolo_variant *variant)
{
    kolo_ranks_init(&variant->ranks);
    /* A view; the holder copies what it keeps and never writes through it. */
    variant->description =
        (uint8_t *)(uintptr_t)kolo_read_bytes(reader, KOLO_DESCRIPTION_MAX, &variant->description_size);
    if (!reader->ok || !kolo_description_valid(variant->description, variant->description_size))
        return false;
    return read_ranks(reader, size, &variant->ranks);
}

static bool read_flag(kolo_reader *reader, bool *flag)
{
    uint8_t byte = kolo_read_u8(reader);
    *flag = byte != 0;
    return reader->ok && byte <= 1;
}

static bool read_describe(kolo_reader *reader, int32_t size, kolo_up *up)
{
    if (!read_text(reader, up->name, sizeof(up->name)) || up->name[0] == '\0' || !read_flag(reader, &up->has_private))
        return false;
    uint8_t count = kolo_read_u8(reader);
    if (!reader->ok || count == 0 || count > KOLO_VARIANTS_MAX)
        return false;
    while (up->variant_count < count)
        if (!read_variant(reader, size, &up->variants[up->variant_count++]))
            return false;
    return true;
}

bool kolo_up_read(kolo_reader *reader, int32_t size, kolo_up *up)
{
    up->variant_count = 0;
    up->name[0] = '\0';
    up->slot = 0;
    up->has_private = false;
    uint8_t kind = kolo_read_u8(reader);
    up->kind = (kolo_up_kind)kind;
    if (!reader->ok)
        return false;
    if (kind == KOLO_UP_READY) {
        up->slot = kolo_read_u32(reader);
        return reader->ok;
    }
    if (kind == KOLO_UP_EXPIRED)
        return read_text(reader, up->name, sizeof(up->name)) && up->name[0] != '\0';
    return kind == KOLO_UP_DESCRIBE && read_describe(reader, size, up);
}

void kolo_up_fini(kolo_up *up)
{
    for (size_t i = 0; i < up->variant_count; i++)
        kolo_ranks_fini(&up->variants[i].ranks);
    up->variant_count = 0;
}

/* ---- DOWN ------------------------------------------------------------------------------------- */

void kolo_down_write(kolo_writer *writer, const kolo_down *down)
{
    kolo_write_u8(writer, (uint8_t)down->kind);
    if (down->kind != KOLO_DOWN_FAIL)
        kolo_write_u32(writer, down->slot);
    if (down->kind != KOLO_DOWN_RUN)
        write_text(writer, down->name);
    if (down->kind == KOLO_DOWN_ASSIGN)
        kolo_write_u8(writer, down->has_private);
    if (down->kind == KOLO_DOWN_FAIL) {
        write_text(writer, down->ranks);
        write_text(writer, down->text);
    }
}

bool kolo_down_read(kolo_reader *reader, kolo_down *down)
{
    uint8_t kind = kolo_read_u8(reader);
    if (!reader->ok || kind < KOLO_DOWN_ASSIGN || kind > KOLO_DOWN_FAIL)
        return false;
    down->kind = (kolo_down_kind)kind;
    down->slot = 0;
    down->name[0] = down->ranks[0] = down->text[0] = '\0';
    down->has_private = false;
    if (kind != KOLO_DOWN_FAIL)
        down->slot = kolo_read_u32(reader);
    if (kind != KOLO_DOWN_RUN && (!read_text(reader, down->name, sizeof(down->name)) || down->name[0] == '\0'))
        return false;
    if (kind == KOLO_DOWN_ASSIGN && !read_flag(reader, &down->has_private))
        return false;
    if (kind == KOLO_DOWN_FAIL)
        return read_text(reader, down->ranks, sizeof(down->ranks)) && read_text(reader, down->text, sizeof(down->text));
    return reader->ok;
}

/* ---- ABORT ------------------------------------------------------------------------------------ */

void kolo_abort_write(kolo_writer *writer, int32_t origin, const kolo_error *error)
{
    kolo_write_u32(writer, (uint32_t)origin);
    kolo_write_u32(writer, (uint32_t)error->status);
    kolo_write_u32(writer, (uint32_t)error->sys_errno);
    write_text(writer, error->operation);
    write_text(writer, error->tensor);
    write_text(writer, error->ranks);
    write_text(writer, error->hop);
    write_text(writer, error->message);
}

bool kolo_abort_read(kolo_reader *reader, int32_t *origin, kolo_error *error)
{
    memset(error, 0, sizeof(*error));
    error->struct_size = sizeof(*error);
    *origin = (int32_t)kolo_read_u32(reader);
    uint32_t status = kolo_read_u32(reader);
    error->status = (kolo_status)status;
    error->sys_errno = (int32_t)kolo_read_u32(reader);
    return read_text(reader, error->operation, sizeof(error->operation)) &&
           read_text(reader, error->tensor, sizeof(error->tensor)) &&
           read_text(reader, error->ranks, sizeof(error->ranks)) && read_text(reader, error->hop, sizeof(error->hop)) &&
           read_text(reader, error->message, sizeof(error->message)) && kolo_reader_done(reader) && status > KOLO_OK &&
           status <= KOLO_ERR_INTERNAL;
}
