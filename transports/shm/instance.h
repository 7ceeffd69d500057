/* instance.h - what the files of the shm transport share. Nobody else includes it.
 *
 * The frames between two ranks:
 *
 *   CONTROL       a control message                    CONTROL_PART  its next piece; word: all bytes
 *   DATA          a message; word: tag                 ANNOUNCE      a large one, in the sender's memory; word: tag
 *   DATA_BEGIN    a message in pieces; word: tag       PULLED        the announced message with id `word` was read
 *   DATA_PART     its next piece; word: lane           REFUSED       it cannot be read: send it in pieces
 *   DATA_ABORT    no more of it comes; word: lane
 *
 * A message of at most a frame goes as DATA. A larger one is announced where the receiver can read the sender's
 * memory (cross-memory attach): it does once the receive is posted, and answers PULLED. Otherwise pieces: as many
 * messages as there are lanes go side by side, so that a huge one holds up nobody for long. Control goes before
 * data.
 *
 * A sending posting:    small ──► done                    large ──► lane ──► done
 *                       small (ANNOUNCE) ──► announced ──PULLED──► done
 *                                                └───────REFUSED──► large
 * A receiving posting:  posted ──DATA──► done             posted ──DATA_BEGIN──► lane ──last part──► done
 *                       posted ──ANNOUNCE──► pulls ──read──► replies ──PULLED sent──► done
 *                                              └───failed──► replies ──REFUSED sent──► posted
 * What comes before its receive waits as an arrival. */
#ifndef KOLO_TRANSPORT_SHM_INSTANCE_H
#define KOLO_TRANSPORT_SHM_INSTANCE_H

#include "base/ranges.h"
#include "segment.h"

#include <pthread.h>

enum { SHM_MAX_RANKS = 512, SHM_LANES = 4, SHM_BUCKETS = 1024 };

typedef enum shm_kind {
    SHM_CONTROL = 1,
    SHM_CONTROL_PART,
    SHM_DATA,
    SHM_DATA_BEGIN,
    SHM_DATA_PART,
    SHM_DATA_ABORT,
    SHM_ANNOUNCE,
    SHM_PULLED,
    SHM_REFUSED
} shm_kind;

typedef struct shm_begin {
    uint64_t bytes, lane;
} shm_begin;

typedef struct shm_announcement {
    uint64_t bytes, address, id, epoch;
} shm_announcement;

typedef struct shm_posting {
    struct shm_posting *next; /* in the one list that it is in */
    void *cookie;
    union {
        const unsigned char *from; /* a send */
        unsigned char *to;         /* a receive */
    } buffer;
    size_t bytes, moved;
    uint64_t tag;
    int32_t peer;
    kolo_status status;
    uint64_t id;                /* of a send that was announced */
    shm_announcement announced; /* what a receive pulls */
    shm_kind reply;             /* what a receive in `replies` answers */
    bool in_pieces;             /* a send that must not be announced (again) */
} shm_posting;

typedef struct shm_postings {
    shm_posting *first, **end;
} shm_postings;

enum { SHM_BLOCK_POSTINGS = 256 };
typedef struct shm_block {
    struct shm_block *next;
    shm_posting postings[SHM_BLOCK_POSTINGS];
} shm_block;

/* A message that is there, or on its way, before its receive. */
typedef struct shm_arrival {
    struct shm_arrival *next;
    int32_t peer;
    uint64_t tag;
    size_t bytes, filled;
    shm_posting *own;  /* a rank's message to itself: the send */
    bool is_announced; /* `announced` holds */
    shm_announcement announced;
    unsigned char content[]; /* bytes of it, where it is neither */
} shm_arrival;

/* A message in pieces. */
typedef struct shm_lane_out {
    shm_posting *posting;
    bool abort; /* the message was canceled: say so */
} shm_lane_out;

typedef struct shm_lane_in {
    bool active;
    size_t bytes, filled;
    shm_posting *posting; /* the receive; else */
    shm_arrival *arrival; /* kept for it; neither: dropped */
} shm_lane_in;

/* A control message that waits for room. */
typedef struct shm_cell {
    struct shm_cell *next;
    size_t size, sent;
    unsigned char bytes[];
} shm_cell;

typedef struct shm_peer {
    int32_t rank, pid;
    shm_head *head; /* of its segment, mapped here */
    int bell_fd;    /* wakes it */
    uint64_t epoch; /* of its segment when it was connected */
    int pid_fd;     /* readable when its process is dead; -1: our own process */
    uint32_t wake;  /* it has news or room, and may sleep */
    bool dying;     /* it will write no more; what it wrote is still read */
    bool over;      /* all is read, or it sent nonsense; postings that name it fail */
    bool backlog;   /* something of the below waits for room in its ring */
    bool turn;      /* pieces are next, not small ones */
    shm_writer out;
    shm_cell *controls, **controls_end;
    shm_postings replies, small, large, announced;
    shm_lane_out lanes_out[SHM_LANES];
    uint32_t lane_next;
    uint64_t announcements;
    shm_lane_in lanes_in[SHM_LANES];
    unsigned char *control; /* one that comes in parts */
    size_t control_bytes, control_filled;
} shm_peer;

/* The own one; any thread, by the lock. */
typedef struct shm_heap_state {
    pthread_mutex_t lock;
    kolo_ranges ranges;
    size_t page;
    size_t end;  /* of the segment's file */
    size_t room; /* to be taken before asking for room again */
} shm_heap_state;

