/* output.h - what ranks write, passed on line by line with the rank in front.
 *
 * A sink is where lines go (kolorun's stdout or stderr); a stream is one rank's pipe into a sink. A line is handed on
 * when it is whole, so lines of different ranks never mix. Nothing here waits: whoever owns them polls. */
#ifndef KOLO_LAUNCH_OUTPUT_H
#define KOLO_LAUNCH_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kolorun_sink {
    int fd;
    char *data;
    size_t size, capacity, sent;
    bool broken; /* the reader has gone, or no memory: what comes is dropped */
} kolorun_sink;

void kolorun_sink_init(kolorun_sink *sink, int fd);
void kolorun_sink_fini(kolorun_sink *sink);
void kolorun_sink_append(kolorun_sink *sink, const char *bytes, size_t size);
bool kolorun_sink_pending(const kolorun_sink *sink);
/* Writes a piece so small that a pipe which poll() calls writable takes it without blocking. */
void kolorun_sink_write_some(kolorun_sink *sink);
/* Writes everything, waiting for the reader as long as it takes. */
void kolorun_sink_flush(kolorun_sink *sink);

typedef struct kolorun_stream {
    int fd; /* the pipe's reading end, non-blocking; -1: at its end */
    int32_t rank;
    kolorun_sink *sink;
    char *line; /* the beginning of a line */
    size_t size, capacity;
} kolorun_stream;

void kolorun_stream_init(kolorun_stream *stream, int fd, int32_t rank, kolorun_sink *sink);
/* Closes; a last line without its newline is handed on with one. */
void kolorun_stream_fini(kolorun_stream *stream);
/* Bytes of the rank, as they come. */
void kolorun_stream_feed(kolorun_stream *stream, const char *bytes, size_t size);
/* Reads one helping from the pipe. False when there is nothing now; at the end, fd becomes -1. */
bool kolorun_stream_read(kolorun_stream *stream);
/* Reads what is there now, within bounds: somebody may be writing without an end. */
void kolorun_stream_drain(kolorun_stream *stream);

#endif
