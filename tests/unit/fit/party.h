/* party.h - threads that measure together, each a rank of the shm transport. */
#ifndef TESTS_UNIT_FIT_PARTY_H
#define TESTS_UNIT_FIT_PARTY_H

#include "fit/fit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { PARTY_MAX = 5 };

/* How a party goes: what all ranks ask for, and what came of it. */
typedef struct party {
    int32_t size;
    int32_t absent;     /* a rank that is connected, but does not measure; -1: none */
    bool is_shared;     /* windows, else messages */
    const char *window; /* KOLO_SHM_WINDOW */
    int64_t budget_ns, patience_ns;
    const kolo_transport_ops *ops; /* in measuring; NULL: the shm transport's */
    kolo_status status[PARTY_MAX];
    kolo_price_model models[PARTY_MAX];
    bool overwritten[PARTY_MAX]; /* a window behind what may be written to */
} party;

/* Every number in the models that ranks start with; what still has it was not measured. No whole number of nanoseconds
 * gives it by the byte. */
#define PARTY_UNMEASURED 0.49991

void party_run(party *p);

#endif
