/* places.h - operations by place (board.h): tensors in the ranks' heaps, which everybody works on where they lie.
 *
 * One tensor's place is on the card. A group's are a list in the rank's own heap: for each tensor the offsets of its
 * input and output. The card tells where the list is, and its version: programs use the same tensors step after step,
 * so that a list is read again only when it has changed. A rank writes its list before it posts, and nobody reads it who
 * is DONE with the round; so one list is enough. */
#ifndef KOLO_ENGINE_PLACES_H
#define KOLO_ENGINE_PLACES_H

#include "engine/board.h"
#include "engine/parts.h"

/* A group's places on all ranks, kept from round to round. */
typedef struct kolo_places kolo_places;
void kolo_places_destroy(kolo_places *places); /* NULL: nothing; not the list, which goes with the heap */
/* Other tensors have been agreed on for the name: all lists are to be read, and checked, again. NULL: nothing. */
void kolo_places_forget(kolo_places *places);

/* Whether the operation may go by place at all with this slot; the same on all ranks. And: whether the tensors lie in
 * this rank's heap, where they can go by place. */
bool kolo_board_has_card(const kolo_board *board, const kolo_operation *operation, const kolo_piece *pieces,
                         uint32_t slot);
bool kolo_board_holds(const kolo_board *board, const kolo_operation *operation, const kolo_piece *pieces);

/* Posts one tensor that lies in the own heap. */
void kolo_board_write_card(const kolo_board *board, const kolo_post *post, const kolo_piece *piece);
/* Posts. False: not all tensors lie in the own heap, or it has no room for the list, and nothing was posted. *places:
 * the name's, made for a group if NULL. serial: with the same one, pieces are the same; 0: they may be others. */
bool kolo_board_write_place(const kolo_board *board, const kolo_post *post, const kolo_operation *operation,
                            const kolo_piece *pieces, uint64_t serial, kolo_places **places);

/* Once complete: where all ranks' tensors lie, in full coordinates (plan/schedule.h). KOLO_ERR_PROTOCOL: a rank's
 * tensor would lie outside of its heap. And the flags of the schedule, a line of KOLO_FLAG_COUNT for each rank, which
 * begin at round - 1. */
KOLO_NODISCARD kolo_status kolo_board_read_place(const kolo_board *board, const kolo_post *post,
                                                 const kolo_operation *operation, const kolo_piece *piece,
                                                 uintptr_t *inputs, uintptr_t *outputs, size_t stride);
/* What the rank's card tells of its burst. False: the rank has not posted. */
bool kolo_board_read_burst(const kolo_board *board, int32_t rank, const kolo_post *post, uint64_t *burst);
/* The same of a group: its parts, with a row for each rank; valid until the next round's post. */
KOLO_NODISCARD kolo_status kolo_board_read_places(const kolo_board *board, const kolo_post *post,
                                                  const kolo_piece *pieces, kolo_places *places,
                                                  const kolo_parts **parts);
void kolo_board_read_flags(const kolo_board *board, const kolo_post *post, uint64_t **flags);

/* Posts by place of all ranks so far. */
uint64_t kolo_board_places(const kolo_board *board);

#endif
