/* idx.h - reads one file of the IDX format (the MNIST family's), gzipped or raw.
 *
 * Format, big-endian: two zero bytes, a type byte (8: unsigned byte), the number of dimensions, one 32-bit size per
 * dimension, then the elements. Everything is checked, and trailing bytes are an error: half a download must not
 * train.
 */
#ifndef KOLO_TRAINER_IDX_H
#define KOLO_TRAINER_IDX_H

#include <stdint.h>

#include "trainer/failure.h"

enum { TRAIN_IDX_MAX_DIMS = 3 };

typedef struct train_idx {
    uint32_t dims[TRAIN_IDX_MAX_DIMS];
    uint64_t count; /* elements: the product of the dimensions */
    uint8_t *data;  /* owned */
} train_idx;

/* Reads path, which must hold unsigned bytes in exactly ndim (1..3) dimensions, none of them 0. On failure *idx is
 * left zeroed. */
bool train_idx_read(const char *path, uint32_t ndim, train_idx *idx, train_failure *failure);

void train_idx_fini(train_idx *idx);

#endif
