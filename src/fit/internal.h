/* internal.h - what the files of src/fit share. Nobody else includes it. */
#ifndef KOLO_FIT_INTERNAL_H
#define KOLO_FIT_INTERNAL_H

#include "engine/executor.h"
#include "fit/fit.h"
#include "fit/samples.h"

typedef struct fit {
    const kolo_fit_options *options;
    kolo_price_model model;
    kolo_executor executor;
    kolo_publisher publisher;
    kolo_schedule schedule;
    kolo_execution run;        /* what is the same in all runs */
    int64_t began_ns, late_ns; /* late: the budget is used up */
    unsigned char *from, *to;  /* FIT_BUFFER_BYTES each */
    uintptr_t *windows;        /* per rank */
    uint64_t **flags;          /* per rank: in its window */
} fit;

enum { FIT_FLOATS = KOLO_FIT_PIECE_BYTES / 4, FIT_BUFFER_BYTES = 16 * KOLO_FIT_PIECE_BYTES };

/* run.c: one execution of the schedule, to its end; *ns: how long it took. */
kolo_status fit_run(fit *f, double *ns);
/* One of a schedule of this one step. */
kolo_status fit_step(fit *f, const kolo_step *step, double *ns);
bool fit_is_late(const fit *f);

kolo_status fit_local(fit *f);    /* local.c */
kolo_status fit_windows(fit *f);  /* windows.c */
kolo_status fit_exchange(fit *f); /* exchange.c */

#endif
