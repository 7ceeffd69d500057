/* random.h - seeded random numbers: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), several streams from one seed. */
#ifndef KOLO_TRAINER_RANDOM_H
#define KOLO_TRAINER_RANDOM_H

#include <stdint.h>

typedef struct train_random {
    uint64_t state;
} train_random;

static inline uint64_t train_random_next(train_random *random)
{
    uint64_t z = (random->state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The stream-th stream of seed. Both are mixed, so that (seed 1, stream 2) and (seed 2, stream 1) have nothing in
 * common. */
static inline train_random train_random_stream(uint64_t seed, uint64_t stream)
{
    train_random random = {.state = seed};

    random.state = train_random_next(&random) ^ stream;
    random.state = train_random_next(&random);
    return random;
}

/* Uniform in [0, bound), bound > 0: multiply and shift, whose bias (< 2^-32 for 32-bit bounds) does not matter here.
 */
static inline uint32_t train_random_below(train_random *random, uint32_t bound)
{
    return (uint32_t)(((train_random_next(random) >> 32) * bound) >> 32);
}

/* Uniform in [-1, 1). */
static inline float train_random_signed(train_random *random)
{
    return (float)((double)(train_random_next(random) >> 11) * 0x1.0p-52 - 1.0);
}

#endif
