/* ring.h - frames from one writer to one reader, through memory that both have mapped. Header only: this is the
 * hot path.
 *
 * A frame is one 64-byte line, and a payload of more than SHM_INLINE bytes lies in an area beside the lines:
 *
 *     line   | seq  kind+bytes | word | payload of up to 48 bytes |      x line_count, a ring
 *     area   | 64-byte units ...                                  |      a ring too; a payload never wraps, it skips
 *
 * Line number n (0, 1, 2, ...) is there when its seq is n + 1. So the reader looks at one line and at nothing
 * else, and a small frame costs one flight of one cache line. A stale line holds the seq of a round before, never
 * the one that is waited for (numbers wrap at 2^32, a multiple of the ring's size). The writer learns of free room
 * from `consumed`, which it reads only when it seems to run out; the reader writes it once per quarter of either
 * ring. A frame's payload takes at most a quarter of the area, so that what the reader holds back (< 1/4), what is
 * skipped (< 1/4) and the frame (<= 1/4) always fit. */
#ifndef KOLO_TRANSPORT_SHM_RING_H
#define KOLO_TRANSPORT_SHM_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { SHM_LINE = 64, SHM_INLINE = 48 };

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2, "processes would not share a lock");

typedef struct shm_line {
    _Alignas(SHM_LINE) _Atomic uint32_t seq;
    uint32_t head; /* kind << 24 | bytes */
    uint64_t word;
    unsigned char payload[SHM_INLINE];
} shm_line;
_Static_assert(sizeof(shm_line) == SHM_LINE, "a line is a cache line");

/* Written by the reader. */
typedef struct shm_ring {
    _Alignas(SHM_LINE) _Atomic uint64_t consumed; /* units << 32 | lines, both modulo 2^32 */
    _Atomic uint32_t attach;                      /* the reader can read the writer's memory directly */
    _Alignas(SHM_LINE) shm_line lines[];          /* and the area after them */
} shm_ring;

/* Nothing before it is done after anything behind it. (By this name, because GCC refuses C11's fence under TSan,
 * which knows no fences; what they order here are atomic accesses and the kernel's copying, so it has nothing to
 * complain about.) */
static inline void shm_full_fence(void)
{
    __sync_synchronize();
}

/* Both counts are powers of two. */
typedef struct shm_ring_size {
    uint32_t lines, units;
} shm_ring_size;

typedef struct shm_frame {
    uint32_t kind, bytes;
    uint64_t word;
    const unsigned char *payload; /* aligned to 16; valid until shm_ring_release */
} shm_frame;

typedef struct shm_writer {
    shm_ring *ring;
    unsigned char *area;
    shm_ring_size size;
    uint32_t line, unit, unit_after; /* written so far; unit_after: with the reserved frame */
    uint32_t lines_consumed, units_consumed;
    bool corrupt; /* the reader claims to have read what was not written */
} shm_writer;

typedef struct shm_reader {
    shm_ring *ring;
    shm_ring_size size;
    uint32_t line, unit, unit_after; /* unit_after: with the frame that was read last */
    uint32_t lines_told, units_told;
} shm_reader;

static inline size_t shm_ring_bytes(shm_ring_size size)
{
    return sizeof(shm_ring) + ((size_t)size.lines + size.units) * SHM_LINE;
}

static inline size_t shm_ring_frame_max(shm_ring_size size)
{
    return (size_t)size.units / 4 * SHM_LINE;
}

/* Units that a payload takes in the area, and where it starts; both sides compute the same. */
static inline uint32_t shm_ring_units(size_t bytes)
{
    return bytes > SHM_INLINE ? (uint32_t)((bytes + SHM_LINE - 1) / SHM_LINE) : 0;
}

static inline uint32_t shm_ring_start(shm_ring_size size, uint32_t unit, uint32_t units)
{
    uint32_t at = unit & (size.units - 1);
    return at + units > size.units ? unit + size.units - at : unit;
}

/* ---- the writer's side ---------------------------------------------------------------------------------------- */

