/* ucx.h - the transport over UCX (shared memory, TCP, InfiniBand, ...), for linking it in. */
#ifndef KOLO_TRANSPORT_UCX_H
#define KOLO_TRANSPORT_UCX_H

#include <kolo/transport.h>

/* The table. Options: UCX_TLS (UCX's transports), IFACE (devices: "eth0,mlx5_0:1" or "^docker0"); the user's own UCX_*
 * variables win over both. At most 2^20 ranks. */
const kolo_transport_ops *kolo_ucx_transport(void);

#endif
