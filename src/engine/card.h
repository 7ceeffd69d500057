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
    _Alignas(KOLO_BOARD_CARD_BYTES / 2) uint64_t flags[KOLO_FLAG_COUNT];
} kolo_card;
_Static_assert(sizeof(kolo_card) == KOLO_BOARD_CARD_BYTES, "two cache lines");

static inline kolo_card *kolo_card_of(const kolo_board *board, int32_t rank, const kolo_post *post)
{
    kolo_card *cards = (kolo_card *)(void *)board->parts[rank];
    return &cards[(size_t)(post->round & 1) * KOLO_BOARD_CARDS + post->slot];
}

#endif
