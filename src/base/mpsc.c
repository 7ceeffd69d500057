/* mpsc.c - Vyukov's bounded queue.
 *
 * Every cell carries the position that it waits for. With P the position of a push or pop, and cell P mod capacity:
 *   sequence == P                the cell is free for the push number P
 *   sequence == P + 1            it holds the item of push number P, for the pop number P
 *   sequence == P + capacity     that was popped; free for the push one round later
 * A producer claims a position by moving `tail`, then publishes by the release store of the sequence. The
 * consumer's acquire load of it makes everything the producer did before visible. */
#include "base/mpsc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"

enum { LINE = 64 };

typedef struct cell {
    atomic_size_t sequence;
    void *item;
} cell;

/* What never changes, what producers fight for, and what the consumer writes lie on lines of their own. */
struct kolo_mpsc {
    _Alignas(LINE) size_t mask;
    cell *cells;
    _Alignas(LINE) atomic_size_t tail; /* next push */
    _Alignas(LINE) atomic_size_t head; /* next pop; written by the consumer only */
};

kolo_status kolo_mpsc_create(size_t capacity, kolo_mpsc **queue)
{
    if (capacity == 0 || capacity > SIZE_MAX / (4 * sizeof(cell)))
        return kolo_fail(KOLO_ERR_INVALID, "a queue can't hold %zu items; ask for 1 to %zu", capacity,
                         SIZE_MAX / (4 * sizeof(cell)));
    size_t slots = 2; /* with one cell, "pushed" and "free for the next round" would be the same number */
    while (slots < capacity)
        slots *= 2;
    kolo_mpsc *created = aligned_alloc(LINE, sizeof(*created));
    cell *cells = aligned_alloc(LINE, (slots * sizeof(cell) + LINE - 1) / LINE * LINE);
    if (created == NULL || cells == NULL) {
        free(created);
        free(cells);
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a queue of %zu items", slots);
    }
    for (size_t i = 0; i < slots; i++)
        atomic_init(&cells[i].sequence, i);
    created->mask = slots - 1;
    created->cells = cells;
    atomic_init(&created->tail, 0);
    atomic_init(&created->head, 0);
    *queue = created;
    return KOLO_OK;
}

void kolo_mpsc_destroy(kolo_mpsc *queue)
{
    if (queue == NULL)
        return;
    free(queue->cells);
    free(queue);
}

bool kolo_mpsc_push(kolo_mpsc *queue, void *item)
{
    size_t position = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    for (;;) {
        cell *slot = &queue->cells[position & queue->mask];
        size_t sequence = atomic_load_explicit(&slot->sequence, memory_order_acquire);
        if (sequence == position) {
            if (atomic_compare_exchange_weak_explicit(&queue->tail, &position, position + 1, memory_order_seq_cst,
                                                      memory_order_relaxed)) {
                slot->item = item;
                atomic_store_explicit(&slot->sequence, position + 1, memory_order_release);
                return true;
            }
        } else if ((intptr_t)(sequence - position) < 0) {
            return false; /* the item of one round ago is still there */
        } else {
            position = atomic_load_explicit(&queue->tail, memory_order_relaxed); /* another producer was faster */
        }
    }
}

void *kolo_mpsc_pop(kolo_mpsc *queue)
{
    size_t position = atomic_load_explicit(&queue->head, memory_order_relaxed);
    cell *slot = &queue->cells[position & queue->mask];
    if (atomic_load_explicit(&slot->sequence, memory_order_acquire) != position + 1)
        return NULL;
    void *item = slot->item;
    atomic_store_explicit(&queue->head, position + 1, memory_order_release);
    atomic_store_explicit(&slot->sequence, position + queue->mask + 1, memory_order_release);
    return item;
}

size_t kolo_mpsc_pushed(const kolo_mpsc *queue)
{
    return atomic_load_explicit(&queue->tail, memory_order_seq_cst);
}

/* The head first: the tail is never behind it. More may be popped and pushed in between. */
size_t kolo_mpsc_length(const kolo_mpsc *queue)
{
    size_t head = atomic_load_explicit(&queue->head, memory_order_acquire);
    return atomic_load_explicit(&queue->tail, memory_order_relaxed) - head;
}
