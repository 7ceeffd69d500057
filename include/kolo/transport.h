/* kolo/transport.h - the module side of Kolo: what moves bytes between ranks.
 *
 * A transport is a table of functions. The engine sees nothing else of it, so a new one is one .c file that fills the
 * table, and passes tests/conformance. It can be linked in, or built as a module: a shared object that exports
 *
 *     const kolo_transport_ops *kolo_transport_module(void);
 *
 * and lies in a folder of KOLO_TRANSPORT_PATH as kolo_transport_NAME.so.
 *
 * Two kinds of traffic:
 *   control   small messages (<= control_max bytes), one way, copied by the call, delivered to
 *             env.on_control. Reliable and exactly once; order is NOT promised.
 *   data      tagged messages between a send and a receive that name each other and the same tag. The engine
 *             never has two messages under way with the same (source, destination, tag). A receive may be posted
 *             after its message arrived. Both sides give the same number of bytes; 0 is legal.
 *
 * Threads. All functions of one instance are called by one thread at a time (whoever holds the engine's token; not
 * always the same thread). Only the fd of event_fd may be polled concurrently, and heap_alloc and heap_free called, which
 * may use env.explain and env.log on their threads.
 *
 * Upcalls. env.on_* are called from inside progress() only - never from inside send(), recv() or
 * send_control(), however early the work is done. An upcall may call send, recv and send_control; it does not
 * call progress, arm, close or destroy.
 *
 * Blocking. Nothing here blocks, except create() and destroy() for a short time.
 *
 *     create ──► address ──► connect ──► {send_control, send, recv, progress, arm}* ──► close ──► progress until closed
 *        │                                                                                             │
 *        └──────────────────────── from anywhere, once created ──────────────────────────► destroy ◄───┘
 */
#ifndef KOLO_TRANSPORT_H
#define KOLO_TRANSPORT_H

#include <kolo/types.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KOLO_TRANSPORT_MAGIC UINT32_C(0x4b6f4c54) /* "KoLT" */
#define KOLO_TRANSPORT_ABI   1u
#define KOLO_TRANSPORT_ENTRY "kolo_transport_module"

/* What every transport must carry as one control message. */
#define KOLO_CONTROL_BYTES (128u * 1024u)

typedef struct kolo_transport kolo_transport; /* an instance; defined by the module */

/* Bytes of somebody else's. */
typedef struct kolo_bytes {
    const void *data;
    size_t size;
} kolo_bytes;

/* What a transport gets from its user. Copied by create(). All upcalls carry `user`. */
typedef struct kolo_transport_env {
    size_t struct_size;
    int32_t rank; /* of this process, 0 .. size-1 */
    int32_t size;
    void *user;
    /* A control message from peer. bytes are valid during the call only. */
    void (*on_control)(void *user, int32_t peer, const void *bytes, size_t size);
    /* The send or receive that was posted with this cookie is over, and its buffer is the engine's again. Exactly once
     * for every posting that answered KOLO_OK. Other statuses than KOLO_OK: canceled, or failed; the buffer's content
     * is undefined. */
    void (*on_complete)(void *user, void *cookie, kolo_status status);
    /* The way to peer is broken; said once per peer. Postings that name it complete with KOLO_ERR_PEER. */
    void (*on_peer_lost)(void *user, int32_t peer, const char *why);
    /* A log line; and the detail text for the error that the function is about to return. May be NULL. Any time. */
    void (*log)(void *user, kolo_log_level level, const char *line);
    void (*explain)(void *user, kolo_status status, int sys_errno, const char *message);
    /* The configured value of KOLO_<name> for the transport ("UCX_TLS", "IFACE"), or NULL. Valid until destroy(). May
     * be NULL itself. */
    const char *(*option)(void *user, const char *name);
    /* Memory of this rank's own, with no pages yet, that peers will map: its user may say on which NUMA nodes they shall be.
     * From create(). May be NULL. */
    void (*place)(void *user, void *memory, size_t bytes);
    /* What this transport needs beyond the above, agreed between its user and itself (sim: the world). NULL else. */
    void *extra;
} kolo_transport_env;

