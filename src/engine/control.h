/* control.h - control messages to and from the neighbours in the tree, each pair in order whatever the transport does.
 */
#ifndef KOLO_ENGINE_CONTROL_H
#define KOLO_ENGINE_CONTROL_H

#include "engine/message.h"
#include "engine/tree.h"
#include <kolo/transport.h>

/* A message that overtook others, kept until its turn. */
typedef struct kolo_early_message {
    struct kolo_early_message *next; /* by sequence */
    uint32_t sequence;
    size_t size;
    uint8_t bytes[];
} kolo_early_message;

typedef struct kolo_neighbour {
    int32_t rank;
    uint32_t next_out, next_in;
    kolo_early_message *early;
    size_t early_count;
} kolo_neighbour;

typedef struct kolo_control {
    kolo_neighbour neighbours[KOLO_TREE_NEIGHBOURS_MAX];
    int32_t count;
    int32_t first_child; /* index: 1 where there is a parent (neighbours[0]), 0 at the root */
    const kolo_transport_ops *ops;
    kolo_transport *transport;
    uint8_t *message; /* KOLO_CONTROL_BYTES: being assembled */
    uint64_t sent;    /* messages, ever */
} kolo_control;

/* Bytes of a body that always fit. */
enum { KOLO_CONTROL_BODY_BYTES = 128 * 1024 - KOLO_MESSAGE_HEADER_BYTES };

KOLO_NODISCARD kolo_status kolo_control_init(kolo_control *control, kolo_tree tree, int32_t rank);
void kolo_control_fini(kolo_control *control);

/* The neighbour's index, -1 for ranks that are none. */
int32_t kolo_control_index(const kolo_control *control, int32_t rank);

KOLO_NODISCARD kolo_status kolo_control_send(kolo_control *control, int32_t index, kolo_message_type type,
                                             const void *body, size_t size);

/* Called per message, in order. */
typedef kolo_status (*kolo_control_fn)(void *user, int32_t index, kolo_message_type type, kolo_reader *body);

/* A message has come from neighbour `index`: hands it on if it is its turn, and those that waited for it.
 * KOLO_ERR_PROTOCOL when malformed, repeated or too far ahead; else what the handler answers. */
KOLO_NODISCARD kolo_status kolo_control_receive(kolo_control *control, int32_t index, const void *bytes, size_t size,
                                                kolo_control_fn handler, void *user);

#endif
