/* jobs.h - one job of Kolo for each algorithm, all of the same processes: so that algorithms can be measured in turn,
 * within the same milliseconds. */
#ifndef REGRET_JOBS_H
#define REGRET_JOBS_H

#include <kolo/kolo.h>
#include <stdbool.h>

enum { JOBS_MAX = 6 };

/* Joins one job with variable=values[i] in the environment for each value; "auto" should be the first. False after a
 * message. */
bool jobs_join(const char *variable, const char *const *values, int count, kolo_context **jobs);
bool jobs_leave(kolo_context **jobs, int count);

/* False after a message: "kolo-regret: rank R: what: why". */
bool jobs_try(const kolo_context *job, const char *what, kolo_status status);

#endif
