/* exchange.h - everything kolo-train says to the other ranks, through kolo.h.
 *
 * All functions but the first and the last four are collective: every rank calls them in the same order. Those that
 * answer false have written why to failure. When Kolo itself failed, `broken` is set: the job cannot go on, and this
 * rank should leave without kolo_finalize, which would wait for ranks that do not come.
 */
#ifndef KOLO_TRAINER_EXCHANGE_H
#define KOLO_TRAINER_EXCHANGE_H

#include <stdint.h>

#include <kolo/kolo.h>

#include "trainer/failure.h"
#include "trainer/model.h"

typedef struct train_exchange {
    kolo_context *ctx;
    int32_t rank;
    int32_t ranks;
    bool broken;
    kolo_request *layers[TRAIN_MAX_LAYERS]; /* NULL, or prepared: of each layer's gradient */
} train_exchange;

/* Joins the job that the environment describes. */
bool train_exchange_init(train_exchange *exchange, train_failure *failure);

/* Waits for the others, and leaves. */
bool train_exchange_fini(train_exchange *exchange, train_failure *failure);

/* True if ok on every rank. Otherwise false on every rank, and only the lowest failing rank keeps its failure's text,
 * so that one rank reports it. */
bool train_exchange_agree(train_exchange *exchange, bool ok, train_failure *failure);

/* True if value is the same on every rank; else as train_exchange_agree. what: "rank 3 has <what> than rank 0". */
bool train_exchange_same(train_exchange *exchange, uint32_t value, const char *what, train_failure *failure);

/* In place, over all ranks: rank 0's values, sums, everybody's records (all[ranks], with this rank's filled in). */
bool train_exchange_broadcast_floats(train_exchange *exchange, float *values, int64_t count, train_failure *failure);
bool train_exchange_broadcast_integers(train_exchange *exchange, int64_t *values, int64_t count,
                                       train_failure *failure);
bool train_exchange_sum_integers(train_exchange *exchange, int64_t *values, int64_t count, train_failure *failure);
bool train_exchange_gather(train_exchange *exchange, void *all, size_t record_bytes, train_failure *failure);

/* Starts to sum layer's gradient over all ranks, in place, where train_exchange_prepare_layer said that it is; the values
 * must rest until train_exchange_wait_layer. */
bool train_exchange_reduce_layer(train_exchange *exchange, int32_t layer, train_failure *failure);
bool train_exchange_wait_layer(train_exchange *exchange, int32_t layer, train_failure *failure);

/* One step of whatever is under way; not collective. */
bool train_exchange_progress(train_exchange *exchange, train_failure *failure);

/* Where layer's gradient is, once for all steps; and the end of it, for all layers. Not collective. */
bool train_exchange_prepare_layer(train_exchange *exchange, int32_t layer, float *values, int64_t count,
                                  train_failure *failure);
void train_exchange_drop_layers(train_exchange *exchange);

/* Zeroed floats that the transports reach without a copy; they live until train_exchange_fini. Not collective. */
bool train_exchange_alloc(train_exchange *exchange, int64_t count, float **values, train_failure *failure);

#endif
