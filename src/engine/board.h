/* board.h - where the ranks of one host post operations for each other, so that these need no root, no order and no
 * message. Each rank writes its own part of the board alone; all others read it.
 *
 *     by value   small all-reduces, barriers:   cell   u64 round | payload
 *     by place   tensors in the ranks' heaps:   card   u64 round, where the tensors are (places.h); and a line of flags
 *
 * By value: a rank writes its input and then the round into its cell, and is done once it has seen this round in
 * everybody's: one flight of a cache line. By place: a rank writes where its tensors lie, and once it has seen
 * everybody's place it works on all ranks' tensors directly (plan/shared.c); the card's flags tell when.
 *
 * There are two cards for each slot, for even and for odd rounds, and two or more cells. Two are enough: who posts round n+2
 * has completed n+1, for which everybody had to be through with n. More are better where tensors are long: a line that the
 * others' caches have let go meanwhile is written sooner.
 *
 * Cells are as long as their tensors, and lie one after another in the order in which the slots are agreed on, the same
 * on all ranks: as many small tensors as a model has travel this way, and who reads them reads on. Those of even rounds lie apart
 * from those of odd ones, and so do the cards: what comes next in memory is what is read next, not what a peer writes next.
 *
 * Which way an operation goes is agreed with its slot. A rank that disagrees about the operation (another shape, say),
 * or whose tensor does not lie in its heap, reports to the root instead, and leaves word of that where its post would
 * be; the root takes the others' posts as reports, so that it decides for all (negotiate.h). Only where the tree is flat:
 * up to 64 ranks. */
#ifndef KOLO_ENGINE_BOARD_H
#define KOLO_ENGINE_BOARD_H

#include "engine/describe.h"
#include "engine/tree.h"
#include "reduce/publish.h"
#include <kolo/transport.h>

enum {
    KOLO_BOARD_RANKS_MAX = KOLO_TREE_FLAT_RANKS,
    KOLO_BOARD_LINE_BYTES = 64,
    KOLO_BOARD_VALUE_BYTES = KOLO_PLAN_VALUE_BYTES,
    KOLO_BOARD_CELL_LINES_MAX = KOLO_BOARD_VALUE_BYTES / KOLO_BOARD_LINE_BYTES + 2, /* that, and two for the round */
    KOLO_BOARD_CARD_BYTES = 32,
    KOLO_BOARD_CARDS = 4096,
    KOLO_BOARD_CARDS_BYTES =
        2 * KOLO_BOARD_CARDS * (KOLO_BOARD_CARD_BYTES + KOLO_BOARD_LINE_BYTES), /* with their flags */
    KOLO_BOARD_CELLS_LEAST = 512 * 1024, /* bytes for cells, or there is no board */
    KOLO_BOARD_RING_LINES =
        512 * 1024 / KOLO_BOARD_LINE_BYTES, /* of a slot's cells in a half: both are twice what a core's caches hold */
};

/* One contiguous tensor. input == output: in place. count is that of the whole tensor: of the input of a
 * reduce-scatter, of the output of an all-gather. */
typedef struct kolo_piece {
    const void *input;
    void *output;
    int64_t count;
    kolo_dtype_id type;
} kolo_piece;

typedef enum kolo_way { KOLO_WAY_ORDER, KOLO_WAY_VALUE, KOLO_WAY_PLACE } kolo_way;

/* A slot's cells, one behind another, which every other round takes in turns; and as many in the other half of the board for
 * the rounds between. No lines: it has none yet. */
typedef struct kolo_cells {
    uint32_t at;
    uint16_t lines; /* of one */
    uint16_t count; /* in each half; a power of two */
    uint32_t half;  /* lines of a half */
} kolo_cells;

/* One round of one slot. */
typedef struct kolo_post {
    kolo_way way; /* VALUE or PLACE */
    uint32_t slot;
    uint32_t cell; /* VALUE: the line where it begins */
    uint64_t round;
    uint64_t burst; /* PLACE: what its card tells of that (burst.h); 0: it is alone */
} kolo_post;

typedef struct kolo_board {
    int32_t rank, size; /* size 0: not in use */
    kolo_publisher *publisher;
    const kolo_transport_ops *ops;
    kolo_transport *transport;
    size_t bytes;                             /* of each rank's part: half of its window, to the end */
    size_t heap_bytes;                        /* 0: there are none */
    uint32_t cell_lines, cell_lines_used;     /* of each half */
    char *parts[KOLO_BOARD_RANKS_MAX];        /* per rank: cards, then cells */
    uint64_t *counters[KOLO_BOARD_RANKS_MAX]; /* per rank: how many places it has posted, ever */
    uint64_t *broken[KOLO_BOARD_RANKS_MAX];   /* per rank: its job is, and its tensors may be anything by now */
    uintptr_t heaps[KOLO_BOARD_RANKS_MAX];
} kolo_board;

/* Takes the ends of the windows of a transport whose windows all ranks share; stays out of use where they are too
 * small, or there are too many ranks. */
void kolo_board_share(kolo_board *board, int32_t rank, int32_t size, kolo_publisher *publisher,
                      const kolo_transport_ops *ops, kolo_transport *transport);

/* What an operation may use: all ranks think the same of it. */
typedef struct kolo_ways {
    bool by_value;    /* that way pays */
    bool has_card;    /* it can go by place: places.h */
    bool has_private; /* but some rank's tensors lie in its own memory now */
} kolo_ways;

/* Which way operations like this one go with the next slot, and the cells if they need some. To be called for the same slots
 * in the same order on all ranks, then all get the same answers. piece: the first one; not looked at for a barrier. */
kolo_way kolo_board_assign(kolo_board *board, const kolo_operation *operation, const kolo_piece *piece, kolo_ways ways,
                           kolo_cells *cells);

/* Everybody else has posted it. And: bit r is set if rank r has. And: if it has posted it, or told that it reports. */
bool kolo_board_is_complete(const kolo_board *board, const kolo_post *post);
uint64_t kolo_board_posted(const kolo_board *board, const kolo_post *post);
uint64_t kolo_board_arrived(const kolo_board *board, const kolo_post *post);

/* Has the first lines of the values fetched that are missing, which are not in the line of the round: for who looks again and
 * again, so that they come with the rounds, not after them. */
void kolo_board_expect(const kolo_board *board, const kolo_post *post, uint32_t cell_lines);

/* This rank reports the round to the root instead: it is not the one whom those who posted wait for. */
void kolo_board_tell_report(const kolo_board *board, const kolo_post *post);

/* This rank's job is broken: before its tensors are its program's again. And: nobody's was after the caller had read the
 * tensors of all ranks; else what it read may be what a program, or nobody, has put there since. */
void kolo_board_break(const kolo_board *board);
bool kolo_board_is_sound(const kolo_board *board);

/* By value; piece: NULL for a barrier. After writing, ranks that sleep must be woken. Once complete, the result is
 * folded into the output. */
void kolo_board_write_value(const kolo_board *board, const kolo_post *post, const kolo_operation *operation,
                            const kolo_piece *piece);
void kolo_board_read_value(const kolo_board *board, const kolo_post *post, const kolo_operation *operation,
                           const kolo_piece *piece);

#endif
