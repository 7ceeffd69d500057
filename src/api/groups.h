/* groups.h - all-reduces of a list of tensors. */
#ifndef KOLO_API_GROUPS_H
#define KOLO_API_GROUPS_H

#include "api/context.h"

/* Of args.tensors, which is not 0. */
KOLO_NODISCARD kolo_status kolo_group_run(kolo_context *ctx, const kolo_args *args, kolo_request **request);

#endif
