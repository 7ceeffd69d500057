/* buffers.h - the memory of a run: allocated once for its largest size, filled and checked for every case. */
#ifndef PERF_BUFFERS_H
#define PERF_BUFFERS_H

#include "backend.h"

typedef struct perf_memory {
    const perf_backend *backend;
    bool from_backend; /* input and output are the library's own memory */
    char *input;
    char *output;
    char *pristine; /* what inputs are rewritten from */
    size_t bytes;   /* of each */
} perf_memory;

/* Distance of the tensors of one iteration: a whole number of cache lines. */
size_t perf_buffers_stride(int64_t tensor_bytes);

/* Three buffers of `bytes` each, every page touched. False on failure, which it reports; then there is nothing to fini.
 */
bool perf_buffers_init(perf_memory *memory, const perf_backend *backend, perf_buffers kind, size_t bytes);
void perf_buffers_fini(perf_memory *memory);

/* Fills the pristine copy with the inputs of `call` for this seed. */
void perf_buffers_fill(const perf_memory *memory, const perf_call *call, uint64_t seed);

/* Copies the pristine inputs to where `call` reads them. */
void perf_buffers_rewrite(const perf_memory *memory, const perf_call *call);

/* Overwrites what `call` is to write, and is not also its input, so that a result that was never written is found. */
void perf_buffers_poison(const perf_memory *memory, const perf_call *call);

/* How many elements of this rank's results are wrong, for inputs filled with this seed. */
int64_t perf_buffers_count_wrong(const perf_memory *memory, const perf_call *call, uint64_t seed);

#endif
