/* sampler.c - shuffles by Fisher and Yates, and cuts global batches into shares. */
#include "trainer/sampler.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/random.h"

bool train_sampler_init(train_sampler *sampler, int64_t count, int64_t batch, int32_t rank, int32_t ranks,
                        train_failure *failure)
{
    *sampler = (train_sampler){.count = count, .global_batch = batch * ranks, .rank = rank, .ranks = ranks};
    sampler->order = malloc((size_t)count * sizeof *sampler->order);
    if (sampler->order == NULL)
        return train_fail(failure, "out of memory for the order of %" PRId64 " samples", count);
    train_sampler_shuffle(sampler, 0, 0);
    return true;
}

void train_sampler_fini(train_sampler *sampler)
{
    free(sampler->order);
    memset(sampler, 0, sizeof *sampler);
}

void train_sampler_shuffle(train_sampler *sampler, uint64_t seed, uint64_t epoch)
{
    train_random random = train_random_stream(seed, UINT64_C(0x6f72646572) + epoch);
    uint32_t *order = sampler->order;

    for (int64_t i = 0; i < sampler->count; i++)
        order[i] = (uint32_t)i;
    for (int64_t i = sampler->count - 1; i > 0; i--) {
        uint32_t other = train_random_below(&random, (uint32_t)(i + 1));
        uint32_t swapped = order[i];

        order[i] = order[other];
        order[other] = swapped;
    }
}

int64_t train_sampler_steps(const train_sampler *sampler)
{
    return (sampler->count + sampler->global_batch - 1) / sampler->global_batch;
}

train_share train_sampler_share(const train_sampler *sampler, int64_t step)
{
    int64_t begin = step * sampler->global_batch;
    int64_t left = sampler->count - begin;
    train_share share = {.global_count = left < sampler->global_batch ? left : sampler->global_batch};
    int64_t first;

    train_split(share.global_count, sampler->ranks, sampler->rank, &first, &share.count);
    share.indices = sampler->order + begin + first;
    return share;
}

void train_split(int64_t count, int32_t ranks, int32_t rank, int64_t *first, int64_t *part)
{
    int64_t base = count / ranks;
    int64_t longer = count % ranks;

    *first = rank * base + (rank < longer ? rank : longer);
    *part = base + (rank < longer ? 1 : 0);
}
