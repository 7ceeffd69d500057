/* join.h - the steps of kolo_init and kolo_finalize. */
#ifndef KOLO_API_JOIN_H
#define KOLO_API_JOIN_H

#include "api/context.h"

/* Takes a STARTING shell to a running engine, or leaves nothing behind. */
KOLO_NODISCARD kolo_status kolo_context_join(kolo_context *ctx, const kolo_init_args *args);

/* Waits for own operations and for everybody, then takes everything down. The result is that of the waiting; everything
 * is gone either way. */
kolo_status kolo_context_leave(kolo_context *ctx);

#endif
