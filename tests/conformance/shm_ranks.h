/* shm_ranks.h - ranks of the shm transport that are processes: the fixture of the tests that need real ones.
 *
 * A test plays a scene: it forks a child for every rank, which lives through `body`. A rank fails by its exit
 * status, and by SIGALRM where something never comes. */
#ifndef KOLO_TESTS_SHM_RANKS_H
#define KOLO_TESTS_SHM_RANKS_H

#include "base/rng.h"
#include "transports/shm/shm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

enum { MAX_RANKS = 4, ADDRESS_ROOM = 256, GATES = 4, POLL_MS = 30000 };

/* What parent and children share. */
typedef struct board {
    unsigned char address[MAX_RANKS][ADDRESS_ROOM];
    size_t address_bytes[MAX_RANKS];
    _Atomic int arrived[GATES]; /* at gates */
    _Atomic int stage;
} board;

typedef struct rig {
    board *board;
    int32_t rank, size;
    uint64_t seed;
    const char *attach;
    kolo_transport *t;
    kolo_rng rng;
    long controls, completed[16]; /* completions by status */
    int lost[MAX_RANKS];
    void (*on_control)(struct rig *rig, int32_t peer, const unsigned char *bytes, size_t size);
    void *user;
    char explanation[512];
} rig;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: rank %d: %s\n", __FILE__, __LINE__, (int)r->rank, #condition);                     \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

typedef struct scene {
    int32_t ranks;
    const char *attach;
    void (*body)(rig *r);
    void (*parent)(board *b, const pid_t *children);
    int killed; /* a rank that ends by SIGKILL; -1: none */
} scene;

extern const kolo_transport_ops *ops;

/* Parent: forks, runs scene.parent, collects; the test fails if a rank does. */
void play(scene s, uint64_t seed);

/* Child. Waits until all ranks are at gate `number` (each is passed once); makes progress meanwhile, but not at 0. */
void gate(rig *r, int number);
/* Creates the transport; returns when all have. */
void publish(rig *r);
/* Connects. */
kolo_status join(rig *r);
/* Closes in order and destroys. */
void leave(rig *r);
/* Sleeps until woken, after a random while; not at all if there is something to do. */
void doze(rig *r);
void step_or_doze(rig *r);

#endif
