/* sim_rig.h - four ranks on a simulated network, and what they were told: the fixture of the tests beside it. */
#ifndef KOLO_TESTS_SIM_RIG_H
#define KOLO_TESTS_SIM_RIG_H

#include "transports/sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { RANKS = 4 };

typedef struct note {
    int32_t peer; /* of a control message or a loss; else -1 */
    void *cookie;
    kolo_status status;
} note;

typedef struct rank_log {
    note notes[512];
    size_t count;
    char explanation[256];
} rank_log;

typedef struct sim_rig {
    kolo_sim *sim;
    const kolo_transport_ops *ops;
    kolo_transport *transport[RANKS];
    rank_log log[RANKS];
} sim_rig;

/* A rank's env. */
kolo_transport_env rig_env(rank_log *log, kolo_sim *sim, int32_t rank, int32_t size);
kolo_sim_options usual_options(uint64_t seed);
void rig_init(sim_rig *rig, kolo_sim_options options);
void rig_fini(sim_rig *rig);
/* One event, and the upcalls it makes; false when nothing is under way. */
bool rig_step(sim_rig *rig);
/* Until nothing is under way. */
void rig_run(sim_rig *rig);
/* Post with cookies 1000 + tag and 2000 + tag. */
kolo_status rig_send(sim_rig *rig, int32_t from, int32_t to, uint64_t tag, const void *bytes, size_t size);
kolo_status rig_recv(sim_rig *rig, int32_t to, int32_t from, uint64_t tag, void *bytes, size_t size);
/* The status rank was told for a send or receive; -1: not yet. */
int rig_told(const sim_rig *rig, int32_t rank, uintptr_t cookie);

#endif
