/* shm_ring_test.c - the shm transport's ring by itself: in order, complete, bounded, whatever the other side
 * writes. */
#include "shm/ring.h"

#include "base/rng.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const shm_ring_size size = {.lines = 16, .units = 32};

typedef struct pair {
    void *memory;
    shm_writer writer;
    shm_reader reader;
} pair;

static void pair_init(pair *p)
{
    p->memory = aligned_alloc(SHM_LINE, shm_ring_bytes(size));
    assert_non_null(p->memory);
    memset(p->memory, 0, shm_ring_bytes(size));
    shm_writer_init(&p->writer, p->memory, size);
    shm_reader_init(&p->reader, p->memory, size);
}

/* Frame number i: a size that follows from i, filled with i. */
static size_t frame_bytes(uint64_t i)
{
    kolo_rng rng = {.state = i};
    return (size_t)kolo_rng_below(&rng, i % 3 ? SHM_INLINE + 2 : shm_ring_frame_max(size) + 1);
}

static bool write_frame(shm_writer *w, uint64_t i)
{
    size_t bytes = frame_bytes(i);
    void *place = shm_writer_reserve(w, bytes);
    if (!place)
        return false;
    memset(place, (int)(i & 255), bytes);
    shm_writer_publish(w, (uint32_t)(i % 200), i, bytes);
    return true;
}

/* False: none is there. */
static bool read_frame(shm_reader *r, uint64_t i)
{
    if (!shm_reader_ready(r))
        return false;
    shm_frame frame;
    assert_true(shm_reader_read(r, &frame));
    assert_int_equal(frame.word, i);
    assert_int_equal(frame.kind, i % 200);
    assert_int_equal(frame.bytes, frame_bytes(i));
    for (size_t b = 0; b < frame.bytes; b++)
        assert_int_equal(frame.payload[b], i & 255);
    shm_reader_release(r);
    return true;
}

static void ring__full__takes_no_more_until_read(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    uint64_t written = 0, read = 0;
    for (int round = 0; round < 1000; round++) {
        uint64_t before = written;
        while (write_frame(&p.writer, written))
            written++;
        assert_true(written > before && written - read <= size.lines); /* all was read, so something fits */
        assert_false(write_frame(&p.writer, written));
        while (read_frame(&p.reader, read))
            read++;
        assert_int_equal(read, written);
        assert_false(p.writer.corrupt);
    }
    free(p.memory);
}

/* 2^32 lines are too many to write, but not to begin just before. */
static void ring__numbers_wrap(void **state)
{
    (void)state;
    pair p;
    pair_init(&p);
    p.writer.line = p.writer.lines_consumed = p.reader.line = p.reader.lines_told = UINT32_MAX - 99;
    p.writer.unit = p.writer.units_consumed = p.reader.unit = p.reader.units_told = UINT32_MAX - 199;
    ((shm_ring *)p.memory)->consumed = (uint64_t)p.writer.unit << 32 | p.writer.line;
    for (uint64_t i = 0; i < 500; i++) {
        assert_true(write_frame(&p.writer, i));
        assert_true(read_frame(&p.reader, i));
        assert_false(shm_reader_ready(&p.reader));
    }
    free(p.memory);
}

enum { FRAMES = 20000 };

static void *write_all(void *user)
{
    for (uint64_t i = 0; i < FRAMES;) {
        if (write_frame(user, i))
            i++;
        else
            sched_yield();
    }
    return NULL;
}

static void ring__two_threads(void **state)
{
    (void)state;
    pair p;
    pthread_t thread;
    pair_init(&p);
    assert_int_equal(pthread_create(&thread, NULL, write_all, &p.writer), 0);
    for (uint64_t i = 0; i < FRAMES;) {
        if (read_frame(&p.reader, i))
            i++;
        else
            sched_yield();
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(p.writer.corrupt);
    free(p.memory);
}

static void ring__impossible_numbers__refused(void **state)
{
    (void)state;
    pair p;
    shm_frame frame;
    pair_init(&p);
    assert_true(write_frame(&p.writer, 1));
    ((shm_ring *)p.memory)->lines[0].head = 1u << 24 | (uint32_t)(shm_ring_frame_max(size) + 1);
    assert_true(shm_reader_ready(&p.reader));
    assert_false(shm_reader_read(&p.reader, &frame));
    ((shm_ring *)p.memory)->consumed = 1000; /* more than was written */
    uint64_t i = 1;
    while (write_frame(&p.writer, i))
        i++;
    assert_true(p.writer.corrupt);
    free(p.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring__full__takes_no_more_until_read),
        cmocka_unit_test(ring__numbers_wrap),
        cmocka_unit_test(ring__two_threads),
        cmocka_unit_test(ring__impossible_numbers__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
