/* callers.c - see callers.h. */
#include "sim/callers.h"

#include "support/unwatched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- inputs and sums --------------------------------------------------------------------------------------------- */

enum { EVENTS_MAX = 2 * 1000 * 1000 };

UNWATCHED static float value_of(int32_t rank, int64_t index, int64_t key)
{
    return (float)(((uint32_t)rank * 37 + (uint32_t)index * 11 + (uint32_t)key * 101) % 512);
}

UNWATCHED void caller_fill(caller *c, int64_t key)
{
    c->key = key;
    for (int64_t i = 0; i < c->count; i++)
        c->data[i] = value_of(c->rank, i, key);
}

enum { PIECE = 1024 };

/* Rank by rank, not element by element, which most of these tests' time would go to. Such sums are exact. */
UNWATCHED static void check_piece(const caller *c, int64_t from, int64_t count)
{
    float sums[PIECE] = {0};
    for (int32_t r = 0; r < c->net->size; r++)
        for (int64_t i = 0; i < count; i++)
            sums[i] += value_of(r, from + i, c->key);
    if (memcmp(sums, c->data + from, (size_t)count * sizeof(*sums)) == 0)
        return;
    for (int64_t i = 0; i < count; i++)
        if (memcmp(&sums[i], &c->data[from + i], sizeof(*sums)) != 0)
            fail_msg("rank %d: '%s' [%lld] is %g at %lld, not %g (key %lld)", c->rank, c->name, (long long)c->count,
                     (double)c->data[from + i], (long long)(from + i), (double)sums[i], (long long)c->key);
}

void caller_check(const caller *c)
{
    for (int64_t at = 0; at < c->count; at += PIECE)
        check_piece(c, at, c->count - at < PIECE ? c->count - at : PIECE);
}

/* ---- what is summed ------------------------------------------------------------------------------------------------ */

void caller_init(caller *c, cluster *net, int32_t rank)
{
    c->net = net;
    c->rank = rank;
    c->way = CALLER_RESTS;
    c->rounds = 0;
    c->data = c->own;
    c->shared = NULL;
    c->prepared = c->request = NULL;
}

void caller_share(caller *c)
{
    c->data = c->shared = cluster_alloc(c->net, c->rank, CALLER_COUNT_MAX * sizeof(float));
    assert_non_null(c->shared);
}

kolo_engine *caller_engine(const caller *c)
{
    return c->net->engines[c->rank];
}

void caller_cut(caller *c, size_t pieces)
{
    int64_t third = c->count / 3;
    for (size_t i = 0; i < pieces; i++) {
        float *at = c->data + (int64_t)i * third;
        c->pieces[i] = (kolo_piece){.input = at,
                                    .output = at,
                                    .count = i + 1 < pieces ? third : c->count - (int64_t)i * third,
                                    .type = KOLO_DTYPE_FLOAT32};
        c->ndims[i] = 1;
        c->shapes[i] = &c->pieces[i].count;
    }
    c->spec.operation.piece_count = pieces;
}

void caller_describe(caller *c, const char *name, int64_t count, int64_t key)
{
    assert_int_equal(c->way, CALLER_RESTS);
    c->request = NULL;
    snprintf(c->name, sizeof(c->name), "%s", name);
    c->count = count;
    c->spec = (kolo_request_spec){
        .name = c->name,
        .operation = {.collective = count > 0 ? KOLO_ALLREDUCE : KOLO_BARRIER, .prescale = 1, .postscale = 1},
        .pieces = c->pieces,
        .ndims = c->ndims,
        .shapes = c->shapes};
    caller_cut(c, count > 0 ? 1 : 0);
    caller_fill(c, key);
}

static kolo_request *make_request(const caller *c)
{
    kolo_request *request;
    assert_int_equal(kolo_request_create(&c->spec, kolo_sim_now(c->net->sim), &request), KOLO_OK);
    return request;
}

void caller_prepare(caller *c)
{
    static uint64_t serials;
    c->prepared = make_request(c);
    c->prepared->serial = ++serials;
}

void caller_discard(caller *c)
{
    assert_int_equal(atomic_load(&c->prepared->refs), 1);
    kolo_request_release(c->prepared);
    c->prepared = NULL;
}

/* ---- begun, started, submitted ------------------------------------------------------------------------------------- */

bool caller_begin(caller *c)
{
    assert_int_equal(c->way, CALLER_RESTS);
    c->request = NULL;
    if (kolo_call_begin(caller_engine(c), &c->spec, &c->call))
        c->way = CALLER_CALLS;
    return c->way == CALLER_CALLS;
}

