/* replay.c - see replay.h. */
#include "sim/replay.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t running; /* 0: none */

void replay_seeds(uint64_t count, void (*run)(uint64_t seed))
{
    const char *one = getenv("SIM_SEED"), *many = getenv("SIM_SEEDS");
    uint64_t first = one != NULL ? strtoull(one, NULL, 10) : 1;
    uint64_t seeds = one != NULL ? 1 : many != NULL ? strtoull(many, NULL, 10) : count;
    for (running = first; running < first + seeds; running++)
        run(running);
    running = 0;
}

int replay_tell(void **state)
{
    (void)state;
    if (running != 0)
        fprintf(stderr, "replay with SIM_SEED=%llu\n", (unsigned long long)running);
    running = 0;
    return 0;
}