struct kolo_transport {
    kolo_guard guard;
    shm_layout layout;
    bool in_progress, armed, forced;
    bool wake;      /* some peer's wake is set */
    bool nonsense;  /* some peer's ring holds impossible numbers */
    uint32_t calls; /* of progress */
    uint32_t backlogs, dying;
    void *space;    /* where all segments are mapped */
    shm_head *head; /* own segment */
    shm_heap_state heap;
    int memory_fd, bell_read_fd, bell_write_fd, epoll_fd;
    bool attach;      /* wanted by the user, */
    bool reads_peers; /* and the kernel lets us read each peer's memory */
    shm_peer *peers;
    shm_reader *readers; /* beside the peers: polled all the time */
    unsigned char *address;
    size_t address_bytes;
    shm_postings done, pulls, free_postings;
    size_t done_count;
    shm_block *blocks;
    shm_posting *posted[SHM_BUCKETS];
    shm_arrival *arrivals[SHM_BUCKETS];
};

/* address.c */
kolo_status shm_address_make(kolo_transport *t);
kolo_status shm_connect(kolo_transport *t, const kolo_bytes *addresses);
void shm_disconnect(kolo_transport *t);

/* heap.c: tensors. The heap is empty from shm_heap_open to shm_heap_close; layout.heap_bytes are agreed by then. */
kolo_status shm_heap_configure(const kolo_transport_env *env, const char *text, size_t *bytes);
void shm_heap_open(kolo_transport *t);
void shm_heap_close(kolo_transport *t);
void *shm_heap(kolo_transport *t, int32_t rank);
size_t shm_heap_bytes(kolo_transport *t);
kolo_status shm_heap_alloc(kolo_transport *t, size_t bytes, void **memory);
kolo_status shm_heap_free(kolo_transport *t, void *memory);

/* wake.c: sleeping, and waking those who sleep. */
kolo_status shm_wake_open(kolo_transport *t);
void shm_wake_close(kolo_transport *t);
/* peer has news (SHM_FOR_NEWS) or room: it is woken if it sleeps; by the end of progress() when inside it. */
void shm_wake(kolo_transport *t, shm_peer *peer, uint32_t what);
void shm_wake_pending(kolo_transport *t);
void shm_wake_all(kolo_transport *t);
kolo_status shm_arm(kolo_transport *t, bool *armed);
void shm_disarm(kolo_transport *t);

/* peers.c: their ends. */
kolo_status shm_peers_watch(kolo_transport *t, shm_peer *peer); /* after its pid_fd is open */
void shm_peer_died(kolo_transport *t, shm_peer *peer);
void shm_peers_look(kolo_transport *t);    /* for those who say that they are gone */
bool shm_peers_changed(kolo_transport *t); /* whether it would find one */
bool shm_peer_alive(const shm_peer *peer);
int shm_peers_bury(kolo_transport *t); /* the dying ones of whom all is read */

/* postings.c: postings and arrivals, and finding them. */
void shm_postings_push(shm_postings *list, shm_posting *posting);
shm_posting *shm_postings_pop(shm_postings *list);
shm_posting *shm_posting_take(kolo_transport *t, int32_t peer, uint64_t tag, size_t bytes, void *cookie);
void shm_posting_done(kolo_transport *t, shm_posting *posting, kolo_status status);
void shm_posted_insert(kolo_transport *t, shm_posting *posting);
shm_posting *shm_posted_remove(kolo_transport *t, int32_t peer, uint64_t tag); /* NULL: none */
/* NULL: no memory, or none. */
shm_arrival *shm_arrival_insert(kolo_transport *t, int32_t peer, uint64_t tag, size_t bytes, size_t kept);
shm_arrival *shm_arrival_remove(kolo_transport *t, int32_t peer, uint64_t tag);
void shm_arrivals_drop(kolo_transport *t, int32_t peer, bool own_only); /* -1: everybody's */
int shm_postings_report(kolo_transport *t);
void shm_postings_end(kolo_transport *t, int32_t peer, kolo_status status); /* -1: all */
void shm_postings_free(kolo_transport *t);
/* KOLO_OK, or the refusal of a message of another size than expected. */
kolo_status shm_judge_size(kolo_transport *t, int32_t peer, size_t sent, size_t expected);

/* send.c */
kolo_status shm_send_control(kolo_transport *t, int32_t peer, const void *bytes, size_t size);
kolo_status shm_send(kolo_transport *t, int32_t peer, uint64_t tag, const void *buffer, size_t bytes, void *cookie);
bool shm_put(kolo_transport *t, shm_peer *peer, shm_kind kind, uint64_t word, const void *bytes, size_t size);
int shm_flush(kolo_transport *t, shm_peer *peer);
void shm_controls_free(shm_peer *peer);

/* receive.c */
kolo_status shm_recv(kolo_transport *t, int32_t peer, uint64_t tag, void *buffer, size_t bytes, void *cookie);
int shm_receive(kolo_transport *t); /* reads the rings */

/* pull.c: peers' memory, and messages read from there. */
bool shm_reads_peers(kolo_transport *t);
kolo_status shm_read_peer(kolo_transport *t, int32_t rank, uintptr_t address, void *to, size_t bytes);
bool shm_pull_probe(int32_t pid, uint64_t address, const unsigned char proof[SHM_PROOF_BYTES]);
void shm_pull_begin(kolo_transport *t, shm_posting *posting, const shm_announcement *announcement);
void shm_reply(kolo_transport *t, shm_posting *posting, shm_kind reply);
int shm_pull(kolo_transport *t);

#endif
