/* executor.h - runs one schedule over a transport. Knows nothing of tensors, names or ranks' agreement.
 *
 *     start ──► advance / completed, until finished
 *     cancel: no further step is begun; finished once everything posted has come back */
#ifndef KOLO_ENGINE_EXECUTOR_H
#define KOLO_ENGINE_EXECUTOR_H

#include "base/dtype.h"
#include "base/ranks.h"
#include "engine/parts.h"
#include "plan/schedule.h"
#include "reduce/publish.h"
#include <kolo/transport.h>

typedef struct kolo_executor kolo_executor;

/* The cookie of a posting; executor is NULL while the step is not at the transport. */
typedef struct kolo_posting {
    kolo_executor *executor;
    uint32_t step;
} kolo_posting;

/* Where the schedule's elements lie, and what is done with them. Full coordinates: element e of a buffer is at its base
 * plus e times the element size (a base may lie outside the memory where only a slice of it exists). */
typedef struct kolo_execution {
    const kolo_schedule *schedule;      /* sealed; outlives the execution */
    uintptr_t base[KOLO_BUFFER_WINDOW]; /* by kolo_buffer: the rank's own ones */
    const uintptr_t *windows;           /* per rank; NULL where nothing is shared */
    const uintptr_t *peer_input;        /* per rank, as this process sees it; the own one is not looked at, */
    const uintptr_t *peer_output;       /* nor any where the schedule touches no peers' tensors */
    bool reads_tensors;      /* peers' tensors are read by the transport, where their ranks tell, not there */
    const kolo_parts *parts; /* NULL; else where INPUT, OUTPUT and the peers' are, not at the above */
    uint64_t *const *flags;  /* per rank: its line of KOLO_FLAG_COUNT flags, and two words of places */
    uint64_t flag_base[KOLO_FLAG_COUNT]; /* what the schedule calls 0 */
    kolo_dtype_id type;
    kolo_reduce_op op;
    int32_t rank, size;
    double postscale;
    kolo_publisher *publisher; /* of what is copied into the own window; NULL where nothing is shared */
    bool around;               /* results are too large for the caches: they go around them */
    uint64_t tag;              /* its lower KOLO_EXECUTOR_MESSAGE_BITS are zero */
} kolo_execution;

enum { KOLO_EXECUTOR_MESSAGE_BITS = 20 };

struct kolo_executor {
    const kolo_transport_ops *ops;
    kolo_transport *transport;
    kolo_execution run;
    size_t element_bytes;
    uint32_t *waits;        /* per step: how many steps it still waits for */
    uint32_t *ready;        /* queue of runnable steps, in order of becoming so */
    kolo_posting *postings; /* per step */
    size_t capacity;
    uint32_t ready_head, ready_tail;
    uint32_t
        blocked;     /* the WAIT that was not satisfied, or a step that could not read a peer that is lost; KOLO_NO_STEP
                       * if none: windowed schedules are chains */
    void **operands; /* of one step: what it writes, then what it reads, */
    const uintptr_t **rows; /* and the row of parts that each is in; NULL: it is in one piece */
    int32_t ranks;          /* that operands and rows have room for */
    size_t steps_left;
    size_t posted; /* at the transport now */
    bool told;     /* by flags, and nobody was woken for it yet */
    bool canceled;
    kolo_status status; /* the first failure */
    uint32_t failed_step;
    int32_t failed_peer;
};

void kolo_executor_init(kolo_executor *executor);
void kolo_executor_fini(kolo_executor *executor);

/* Begins; runs nothing yet. Memory is kept from run to run. */
KOLO_NODISCARD kolo_status kolo_executor_start(kolo_executor *executor, const kolo_transport_ops *ops,
                                               kolo_transport *transport, const kolo_execution *run);
/* Runs steps that are ready, at most `budget`; returns how many. A failing step cancels the rest (see status). */
int kolo_executor_advance(kolo_executor *executor, int budget);
/* A posting has come back. */
void kolo_executor_completed(kolo_posting *posting, kolo_status status);
void kolo_executor_cancel(kolo_executor *executor, kolo_status status);
/* The ranks it waits for now: for their messages, or their flags. */
void kolo_executor_peers(const kolo_executor *executor, kolo_ranks *ranks);
/* A step that waited for flags could go on now: look once more before sleeping. */
bool kolo_executor_awake(const kolo_executor *executor);
/* Everything is done, or canceled and come back. */
bool kolo_executor_finished(const kolo_executor *executor);

#endif
