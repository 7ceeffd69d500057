/* instance.h - what the files of the UCX transport share. Nobody else includes it.
 *
 * There are two workers, because UCX ties two things together that Kolo wants apart:
 *
 *   control  endpoints in PEER error mode: a broken connection is reported, and becomes on_peer_lost
 *   data     endpoints in NONE error mode: TCP keeps its zero-copy rendezvous (1.13: 3.5 against 1.8 GB/s at 4 MiB)
 *
 * UCX 1.13 cancels a receive that waits for its message, and nothing else. So cancel_all(), where UCX still holds a
 * buffer afterwards, halts the data worker for good: not being progressed, it touches nobody's memory any more. Control
 * goes on. (A network card that a peer drives by RDMA is not stopped by that; the peers' own cancel_all() is.)
 *
 * A posting:
 *
 *     FREE ──post──► ACTIVE ──UCX's callback──► DONE ──upcall──► FREE
 *                      └─────cancel, peer lost──► DONE ──upcall──► ABANDONED (UCX still holds it) ──callback──► FREE
 */
#ifndef KOLO_TRANSPORT_UCX_INSTANCE_H
#define KOLO_TRANSPORT_UCX_INSTANCE_H

#include "guard.h"

#include <ucp/api/ucp.h>

enum { UCX_CONTROL, UCX_DATA, UCX_WORKERS };
enum { UCX_AM_CONTROL = 1, UCX_AM_BYE = 2 };
enum { UCX_MAX_ADDRESS_BYTES = 64 * 1024 };

typedef enum ucx_state { UCX_FREE, UCX_ACTIVE, UCX_DONE, UCX_ABANDONED } ucx_state;

typedef struct ucx_posting {
    struct ucx_posting *next; /* in the free list or the done queue */
    kolo_transport *transport;
    void *cookie;
    void *request; /* UCX's; NULL when UCX is through with it */
    size_t bytes;
    int32_t peer;
    bool is_recv;
    ucx_state state;
    kolo_status status;
} ucx_posting;

/* Postings come in blocks, which are never given back before the end: UCX may call back at any time. */
enum { UCX_BLOCK_POSTINGS = 256 };
typedef struct ucx_block {
    struct ucx_block *next;
    ucx_posting postings[UCX_BLOCK_POSTINGS];
} ucx_block;

/* A control message on its way out: our copy. */
typedef struct ucx_cell {
    struct ucx_cell *prev, *next;
    kolo_transport *transport;
    uint32_t source; /* the active message's header, little-endian */
    size_t capacity;
    unsigned char bytes[];
} ucx_cell;

typedef struct ucx_peer {
    kolo_transport *transport;
    kolo_bytes address[UCX_WORKERS]; /* within the transport's `addresses` */
    ucp_ep_h endpoint[UCX_WORKERS];
    void *close_request[UCX_WORKERS];
    bool heard;     /* a message came from it */
    bool leaving;   /* it said bye: what breaks now is no loss */
    bool broken;    /* its connection failed */
    bool lost;      /* and the user was told */
    ucs_status_t why;
} ucx_peer;

struct kolo_transport {
    kolo_guard guard;
    bool in_progress;
    bool halted;    /* the data worker is not progressed any more */
    bool forced;    /* close(force) */
    bool destroyed; /* no upcalls from here on */
    ucp_context_h context;
    ucp_worker_h worker[UCX_WORKERS];
    int epoll_fd; /* over both workers' event fds */
    void *address;
    size_t address_bytes;
    void *addresses; /* all peers' worker addresses */
    ucx_peer *peers;
    size_t broken; /* peers that are broken and not yet lost */
    ucx_block *blocks;
    ucx_posting *free_postings;
    ucx_posting *done, **done_tail;
    ucx_cell *cells;      /* handed to UCX */
    ucx_cell *free_cells; /* small ones */
    size_t free_cell_count;
};

/* config.c: a configured context. Also takes back what loading UCX did to the process (signal handlers). */
kolo_status ucx_context_create(const kolo_transport_env *env, ucp_context_h *context);

/* devices.c: the value for UCX's NET_DEVICES. spec is KOLO_IFACE or NULL. "" in devices: leave it to UCX. */
kolo_status ucx_devices_choose(const kolo_transport_env *env, const char *spec, char *devices, size_t capacity);

/* log.c: UCX's log lines go to the log of the transport that this thread is inside of. */
void ucx_log_open(void); /* counted; one close per open */
void ucx_log_close(void);
const kolo_transport_env *ucx_log_enter(const kolo_transport_env *env); /* returns what to leave to */
void ucx_log_leave(const kolo_transport_env *before);

/* address.c: both workers' addresses, wrapped so that foreign bytes are refused before UCX sees them. */
kolo_status ucx_address_make(kolo_transport *transport);
kolo_status ucx_address_connect(kolo_transport *transport, const kolo_bytes *addresses);

/* endpoint.c */
kolo_status ucx_status(ucs_status_t status);
kolo_status ucx_endpoint(kolo_transport *transport, int32_t peer, int worker, ucp_ep_h *endpoint);
void ucx_peer_broken(ucx_peer *peer, ucs_status_t why);
int ucx_peers_tell(kolo_transport *transport); /* on_peer_lost for the broken ones; returns how many */
void ucx_endpoints_close(kolo_transport *transport);
bool ucx_endpoints_closed(kolo_transport *transport);
/* Gives up what is not closed by now: UCX ends the process if it finds that left when it destroys a worker. */
void ucx_endpoints_forget(kolo_transport *transport);

/* data.c */
kolo_status ucx_send(kolo_transport *transport, int32_t peer, uint64_t tag, const void *buffer, size_t bytes,
                     void *cookie);
kolo_status ucx_recv(kolo_transport *transport, int32_t peer, uint64_t tag, void *buffer, size_t bytes, void *cookie);
void ucx_postings_end(kolo_transport *transport, int32_t peer, kolo_status status); /* -1: all */
int ucx_postings_report(kolo_transport *transport); /* on_complete for those that are done; returns how many */
bool ucx_postings_sending(const kolo_transport *transport); /* sends are under way */
bool ucx_postings_held(const kolo_transport *transport);    /* UCX holds buffers, of postings ended or not */
void ucx_postings_free(kolo_transport *transport); /* after the workers */

/* control.c */
kolo_status ucx_control_init(kolo_transport *transport);
kolo_status ucx_send_control(kolo_transport *transport, int32_t peer, const void *bytes, size_t size);
void ucx_control_bye(kolo_transport *transport);
void ucx_cells_free(kolo_transport *transport); /* after the workers */

#endif
