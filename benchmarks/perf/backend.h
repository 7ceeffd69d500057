/* backend.h - the library under test, as the harness sees it. kolo-perf has one for Kolo, each peer's driver one of its
 * own; everything else (sizes, buffers, clock, statistics, output) is the same code for all, so that figures can be
 * compared. */
#ifndef PERF_BACKEND_H
#define PERF_BACKEND_H

#include "options.h"

/* One iteration: `tensors` operations of the same kind, on consecutive pieces of the buffers. */
typedef struct perf_call {
    perf_op op;
    perf_type type;
    perf_redop redop;
    int root;
    bool in_place;
    bool async; /* start all, then wait for all; else one synchronous call (tensors is 1) */
    int tensors;
    int64_t count;  /* elements of one whole tensor */
    int64_t offset; /* this rank's slice of it: what it brings to an all-gather, and takes from a reduce-scatter */
    int64_t slice_count;
    char *input;  /* out of place only; tensor k is at input + k * stride */
    char *output; /* in place, a slice is at its offset; out of place, it is at the front */
    size_t stride;
} perf_call;

typedef enum perf_combine { PERF_COMBINE_MAX, PERF_COMBINE_SUM } perf_combine;

/* Every function answers false when it failed, after saying why on stderr. `self` is the backend's own. */
typedef struct perf_backend {
    void *self;
    const char *program; /* for error messages */
    const char *name;    /* of the library, for the output's first line */
    const char *version;
    int rank;
    int ranks;
    bool one_host; /* all ranks read the same monotonic clock */

    /* What execute() will do until finish(). *call may go away, the memory it points to stays. */
    bool (*prepare)(void *self, const perf_call *call);
    /* Lets go of what prepare() made of that memory, also after a failure. NULL: nothing of it stays. */
    void (*finish)(void *self);
    /* One iteration: returns when its results may be read. This is what the clock measures. */
    bool (*execute)(void *self);
    bool (*barrier)(void *self);
    /* values[i] = the largest, or the sum, over all ranks. */
    bool (*combine)(void *self, perf_combine how, double *values, size_t count);
    /* Memory of the library's own (--buffers kolo), page aligned; NULL where there is no such thing. */
    bool (*allocate)(void *self, size_t bytes, void **memory);
    void (*release)(void *self, void *memory);
} perf_backend;

#endif
