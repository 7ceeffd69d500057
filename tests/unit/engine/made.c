/* made.c - requests and descriptions for tests. */
#include "unit/engine/made.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static double factor(double given)
{
    return given < 0.0 || given > 0.0 ? given : 1.0;
}

kolo_request *made_request(const made_options *options)
{
    kolo_piece piece = {.input = options->input != NULL ? options->input : options->output,
                        .output = options->output,
                        .count = options->count,
                        .type = options->type};
    const int32_t ndim = 1;
    const int64_t *shape = &options->count;
    kolo_request_spec spec = {
        .name = options->name != NULL ? options->name : "t",
        .operation = options->operation,
        .pieces = &piece,
        .ndims = &ndim,
        .shapes = &shape,
        .timeout_ns = options->timeout_ns,
        .flags = options->flags,
        .done = options->done,
        .user = options->user,
    };
    spec.operation.prescale = factor(spec.operation.prescale);
    spec.operation.postscale = factor(spec.operation.postscale);
    spec.operation.piece_count = spec.operation.collective == KOLO_BARRIER ? 0 : 1;
    kolo_request *request = NULL;
    assert_int_equal(kolo_request_create(&spec, 0, &request), KOLO_OK);
    return request;
}

kolo_request *made_group(const char *name, size_t pieces, int64_t first)
{
    kolo_piece *list = calloc(pieces, sizeof(*list));
    int32_t *ndims = calloc(pieces, sizeof(*ndims));
    int64_t *counts = calloc(pieces, sizeof(*counts));
    const int64_t **shapes = calloc(pieces, sizeof(*shapes));
    assert_true(list != NULL && ndims != NULL && counts != NULL && shapes != NULL);
    for (size_t i = 0; i < pieces; i++) {
        counts[i] = list[i].count = first + (int64_t)i;
        ndims[i] = 1;
        shapes[i] = &counts[i];
    }
    kolo_request_spec spec = {.name = name,
                              .operation = {.prescale = 1.0, .postscale = 1.0, .piece_count = pieces},
                              .pieces = list,
                              .ndims = ndims,
                              .shapes = shapes,
                              .timeout_ns = 0};
    kolo_request *request = NULL;
    assert_int_equal(kolo_request_create(&spec, 0, &request), KOLO_OK);
    free(list);
    free(ndims);
    free(counts);
    free(shapes);
    return request;
}

uint8_t *made_copy(const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    return copy;
}

void made_mutate(uint8_t *bytes, size_t size, kolo_rng *rng)
{
    for (uint64_t i = 0, n = 1 + kolo_rng_below(rng, 4); i < n; i++)
        bytes[kolo_rng_below(rng, size)] = (uint8_t)kolo_rng_next(rng);
}

void made_expect_error(kolo_status got, kolo_status expected, const char *text)
{
    const kolo_error *error = kolo_error_current();
    if (got != expected || error->status != expected)
        fail_msg("status %d (error %d), %d expected: %s", (int)got, (int)error->status, (int)expected, error->message);
    if (strstr(error->message, text) == NULL)
        fail_msg("'%s' is not in '%s'", text, error->message);
}
