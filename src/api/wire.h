/* wire.h - the transport that carries the job: chosen, created, and connected on all ranks alike. */
#ifndef KOLO_API_WIRE_H
#define KOLO_API_WIRE_H

#include "api/context.h"
#include "bootstrap/rendezvous.h"

/* KOLO_TRANSPORT names one; "auto" is shm where all ranks are on one host and can map each other's memory, else ucx. A
 * job of one rank has nobody to talk to. Fills in ctx->ops, transport and module, and attaches the engine. `all` is
 * scratch of job.size; rendezvous is NULL in a job of one rank. Every rank makes the same exchanges, whatever fails
 * where. */
KOLO_NODISCARD kolo_status kolo_wire_up(kolo_context *ctx, kolo_rendezvous *rendezvous, kolo_bytes *all);

#endif
