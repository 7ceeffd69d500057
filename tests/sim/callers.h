/* callers.h - callers on the simulated cluster, each at its rank, who sum a tensor round after round, each time in one of
 * three ways (engine/call.h):
 *
 *     begin     a call that waits           ──► refused: submit
 *     start     what was prepared before    ──► refused: submit, which then submits what was prepared
 *     submit    a request
 *
 * What begin or start has posted is the caller's: it looks whether it is complete, works, or gives up looking (adopt). A test
 * says who does what, and when; or draws that (program.h). Inputs are made from a key and the rank, so the sum is known, and
 * compared wherever a round is over. */
#ifndef KOLO_TESTS_SIM_CALLERS_H
#define KOLO_TESTS_SIM_CALLERS_H

#include "sim/cluster.h"

#include "engine/call.h"

enum { CALLERS_MAX = 9, CALLER_COUNT_MAX = 70000, CALLER_PIECES_MAX = 3 };

typedef enum caller_way { CALLER_RESTS, CALLER_CALLS, CALLER_STARTED, CALLER_SUBMITTED } caller_way;

typedef struct caller {
    cluster *net;
    int32_t rank;
    caller_way way; /* of the present round */
    int64_t rounds; /* that are over; for whoever counts them */
    char name[8];
    int64_t count, key;
    float *data;                 /* the tensor: where it is private, or shared */
    float *shared;               /* in the rank's heap; or NULL */
    float own[CALLER_COUNT_MAX]; /* private */
    kolo_piece pieces[CALLER_PIECES_MAX];
    int32_t ndims[CALLER_PIECES_MAX];
    const int64_t *shapes[CALLER_PIECES_MAX];
    kolo_request_spec spec;
    kolo_call call;
    kolo_request *prepared; /* NULL, or kept from round to round */
    kolo_request *request;  /* of the present round, or the one that submit would take; NULL: none */
} caller;

/* ---- one caller ------------------------------------------------------------------------------------------------ */

/* Its tensor is private. And: it lies in the rank's heap. */
void caller_init(caller *c, cluster *net, int32_t rank);
void caller_share(caller *c);
kolo_engine *caller_engine(const caller *c);

/* The rounds to come: a float32 sum in place, of one tensor, with the inputs of `key`; count 0: a barrier. And: of `pieces`
 * tensors in a group, of which each but the last is a third of it. And: with other inputs. */
void caller_describe(caller *c, const char *name, int64_t count, int64_t key);
void caller_cut(caller *c, size_t pieces);
void caller_fill(caller *c, int64_t key);
/* Makes the request that start takes. And: gives it back, when nobody else has it any more. */
void caller_prepare(caller *c);
void caller_discard(caller *c);

/* False: refused. */
bool caller_begin(caller *c);
bool caller_start(caller *c);
/* submit takes what was prepared. */
void caller_renew(caller *c);
/* Steps the rank. And: leaves that to others. */
void caller_submit(caller *c);
void caller_queue(caller *c);

/* Posted by begin or start, and neither over, nor adopted, nor taken over by a step. */
bool caller_is_posted(const caller *c);
/* It is, and no step may come, nor another caller's begin or start. */
bool caller_holds(const caller *c);
bool caller_is_complete(const caller *c);
/* Works for a turn at what is complete. True: it is over, and the sum is right. */
bool caller_work(caller *c);
/* From here on it is a request. Steps the rank. */
void caller_adopt(caller *c);

/* The request is over, and the sum right; or it failed with this status and a message that contains `part`. */
void caller_expect_success(caller *c);
void caller_expect_error(caller *c, kolo_status status, const char *part);
/* The sum alone. */
void caller_check(const caller *c);

/* ---- one of each rank ------------------------------------------------------------------------------------------ */

/* `count` of them, a multiple of the cluster's size: the one at i is of rank i % size. */
void callers_init(caller *callers, int32_t count, cluster *net);
/* The first of each rank: */
void callers_describe(caller *callers, const char *name, int64_t count, int64_t key);
/* A round as requests, that ends well: the slot is agreed on. */
void callers_agree(caller *callers);
/* Until nothing is under way. And: then everybody's round has ended well, and all ranks are idle. */
void callers_settle(caller *callers);
void callers_expect_success(caller *callers);
void callers_expect_idle(const caller *callers);

#endif
