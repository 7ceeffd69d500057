/* exchange.c - messages: in each round every rank sends one to its next neighbour on the ring while one comes from the
 * previous one. So all go at the pace of the slowest way, as they will.
 *
 * Every message begins with the round after which everybody shall stop. A rank that is late says so for `size` rounds
 * ahead: by then the word has gone round. */
#include "fit/internal.h"

#include "base/clock.h"
#include "base/error.h"

#include <string.h>

/* LAPS of all sizes: in the first ones, transports make their connections and touch their memory. ROUNDS of one size:
 * who waits long in one is awaited in the next. */
enum { LAPS = 9, ROUNDS = 4, GROUP_BITS = KOLO_TRANSPORT_TAG_BITS - KOLO_EXECUTOR_MESSAGE_BITS };

typedef struct rounds {
    uint64_t done, last;
} rounds;

static int32_t neighbour(const kolo_fit_options *options, int32_t distance)
{
    int32_t position = 0;
    while (options->ring[position] != options->rank)
        position++;
    return options->ring[(position + distance + options->size) % options->size];
}

/* Numbered down from the largest: no schedule has so many messages. */
static kolo_status plan_round(fit *f, int64_t bytes, uint64_t number)
{
    uint32_t message = (uint32_t)(KOLO_SCHEDULE_MESSAGES_MAX - 1 - number);
    kolo_schedule_reset(&f->schedule);
    kolo_schedule_add(&f->schedule, &(kolo_step){.kind = KOLO_STEP_RECV,
                                                 .dst = KOLO_BUFFER_OUTPUT,
                                                 .count = bytes,
                                                 .peer = neighbour(f->options, -1),
                                                 .message = message});
    kolo_schedule_add(&f->schedule, &(kolo_step){.kind = KOLO_STEP_SEND,
                                                 .a = KOLO_BUFFER_INPUT,
                                                 .count = bytes,
                                                 .peer = neighbour(f->options, 1),
                                                 .message = message});
    return kolo_schedule_seal(&f->schedule);
}

static kolo_status run_round(fit *f, rounds *r, int64_t bytes, double *ns)
{
    uint64_t last;
    if (fit_is_late(f) && r->done + (uint64_t)f->options->size < r->last)
        r->last = r->done + (uint64_t)f->options->size;
    memcpy(f->from, &r->last, sizeof(r->last));
    KOLO_TRY(plan_round(f, bytes, r->done));
    KOLO_TRY(fit_run(f, ns));
    memcpy(&last, f->to, sizeof(last));
    r->last = last < r->last ? last : r->last;
    r->done++;
    return KOLO_OK;
}

/* What was not measured: as the last two that were go on. */
static void extend(kolo_price_model *model, size_t measured)
{
    if (measured < 2)
        return; /* latency alone: the rest of the table stays, and is clamped */
    for (size_t i = measured; i < KOLO_PRICE_MESSAGES; i++) {
        double bytes = (double)(kolo_price_message_bytes[i - 1] - kolo_price_message_bytes[i - 2]);
        double more = (double)(kolo_price_message_bytes[i] - kolo_price_message_bytes[i - 1]);
        model->message_ns[i] =
            model->message_ns[i - 1] + (model->message_ns[i - 1] - model->message_ns[i - 2]) / bytes * more;
    }
}

static kolo_status run_rounds(fit *f, rounds *r, int64_t bytes, kolo_samples *samples)
{
    double ns, sum_ns = 0;
    for (int i = 0; i < ROUNDS; i++, sum_ns += ns) {
        if (r->done >= r->last)
            return KOLO_OK;
        KOLO_TRY(run_round(f, r, bytes, &ns));
    }
    kolo_samples_add(samples, sum_ns / ROUNDS);
    return KOLO_OK;
}

kolo_status fit_exchange(fit *f)
{
    kolo_samples samples[KOLO_PRICE_MESSAGES] = {{.count = 0}};
    rounds r = {.last = UINT64_MAX};
    f->run.type = KOLO_DTYPE_UINT8;
    f->run.tag = ((UINT64_C(1) << GROUP_BITS) - 1) << KOLO_EXECUTOR_MESSAGE_BITS;
    for (int lap = 0; lap < LAPS; lap++)
        for (size_t i = 0; i < KOLO_PRICE_MESSAGES; i++)
            KOLO_TRY(run_rounds(f, &r, kolo_price_message_bytes[i], &samples[i]));
    size_t measured = 0;
    for (; measured < KOLO_PRICE_MESSAGES && samples[measured].count > 0; measured++)
        f->model.message_ns[measured] = kolo_samples_median(&samples[measured], 0);
    extend(&f->model, measured);
    return KOLO_OK;
}
