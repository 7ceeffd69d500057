/* idx.c - the IDX reader. Offsets in messages count uncompressed bytes. */
#include "trainer/idx.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#define REPAIR "install the data again: apt install --reinstall dataset-fashion-mnist"

enum { IDX_UBYTE = 8, READ_BUFFER_BYTES = 256 * 1024, READ_PIECE_BYTES = 1 << 30 };

static const uint64_t max_elements = UINT64_C(1) << 33; /* a header that claims more is damaged, not ambitious */

typedef struct idx_reader {
    gzFile file;
    const char *path;
    uint64_t offset; /* uncompressed bytes read so far */
    train_failure *failure;
} idx_reader;

static bool open_file(idx_reader *reader)
{
    int fd = open(reader->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return train_fail(
            reader->failure,
            "cannot open %s: %s; install the data with \"apt install dataset-fashion-mnist\", or name its "
            "folder with --data",
            reader->path, strerror(errno));
    reader->file = gzdopen(fd, "rb");
    if (reader->file == NULL) {
        close(fd);
        return train_fail(reader->failure, "cannot read %s: out of memory", reader->path);
    }
    (void)gzbuffer(reader->file, READ_BUFFER_BYTES);
    return true;
}

static bool fail_read(idx_reader *reader, int got, const char *what)
{
    int code = Z_OK;
    const char *reason = gzerror(reader->file, &code);

    if (code == Z_ERRNO)
        return train_fail(reader->failure, "cannot read %s at offset %" PRIu64 ": %s", reader->path, reader->offset,
                          strerror(errno));
    if (got < 0 || code == Z_DATA_ERROR)
        return train_fail(reader->failure, "%s is damaged at offset %" PRIu64 " in %s (%s); " REPAIR, reader->path,
                          reader->offset, what, reason);
    return train_fail(reader->failure, "%s is truncated: it ends at offset %" PRIu64 " in %s; " REPAIR, reader->path,
                      reader->offset, what);
}

static bool read_bytes(idx_reader *reader, void *data, uint64_t bytes, const char *what)
{
    uint8_t *to = data;

    while (bytes > 0) {
        unsigned piece = bytes < READ_PIECE_BYTES ? (unsigned)bytes : (unsigned)READ_PIECE_BYTES;
        int got = gzread(reader->file, to, piece);

        if (got > 0)
            reader->offset += (unsigned)got;
        if (got < 0 || (unsigned)got < piece)
            return fail_read(reader, got, what);
        to += got;
        bytes -= (unsigned)got;
    }
    return true;
}

static uint32_t decode_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | (uint32_t)bytes[3];
}

static bool read_header(idx_reader *reader, uint32_t ndim, train_idx *idx)
{
    uint8_t bytes[4 + 4 * TRAIN_IDX_MAX_DIMS];
    uint32_t expected = IDX_UBYTE << 8 | ndim;

    if (!read_bytes(reader, bytes, 4, "the header"))
        return false;
    if (decode_u32(bytes) != expected)
        return train_fail(reader->failure,
                          "%s: the magic number at offset 0 is 0x%08" PRIx32 ", not 0x%08" PRIx32 " (unsigned bytes in "
                          "%u dimension%s); is it the right file? If so, " REPAIR,
                          reader->path, decode_u32(bytes), expected, ndim, ndim == 1 ? "" : "s");
    if (!read_bytes(reader, bytes + 4, (uint64_t)4 * ndim, "the header"))
        return false;

    idx->count = 1;
    for (uint32_t i = 0; i < ndim; i++) {
        idx->dims[i] = decode_u32(bytes + 4 + 4 * i);
        if (idx->dims[i] == 0 || idx->dims[i] > max_elements / idx->count)
            return train_fail(reader->failure, "%s: dimension %u at offset %u is %" PRIu32 ", which cannot be; " REPAIR,
                              reader->path, i, 4 + 4 * i, idx->dims[i]);
        idx->count *= idx->dims[i];
    }
    return true;
}

static bool read_end(idx_reader *reader)
{
    uint8_t byte;
    int got = gzread(reader->file, &byte, 1);

    if (got < 0)
        return fail_read(reader, got, "the end of the file");
    if (got > 0)
        return train_fail(reader->failure,
                          "%s has trailing bytes: by its header it ends at offset %" PRIu64 "; " REPAIR, reader->path,
                          reader->offset);
    /* A gzip file cut inside its own check sum delivers all data, and then says so here. */
    int code = Z_OK;
    (void)gzerror(reader->file, &code);
    if (code != Z_OK && code != Z_STREAM_END)
        return fail_read(reader, got, "the check sum");
    return true;
}

static bool read_all(idx_reader *reader, uint32_t ndim, train_idx *idx)
{
    if (!read_header(reader, ndim, idx))
        return false;
    idx->data = malloc(idx->count);
    if (idx->data == NULL)
        return train_fail(reader->failure, "%s: out of memory for %" PRIu64 " bytes", reader->path, idx->count);
    return read_bytes(reader, idx->data, idx->count, "the elements") && read_end(reader);
}

bool train_idx_read(const char *path, uint32_t ndim, train_idx *idx, train_failure *failure)
{
    idx_reader reader = {.path = path, .failure = failure};

    memset(idx, 0, sizeof *idx);
    if (!open_file(&reader))
        return false;
    bool ok = read_all(&reader, ndim, idx);
    int closed = gzclose(reader.file);
    if (ok && closed != Z_OK)
        ok = train_fail(failure, "%s is truncated: its gzip stream does not end; " REPAIR, path);
    if (!ok)
        train_idx_fini(idx);
    return ok;
}

void train_idx_fini(train_idx *idx)
{
    free(idx->data);
    memset(idx, 0, sizeof *idx);
}
