/* kolo/kolo.h - the host side of Kolo: join a job, all-reduce tensors, leave.
 *
 * A data-parallel program:
 *
 *     kolo_context *ctx;
 *     kolo_init(NULL, &ctx);                              // who am I: from the launcher's variables
 *     for (each step) {
 *         kolo_args args = KOLO_ARGS_INIT;
 *         args.name = "gradients";
 *         args.output = KOLO_VECTOR(grad, n, KOLO_FLOAT32); // in place; in C++: kolo_vector(grad, &n, ...)
 *         args.op = KOLO_AVERAGE;
 *         kolo_allreduce(ctx, &args, NULL);               // NULL: wait for the result
 *     }
 *     kolo_finalize(ctx);
 *
 * Matching. Ranks match operations by name. Operations without a name are matched by their order
 * among a rank's unnamed operations. The same name may be submitted again before its predecessor is
 * complete: submissions of one name match in order. Different names may be submitted in a different order on
 * every rank. If ranks disagree about an operation (type, shape, operator, ...), it fails on every rank with
 * KOLO_ERR_MISMATCH, and kolo_last_error()/kolo_request_error() tell which rank sent what.
 *
 * Determinism. The same job gives the same bits on every run, whatever the timing, fused or not.
 *
 * Threads. Classes used below: [any] any thread, concurrently with everything; [once] not concurrently with any other
 * call on the same context. Callbacks run on the thread that drives the engine: Kolo's communication
 * thread, or a caller inside kolo_wait/kolo_progress/a synchronous operation.
 *
 * Errors. Every failing call sets the calling thread's kolo_last_error(). Nothing here exits, aborts, installs a
 * signal handler, or prints except through the log callback. In a forked child every call on an inherited
 * context answers KOLO_ERR_STATE; so does every call after kolo_finalize.
 */
#ifndef KOLO_H
#define KOLO_H

#include <kolo/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(KOLO_BUILDING)
#define KOLO_API __attribute__((visibility("default")))
#else
#define KOLO_API
#endif

#define KOLO_ABI_MAJOR 1
#define KOLO_ABI_MINOR 0

typedef struct kolo_context kolo_context; /* membership in one job */
typedef struct kolo_request kolo_request; /* one submitted operation */

/* ---- joining and leaving -------------------------------------------------------------------- */

/* How to join. Fields left at KOLO_INIT_ARGS_INIT's values are taken from the environment: RANK, WORLD_SIZE, LOCAL_RANK,
 * LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT; without RANK and WORLD_SIZE the job is this process alone.
 * KOLO_* variables (see kolo-info) configure the rest. */
typedef struct kolo_init_args {
    size_t struct_size;
    kolo_log_fn log;       /* NULL: one line per event to stderr, with the rank */
    void *log_user;
    int32_t rank;          /* -1: from the environment; else rank, size and master_* as given here */
    int32_t size;          /* -1: from the environment */
    const char *master_addr; /* NULL: from the environment. Host name or address of rank 0's rendezvous. */
    int32_t master_port;   /* -1: from the environment */
} kolo_init_args;
#ifdef __cplusplus
#define KOLO_INIT_ARGS_INIT { sizeof(kolo_init_args), NULL, NULL, -1, -1, NULL, -1 }
#else
#define KOLO_INIT_ARGS_INIT                                                                        \
    { .struct_size = sizeof(kolo_init_args), .rank = -1, .size = -1, .master_port = -1 }
#endif

/* Joins the job, and starts the communication thread. Blocks until all ranks have come, at most
 * KOLO_INIT_TIMEOUT (60 s); then fails with KOLO_ERR_BOOTSTRAP naming the ranks that are missing. args may be NULL.
 * A process may hold several contexts (for tests; each with its own rank). [any] */
KOLO_NODISCARD KOLO_API kolo_status kolo_init(const kolo_init_args *args, kolo_context **ctx);

/* Waits until every rank calls it and all operations are complete, then leaves the job and stops the thread.
 * ctx is invalid afterwards, also when an error is returned (which then says who did not come, within
 * KOLO_TIMEOUT). A rank that has called it takes part in nothing more: what others still submit fails at once, on every
 * rank, with KOLO_ERR_PEER naming it. Requests stay valid until kolo_request_free. kolo_alloc memory is gone. [once] */
