/* mpsc.h - a bounded queue of pointers: many producers, one consumer, no locks.
 *
 * Dmitry Vyukov's bounded MPMC queue (1024cores.net, "Bounded MPMC queue"), with the consumer side reduced to one
 * thread at a time. A push is one compare-and-swap and one store. */
#ifndef KOLO_BASE_MPSC_H
#define KOLO_BASE_MPSC_H

#include <kolo/types.h>
#include <stdbool.h>

typedef struct kolo_mpsc kolo_mpsc;

/* At least capacity items (>= 1), rounded up to a power of two. KOLO_ERR_INVALID, KOLO_ERR_MEMORY. */
KOLO_NODISCARD kolo_status kolo_mpsc_create(size_t capacity, kolo_mpsc **queue);
void kolo_mpsc_destroy(kolo_mpsc *queue);

/* False when full. Any thread. */
bool kolo_mpsc_push(kolo_mpsc *queue, void *item);
/* NULL when empty. One thread at a time. */
void *kolo_mpsc_pop(kolo_mpsc *queue);
/* How many were pushed, ever; an item counts before pop can answer it. Any thread; sequentially consistent. */
size_t kolo_mpsc_pushed(const kolo_mpsc *queue);
/* How many are in it about now; a hint, to any thread: while others push and pop, it may be too high. */
size_t kolo_mpsc_length(const kolo_mpsc *queue);

#endif