void caller_renew(caller *c)
{
    assert_int_equal(c->way, CALLER_RESTS);
    kolo_request_renew(c->prepared);
    kolo_request_count_from(c->prepared, kolo_sim_now(c->net->sim));
    c->request = c->prepared;
}

bool caller_start(caller *c)
{
    caller_renew(c);
    if (!kolo_call_start(caller_engine(c), c->prepared, true))
        return false;
    kolo_call_wake(caller_engine(c));
    c->call = kolo_call_of(c->prepared);
    c->way = CALLER_STARTED;
    return true;
}

void caller_queue(caller *c)
{
    assert_int_equal(c->way, CALLER_RESTS);
    if (c->request == NULL)
        c->request = make_request(c);
    assert_true(kolo_engine_submit(caller_engine(c), c->request));
    c->way = CALLER_SUBMITTED;
}

void caller_submit(caller *c)
{
    caller_queue(c);
    cluster_step(c->net, c->rank);
}

/* ---- posted -------------------------------------------------------------------------------------------------------- */

bool caller_is_posted(const caller *c)
{
    return c->way == CALLER_CALLS || (c->way == CALLER_STARTED && kolo_call_is_started(caller_engine(c), c->prepared));
}

bool caller_holds(const caller *c)
{
    return caller_is_posted(c) && (c->way == CALLER_CALLS || c->call.runner != NULL);
}

bool caller_is_complete(const caller *c)
{
    return kolo_call_is_complete(caller_engine(c), &c->call);
}

bool caller_work(caller *c)
{
    bool over = true;
    assert_true(caller_is_posted(c) && caller_is_complete(c));
    kolo_call_wake(caller_engine(c));
    assert_int_equal(kolo_call_work(caller_engine(c), &c->call, &over), KOLO_OK);
    if (!over)
        return false;
    if (c->way == CALLER_STARTED) {
        kolo_call_end(caller_engine(c), c->prepared);
        caller_expect_success(c);
    } else {
        c->way = CALLER_RESTS;
        caller_check(c);
    }
    return true;
}

void caller_adopt(caller *c)
{
    assert_true(caller_is_posted(c));
    if (c->request == NULL)
        c->request = make_request(c);
    kolo_call_wake(caller_engine(c));
    kolo_call_adopt(caller_engine(c), &c->call, c->request, kolo_sim_now(c->net->sim));
    c->way = CALLER_SUBMITTED;
    cluster_step(c->net, c->rank);
}

/* ---- over ------------------------------------------------------------------------------------------------------------ */

/* What was prepared is kept, the reference that an expectation gives back is another one. */
static kolo_request *take_request(caller *c)
{
    kolo_request *request = c->request;
    assert_non_null(request);
    if (request == c->prepared)
        kolo_request_retain(request);
    c->request = NULL;
    c->way = CALLER_RESTS;
    return request;
}

void caller_expect_success(caller *c)
{
    cluster_expect_success(take_request(c));
    caller_check(c);
}

void caller_expect_error(caller *c, kolo_status status, const char *part)
{
    cluster_expect_error(take_request(c), status, part);
}

/* ---- one of each rank ------------------------------------------------------------------------------------------------ */

void callers_init(caller *callers, int32_t count, cluster *net)
{
    for (int32_t i = 0; i < count; i++)
        caller_init(&callers[i], net, i % net->size);
}

void callers_describe(caller *callers, const char *name, int64_t count, int64_t key)
{
    for (int32_t r = 0; r < callers->net->size; r++)
        caller_describe(&callers[r], name, count, key);
}

void callers_agree(caller *callers)
{
    for (int32_t r = 0; r < callers->net->size; r++)
        caller_submit(&callers[r]);
    callers_expect_success(callers);
}

void callers_settle(caller *callers)
{
    cluster_settle(callers->net, EVENTS_MAX);
}

void callers_expect_idle(const caller *callers)
{
    for (int32_t r = 0; r < callers->net->size; r++)
        assert_true(kolo_engine_idle(callers->net->engines[r]));
}

void callers_expect_success(caller *callers)
{
    callers_settle(callers);
    for (int32_t r = 0; r < callers->net->size; r++)
        if (callers[r].way != CALLER_RESTS)
            caller_expect_success(&callers[r]);
        else
            caller_check(&callers[r]);
    callers_expect_idle(callers);
}
