/* made.h - requests and descriptions, made in one line. */
#ifndef TESTS_UNIT_ENGINE_MADE_H
#define TESTS_UNIT_ENGINE_MADE_H

#include "unit/base/cmocka_all.h"

#include "base/rng.h"
#include "engine/request.h"

/* A request for one tensor; what is left zero is the usual: name "t", all-reduce, sum, float32, factors 1.
 * The caller holds one reference. */
typedef struct made_options {
    const char *name;
    kolo_operation operation; /* factors 0: 1 */
    const void *input;        /* NULL: in place */
    void *output;
    int64_t count;
    kolo_dtype_id type;
    int64_t timeout_ns; /* 0: no deadline; else deadline_ns */
    uint64_t flags;
    kolo_done_fn done;
    void *user;
} made_options;
kolo_request *made_request(const made_options *options);

/* An all-reduce of `pieces` float32 tensors, piece i of shape [first + i]. */
kolo_request *made_group(const char *name, size_t pieces, int64_t first);

/* A fresh heap copy of exactly size bytes, so that the address sanitizer sees the first byte read beyond. */
uint8_t *made_copy(const void *bytes, size_t size);
/* Overwrites 1 to 4 bytes. */
void made_mutate(uint8_t *bytes, size_t size, kolo_rng *rng);

/* Fails the test unless the thread's last error has this status and the text in its message. */
void made_expect_error(kolo_status got, kolo_status expected, const char *text);

#endif
