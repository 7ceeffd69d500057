/* card.h - the board's cards as they lie in memory (board.h). For board.c and places.c only. */
#ifndef KOLO_ENGINE_CARD_H
#define KOLO_ENGINE_CARD_H

#include "engine/board.h"

typedef struct kolo_card {
    uint64_t round;
    union {
        struct {
            uint64_t input, output; /* of one tensor: offsets in the heap */
        };
        struct {
            uint64_t list, version; /* of a group: the offset of its list (places.h), and which one that is */
        };
    };
    uint64_t burst; /* burst.h */
} kolo_card;
_Static_assert(sizeof(kolo_card) == KOLO_BOARD_CARD_BYTES, "two in a cache line");

static inline size_t kolo_card_number(const kolo_post *post)
{
    return (size_t)(post->round & 1) * KOLO_BOARD_CARDS + post->slot;
}

static inline kolo_card *kolo_card_of(const kolo_board *board, int32_t rank, const kolo_post *post)
{
    return (kolo_card *)(void *)board->parts[rank] + kolo_card_number(post);
}

/* The flags of its schedule, in a line of their own. */
static inline uint64_t *kolo_card_flags(const kolo_board *board, int32_t rank, const kolo_post *post)
{
    char *lines = board->parts[rank] + (size_t)2 * KOLO_BOARD_CARDS * KOLO_BOARD_CARD_BYTES;
    return (uint64_t *)(void *)(lines + kolo_card_number(post) * KOLO_BOARD_LINE_BYTES);
}

#endif
