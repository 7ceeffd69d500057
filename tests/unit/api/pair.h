/* pair.h - two contexts of one process as a job of two ranks, each driven by a thread of its own. */
#ifndef TESTS_UNIT_API_PAIR_H
#define TESTS_UNIT_API_PAIR_H

#include "unit/api/host.h"

#include <stdio.h>

/* What a rank does, and what was wrong with it ("" if nothing). */
typedef struct player {
    int32_t rank, port;
    void (*play)(struct player *p, kolo_context *ctx);
    host_log log;
    kolo_status finalized; /* what kolo_finalize is to answer */
    char wrong[1024];
} player;

#define CHECK(p, condition)                                                                                            \
    do {                                                                                                               \
        if (!(condition) && (p)->wrong[0] == '\0')                                                                     \
            snprintf((p)->wrong, sizeof((p)->wrong), "line %d: %s (%s)", __LINE__, #condition,                         \
                     kolo_last_error()->message);                                                                      \
    } while (0)

/* Plays a job of both; each rank's kolo_finalize is to answer `finalized`. */
void play_both(void (*zero)(player *p, kolo_context *ctx), void (*one)(player *p, kolo_context *ctx),
               kolo_status finalized);

#endif
