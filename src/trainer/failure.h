/* failure.h - why something failed, as one sentence for the user: what happened, where, and what to do. */
#ifndef KOLO_TRAINER_FAILURE_H
#define KOLO_TRAINER_FAILURE_H

#include <stdbool.h>

#include <kolo/types.h>

typedef struct train_failure {
    char text[1024];
} train_failure;

/* Writes the sentence (cut where it is too long) and answers false, so that a failing function ends with
 *     return train_fail(failure, "%s: ...", path); */
bool train_fail(train_failure *failure, const char *format, ...) KOLO_PRINTF(2, 3);

#endif
