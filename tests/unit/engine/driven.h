/* driven.h - a job around a driver: one rank, where everything completes at once; or two, of which the other never answers. */
#ifndef TESTS_UNIT_ENGINE_DRIVEN_H
#define TESTS_UNIT_ENGINE_DRIVEN_H

#include "unit/engine/made.h"

#include "base/log.h"
#include "engine/driver.h"

enum { JOB_QUEUE = 16 };

typedef struct job {
    kolo_engine *engine;
    kolo_driver *driver;
    kolo_transport_ops ops;
    kolo_log log;
    _Atomic int lines;
} job;

/* spin_ns: of callers and of the thread; 0: they share a core. */
void job_start(job *j, int32_t size, int64_t spin_ns);
void job_stop(job *j);
kolo_request *job_submit(job *j, const made_options *options, bool caller_drives);

/* Blocks until fd is readable; fails the test after a minute. */
void job_wait_readable(int fd);

#endif