static inline void shm_writer_init(shm_writer *w, void *ring, shm_ring_size size)
{
    *w = (shm_writer){.ring = ring, .size = size};
    w->area = (unsigned char *)(w->ring->lines + size.lines);
}

/* Looks how far the reader is. False: nothing new. */
static inline bool shm_writer_refresh(shm_writer *w)
{
    uint64_t consumed = atomic_load_explicit(&w->ring->consumed, memory_order_acquire);
    uint32_t lines = (uint32_t)consumed, units = (uint32_t)(consumed >> 32);
    if (lines == w->lines_consumed && units == w->units_consumed)
        return false;
    if (w->line - lines > w->size.lines || w->unit - units > w->size.units) {
        w->corrupt = true;
        return false;
    }
    w->lines_consumed = lines;
    w->units_consumed = units;
    return true;
}

static inline bool shm_writer_fits(const shm_writer *w, uint32_t unit_after)
{
    return w->line - w->lines_consumed < w->size.lines && unit_after - w->units_consumed <= w->size.units;
}

/* Where the payload of the next frame is to be written, or NULL: no room now. bytes <= shm_ring_frame_max. */
static inline void *shm_writer_reserve(shm_writer *w, size_t bytes)
{
    uint32_t units = shm_ring_units(bytes), start = shm_ring_start(w->size, w->unit, units);
    w->unit_after = units > 0 ? start + units : w->unit;
    if (!shm_writer_fits(w, w->unit_after) && !(shm_writer_refresh(w) && shm_writer_fits(w, w->unit_after)))
        return NULL;
    if (units == 0)
        return w->ring->lines[w->line & (w->size.lines - 1)].payload;
    return w->area + (size_t)(start & (w->size.units - 1)) * SHM_LINE;
}

/* The reserved frame goes out. */
static inline void shm_writer_publish(shm_writer *w, uint32_t kind, uint64_t word, size_t bytes)
{
    shm_line *line = &w->ring->lines[w->line & (w->size.lines - 1)];
    line->head = kind << 24 | (uint32_t)bytes;
    line->word = word;
    w->unit = w->unit_after;
    w->line++;
    atomic_store_explicit(&line->seq, w->line, memory_order_release);
}

/* ---- the reader's side ---------------------------------------------------------------------------------------- */

static inline void shm_reader_init(shm_reader *r, void *ring, shm_ring_size size)
{
    *r = (shm_reader){.ring = ring, .size = size};
}

static inline bool shm_reader_ready(const shm_reader *r)
{
    const shm_line *line = &r->ring->lines[r->line & (r->size.lines - 1)];
    return atomic_load_explicit(&line->seq, memory_order_acquire) == r->line + 1;
}

/* The frame that is ready. False: its numbers are impossible. May be repeated until released. */
static inline bool shm_reader_read(shm_reader *r, shm_frame *frame)
{
    const shm_line *line = &r->ring->lines[r->line & (r->size.lines - 1)];
    uint32_t head = line->head; /* once: it is the peer's memory as well */
    *frame = (shm_frame){.kind = head >> 24, .bytes = head & 0xffffff, .word = line->word, .payload = line->payload};
    r->unit_after = r->unit;
    uint32_t units = shm_ring_units(frame->bytes);
    if (frame->bytes > shm_ring_frame_max(r->size))
        return false;
    if (units > 0) {
        uint32_t start = shm_ring_start(r->size, r->unit, units);
        const unsigned char *area = (const unsigned char *)(r->ring->lines + r->size.lines);
        frame->payload = area + (size_t)(start & (r->size.units - 1)) * SHM_LINE;
        r->unit_after = start + units;
    }
    return true;
}

/* The frame that was read is used up. True: the writer was told of room. */
static inline bool shm_reader_release(shm_reader *r)
{
    r->line++;
    r->unit = r->unit_after;
    if (r->line - r->lines_told < r->size.lines / 4 && r->unit - r->units_told < r->size.units / 4)
        return false;
    r->lines_told = r->line;
    r->units_told = r->unit;
    atomic_store_explicit(&r->ring->consumed, (uint64_t)r->unit << 32 | r->line, memory_order_release);
    return true;
}

#endif
