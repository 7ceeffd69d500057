/* kolo_backend.h - Kolo behind the harness's backend interface. */
#ifndef PERF_KOLO_BACKEND_H
#define PERF_KOLO_BACKEND_H

#include "backend.h"

#include <kolo/kolo.h>

typedef struct kolo_backend kolo_backend;

/* NULL when out of memory. ctx stays the caller's, and outlives it. */
kolo_backend *kolo_backend_create(kolo_context *ctx, perf_backend *backend);
void kolo_backend_destroy(kolo_backend *self);

/* Prints Kolo's last error in this thread: which call, and its sentence. Always false. */
bool kolo_backend_report(kolo_context *ctx, const char *call);

#endif