KOLO_API kolo_status kolo_finalize(kolo_context *ctx);

/* Rank, number of ranks, and the same among the ranks of this host. -1 with kolo_last_error() on a bad ctx. [any] */
KOLO_API int32_t kolo_rank(const kolo_context *ctx);
KOLO_API int32_t kolo_size(const kolo_context *ctx);
KOLO_API int32_t kolo_local_rank(const kolo_context *ctx);
KOLO_API int32_t kolo_local_size(const kolo_context *ctx);

/* ---- operations ----------------------------------------------------------------------------- */

/* Called once when the request is complete, before any waiter returns. It may submit operations, and may
 * call kolo_request_free(request), unless the call waits, which frees its own; it must not wait. If status is not KOLO_OK,
 * details: kolo_request_error(request). */
typedef void (*kolo_done_fn)(void *user, kolo_request *request, kolo_status status);

enum {
    KOLO_NOTIFY_FD = 1 /* args.flags: count this request's completion on kolo_completion_fd() */
};

/* One operation. Zeroed except struct_size and the factors: use KOLO_ARGS_INIT. Copied by the call; the name,
 * lists and shapes too. The tensors' memory, which needs no alignment, belongs to Kolo from the call until completion: input
 * may be read, output neither read nor written. So no output may overlap other memory of an operation under way; inputs may
 * overlap each other. Within a call that is checked (KOLO_ERR_INVALID), between calls it is not: their results would be
 * undefined. */
typedef struct kolo_args {
    size_t struct_size;
    const char *name;           /* identity across ranks, 1..255 bytes; NULL: by order of call */
    kolo_tensor input;          /* data NULL: in place, the input is in output */
    kolo_tensor output;         /* must be given, except to a barrier, and to an all-reduce of a list: */
    const kolo_tensor *inputs;  /* each like input; NULL: all are in place */
    const kolo_tensor *outputs; /* each like output; of any types */
    size_t tensors;             /* how many there are of each, 1..4096; 0: no list, but the one tensor above */
    kolo_reduce_op op;          /* all-reduce, reduce-scatter */
    int32_t root;               /* broadcast */
    double prescale;            /* inputs are multiplied by it (floating types; 1 otherwise) */
    double postscale;           /* the result is multiplied by it (floating types; 1 otherwise) */
    int64_t timeout_ns;         /* deadline from now; 0: KOLO_TIMEOUT; < 0: none. When it passes, the job is broken: every
                                 * rank's operations fail with KOLO_ERR_TIMEOUT, naming who is late. To wait for less
                                 * without breaking anything: kolo_wait(request, timeout_ns). */
    uint64_t flags;             /* KOLO_NOTIFY_FD */
    kolo_done_fn done;          /* may be NULL */
    void *user;
} kolo_args;
#ifdef __cplusplus
#define KOLO_ARGS_INIT { sizeof(kolo_args), NULL, {}, {}, NULL, NULL, 0, KOLO_SUM, 0, 1.0, 1.0, 0, 0, NULL, NULL }
#else
#define KOLO_ARGS_INIT { .struct_size = sizeof(kolo_args), .prescale = 1.0, .postscale = 1.0 }
#endif

/* The operations. All are collective, and asynchronous: they return once the operation is queued, with *request to
 * be freed by kolo_request_free(); if request is NULL they wait for completion instead, and answer its
 * status. Count 0 is legal. [any]
 *
 * allreduce       output = op over all ranks' inputs. input and output have the same count. Of one tensor, or of a list
 *                 that starts and completes together (fused where types allow).
 * broadcast       output of every rank = root's output (in place; input is ignored).
 * reduce_scatter  input: count elements; output: this rank's slice of the reduction (kolo_slice(count, ...)).
 *                 In place (input.data NULL): output holds all count elements, and the slice lands at its offset.
 * allgather       output: count elements; input: this rank's slice of them. In place: the slice is already in
 *                 output at its offset. count needs not be divisible by the number of ranks.
 * barrier         completes when every rank has submitted it. args may be NULL.
 *
 * Lists of tensors, and their shapes, must live until the call: a shape of KOLO_VECTOR dies with the block it is written in,
 * so a loop that fills a list needs shapes of its own (kolo_vector). A call with a list that waits, has a name and no
 * callback, and says the same as one before costs little more than the start of a prepared one: the first prepares it.
 * Tensors are freed, and others passed, as one likes: the last two lists of a name are remembered (without strides; 64 in
 * all), and no tensor is touched before a call lists it again. */
