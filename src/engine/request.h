/* request.h - one submitted operation: what it is, whose memory it uses, and how it ended.
 *
 *     PREPARED ──► PENDING ──► FINISHING ──► DONE
 *                     ▲        result set,   waiters may return
 *                     │        callback runs  │
 *                     └── started again ──────┘
 * Most begin as PENDING and are started once.
 *
 * Two parties hold references: the user's handle and the engine. The user may let go at any time; the memory named
 * in the pieces is the engine's until DONE. */
#ifndef KOLO_ENGINE_REQUEST_H
#define KOLO_ENGINE_REQUEST_H

#include "engine/board.h"
#include <kolo/kolo.h>
#include <stdatomic.h>
#include <stddef.h>

/* The name of kolo_finalize's barrier: who submits it has no other operation under way, and will submit none. Names that
 * begin with '#' are Kolo's own; "#0", "#1", ... those of operations that were given none. */
#define KOLO_FAREWELL "#finalize"

typedef enum kolo_request_state {
    KOLO_REQUEST_PENDING,
    KOLO_REQUEST_FINISHING,
    KOLO_REQUEST_DONE,
    KOLO_REQUEST_PREPARED
} kolo_request_state;

/* By cache lines: between thousands of requests in flight each line is far away again when it is needed. */
struct kolo_request {
    /* What its end takes. */
    _Atomic uint32_t state;  /* kolo_request_state */
    _Atomic uint32_t waited; /* somebody sleeps until DONE: wake the driver's sleepers */
    _Atomic uint32_t refs;
    bool pooled; /* its memory */
    bool running;
    bool asked;  /* after the deadline: who is late? */
    bool posted; /* on the board, as `post`, and not yet complete */
    kolo_status status;
    uint32_t agreement; /* on its entry, that it was found to be the same as; 0: none */
    kolo_error *error;  /* NULL, or owned */
    uint64_t flags;
    kolo_done_fn done;
    void *user;
    struct kolo_driver *driver; /* whoever can make it progress; NULL under the simulator */
    /* The engine's lists. */
    struct kolo_entry *entry; /* of its name, once taken from the queue */
    size_t pieces_left;
    struct kolo_request *next_posted;
    struct kolo_request *next_same_name;
    struct kolo_request *live_prev, *live_next;
    struct kolo_request *burst_last,
        *burst_looked; /* of a burst's first member: the last one, the one to look at next, */
    /* What it is. */
    uint32_t burst_count; /* and how many there are */
    kolo_operation operation;
    kolo_piece *pieces;
    char *name;
    uint8_t *description;
    size_t description_size;
    kolo_post post;
    int64_t deadline_ns;          /* INT64_MAX: none; or KOLO_COUNT_LATER */
    int64_t timeout_ns;           /* <= 0: none */
    uint64_t process;             /* that submitted it; a forked child's is another */
    uint64_t serial;              /* of one that can be started again: no other has it; else 0 */
    struct kolo_context *context; /* of such a one: where, and which of those that have been there */
    uint64_t incarnation;
};
_Static_assert(offsetof(struct kolo_request, entry) == 64 && offsetof(struct kolo_request, burst_count) == 128,
               "as its comments say");

/* Its end is near. */
static inline void kolo_request_prefetch(const kolo_request *request)
{
    __builtin_prefetch(request, 1);
    __builtin_prefetch(&request->entry, 1);
}

/* What a request is made of; everything is copied. shapes[i] has ndims[i] entries. */
typedef struct kolo_request_spec {
    const char *name;
    kolo_operation operation;
    const kolo_piece *pieces;
    const int32_t *ndims;
    const int64_t *const *shapes;
    int64_t timeout_ns; /* <= 0: none */
    uint64_t flags;
    kolo_done_fn done;
    void *user;
} kolo_request_spec;

/* Writes what two ranks must agree on. The writer's ok tells whether it fits. */
void kolo_request_describe(kolo_writer *writer, const kolo_request_spec *spec);

/* Whether `bytes` are what the above would write. */
bool kolo_request_is_described(const kolo_request_spec *spec, const uint8_t *bytes, size_t size);

/* In place of a time: a deadline counts from when the engine takes the request from its queue. */
enum { KOLO_COUNT_LATER = -1 };

/* With one reference, the caller's; its deadline counts from now_ns. KOLO_ERR_INVALID when the description is too long. */
KOLO_NODISCARD kolo_status kolo_request_create(const kolo_request_spec *spec, int64_t now_ns, kolo_request **request);
/* Makes one that is PREPARED or DONE ready to be submitted again, as if it had just been made; but for its deadline: */
void kolo_request_renew(kolo_request *request);
void kolo_request_count_from(kolo_request *request, int64_t now_ns);
void kolo_request_retain(kolo_request *request);
void kolo_request_release(kolo_request *request);

/* Inside a call on the user's handle, which nobody can free meanwhile: the engine gets a reference; and gives it back with
 * success, which the state tells at last. Without the cost of counting, as a rule. */
void kolo_request_lend(kolo_request *request);
void kolo_request_end_lent(kolo_request *request);

/* The first of its pieces; NULL of a barrier. */
static inline const kolo_piece *kolo_request_piece(const kolo_request *request)
{
    return request->operation.piece_count > 0 ? request->pieces : NULL;
}

/* The operation in a sentence, as its caller knows it: "'gradient'", "operation #0 (unnamed)", "kolo_finalize". Returns
 * text. And the same for kolo_error's `tensor`: the name as it is, if the caller gave one. And whether that is so. */
enum { KOLO_TITLE_BYTES = 128 };
char *kolo_request_title(const char *name, char text[KOLO_TITLE_BYTES]);
const char *kolo_request_label(const char *name, char text[KOLO_TITLE_BYTES]);
bool kolo_request_is_named(const char *name);

static inline bool kolo_request_is_under_way(const kolo_request *request)
{
    return atomic_load_explicit(&request->state, memory_order_acquire) <= KOLO_REQUEST_FINISHING;
}

static inline bool kolo_request_is_done(const kolo_request *request)
{
    return atomic_load_explicit(&request->state, memory_order_acquire) == KOLO_REQUEST_DONE;
}

/* Sets the result (error NULL: success), runs the callback, and publishes DONE. Once; by whoever drives the engine. */
void kolo_request_finish(kolo_request *request, const kolo_error *error);

#endif
