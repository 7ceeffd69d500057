/* cluster.h - N engines in one process on the simulated network, driven event by event. */
#ifndef KOLO_TESTS_SIM_CLUSTER_H
#define KOLO_TESTS_SIM_CLUSTER_H

#include "base/rng.h"
#include "engine/engine.h"
#include "transports/sim/sim.h"

enum { CLUSTER_MAX = 80, CLUSTER_PIECES_MAX = 8 };

typedef struct cluster_options {
    int32_t size;
    uint64_t seed; /* of the network's timing */
    int64_t chunk_bytes, fusion_bytes, stall_ns;
    int32_t groups_in_flight;
    const char *algorithm, *broadcast; /* NULL: by price */
    const int32_t *ring;               /* NULL: rank order */
    int64_t latency_max_ns;            /* 0: 50 us */
    size_t window_bytes;               /* of shared windows; 0: none */
    size_t heap_bytes;                 /* of each rank's heap; 0: none */
    bool readable;                     /* ranks may read each other's memory */
    kolo_log_fn log;                   /* NULL: dropped */
    void *log_user;
} cluster_options;

typedef struct cluster {
    int32_t size;
    kolo_sim *sim;
    kolo_engine *engines[CLUSTER_MAX];
    kolo_transport *transports[CLUSTER_MAX];
    bool crashed[CLUSTER_MAX];
    int64_t alarm_ns[CLUSTER_MAX]; /* the one the network knows of */
    kolo_log log;
    uint64_t events;
} cluster;

void cluster_init(cluster *c, const cluster_options *options);
void cluster_fini(cluster *c);
/* The next event, and its rank's steps. False when nothing is under way any more. */
bool cluster_event(cluster *c);
/* Steps a rank until it has nothing to do; then it must agree to sleep. */
void cluster_step(cluster *c, int32_t rank);
/* Until nothing is under way; fails the test after max_events. */
void cluster_settle(cluster *c, uint64_t max_events);
void cluster_crash(cluster *c, int32_t rank);
/* Memory of the rank's heap; NULL: no heap, or no room. */
void *cluster_alloc(cluster *c, int32_t rank, size_t bytes);
void cluster_free(cluster *c, int32_t rank, void *memory);
uint64_t cluster_control_messages(const cluster *c);

/* A request of one rank; the test holds a reference. */
typedef struct cluster_tensor {
    const char *name;
    kolo_collective collective;
    kolo_reduce_op op;
    kolo_dtype_id type;
    int32_t root;
    const void *input;
    void *output;
    int64_t count;              /* of the whole */
    size_t pieces;              /* cut into so many, as a group; 0: one */
    int64_t timeout_ns;         /* 0: none */
    double prescale, postscale; /* 0: 1 */
    kolo_done_fn done;
    void *user;
} cluster_tensor;
/* A float32 all-reduce, in place. */
cluster_tensor cluster_vector(const char *name, float *data, int64_t count);
kolo_request *cluster_submit(cluster *c, int32_t rank, const cluster_tensor *tensor);

/* The request is over, well or with this status and a message that contains `part`. Both give the handle back. */
void cluster_expect_success(kolo_request *request);
void cluster_expect_error(kolo_request *request, kolo_status status, const char *part);

#endif
