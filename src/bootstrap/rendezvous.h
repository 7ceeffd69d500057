/* rendezvous.h - the ranks of a job find each other over TCP: every rank gives bytes, every rank gets everybody's
 * bytes.
 *
 * Rank 0 serves, in a thread of its own that lives from open to close; it either inherits a listening socket (kolorun)
 * or binds master_port itself. Everyone, rank 0 included, is a client. A client proves knowledge of the job's secret
 * (HMAC-SHA256 over the server's nonce, and the server to the client likewise) before anything else is said. Frames are
 * bounded and versioned; whatever does not decode closes that connection, and never the server. docs/PROTOCOL.md has
 * the bytes. */
#ifndef KOLO_BOOTSTRAP_RENDEZVOUS_H
#define KOLO_BOOTSTRAP_RENDEZVOUS_H

#include <kolo/transport.h>
#include "base/log.h"
#include "bootstrap/job.h"

typedef struct kolo_rendezvous kolo_rendezvous;

typedef struct kolo_rendezvous_options {
    const char *secret; /* "" allowed: then only bad luck is guarded against */
    int listen_fd; /* -1, or an inherited listening socket (rank 0 only). If the fd is not one, master_port is bound. */
    int64_t timeout_ns; /* for open and for each exchange; 0: none */
    const kolo_log *log;
} kolo_rendezvous_options;

/* Joins. Blocks until the server is reached (it may start later than the clients: connection refused is retried with a
 * growing pause). KOLO_ERR_BOOTSTRAP names what is wrong: port in use, two processes with one RANK (both their hosts
 * and pids), a different WORLD_SIZE than rank 0's, wrong secret, nobody answering at addr:port. */
KOLO_NODISCARD kolo_status kolo_rendezvous_open(const kolo_job *job, const kolo_rendezvous_options *options,
                                                kolo_rendezvous **rendezvous);

/* All ranks call it the same number of times. all[0 .. size-1] point into memory of the rendezvous, valid until the
 * next exchange or close. On the deadline every rank that came gets KOLO_ERR_BOOTSTRAP naming the ranks that did not
 * ("ranks 2,5-7 have not come within 60 s"). */
KOLO_NODISCARD kolo_status kolo_rendezvous_exchange(kolo_rendezvous *rendezvous, const void *bytes, size_t size,
                                                    kolo_bytes *all);

/* Between exchanges: whether the rendezvous is over, since a rank is gone, or is so within wait_ns. The next exchange
 * fails then, and says who. Asks the system each time. */
bool kolo_rendezvous_is_over(const kolo_rendezvous *rendezvous, int64_t wait_ns);

/* Leaves. Rank 0 stays a moment until the others have left, at most timeout_ns. */
void kolo_rendezvous_close(kolo_rendezvous *rendezvous);

#endif
