/* prices.h - the numbers that algorithms are chosen by: the same on all ranks of a job. */
#ifndef KOLO_API_PRICES_H
#define KOLO_API_PRICES_H

#include "api/context.h"
#include "bootstrap/rendezvous.h"

/* Reads what rank 0's KOLO_PRICES says, into ctx->prices and ctx->prices_wanted. KOLO_ERR_CONFIG, on all ranks alike. */
KOLO_NODISCARD kolo_status kolo_prices_choose(kolo_context *ctx, const char *text);

/* Measures, if that is wanted, and exchanges what was found: every rank takes the median. A rank that does not come
 * within KOLO_INIT_TIMEOUT is an error. spin_ns and crowd as kolo_fit wants them. Before the engine's first
 * step. */
KOLO_NODISCARD kolo_status kolo_prices_settle(kolo_context *ctx, kolo_rendezvous *rendezvous, kolo_bytes *all,
                                              int64_t spin_ns, int32_t crowd);

#endif
