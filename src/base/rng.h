/* rng.h - seeded random numbers, for whoever is handed a seed: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
#ifndef KOLO_BASE_RNG_H
#define KOLO_BASE_RNG_H

#include <stdint.h>

typedef struct kolo_rng {
    uint64_t state;
} kolo_rng;

static inline uint64_t kolo_rng_next(kolo_rng *rng)
{
    uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform in [0, bound); bound > 0. The bias of the plain remainder (< 2^-32 for small bounds) does not matter here. */
static inline uint64_t kolo_rng_below(kolo_rng *rng, uint64_t bound)
{
    return kolo_rng_next(rng) % bound;
}

/* Uniform in [0, 1). */
static inline double kolo_rng_unit(kolo_rng *rng)
{
    return (double)(kolo_rng_next(rng) >> 11) * 0x1.0p-53;
}

#endif
