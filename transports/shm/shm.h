/* shm.h - the transport among the ranks of one host, for linking it in: own code over shared memory, no library
 * behind it. */
#ifndef KOLO_TRANSPORT_SHM_H
#define KOLO_TRANSPORT_SHM_H

#include <kolo/transport.h>

/* The table. All ranks must be able to map each other's memory: connect() answers KOLO_ERR_UNSUPPORTED where they
 * cannot, and create() where this system lacks what is needed. Options: SHM_WINDOW (bytes of window a rank, "12M";
 * the same on all ranks), SHM_HEAP (most bytes of heap a rank, "auto": as much as the system has memory; the least of
 * the ranks holds), SHM_ATTACH ("yes" or "no": cross-memory attach for large messages where the kernel
 * allows it). */
const kolo_transport_ops *kolo_shm_transport(void);

#endif
