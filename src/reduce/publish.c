/* publish.c - see publish.h. */
#include "reduce/publish.h"

#include "reduce/reduce.h"

/* Shorter copies go through the caches: both ways take as long. What is compared is long enough that stores do not just
 * queue up behind the clock, and short enough that the slower way costs a percent or two. */
enum { LEAST_BYTES = 4096, TIMED_BYTES = 16 * 1024, COMPARED_BYTES = 128 * 1024, INTERVAL_BYTES = 16 * 1024 * 1024 };

/* Readers are not timed; where writing takes about as long, they are better off with what is in the caches. */
#define CLEARLY_LESS 0.5

static void enter(kolo_publisher *publisher, kolo_publisher_phase phase)
{
    publisher->phase = phase;
    publisher->bytes = 0;
    publisher->spent = 0;
}

/* Both ways have been timed. One comparison may have been disturbed. */
static void judge(kolo_publisher *publisher)
{
    double around_ns = publisher->ns[!publisher->around], cached_ns = publisher->ns[publisher->around];
    bool better = around_ns < CLEARLY_LESS * cached_ns;
    bool changes = better != publisher->around && publisher->doubts;
    publisher->doubts = better != publisher->around && !changes;
    publisher->around ^= changes;
    enter(publisher, publisher->doubts ? KOLO_PUBLISH_THIS : KOLO_PUBLISH_ON);
}

static void count_timed(kolo_publisher *publisher)
{
    publisher->spent += publisher->now_ns() - publisher->now.start_ns;
    publisher->bytes += publisher->now.bytes;
    if (publisher->bytes < COMPARED_BYTES)
        return;
    publisher->ns[publisher->phase] = (double)publisher->spent / (double)publisher->bytes;
    if (publisher->phase == KOLO_PUBLISH_THIS)
        enter(publisher, KOLO_PUBLISH_THAT);
    else
        judge(publisher);
}

static void count(kolo_publisher *publisher)
{
    publisher->bytes += publisher->now.bytes;
    if (publisher->bytes >= INTERVAL_BYTES)
        enter(publisher, KOLO_PUBLISH_THIS);
}

void kolo_publish_begin(kolo_publisher *publisher, size_t bytes)
{
    bool is_short = publisher->now_ns == NULL || bytes < LEAST_BYTES;
    publisher->now.bytes = bytes;
    publisher->now.timed = !is_short && bytes >= TIMED_BYTES && publisher->phase != KOLO_PUBLISH_ON;
    publisher->now.around =
        !is_short && publisher->around ^ (publisher->now.timed && publisher->phase == KOLO_PUBLISH_THAT);
    if (publisher->now.timed)
        publisher->now.start_ns = publisher->now_ns();
}

void kolo_publish_piece(const kolo_publisher *publisher, void *dst, const void *src, size_t bytes)
{
    if (publisher->now.around)
        kolo_reduce_copy_around(dst, src, bytes);
    else
        kolo_reduce_copy(dst, src, bytes);
}

void kolo_publish_end(kolo_publisher *publisher)
{
    if (publisher->now.around)
        kolo_reduce_end_around();
    if (publisher->now.timed)
        count_timed(publisher);
    else if (publisher->now_ns != NULL && publisher->now.bytes >= LEAST_BYTES && publisher->phase == KOLO_PUBLISH_ON)
        count(publisher);
}

void kolo_publish(kolo_publisher *publisher, void *dst, const void *src, size_t bytes)
{
    kolo_publish_begin(publisher, bytes);
    kolo_publish_piece(publisher, dst, src, bytes);
    kolo_publish_end(publisher);
}
