/* price.h - what things cost: the numbers that algorithms are priced with.
 *
 * Messages as in PLogP (Kielmann, Bal, Verstoep, "Fast Measurement of LogP Parameters for Message Passing Platforms",
 * 2000): Hockney's latency and bandwidth, but the time of a message is a table by size, since transports change their
 * way of sending with the size. A message here is an exchange: one goes to a neighbour while one of the same size comes
 * from the other. In shared memory there are no messages: a flag takes a cache line's flight from core to core, and
 * what a byte costs depends on where it is.
 *
 * All ranks must use the same numbers, or they would choose differently; api/prices.c sees to that. What makes them
 * the same is that they are exchanged as text, which holds whole nanoseconds. */
#ifndef KOLO_PLAN_PRICE_H
#define KOLO_PLAN_PRICE_H

#include <kolo/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KOLO_PRICE_MESSAGES = 5 };

typedef struct kolo_price_model {
    double message_ns[KOLO_PRICE_MESSAGES]; /* of kolo_price_message_bytes[i] */
    double flight_ns;                       /* a flag told, until all others have seen it and told theirs */
    double step_ns;                         /* a step of a schedule, however few bytes it has */
    /* Per byte, as long as caches hold it: */
    double copy_ns;   /* copied within what a rank has at hand */
    double reduce_ns; /* added to another byte */
    double write_ns;  /* copied into the own window, which others have read */
    double read_ns;   /* copied out of another's window, who has just written it */
    double fold_ns;   /* added from there */
    double attach_ns; /* read by the transport out of another's private memory, who has just written it */
    /* And what is more than that: */
    double memory_ns;   /* more, per byte that comes from memory or goes there */
    double cache_bytes; /* what a rank's share of the caches holds */
} kolo_price_model;

/* Ascending; the first one stands for a message of no bytes. */
extern const int64_t kolo_price_message_bytes[KOLO_PRICE_MESSAGES];

/* A host of some years ago, ranks on cores of their own; in force where nothing is measured. */
#define KOLO_PRICE_MODEL_DEFAULT                                                                                       \
    {                                                                                                                  \
        .message_ns = {2000, 3000, 6000, 18000, 66000}, .flight_ns = 300, .step_ns = 50, .copy_ns = 0x1p-5,            \
        .reduce_ns = 0x1p-5, .write_ns = 0x1p-4, .read_ns = 0x1p-4, .fold_ns = 0x1p-4, .attach_ns = 0x1p-3,            \
        .memory_ns = 0x1p-3, .cache_bytes = 8388608                                                                    \
    }

/* An exchange of messages of so many bytes: between the sizes of the table by interpolation, beyond its end as its last
 * two go on. */
double kolo_price_message(const kolo_price_model *model, double bytes);

/* What it costs more that `traffic` bytes move to or from a memory area of `footprint` bytes: nothing while the caches
 * hold it. */
double kolo_price_spill(const kolo_price_model *model, double traffic, double footprint);

/* Among ranks that share memory, a post until everybody's is seen. An all-reduce without an algorithm: everybody posts the
 * whole, and adds up. And: agreeing on the order before an algorithm begins, a word up to the root and one down. */
double kolo_price_post(const kolo_price_model *model);
double kolo_price_values(const kolo_price_model *model, double bytes, int32_t size);
double kolo_price_order(const kolo_price_model *model);

/* The least number of rounds in which everyone can hear from everyone: log2 of size, rounded up. size >= 1. */
int32_t kolo_price_rounds(int32_t size);

/* The model as text, "message=2us,message4K=3us,...,copy=32768ns,...": times, those per byte given for 1 MiB; and a
 * size. */
enum { KOLO_PRICE_TEXT = 512 };
char *kolo_price_format(const kolo_price_model *model, char text[KOLO_PRICE_TEXT]);

/* Takes over what the text names; the rest of *model stays. KOLO_ERR_CONFIG says what is wrong where; *model is
 * untouched then. "" names nothing. */
KOLO_NODISCARD kolo_status kolo_price_parse(const char *text, kolo_price_model *model);

/* Brings every number into the range that the text may have: finite, positive, and no machine that we know is outside
 * of it. And messages so that a longer one never costs less. */
void kolo_price_clamp(kolo_price_model *model);

/* Number by number the median of `count` models (1 to KOLO_PRICE_MEDIAN_MAX; of an even count the lower one), clamped.
 */
enum { KOLO_PRICE_MEDIAN_MAX = 64 };
void kolo_price_median(const kolo_price_model *models, size_t count, kolo_price_model *median);

#endif
