/* schedule.h - an algorithm as data: what one rank does in one collective, as steps with dependencies.
 *
 * Units are elements of the group's buffer in full coordinates, 0 .. total-1, whatever the collective: a
 * reduce-scatter's output is addressed at its slice's offset, an all-gather's input too. Buffers:
 *
 *     INPUT        what this rank contributes; never written (in place it is the same memory as OUTPUT)
 *     OUTPUT       the result
 *     SCRATCH      scratch_count elements of the executor's
 *     WINDOW       window_count elements of each rank's, which all ranks can read: `peer` says whose; a rank writes
 *                  only its own
 *     PEER_INPUT   another rank's INPUT, where all ranks' tensors lie in memory that everybody sees, or that the
 *                  transport reads: `peer` says whose
 *     PEER_OUTPUT  another rank's OUTPUT there; as a FOLD's dst, all ranks' OUTPUTs at once, the own one too
 *
 * Steps:
 *     SEND    a[a_offset .. +count] to peer, as message number `message` of this pair
 *     RECV    dst[dst_offset .. +count] from peer, message number `message` of this pair
 *     REDUCE  dst = a op b;  with FINAL the result is complete: the executor applies average and postscale to it
 *     COPY    dst = a (skipped where both are the same memory); FINAL as above. a may be a window or peer's tensor;
 *             dst, the own window
 *     FOLD    dst = all ranks' inputs, in one pass, in the order of ranks: the own one from INPUT at b_offset, the
 *             others from their WINDOWs or PEER_INPUTs at a_offset; FINAL as above
 *     NOTIFY  own flag number `message` becomes `count`: everybody may see that steps before it are over
 *     WAIT    until flag `message` of rank `peer` (-1: of all other ranks) is at least `count`
 *
 * What a step touches of tensors, INPUT, OUTPUT and those of peers, is at one offset in all of them: so a fused group's
 * tensors can be worked on where they are (engine/parts.h).
 *
 * Flags count from 0 in each schedule, and only upwards. A flag's highest value, flag_total, is the same on all ranks,
 * and every rank leaves its flag DONE there: so that a WAIT for DONE 0 means that everybody is through with the
 * schedule before. What a WAIT waits for is told, no more and no less. With flags, the steps are one chain, each one
 * after the one before it, and none of them sends; windows and peers' tensors are for COPY and FOLD alone.
 *
 * Windows: a rank writes to its own only after a WAIT for DONE of all, and touches none after its DONE is at the total:
 * so any two schedules may follow each other on the same windows.
 *
 * Peers' tensors: a schedule on them starts when those of all ranks are ready, inputs to be read, outputs to be
 * written. A rank touches none after its DONE is at the total, and waits for all to be there before it ends: so nobody
 * touches the tensors of an operation that is complete.
 *
 * Where such a schedule has the flag COPIED, the transport reads the tensors: at the places that their ranks tell beside
 * that flag. A rank tells its own after a WAIT for DONE of all (somebody may still read what it told in the schedule
 * before), and touches another's after a WAIT for its COPIED. A FOLD has room in SCRATCH for all that it reads.
 *
 * A step may start when all steps it depends on are over (a SEND is over when its buffer may be overwritten).
 * Dependencies always point to earlier steps. Steps of count 0 are not emitted. No step sends to its own rank.
 *
 * The same schedule is run (engine/executor), checked (plan/check), priced (plan/price) and simulated. */
#ifndef KOLO_PLAN_SCHEDULE_H
#define KOLO_PLAN_SCHEDULE_H

#include <kolo/types.h>
#include <stdbool.h>

typedef enum kolo_step_kind {
    KOLO_STEP_SEND,
    KOLO_STEP_RECV,
    KOLO_STEP_REDUCE,
    KOLO_STEP_COPY,
    KOLO_STEP_FOLD,
    KOLO_STEP_NOTIFY,
    KOLO_STEP_WAIT
} kolo_step_kind;

typedef enum kolo_buffer {
    KOLO_BUFFER_INPUT,
    KOLO_BUFFER_OUTPUT,
    KOLO_BUFFER_SCRATCH,
    KOLO_BUFFER_WINDOW,
    KOLO_BUFFER_PEER_INPUT,
    KOLO_BUFFER_PEER_OUTPUT,
    KOLO_BUFFER_COUNT
} kolo_buffer;

/* What a rank tells by flags: its input is in its window, or may be read; its reduced part is there; it is through with
 * what others share. */
typedef enum kolo_flag { KOLO_FLAG_COPIED, KOLO_FLAG_REDUCED, KOLO_FLAG_DONE, KOLO_FLAG_COUNT } kolo_flag;

typedef struct kolo_step {
    uint8_t kind;     /* kolo_step_kind */
    uint8_t dst;      /* kolo_buffer; RECV, REDUCE, COPY, FOLD */
    uint8_t a, b;     /* kolo_buffer; SEND, REDUCE, COPY, FOLD / REDUCE, FOLD */
    bool final;       /* REDUCE, COPY, FOLD */
    int32_t peer;     /* SEND, RECV, COPY from a window or a peer's tensor, WAIT */
    uint32_t message; /* SEND, RECV; the kolo_flag of NOTIFY, WAIT */
    uint32_t hop;     /* round of the algorithm, for error texts: "ring step 3" */
    int64_t dst_offset, a_offset, b_offset, count;
} kolo_step;

typedef struct kolo_schedule {
    kolo_step *steps;
    size_t step_count;
    int64_t scratch_count; /* elements */
    int64_t window_count;  /* elements of each rank's window */
    uint64_t flag_total[KOLO_FLAG_COUNT];
    /* Dependencies as the executor needs them: step i waits for wait_count[i] others, and releases
     * next[next_start[i]] .. next[next_start[i+1]-1]. */
    uint32_t *wait_count;
    uint32_t *next_start;
    uint32_t *next;
    /* The builder's own. */
    size_t step_capacity;
    uint32_t *edges; /* pairs (before, after) */
    size_t edge_count, edge_capacity;
    bool failed; /* out of memory while building */
} kolo_schedule;

/* The most messages one pair may exchange in one schedule; generators enlarge chunks to stay below. */
#define KOLO_SCHEDULE_MESSAGES_MAX (1u << 20)

void kolo_schedule_init(kolo_schedule *schedule);
void kolo_schedule_fini(kolo_schedule *schedule);
/* Forgets the steps, keeps the memory. */
void kolo_schedule_reset(kolo_schedule *schedule);

#define KOLO_NO_STEP UINT32_MAX
/* Appends a step; returns its index (KOLO_NO_STEP when out of memory, remembered in `failed`). */
uint32_t kolo_schedule_add(kolo_schedule *schedule, const kolo_step *step);
/* `after` waits for `before` (< after). KOLO_NO_STEP on either side: nothing. Duplicates are harmless. */
void kolo_schedule_after(kolo_schedule *schedule, uint32_t before, uint32_t after);
/* Computes wait_count and next. KOLO_ERR_MEMORY when anything failed before. */
KOLO_NODISCARD kolo_status kolo_schedule_seal(kolo_schedule *schedule);

/* "reduce output[8..16) = scratch[0..8) op input[8..16), final", for error texts and tools. Returns text. */
char *kolo_step_format(const kolo_step *step, char *text, size_t capacity);

#endif