typedef struct kolo_transport_ops {
    uint32_t magic;   /* KOLO_TRANSPORT_MAGIC */
    uint32_t abi_min; /* the range of KOLO_TRANSPORT_ABI this module was built for and accepts */
    uint32_t abi_max;
    size_t struct_size; /* sizeof(kolo_transport_ops) */
    const char *name;   /* "ucx" */
    size_t control_max; /* largest control message in bytes; at least KOLO_CONTROL_BYTES */

    /* A new instance, not yet connected. On failure *transport is untouched. */
    kolo_status (*create)(const kolo_transport_env *env, kolo_transport **transport);

    /* This instance's address, to be carried to every peer by other means. Valid until destroy(). */
    kolo_status (*address)(kolo_transport *transport, kolo_bytes *address);

    /* The addresses of all ranks, own included: addresses[0 .. size-1]. Copied. Connections may be made lazily. An
     * address that does not decode is KOLO_ERR_PROTOCOL. */
    kolo_status (*connect)(kolo_transport *transport, const kolo_bytes *addresses);

    /* A control message to peer (!= rank), copied before the call returns. size <= control_max. */
    kolo_status (*send_control)(kolo_transport *transport, int32_t peer, const void *bytes, size_t size);

    /* Posts one data message. buffer belongs to the transport until on_complete(cookie). An error means that nothing
     * was posted. */
    kolo_status (*send)(kolo_transport *transport, int32_t peer, uint64_t tag, const void *buffer, size_t bytes,
                        void *cookie);
    kolo_status (*recv)(kolo_transport *transport, int32_t peer, uint64_t tag, void *buffer, size_t bytes,
                        void *cookie);

    /* Moves things on, and makes the upcalls. Returns how many upcalls and internal events there were; 0: nothing to
     * do. */
    int (*progress)(kolo_transport *transport);

    /* Cancels every posted send and receive; their completions follow through progress(), soon, whatever the peers do.
     */
    void (*cancel_all)(kolo_transport *transport);

    /* An fd that becomes readable when progress() has something to do after a successful arm(); -1 where there is none
     * (sim). */
    int (*event_fd)(kolo_transport *transport);

    /* *armed = true: the caller may now sleep on event_fd. false: something has arrived meanwhile, call progress()
     * first. Early wake-ups are allowed, missed ones are not. */
    kolo_status (*arm)(kolo_transport *transport, bool *armed);

    /* Begins an orderly close. All peers must have stopped sending (the engine runs a barrier first), or `force` is
     * given: then everything still posted is dropped. Nothing but progress, closed and destroy may follow. */
    void (*close)(kolo_transport *transport, bool force);
    bool (*closed)(kolo_transport *transport);

    /* Frees everything. Postings that are not over are forgotten: no upcall follows. */
    void (*destroy)(kolo_transport *transport);

    /* Optional, all four or none (NULL): memory that the peers of this host have mapped, for algorithms that load and
     * store.
     *
     * window: the start of rank's window (own included), window_bytes long, page-aligned, zeroed at start; NULL where
     * rank's memory is not mapped here. Valid from connect() to destroy(). Whoever uses windows keeps order by flags
     * alone. */
    void *(*window)(kolo_transport *transport, int32_t rank);
    size_t (*window_bytes)(kolo_transport *transport);

    /* rank's flags: KOLO_TRANSPORT_FLAG_LINES lines of 64 bytes, zero at start, written by rank only (with release),
     * read by anyone (with acquire). Their meaning is the user's. */
    uint64_t *(*flags)(kolo_transport *transport, int32_t rank);

    /* Own flags have changed: peers that sleep are woken. A peer counts as asleep from its arm() on; it must look at
     * the flags it waits for once more after arm() and before it sleeps. Cheap when nobody sleeps. */
    void (*flags_changed)(kolo_transport *transport);

    /* Optional, all four or none (NULL): memory for tensors that the peers of this host have mapped too.
     *
     * heap: the start of rank's heap (own included), heap_bytes long, 2 MiB-aligned; NULL where rank's is not mapped
     * here, or there are none. It is address space: memory is only where heap_alloc put it, and must not be accessed
     * elsewhere. A range that rank's heap_alloc answered lies at the same offset for all. Valid from connect() to
     * destroy(). */
    void *(*heap)(kolo_transport *transport, int32_t rank);
    size_t (*heap_bytes)(kolo_transport *transport); /* the same on all ranks */

    /* bytes (> 0) of the own heap: zeroed; aligned to KOLO_TRANSPORT_HEAP_LINE, from KOLO_TRANSPORT_HEAP_SMALL on to a
     * page, and from 2 MiB on to 2 MiB. The pages are there: no access fails later. KOLO_ERR_MEMORY: no room in the
     * heap, or not enough memory now. Any thread, between connect() and destroy(). */
    kolo_status (*heap_alloc)(kolo_transport *transport, size_t bytes, void **memory);
    /* Gives it back, whoever uses it. KOLO_ERR_INVALID: not from heap_alloc, or freed before. Any thread, as above. */
    kolo_status (*heap_free)(kolo_transport *transport, void *memory);

    /* Optional, both or none (NULL): memory of peers that is not mapped here, read by the kernel (cross-memory attach).
     *
     * reads_peers: whether this rank may read all others' memory; constant from connect() on. */
    bool (*reads_peers)(kolo_transport *transport);
    /* Copies bytes at `address` of peer's process into `to`, before it returns; of the own one, to see whether others could.
     * Whoever reads and whoever owns them keep order by flags. `to` is undefined where that fails. KOLO_ERR_PEER: peer's
     * process is over, or it has called cancel_all; of the one on_peer_lost will tell, of the other whoever did it.
     * KOLO_ERR_INVALID: the kernel reads no such memory. */
    kolo_status (*read_peer)(kolo_transport *transport, int32_t peer, uintptr_t address, void *to, size_t bytes);
} kolo_transport_ops;

#define KOLO_TRANSPORT_FLAG_LINES 128
#define KOLO_TRANSPORT_HEAP_LINE  ((size_t)128) /* two cache lines: many processors fetch them in pairs */
#define KOLO_TRANSPORT_HEAP_SMALL ((size_t)64 * 1024)

/* The type of the entry symbol KOLO_TRANSPORT_ENTRY of a loadable module. */
typedef const kolo_transport_ops *(*kolo_transport_module_fn)(void);

/* Data tags use the lower 44 bits; the upper 20 are the transport's own (a source rank, for example). */
#define KOLO_TRANSPORT_TAG_BITS 44

#ifdef __cplusplus
}
#endif
#endif /* KOLO_TRANSPORT_H */
