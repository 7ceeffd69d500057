/* agreement.h - what every rank tells at start-up: where it is, what it speaks, and (rank 0) the settings that all must
 * share. */
#ifndef KOLO_API_AGREEMENT_H
#define KOLO_API_AGREEMENT_H

#include "api/context.h"
#include <kolo/transport.h>

enum { KOLO_AGREEMENT_BYTES = 1024 };

/* This rank's card. Returns its size. */
size_t kolo_agreement_write(const kolo_context *ctx, uint8_t bytes[KOLO_AGREEMENT_BYTES]);

/* Reads all ranks' cards: fills in ring, local rank and size, and takes over rank 0's settings (KOLO_CHUNK,
 * KOLO_FUSION, KOLO_ALGORITHM, KOLO_BROADCAST, KOLO_PRICES), with a warning where this rank's differ. KOLO_ERR_VERSION
 * names ranks that speak another protocol. */
KOLO_NODISCARD kolo_status kolo_agreement_read(kolo_context *ctx, const kolo_bytes *cards);

#endif
