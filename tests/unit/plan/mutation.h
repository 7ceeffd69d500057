/* mutation.h - breaks right schedules, and sees that the checker finds each break. */
#ifndef KOLO_TESTS_UNIT_PLAN_MUTATION_H
#define KOLO_TESTS_UNIT_PLAN_MUTATION_H

#include "unit/plan/layout.h"

/* One collective whose schedules are being broken, and put together again. */
typedef struct subject {
    layout layout;
    const kolo_algorithm *algorithm;
    kolo_schedule *schedules;
    size_t broken; /* breaks tried */
} subject;

/* Of layout and algorithm; the schedules are right. */
void subject_init(subject *s);
void subject_fini(subject *s);

/* Fails the test unless the checker finds something, in place or out of place, in the schedules as they are now. */
void expect_found(subject *s, int32_t rank, uint32_t step, const char *mutation);
void expect_right(const subject *s);

/* Puts `changed` in a step's place, looks, and puts the step back. */
void try_step(subject *s, int32_t rank, uint32_t index, kolo_step changed, const char *mutation);

/* Takes a step out of rank's chain, or puts it before the one before it; looks, and puts the chain together again. */
void try_without(subject *s, int32_t rank, uint32_t index, const char *mutation);
void try_earlier(subject *s, int32_t rank, uint32_t index, const char *mutation);

/* Drops each dependency that others do not imply. */
void drop_dependencies(subject *s);

#endif
