/* sim.h - a simulated network for tests: N ranks in one process on a virtual clock, seeded. No transport for real use.
 *
 * One world, N transports (env.extra = the world). Every message becomes an event at a virtual time; kolo_sim_advance()
 * takes the earliest one, moves the clock there, and makes it visible to its rank, whose progress() then makes the
 * upcalls. Equal seeds and equal calls give the same run, bit by bit.
 *
 *     while (!all done) {
 *         rank = kolo_sim_advance(sim);
 *         if (rank < 0) deadlock;
 *         kolo_engine_step(engine[rank], kolo_sim_now(sim));
 *     }
 */
#ifndef KOLO_TRANSPORT_SIM_H
#define KOLO_TRANSPORT_SIM_H

#include <kolo/transport.h>

typedef struct kolo_sim kolo_sim;

typedef struct kolo_sim_options {
    int32_t size;
    uint64_t seed;
    /* Drawn per message, uniformly: so messages overtake each other. */
    int64_t latency_min_ns, latency_max_ns;
    double bytes_per_ns; /* link rate per sender, 0: infinite */
    /* 0..1: how often a send completes before it is received (eager); else only once its receive matched. */
    double early_rate;
    size_t window_bytes; /* of each rank's window, which all ranks can load from; 0: there are none */
    size_t heap_bytes;   /* likewise, of each rank's heap */
    bool readable;       /* ranks may read each other's memory */
    /* Now and then (seeded, 1 in 64) a message is late by up to this much more; 0: never. */
    int64_t cpu_hiccup_ns;
} kolo_sim_options;

KOLO_NODISCARD kolo_status kolo_sim_create(const kolo_sim_options *options, kolo_sim **sim);
void kolo_sim_destroy(kolo_sim *sim); /* after its transports */

/* The transport table; env.extra must be the world, env.size its size. One transport per rank and world. event_fd
 * is -1, arm answers armed. An address is a short text naming the rank. It watches its user: a second message with the same
 * (source, destination, tag), different sizes on both sides, and a write into the buffer of an unfinished send are
 * errors; the buffer of a posted receive is overwritten at once. */
const kolo_transport_ops *kolo_sim_transport(void);

int64_t kolo_sim_now(const kolo_sim *sim);
/* The next event: returns the rank that can progress now; -1 when nothing is under way. */
int32_t kolo_sim_advance(kolo_sim *sim);
/* An alarm: rank becomes ready at time `at_ns` (for deadlines, and for hosts that submit later). */
void kolo_sim_wake_at(kolo_sim *sim, int32_t rank, int64_t at_ns);

/* rank is gone from now on: it receives nothing; others hear on_peer_lost after a drawn latency, their postings with it
 * complete with KOLO_ERR_PEER. */
void kolo_sim_crash(kolo_sim *sim, int32_t rank);

/* A fingerprint of all events so far: equal for equal runs. */
uint64_t kolo_sim_trace(const kolo_sim *sim);

/* Counted since creation. */
typedef struct kolo_sim_counters {
    uint64_t control_messages, data_messages, data_bytes;
} kolo_sim_counters;
void kolo_sim_count(const kolo_sim *sim, int32_t rank, kolo_sim_counters *sent);

#endif
