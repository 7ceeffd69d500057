/* publish.h - copies into memory that other cores read next.
 *
 * Two ways lead there. Through the caches: where cores share one, what is written is read from there. Around them
 * (non-temporal stores): where they share none, every line that is written must first be taken back from those who have
 * read what was in it before, and that takes longer than memory does. Which of them it is may change while a program
 * runs: a virtual machine's cores move. So a publisher times its copies now and then, goes the other way for some of
 * them, and changes over if that takes clearly less. The bytes are the same.
 *
 *     compare: this way ──► that way ──► this one is better, INTERVAL_BYTES without looking ──► compare
 *                                 └────► that one is, twice: change over
 *
 * Either way, whoever sees a flag that is stored afterwards, with release order, sees the copy. */
#ifndef KOLO_REDUCE_PUBLISH_H
#define KOLO_REDUCE_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum kolo_publisher_phase { KOLO_PUBLISH_THIS, KOLO_PUBLISH_THAT, KOLO_PUBLISH_ON } kolo_publisher_phase;

/* All zeros but for the clock is a beginning. One thread at a time. */
typedef struct kolo_publisher {
    int64_t (*now_ns)(void); /* NULL: always through the caches */
    bool around;             /* the way it goes */
    bool doubts;             /* the last comparison was in favour of the other one */
    kolo_publisher_phase phase;
    size_t bytes;  /* in this phase */
    double ns[2];  /* per byte, in the first two phases */
    int64_t spent; /* ns in this phase */
    struct {       /* the copy that has begun */
        size_t bytes;
        bool around, timed;
        int64_t start_ns;
    } now;
} kolo_publisher;

/* A copy of so many bytes, in pieces that go the same way; or in one. As kolo_reduce_copy, but dst is not src. */
void kolo_publish_begin(kolo_publisher *publisher, size_t bytes);
void kolo_publish_piece(const kolo_publisher *publisher, void *dst, const void *src, size_t bytes);
void kolo_publish_end(kolo_publisher *publisher);
void kolo_publish(kolo_publisher *publisher, void *dst, const void *src, size_t bytes);

#endif
