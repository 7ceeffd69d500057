/* world.h - a host with memory that all ranks see, in this process: windows, flags, heaps, and a board for each rank. */
#ifndef KOLO_TESTS_WORLD_H
#define KOLO_TESTS_WORLD_H

#include "engine/board.h"

enum {
    RANKS = KOLO_BOARD_RANKS_MAX,
    HEAP_BYTES = 64 * 1024,
    WINDOW_BYTES = 2 * (KOLO_BOARD_CARDS_BYTES + KOLO_BOARD_CELLS_LEAST)
};

typedef struct world {
    size_t window_bytes, heap_bytes;
    int32_t without_heap; /* -1: all have one */
    int32_t allocates;    /* whose heap heap_alloc is of */
    size_t heap_left;
    char *windows[RANKS + 1], *heaps[RANKS + 1];
    uint64_t *flags[RANKS + 1];
    kolo_board boards[RANKS + 1];
    kolo_publisher publisher;
} world;

void world_init(world *w, int32_t size);
void world_fini(world *w);
/* The boards anew, after something of the above was changed. */
void world_share(world *w, int32_t size);

#endif
