/* world.h - what the files of the simulated network share. Nobody else includes it.
 *
 * Everything that happens is an event. An event waits in the heap until its time; then world.c acts on it: it may
 * become an item of its rank's inbox, which that rank's progress() turns into an upcall.
 *
 * The life of a data message:
 *
 *     send() ──► FLYING ──arrival──► a receive waits: delivered at once
 *                            └─────► ARRIVED ──recv()──► MATCHED ──after a latency──► delivered
 *
 * Delivered: bytes copied, the receive's `done` goes to the inbox, the sender's `done` follows after a latency.
 * A message that is given up while its event is in the heap becomes DEAD, and is freed when the event comes out.
 * Both `done` events are allocated when the call is posted, so that nothing after that can run out of memory. */
#ifndef KOLO_TRANSPORT_SIM_WORLD_H
#define KOLO_TRANSPORT_SIM_WORLD_H

#include "base/ranges.h"
#include "base/rng.h"
#include "guard.h"
#include "sim/sim.h"

enum { SIM_CONTROL_MAX = KOLO_CONTROL_BYTES, SIM_FLAGS = KOLO_TRANSPORT_FLAG_LINES * 8 };

typedef struct sim_message sim_message;
typedef struct sim_recv sim_recv;
typedef struct sim_event sim_event;

typedef enum sim_event_kind {
    SIM_MESSAGE,  /* a data message arrives, or its delivery is due */
    SIM_CONTROL,  /* a control message arrives */
    SIM_COMPLETE, /* a posting is over */
    SIM_LOST,     /* a rank learns that peer is gone */
    SIM_ALARM     /* kolo_sim_wake_at, or a reason to call progress() */
} sim_event_kind;

struct sim_event {
    int64_t at_ns;
    uint64_t sequence; /* order among equal times */
    sim_event_kind kind;
    int32_t rank; /* whom it concerns */
    int32_t peer;
    uint32_t epoch; /* of rank's transport when the event was made; events of an earlier one are dropped */
    kolo_status status;
    void *cookie;
    sim_message *message;
    sim_event *next; /* in the inbox */
    size_t size;
    unsigned char bytes[]; /* control payload */
};

typedef enum sim_state { SIM_FLYING, SIM_ARRIVED, SIM_MATCHED, SIM_DEAD } sim_state;

struct sim_message {
    int32_t source, destination;
    uint64_t tag;
    size_t bytes;
    const void *buffer; /* the sender's, or `copy` */
    void *copy;         /* where the send completed early */
    uint64_t checksum;  /* to notice a sender who writes into a buffer it gave away */
    sim_state state;
    sim_event *event; /* arrival and delivery */
    bool in_heap;     /* where event is */
    sim_event *done;  /* the sender's completion; NULL once it is under way */
    sim_recv *recv;   /* MATCHED: with whom */
    sim_message *next;
};

struct sim_recv {
    int32_t source;
    uint64_t tag;
    size_t bytes;
    void *buffer;
    sim_event *done;
    sim_message *message; /* MATCHED with it, else NULL */
    sim_recv *next;
};

struct kolo_transport {
    kolo_guard guard;
    kolo_sim *sim;
    bool in_progress;
    bool *lost; /* by peer: on_peer_lost has been said */
    char address[16];
};

typedef struct sim_rank {
    kolo_transport *transport; /* NULL before create and after destroy; there is one per rank and world */
    uint32_t epoch;            /* 0 before create; counts up when what is under way to it must not arrive any more */
    bool crashed;
    double link_free_ns; /* when the last byte handed to the link will have left */
    sim_event *inbox, **inbox_tail;
    sim_message *messages; /* to this rank, not delivered yet */
    sim_recv *recvs;       /* posted by this rank, not over */
    kolo_sim_counters sent;
    kolo_ranges taken; /* of its heap */
} sim_rank;

struct kolo_sim {
    kolo_sim_options options;
    kolo_rng rng;
    int64_t now_ns;
    uint64_t sequence;
    uint64_t trace;
    bool out_of_memory; /* an event could not be made: the run is over */
    sim_event **heap;
    size_t heap_count, heap_capacity;
    char *windows;                                   /* one after the other, aligned; NULL where there are none */
    uint64_t *flags;                                 /* likewise */
    char *heaps;                                     /* likewise */
    void *window_memory, *flag_memory, *heap_memory; /* in which those lie */
    size_t events;                                   /* alive, wherever they are; never above heap_capacity */
    sim_rank ranks[];
};

/* heap.c: events. An event that exists always has room in the heap, so push cannot fail. */
sim_event *sim_event_create(kolo_sim *sim, sim_event_kind kind, int32_t rank, int32_t peer, size_t size);
void sim_event_destroy(kolo_sim *sim, sim_event *event);
void sim_event_push(kolo_sim *sim, sim_event *event, int64_t at_ns);
sim_event *sim_event_pop(kolo_sim *sim); /* NULL when empty */
int64_t sim_latency_ns(kolo_sim *sim);   /* draws one */

/* memory.c: what all ranks can load from and store to; windows, flags and heaps are memory of this process. */
kolo_status sim_memory_init(kolo_sim *sim);
void sim_memory_fini(kolo_sim *sim);
void *sim_window(kolo_transport *t, int32_t rank);
size_t sim_window_bytes(kolo_transport *t);
uint64_t *sim_flags(kolo_transport *t, int32_t rank);
void sim_flags_changed(kolo_transport *t);
void *sim_heap(kolo_transport *t, int32_t rank);
size_t sim_heap_bytes(kolo_transport *t);
kolo_status sim_heap_alloc(kolo_transport *t, size_t bytes, void **memory);
kolo_status sim_heap_free(kolo_transport *t, void *memory);
bool sim_reads_peers(kolo_transport *t);
kolo_status sim_read_peer(kolo_transport *t, int32_t peer, uintptr_t address, void *to, size_t bytes);

/* world.c: makes event the last item of its rank's inbox, or drops it where nobody is left to hear it. */
void sim_inbox_add(kolo_sim *sim, sim_event *event);
void sim_inbox_clear(kolo_sim *sim, sim_rank *rank);

/* post.c: sends and receives. */
kolo_status sim_post_send(kolo_transport *transport, int32_t peer, uint64_t tag, const void *buffer, size_t bytes,
                          void *cookie);
kolo_status sim_post_recv(kolo_transport *transport, int32_t peer, uint64_t tag, void *buffer, size_t bytes,
                          void *cookie);
void sim_message_step(kolo_sim *sim, sim_message *message); /* its event came out of the heap */
/* Ends postings of rank: those that name peer, or all for peer -1. With KOLO_OK they vanish without a completion, else
 * they complete with status. */
void sim_end_sends(kolo_sim *sim, int32_t rank, int32_t peer, kolo_status status);
void sim_end_recvs(kolo_sim *sim, int32_t rank, int32_t peer, kolo_status status);
bool sim_has_sends(const kolo_sim *sim, int32_t rank);
/* Frees messages to rank that came from peer (-1: from anyone). */
void sim_drop_messages(kolo_sim *sim, int32_t rank, int32_t peer);

#endif
