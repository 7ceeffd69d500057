/* conformance.h - what every transport must do, as a test program. A new transport passes with a file like ucx_test.c:
 * fill a harness, and return conformance_run() from main. */
#ifndef KOLO_TESTS_CONFORMANCE_H
#define KOLO_TESTS_CONFORMANCE_H

#include <kolo/transport.h>

typedef struct conformance_harness {
    const char *name;
    const kolo_transport_ops *(*ops)(void);
    /* What all ranks of one run share (env.extra); may be NULL when there is no such thing. */
    void *(*world_create)(int32_t size, uint64_t seed);
    void (*world_destroy)(void *world);
    /* Lets simulated time go on, where it does not by itself; false: nothing is under way. May be NULL. */
    bool (*advance)(void *world);
    /* env.option; may be NULL. */
    const char *(*option)(void *user, const char *name);
} conformance_harness;

/* Runs everything; the exit code for main(). */
int conformance_run(const conformance_harness *harness);

#endif
