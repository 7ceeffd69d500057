/* checkpoint.h - the state of a training in one file, to continue from bit-identically.
 *
 * Format, little-endian:
 *
 *     0  magic "KOLOTRN\n"       32  optimizer steps, u64            56  sizes, u32 x 17, zero-filled
 *     8  version, u32            40  bytes of the whole file, u64   124  zero, u32
 *    12  optimizer kind, u32     48  layer count, u32               128  parameters, float32
 *    16  seed, u64               52  state count, u32                    the optimizer's state vectors, float32
 *    24  epochs done, u64                                           end  CRC-32 of everything before it, u32
 *
 * Written to FILE.tmp, synced, and renamed over FILE: whenever the power fails, FILE is whole, old or new.
 */
#ifndef KOLO_TRAINER_CHECKPOINT_H
#define KOLO_TRAINER_CHECKPOINT_H

#include <stdint.h>

#include "trainer/failure.h"
#include "trainer/model.h"
#include "trainer/optimizer.h"

/* What is saved and restored. The model, the optimizer's kind and the seed are compared on reading, not replaced. */
typedef struct train_checkpoint {
    const train_model *model;
    train_optimizer *optimizer; /* its state and step count */
    float *parameters;          /* a whole vector */
    uint64_t seed;
    int64_t epochs_done;
} train_checkpoint;

/* On failure the old file, if any, is still there. */
bool train_checkpoint_write(const train_checkpoint *checkpoint, const char *path, train_failure *failure);

/* On failure nothing in *checkpoint or what it points to has changed. */
bool train_checkpoint_read(train_checkpoint *checkpoint, const char *path, train_failure *failure);

/* Writes bytes to path atomically, as above; also used for the final parameters. */
bool train_file_replace(const char *path, const void *data, size_t bytes, train_failure *failure);

/* Whether train_file_replace() could write path now; to be asked before hours of work. Changes nothing at path. */
bool train_file_check(const char *path, train_failure *failure);

#endif
