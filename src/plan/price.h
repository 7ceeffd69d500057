/* price.h - what things cost, in nanoseconds: alpha per message, beta per byte on the wire, gamma per reduced byte,
 * copy per copied byte. (Hockney's model with a reduction term.) All ranks must use the same numbers: rank 0's are
 * shared at start-up. */
#ifndef KOLO_PLAN_PRICE_H
#define KOLO_PLAN_PRICE_H

#include <stdint.h>

typedef struct kolo_price_model {
    double alpha_ns;          /* one message, one way */
    double beta_ns_per_byte;  /* wire */
    double gamma_ns_per_byte; /* reduction, per byte of output */
    double copy_ns_per_byte;  /* pack, unpack, copy */
} kolo_price_model;

/* A loopback or shared-memory host with a few GB/s; in force until measured constants arrive. */
#define KOLO_PRICE_MODEL_DEFAULT                                                                                       \
    {                                                                                                                  \
        .alpha_ns = 2000.0, .beta_ns_per_byte = 0.25, .gamma_ns_per_byte = 0.1, .copy_ns_per_byte = 0.1                \
    }

/* What a step costs whoever executes it, however few bytes it has; counts where an algorithm has many of them. */
#define KOLO_PRICE_STEP_NS 50.0

/* The least number of rounds in which everyone can hear from everyone: log2 of size, rounded up. size >= 1. */
int32_t kolo_price_rounds(int32_t size);

#endif
