/* replay.h - tests over many seeds. One that fails prints its seed: SIM_SEED=n runs that one alone, SIM_SEEDS=n so many. */
#ifndef KOLO_TESTS_SIM_REPLAY_H
#define KOLO_TESTS_SIM_REPLAY_H

#include <stdint.h>

/* Runs seeds 1 to `count`, or what the environment asks for. */
void replay_seeds(uint64_t count, void (*run)(uint64_t seed));

/* A test's teardown: after a failure, tells the seed that was running. */
int replay_tell(void **state);

#endif
