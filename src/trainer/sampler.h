/* sampler.h - which samples a rank draws in a step.
 *
 * The order of an epoch is a permutation of all samples that depends on the seed and the epoch alone. Step s takes
 * the next batch * ranks of them, and cuts them into one contiguous share per rank, the first ranks getting one more
 * where the last batch does not divide. So every rank makes the same number of steps, every sample is drawn once an
 * epoch, and the global batches are the same however many ranks share them.
 */
#ifndef KOLO_TRAINER_SAMPLER_H
#define KOLO_TRAINER_SAMPLER_H

#include <stdint.h>

#include "trainer/failure.h"

typedef struct train_sampler {
    uint32_t *order; /* owned; a permutation of 0 .. count - 1 */
    int64_t count;
    int64_t global_batch;
    int32_t rank;
    int32_t ranks;
} train_sampler;

/* One rank's part of one step. count may be 0. */
typedef struct train_share {
    const uint32_t *indices; /* in the sampler, until the next shuffle */
    int64_t count;
    int64_t global_count; /* of all ranks together; at least 1 */
} train_share;

/* count in 1..2^32-1 samples, batch per rank. */
bool train_sampler_init(train_sampler *sampler, int64_t count, int64_t batch, int32_t rank, int32_t ranks,
                        train_failure *failure);
void train_sampler_fini(train_sampler *sampler);

void train_sampler_shuffle(train_sampler *sampler, uint64_t seed, uint64_t epoch);

int64_t train_sampler_steps(const train_sampler *sampler);

/* step in 0 .. steps - 1 */
train_share train_sampler_share(const train_sampler *sampler, int64_t step);

/* Which part of count things is rank's; the first count % ranks get one more. Also used for the evaluation. */
void train_split(int64_t count, int32_t ranks, int32_t rank, int64_t *first, int64_t *part);

#endif
