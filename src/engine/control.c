/* control.c - sequence numbers make an ordered channel out of a transport that promises no order. */
#include "engine/control.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* How far a message may run ahead of its predecessors: generous for real networks, a bound for hostile ones. */
enum { EARLY_MAX = 1024 };

kolo_status kolo_control_init(kolo_control *control, kolo_tree tree, int32_t rank)
{
    memset(control, 0, sizeof(*control));
    if ((control->message = malloc(KOLO_CONTROL_BYTES)) == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for control messages");
    if (rank > 0)
        control->neighbours[control->count++].rank = kolo_tree_parent(tree, rank);
    control->first_child = control->count;
    for (int32_t i = 0; i < kolo_tree_children(tree, rank); i++)
        control->neighbours[control->count++].rank = kolo_tree_child(tree, rank, i);
    return KOLO_OK;
}

void kolo_control_fini(kolo_control *control)
{
    for (int32_t i = 0; i < control->count; i++) {
        kolo_early_message *early = control->neighbours[i].early;
        while (early != NULL) {
            kolo_early_message *next = early->next;
            free(early);
            early = next;
        }
    }
    free(control->message);
    memset(control, 0, sizeof(*control));
}

int32_t kolo_control_index(const kolo_control *control, int32_t rank)
{
    const kolo_neighbour *neighbours = control->neighbours;
    if (control->first_child > 0 && neighbours[0].rank == rank)
        return 0;
    /* Children are a range of ranks. */
    int32_t children = control->count - control->first_child,
            child = children > 0 ? rank - neighbours[control->first_child].rank : -1;
    return child >= 0 && child < children ? control->first_child + child : -1;
}

kolo_status kolo_control_send(kolo_control *control, int32_t index, kolo_message_type type, const void *body,
                              size_t size)
{
    kolo_neighbour *neighbour = &control->neighbours[index];
    kolo_writer writer;
    kolo_writer_init(&writer, control->message, KOLO_CONTROL_BYTES);
    kolo_message_write_header(&writer, type, neighbour->next_out);
    kolo_write_raw(&writer, body, size);
    if (!writer.ok)
        return kolo_fail(KOLO_ERR_INTERNAL, "a control message of %zu bytes is too long", size);
    KOLO_TRY(control->ops->send_control(control->transport, neighbour->rank, writer.data, writer.size));
    neighbour->next_out++;
    control->sent++;
    return KOLO_OK;
}

/* Keeps a message that came too early; sorted by distance, so that wrapped sequence numbers sort right. */
static kolo_status keep(kolo_neighbour *neighbour, uint32_t sequence, const void *bytes, size_t size)
{
    if (neighbour->early_count >= EARLY_MAX)
        return kolo_fail(KOLO_ERR_PROTOCOL, "rank %d sent %d messages ahead of number %u", neighbour->rank, EARLY_MAX,
                         neighbour->next_in);
    kolo_early_message **at = &neighbour->early;
    while (*at != NULL && (*at)->sequence - neighbour->next_in < sequence - neighbour->next_in)
        at = &(*at)->next;
    if (*at != NULL && (*at)->sequence == sequence)
        return kolo_fail(KOLO_ERR_PROTOCOL, "rank %d sent message %u twice", neighbour->rank, sequence);
    kolo_early_message *early = malloc(sizeof(*early) + size);
    if (early == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a control message of %zu bytes", size);
    early->sequence = sequence;
    early->size = size;
    memcpy(early->bytes, bytes, size);
    early->next = *at;
    *at = early;
    neighbour->early_count++;
    return KOLO_OK;
}

static kolo_status hand_on(kolo_control *control, int32_t index, const void *bytes, size_t size,
                           kolo_control_fn handler, void *user)
{
    kolo_reader reader;
    kolo_message_header header;
    kolo_reader_init(&reader, bytes, size);
    (void)kolo_message_read_header(&reader, &header); /* checked on arrival */
    control->neighbours[index].next_in++;
    return handler(user, index, header.type, &reader);
}

kolo_status kolo_control_receive(kolo_control *control, int32_t index, const void *bytes, size_t size,
                                 kolo_control_fn handler, void *user)
{
    kolo_neighbour *neighbour = &control->neighbours[index];
    kolo_reader reader;
    kolo_message_header header;
    kolo_reader_init(&reader, bytes, size);
    if (!kolo_message_read_header(&reader, &header))
        return kolo_fail(
            KOLO_ERR_PROTOCOL,
            "rank %d sent a control message that does not decode (%zu bytes); is it another version of Kolo?",
            neighbour->rank, size);
    if (header.sequence != neighbour->next_in) {
        if (header.sequence - neighbour->next_in > UINT32_MAX / 2)
            return kolo_fail(KOLO_ERR_PROTOCOL, "rank %d sent message %u twice", neighbour->rank, header.sequence);
        return keep(neighbour, header.sequence, bytes, size);
    }
    KOLO_TRY(hand_on(control, index, bytes, size, handler, user));
    while (neighbour->early != NULL && neighbour->early->sequence == neighbour->next_in) {
        kolo_early_message *early = neighbour->early;
        neighbour->early = early->next;
        neighbour->early_count--;
        kolo_status status = hand_on(control, index, early->bytes, early->size, handler, user);
        free(early);
        KOLO_TRY(status);
    }
    return KOLO_OK;
}
