/* publish.c - see publish.h. */
#include "reduce/publish.h"

#include "reduce/reduce.h"

/* Shorter copies go through the caches: both ways take as long. What is compared is long enough that stores do not just
 * queue up behind the clock, and short enough that the slower way costs a percent or two. */
enum { LEAST_BYTES = 4096, COMPARED_BYTES = 128 * 1024, INTERVAL_BYTES = 16 * 1024 * 1024 };

/* Readers are not timed; where writing takes about as long, they are better off with what is in the caches. */
#define CLEARLY_LESS 0.6

static void copy(bool around, void *dst, const void *src, size_t bytes)
{
    if (around)
        kolo_reduce_copy_around(dst, src, bytes);
    else
        kolo_reduce_copy(dst, src, bytes);
}

static void begin(kolo_publisher *publisher, kolo_publisher_phase phase)
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
    begin(publisher, publisher->doubts ? KOLO_PUBLISH_THIS : KOLO_PUBLISH_ON);
}

static void compare(kolo_publisher *publisher, void *dst, const void *src, size_t bytes)
{
    int64_t start_ns = publisher->now_ns();
    copy(publisher->around ^ (publisher->phase == KOLO_PUBLISH_THAT), dst, src, bytes);
    publisher->spent += publisher->now_ns() - start_ns;
    publisher->bytes += bytes;
    if (publisher->bytes < COMPARED_BYTES)
        return;
    publisher->ns[publisher->phase] = (double)publisher->spent / (double)publisher->bytes;
    if (publisher->phase == KOLO_PUBLISH_THIS)
        begin(publisher, KOLO_PUBLISH_THAT);
    else
        judge(publisher);
}

void kolo_publish(kolo_publisher *publisher, void *dst, const void *src, size_t bytes)
{
    if (publisher->now_ns == NULL || bytes < LEAST_BYTES) {
        kolo_reduce_copy(dst, src, bytes);
        return;
    }
    if (publisher->phase != KOLO_PUBLISH_ON) {
        compare(publisher, dst, src, bytes);
        return;
    }
    copy(publisher->around, dst, src, bytes);
    publisher->bytes += bytes;
    if (publisher->bytes >= INTERVAL_BYTES)
        begin(publisher, KOLO_PUBLISH_THIS);
}