KOLO_NODISCARD KOLO_API kolo_status kolo_allreduce(kolo_context *ctx, const kolo_args *args, kolo_request **request);
KOLO_NODISCARD KOLO_API kolo_status kolo_broadcast(kolo_context *ctx, const kolo_args *args, kolo_request **request);
KOLO_NODISCARD KOLO_API kolo_status kolo_reduce_scatter(kolo_context *ctx, const kolo_args *args, kolo_request **request);
KOLO_NODISCARD KOLO_API kolo_status kolo_allgather(kolo_context *ctx, const kolo_args *args, kolo_request **request);
KOLO_NODISCARD KOLO_API kolo_status kolo_barrier(kolo_context *ctx, const kolo_args *args, kolo_request **request);

/* Makes a request for an all-reduce that is done again and again, as MPI_Allreduce_init does, checked and described once.
 * args.name must be given; by it the ranks match, whether they prepared the operation or not; two requests of one name
 * match in the order of their starts. args and what they point to may go after the call, but not the tensors: their memory
 * must stay what it is until kolo_request_free, and is not to be given to kolo_free before. Nothing begins yet: before the
 * first kolo_start, kolo_wait and kolo_test answer KOLO_ERR_STATE. The deadline counts from each start, and the callback
 * runs each time. [any] */
KOLO_NODISCARD KOLO_API kolo_status kolo_prepare(kolo_context *ctx, const kolo_args *args, kolo_request **request);

/* Starts a prepared operation; then kolo_wait or kolo_test tell when it is over, and it can be started again. KOLO_ERR_STATE
 * while it is under way, which it still is in its own callback; and when its context is gone. In a broken job kolo_wait
 * tells, as after any call. Not concurrently with another call on the same request. [any] */
KOLO_NODISCARD KOLO_API kolo_status kolo_start(kolo_request *request);

/* Which part of count elements is rank's: the first count % size ranks get one element more. Pure. [any] */
KOLO_API void kolo_slice(int64_t count, int32_t size, int32_t rank, int64_t *offset, int64_t *slice_count);

/* ---- requests ------------------------------------------------------------------------------- */

/* *done = 1 once the operation is complete (then the status is its result), else 0. Drives nothing, never
 * blocks. [any] */
KOLO_NODISCARD KOLO_API kolo_status kolo_test(kolo_request *request, int *done);

/* Waits for completion, driving the engine from this thread where nobody else does. timeout_ns < 0: as long as it takes (the
 * operation's own deadline still holds); 0: one step, then like kolo_test. KOLO_ERR_TIMEOUT when it passes: the operation
 * goes on. [any] */
KOLO_NODISCARD KOLO_API kolo_status kolo_wait(kolo_request *request, int64_t timeout_ns);

/* Gives the handle back. The operation goes on when it is not complete. NULL is ignored. Leaves kolo_last_error() as it
 * is. [any] */
KOLO_API void kolo_request_free(kolo_request *request);

/* One step of the engine, for hosts with natural pauses; returns at once when somebody else drives. [any] */
KOLO_API kolo_status kolo_progress(kolo_context *ctx);

/* *fd: an eventfd, readable when requests with KOLO_NOTIFY_FD have completed; reading 8 bytes gives their number and
 * resets it. Owned by ctx, non-blocking. [any] */
KOLO_NODISCARD KOLO_API kolo_status kolo_completion_fd(kolo_context *ctx, int *fd);

/* ---- memory --------------------------------------------------------------------------------- */

/* bytes of zeroed memory for tensors, aligned to 128 bytes, from 64 KiB on to a page, from 2 MiB on to 2 MiB. *ptr is
 * NULL for 0 bytes. Where all ranks share a host, it lies where every one of them has mapped it (KOLO_SHM_HEAP):
 * operations then load and store there without copies in between; its pages are there when the call returns, and a forked
 * child shares it with its parent, which goes on using it: the child must not write to it. Elsewhere, and where there is no
 * room, it is private. Tensors that are allocated one after another lie one after another where there is room; groups of
 * them in that order are worked on as one tensor where their sizes leave no gaps.
 * Lives until kolo_free or kolo_finalize. kolo_free waits for nothing: no operation may use it. NULL is ignored. After
 * an error that broke the job, what lies there may still change: a peer may not have heard of it yet. [any] */
