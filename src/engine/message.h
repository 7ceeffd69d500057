/* message.h - the bytes of control messages between neighbours in the negotiation tree. docs/PROTOCOL.md shows them.
 *
 *     header  u8 magic, u8 version, u8 type, u8 zero, u32 sequence (per sender and receiver: messages may overtake each
 *             other)
 *     UP      what a subtree is ready for:     READY slot | DESCRIBE name, place, variants
 *             who is late?                     EXPIRED name: my deadline passed, and my subtree is complete
 *     DOWN    the root's decisions, in order:  ASSIGN slot, name, place (then run it) | RUN slot | FAIL name, text
 *             One DOWN message is one batch: its tensors may be fused with each other.
 *     ABORT   the job is broken, and why
 *
 * Decoders check every bound; a message that does not decode is the sender's fault and breaks the job, naming it. */
#ifndef KOLO_ENGINE_MESSAGE_H
#define KOLO_ENGINE_MESSAGE_H

#include "base/codec.h"
#include "base/ranks.h"
#include "engine/describe.h"
#include <kolo/kolo.h>

typedef enum kolo_message_type { KOLO_MESSAGE_UP = 1, KOLO_MESSAGE_DOWN = 2, KOLO_MESSAGE_ABORT = 3 } kolo_message_type;

enum { KOLO_MESSAGE_HEADER_BYTES = 8, KOLO_VARIANTS_MAX = 4, KOLO_VARIANT_RANGES_MAX = 32, KOLO_FAIL_TEXT_MAX = 700 };

typedef struct kolo_message_header {
    kolo_message_type type;
    uint32_t sequence;
} kolo_message_header;

void kolo_message_write_header(kolo_writer *writer, kolo_message_type type, uint32_t sequence);
bool kolo_message_read_header(kolo_reader *reader, kolo_message_header *header);

/* One of several descriptions given for a name, and by whom. */
typedef struct kolo_variant {
    uint8_t *description; /* owned by whoever holds the variant; a view after decoding */
    size_t description_size;
    kolo_ranks ranks;
} kolo_variant;

typedef enum kolo_up_kind { KOLO_UP_READY = 1, KOLO_UP_DESCRIBE = 2, KOLO_UP_EXPIRED = 3 } kolo_up_kind;

/* An entry of an UP message, decoded: views into the message, except variants' ranks (kolo_up_fini). */
typedef struct kolo_up {
    kolo_up_kind kind;
    uint32_t slot;
    char name[KOLO_NAME_MAX + 1];
    bool has_private; /* DESCRIBE: a rank's tensor does not lie where all ranks see it */
    kolo_variant variants[KOLO_VARIANTS_MAX];
    size_t variant_count;
} kolo_up;

void kolo_up_write_ready(kolo_writer *writer, uint32_t slot);
void kolo_up_write_describe(kolo_writer *writer, const char *name, bool has_private, const kolo_variant *variants,
                            size_t count);
void kolo_up_write_expired(kolo_writer *writer, const char *name);
/* Reads the next entry; false at a malformed one. Ranks must lie in [0, size). Needs kolo_up_fini either way. */
bool kolo_up_read(kolo_reader *reader, int32_t size, kolo_up *up);
void kolo_up_fini(kolo_up *up);

typedef enum kolo_down_kind { KOLO_DOWN_ASSIGN = 1, KOLO_DOWN_RUN = 2, KOLO_DOWN_FAIL = 3 } kolo_down_kind;

typedef struct kolo_down {
    kolo_down_kind kind;
    uint32_t slot;
    char name[KOLO_NAME_MAX + 1];
    bool has_private; /* ASSIGN: as in kolo_up, of all ranks */
    char ranks[128];
    char text[KOLO_FAIL_TEXT_MAX + 1];
} kolo_down;

void kolo_down_write(kolo_writer *writer, const kolo_down *down);
bool kolo_down_read(kolo_reader *reader, kolo_down *down);

void kolo_abort_write(kolo_writer *writer, int32_t origin, const kolo_error *error);
bool kolo_abort_read(kolo_reader *reader, int32_t *origin, kolo_error *error);

#endif
