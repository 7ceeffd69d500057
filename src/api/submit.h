/* submit.h - the way that every operation goes, once its arguments are checked. operations.c */
#ifndef KOLO_API_SUBMIT_H
#define KOLO_API_SUBMIT_H

#include "api/context.h"
#include "engine/request.h"

/* All but the tensors, and without a name where args have none. */
kolo_request_spec kolo_submit_spec(const kolo_context *ctx, const kolo_args *args, const kolo_operation *operation);

/* Queues the operation; request NULL: and waits until it is over. */
KOLO_NODISCARD kolo_status kolo_submit(kolo_context *ctx, const kolo_args *args, const kolo_operation *operation,
                                       const kolo_piece *pieces, const int32_t *ndims, const int64_t *const *shapes,
                                       kolo_request **request);

/* What only the API knows is added to the thread's error, where the engine has not said it: the operation, and the name
 * once it is known that it can be read. Both answer status. */
kolo_status kolo_submit_failed(kolo_status status, const char *operation);
kolo_status kolo_submit_named(kolo_status status, const char *name);

#endif