KOLO_NODISCARD KOLO_API kolo_status kolo_alloc(kolo_context *ctx, size_t bytes, void **ptr);
KOLO_API kolo_status kolo_free(kolo_context *ctx, void *ptr);

/* ---- errors, log, version ------------------------------------------------------------------- */

/* What went wrong. Strings are never NULL; "" where not known. */
typedef struct kolo_error {
    size_t struct_size;
    kolo_status status;
    int32_t sys_errno;   /* errno of the failing system call, 0 if none */
    char operation[24];  /* "allreduce", "init", ... */
    char tensor[256];    /* its name; "kolo_finalize"; or "operation #0 (unnamed)": #k, counted modulo 64 */
    char ranks[128];     /* the ranks concerned: "3", "0-2,5" */
    char hop[64];        /* where on the way: "ring step 3, from rank 1" */
    char message[768];   /* a sentence: what happened, where, and what to do */
} kolo_error;

/* The calling thread's last error in any kolo call; never NULL; status KOLO_OK if there was none. Valid until this
 * thread's next kolo call. [any] */
KOLO_API const kolo_error *kolo_last_error(void);

/* The error of a completed request, NULL if it has none (yet). Valid until kolo_request_free or the next kolo_start. [any] */
KOLO_API const kolo_error *kolo_request_error(const kolo_request *request);

/* "KOLO_ERR_INVALID", and the phrase of the list. "unknown status" for other numbers. [any] */
KOLO_API const char *kolo_status_name(kolo_status status);
KOLO_API const char *kolo_status_text(kolo_status status);

/* "0.1.0". [any] */
KOLO_API const char *kolo_version(void);

/* ---- the same as a table, for those who dlopen ----------------------------------------------- */

/* Grows at the end only; `size` tells how much there is. The order is frozen by static asserts. */
typedef struct kolo_api {
    size_t size;
    uint32_t abi_major;
    uint32_t abi_minor;
    kolo_status (*init)(const kolo_init_args *args, kolo_context **ctx);
    kolo_status (*finalize)(kolo_context *ctx);
    int32_t (*rank)(const kolo_context *ctx);
    int32_t (*world_size)(const kolo_context *ctx);
    int32_t (*local_rank)(const kolo_context *ctx);
    int32_t (*local_size)(const kolo_context *ctx);
    kolo_status (*allreduce)(kolo_context *ctx, const kolo_args *args, kolo_request **request);
    kolo_status (*broadcast)(kolo_context *ctx, const kolo_args *args, kolo_request **request);
    kolo_status (*reduce_scatter)(kolo_context *ctx, const kolo_args *args, kolo_request **request);
    kolo_status (*allgather)(kolo_context *ctx, const kolo_args *args, kolo_request **request);
    kolo_status (*barrier)(kolo_context *ctx, const kolo_args *args, kolo_request **request);
    void (*slice)(int64_t count, int32_t size, int32_t rank, int64_t *offset, int64_t *slice_count);
    kolo_status (*test)(kolo_request *request, int *done);
    kolo_status (*wait)(kolo_request *request, int64_t timeout_ns);
    void (*request_free)(kolo_request *request);
    kolo_status (*progress)(kolo_context *ctx);
    kolo_status (*completion_fd)(kolo_context *ctx, int *fd);
    kolo_status (*alloc)(kolo_context *ctx, size_t bytes, void **ptr);
    kolo_status (*free)(kolo_context *ctx, void *ptr);
    const kolo_error *(*last_error)(void);
    const kolo_error *(*request_error)(const kolo_request *request);
    const char *(*status_name)(kolo_status status);
    const char *(*status_text)(kolo_status status);
    const char *(*version)(void);
    kolo_status (*prepare)(kolo_context *ctx, const kolo_args *args, kolo_request **request);
    kolo_status (*start)(kolo_request *request);
} kolo_api;

/* The table, or NULL (with kolo_last_error) where this library can't serve abi_major, or has a minor below
 * min_minor. Static memory. [any] */
KOLO_API const kolo_api *kolo_get_api(uint32_t abi_major, uint32_t min_minor);

#ifdef __cplusplus
}
#endif
#endif /* KOLO_H */
