/* output.c - lines with a rank in front. */
#include "launch/output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Who writes so much without a newline does not write lines. It is cut here, so that memory stays bounded. */
#define LINE_MAX_BYTES ((size_t)1 << 20)

static bool grow(char **data, size_t *capacity, size_t wanted)
{
    if (wanted <= *capacity)
        return true;
    size_t larger = *capacity < 4096 ? 4096 : *capacity;
    while (larger < wanted)
        larger *= 2;
    char *memory = realloc(*data, larger);
    if (memory == NULL)
        return false;
    *data = memory;
    *capacity = larger;
    return true;
}

/* ---- sinks ---------------------------------------------------------------------------------- */

void kolorun_sink_init(kolorun_sink *sink, int fd)
{
    *sink = (kolorun_sink){.fd = fd};
}

void kolorun_sink_fini(kolorun_sink *sink)
{
    free(sink->data);
    *sink = (kolorun_sink){.fd = -1};
}

void kolorun_sink_append(kolorun_sink *sink, const char *bytes, size_t size)
{
    if (sink->broken || size == 0)
        return;
    if (sink->sent > 0) {
        memmove(sink->data, sink->data + sink->sent, sink->size - sink->sent);
        sink->size -= sink->sent;
        sink->sent = 0;
    }
    if (!grow(&sink->data, &sink->capacity, sink->size + size)) {
        sink->broken = true;
        return;
    }
    memcpy(sink->data + sink->size, bytes, size);
    sink->size += size;
}

bool kolorun_sink_pending(const kolorun_sink *sink)
{
    return !sink->broken && sink->sent < sink->size;
}

void kolorun_sink_write_some(kolorun_sink *sink)
{
    if (!kolorun_sink_pending(sink))
        return;
    size_t rest = sink->size - sink->sent;
    ssize_t written = write(sink->fd, sink->data + sink->sent, rest < PIPE_BUF ? rest : PIPE_BUF);
    if (written >= 0)
        sink->sent += (size_t)written;
    else if (errno != EAGAIN && errno != EINTR)
        sink->broken = true;
    if (sink->sent == sink->size)
        sink->sent = sink->size = 0;
}

void kolorun_sink_flush(kolorun_sink *sink)
{
    while (kolorun_sink_pending(sink)) {
        struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};
        (void)poll(&ready, 1, -1);
        kolorun_sink_write_some(sink);
    }
}

/* ---- streams -------------------------------------------------------------------------------- */

void kolorun_stream_init(kolorun_stream *stream, int fd, int32_t rank, kolorun_sink *sink)
{
    *stream = (kolorun_stream){.fd = fd, .rank = rank, .sink = sink};
}

static void hand_on(kolorun_stream *stream, const char *rest, size_t rest_size)
{
    char prefix[16];
    int prefix_size = snprintf(prefix, sizeof(prefix), "[%d] ", stream->rank);
    kolorun_sink_append(stream->sink, prefix, (size_t)prefix_size);
    kolorun_sink_append(stream->sink, stream->line, stream->size);
    kolorun_sink_append(stream->sink, rest, rest_size);
    kolorun_sink_append(stream->sink, "\n", 1);
    stream->size = 0;
}

void kolorun_stream_feed(kolorun_stream *stream, const char *bytes, size_t size)
{
    while (size > 0) {
        const char *newline = memchr(bytes, '\n', size);
        if (newline != NULL) {
            hand_on(stream, bytes, (size_t)(newline - bytes));
            size -= (size_t)(newline + 1 - bytes);
            bytes = newline + 1;
            continue;
        }
        if (stream->size + size > LINE_MAX_BYTES || !grow(&stream->line, &stream->capacity, stream->size + size)) {
            hand_on(stream, bytes, size);
            return;
        }
        memcpy(stream->line + stream->size, bytes, size);
        stream->size += size;
        return;
    }
}

static void stream_end(kolorun_stream *stream)
{
    if (stream->fd < 0)
        return;
    close(stream->fd);
    stream->fd = -1;
    if (stream->size > 0)
        hand_on(stream, "", 0);
}

bool kolorun_stream_read(kolorun_stream *stream)
{
    char bytes[16384];
    if (stream->fd < 0)
        return false;
    /* Nobody reads what we would pass on: then the rank shall learn it as it would without us in between. */
    ssize_t got = stream->sink->broken ? 0 : read(stream->fd, bytes, sizeof(bytes));
    if (got > 0)
        kolorun_stream_feed(stream, bytes, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        stream_end(stream);
    return got > 0;
}

void kolorun_stream_drain(kolorun_stream *stream)
{
    for (int helpings = 0; helpings < 16; helpings++) {
        if (!kolorun_stream_read(stream))
            return;
    }
}

void kolorun_stream_fini(kolorun_stream *stream)
{
    stream_end(stream);
    free(stream->line);
    *stream = (kolorun_stream){.fd = -1};
}
