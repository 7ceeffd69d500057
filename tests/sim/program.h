/* program.h - random programs of callers (callers.h): who does its next round in which way, when it looks, gives up looking, or
 * is stepped. */
#ifndef KOLO_TESTS_SIM_PROGRAM_H
#define KOLO_TESTS_SIM_PROGRAM_H

#include "sim/callers.h"

/* Describes a caller's next round, or only fills it; may prepare. */
typedef void (*program_describe_fn)(caller *c, uint64_t seed);
/* Each of `count` callers does so many rounds. Fails the test after too many moves; ends with all ranks idle. */
void program_run(caller *callers, int32_t count, int64_t rounds, uint64_t seed, program_describe_fn describe);

/* The name of the caller's next round, one of three, the same on all ranks; *epoch: random numbers that stay the same for some
 * rounds of a name, then change. */
const char *program_draw_name(const caller *c, uint64_t seed, kolo_rng *epoch);

#endif
