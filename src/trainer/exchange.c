/* exchange.c - thin wrappers around kolo.h that turn its errors into the trainer's. */
#include "trainer/exchange.h"

#include <inttypes.h>
#include <stdio.h>

static bool fail_kolo(train_exchange *exchange, const char *what, const kolo_error *error, train_failure *failure)
{
    exchange->broken = true;
    return train_fail(failure, "%s failed: %s (%s)", what, error->message[0] != '\0' ? error->message : "no details",
                      kolo_status_name(error->status));
}

static bool check(train_exchange *exchange, kolo_status status, const char *what, train_failure *failure)
{
    return status == KOLO_OK || fail_kolo(exchange, what, kolo_last_error(), failure);
}

bool train_exchange_init(train_exchange *exchange, train_failure *failure)
{
    *exchange = (train_exchange){.rank = -1};
    if (!check(exchange, kolo_init(NULL, &exchange->ctx), "joining the job", failure))
        return false;
    exchange->rank = kolo_rank(exchange->ctx);
    exchange->ranks = kolo_size(exchange->ctx);
    return true;
}

bool train_exchange_fini(train_exchange *exchange, train_failure *failure)
{
    return check(exchange, kolo_finalize(exchange->ctx), "leaving the job", failure);
}

bool train_exchange_agree(train_exchange *exchange, bool ok, train_failure *failure)
{
    int32_t lowest = ok ? INT32_MAX : exchange->rank; /* the lowest failing rank */
    kolo_args args = KOLO_ARGS_INIT;

    args.name = "train.agree";
    args.output = KOLO_VECTOR(&lowest, 1, KOLO_INT32);
    args.op = KOLO_MIN;
    if (!check(exchange, kolo_allreduce(exchange->ctx, &args, NULL), "agreeing with the other ranks", failure))
        return false;
    if (lowest != INT32_MAX && lowest != exchange->rank)
        failure->text[0] = '\0';
    return lowest == INT32_MAX;
}

bool train_exchange_same(train_exchange *exchange, uint32_t value, const char *what, train_failure *failure)
{
    int64_t first = value; /* rank 0's, after the broadcast */

    if (!train_exchange_broadcast_integers(exchange, &first, 1, failure))
        return false;
    bool same = first == (int64_t)value;
    if (!same)
        (void)train_fail(failure, "rank %" PRId32 " has %s than rank 0", exchange->rank, what);
    return train_exchange_agree(exchange, same, failure);
}

static bool broadcast(train_exchange *exchange, kolo_tensor tensor, const char *name, train_failure *failure)
{
    kolo_args args = KOLO_ARGS_INIT;

    args.name = name;
    args.output = tensor;
    return check(exchange, kolo_broadcast(exchange->ctx, &args, NULL), "broadcasting from rank 0", failure);
}

bool train_exchange_broadcast_floats(train_exchange *exchange, float *values, int64_t count, train_failure *failure)
{
    return broadcast(exchange, KOLO_VECTOR(values, count, KOLO_FLOAT32), "train.floats", failure);
}

bool train_exchange_broadcast_integers(train_exchange *exchange, int64_t *values, int64_t count, train_failure *failure)
{
    return broadcast(exchange, KOLO_VECTOR(values, count, KOLO_INT64), "train.integers", failure);
}

bool train_exchange_sum_integers(train_exchange *exchange, int64_t *values, int64_t count, train_failure *failure)
{
    kolo_args args = KOLO_ARGS_INIT;

    args.name = "train.counts";
    args.output = KOLO_VECTOR(values, count, KOLO_INT64);
    args.op = KOLO_SUM;
    return check(exchange, kolo_allreduce(exchange->ctx, &args, NULL), "adding up the ranks' counts", failure);
}

bool train_exchange_gather(train_exchange *exchange, void *all, size_t record_bytes, train_failure *failure)
{
    kolo_args args = KOLO_ARGS_INIT;

    args.name = "train.records";
    args.output = KOLO_VECTOR(all, record_bytes * (size_t)exchange->ranks, KOLO_UINT8);
    return check(exchange, kolo_allgather(exchange->ctx, &args, NULL), "gathering the ranks' records", failure);
}

bool train_exchange_prepare_layer(train_exchange *exchange, int32_t layer, float *values, int64_t count,
                                  train_failure *failure)
{
    kolo_args args = KOLO_ARGS_INIT;
    char name[48];

    (void)snprintf(name, sizeof name, "train.gradient.%" PRId32, layer);
    args.name = name;
    args.output = KOLO_VECTOR(values, count, KOLO_FLOAT32);
    args.op = KOLO_SUM;
    if (kolo_prepare(exchange->ctx, &args, &exchange->layers[layer]) != KOLO_OK)
        return train_fail(failure, "cannot prepare to reduce a gradient: %s", kolo_last_error()->message);
    return true;
}

void train_exchange_drop_layers(train_exchange *exchange)
{
    for (int32_t k = 0; k < TRAIN_MAX_LAYERS; k++) {
        kolo_request_free(exchange->layers[k]);
        exchange->layers[k] = NULL;
    }
}

bool train_exchange_reduce_layer(train_exchange *exchange, int32_t layer, train_failure *failure)
{
    return check(exchange, kolo_start(exchange->layers[layer]), "starting to reduce a gradient", failure);
}

bool train_exchange_wait_layer(train_exchange *exchange, int32_t layer, train_failure *failure)
{
    kolo_request *request = exchange->layers[layer];

    if (kolo_wait(request, -1) == KOLO_OK)
        return true;
    const kolo_error *error = kolo_request_error(request);
    return fail_kolo(exchange, "reducing a gradient", error != NULL ? error : kolo_last_error(), failure);
}

bool train_exchange_progress(train_exchange *exchange, train_failure *failure)
{
    return check(exchange, kolo_progress(exchange->ctx), "moving the communication on", failure);
}

bool train_exchange_alloc(train_exchange *exchange, int64_t count, float **values, train_failure *failure)
{
    void *memory;
    kolo_status status = kolo_alloc(exchange->ctx, (size_t)count * sizeof(float), &memory);

    if (status != KOLO_OK)
        return train_fail(failure, "no memory for %" PRId64 " floats: %s", count, kolo_last_error()->message);
    *values = memory;
    return true;
}
