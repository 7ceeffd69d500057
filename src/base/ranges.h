/* ranges.h - which parts of a stretch are taken: first fit, in offsets alone. Who shares one brings a lock. */
#ifndef KOLO_BASE_RANGES_H
#define KOLO_BASE_RANGES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct kolo_range {
    size_t offset, bytes;
} kolo_range;

typedef struct kolo_ranges {
    size_t size;       /* of the stretch */
    kolo_range *taken; /* ascending. What lies between is free, so there is nothing to merge */
    size_t count, capacity;
} kolo_ranges;

void kolo_ranges_init(kolo_ranges *ranges, size_t size);
void kolo_ranges_fini(kolo_ranges *ranges);
/* Takes the first free bytes at a multiple of unit (a power of two); *bytes (> 0) is rounded up to whole units. False:
 * no such place, or no memory to note it; then nothing has changed. */
bool kolo_ranges_take(kolo_ranges *ranges, size_t unit, size_t *bytes, size_t *offset);
/* How many bytes were taken at offset; 0: no range begins there. */
size_t kolo_ranges_at(const kolo_ranges *ranges, size_t offset);
/* The stretch around the range that begins at offset in which nothing else is taken. */
void kolo_ranges_around(const kolo_ranges *ranges, size_t offset, size_t *begin, size_t *end);
/* Gives back the range that begins at offset. */
void kolo_ranges_give(kolo_ranges *ranges, size_t offset);

#endif
