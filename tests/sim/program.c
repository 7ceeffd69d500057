/* program.c - see program.h. */
#include "sim/program.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct program {
    caller *callers;
    int32_t count;
    uint64_t seed;
    kolo_rng rng;
    int64_t moves;
} program;

const char *program_draw_name(const caller *c, uint64_t seed, kolo_rng *epoch)
{
    static const char *const names[] = {"x", "y", "z"};
    kolo_rng which = {.state = seed * 1000 + (uint64_t)c->rounds};
    uint64_t name = kolo_rng_below(&which, 3);
    *epoch = (kolo_rng){.state = seed * 1000 + (uint64_t)c->rounds / 8 + 500 + name * 100};
    return names[name];
}

/* A caller at this rank, and not `but`, holds the engine. */
static bool is_held(const program *p, int32_t rank, const caller *but)
{
    for (int32_t i = rank; i < p->count; i += p->callers->net->size)
        if (&p->callers[i] != but && caller_holds(&p->callers[i]))
            return true;
    return false;
}

/* The callers of a name rest now and then: a rank where the others rest, too, is idle between rounds, so that it may begin
 * or start. */
static bool rests(const program *p, const caller *c)
{
    enum { PHASE_MOVES = 1000 };
    uint64_t name = (uint64_t)(c - p->callers) / (uint64_t)p->callers->net->size;
    kolo_rng phase = {.state = (p->seed + (uint64_t)p->moves / PHASE_MOVES) * 1000 + name};
    return kolo_rng_below(&phase, 3) > 0;
}

/* Its next round, which can only be queued where another caller holds the engine. */
static void draw_way(program *p, caller *c, bool held)
{
    if (c->prepared != NULL && kolo_rng_below(&p->rng, 4) > 0)
        caller_renew(c);
    bool posts = !held && kolo_rng_below(&p->rng, 4) > 0;
    if (posts && (c->request != NULL ? caller_start(c) : caller_begin(c)))
        return;
    caller_queue(c);
    if (!held)
        cluster_step(c->net, c->rank);
}

/* Amid a round it looks, works, gives up looking, or sees that it is over. True: it is. */
static bool attend(program *p, caller *c)
{
    if (caller_is_posted(c)) {
        if (caller_is_complete(c) && caller_work(c))
            return true;
        if (kolo_rng_below(&p->rng, 3) > 0)
            return false;
        if (caller_holds(c))
            caller_adopt(c);
    }
    cluster_step(c->net, c->rank);
    if (!kolo_request_is_done(c->request))
        return false;
    caller_expect_success(c);
    return true;
}

/* The network's next event. */
static void advance(program *p)
{
    cluster *net = p->callers->net;
    int32_t rank = kolo_sim_advance(net->sim);
    if (rank >= 0 && !is_held(p, rank, NULL))
        cluster_step(net, rank);
}

void program_run(caller *callers, int32_t count, int64_t rounds, uint64_t seed, program_describe_fn describe)
{
    enum { MOVES_MAX = 10000 };
    program p = {.callers = callers, .count = count, .seed = seed, .rng = {.state = ~seed}};
    for (int32_t left = count; left > 0; p.moves++) {
        caller *c = &callers[kolo_rng_below(&p.rng, (uint64_t)count)];
        bool held = is_held(&p, c->rank, c);
        if (p.moves == MOVES_MAX * rounds)
            fail_msg("rank %d is in round %d", c->rank, (int)c->rounds);
        if (c->way == CALLER_RESTS && c->rounds < rounds && !rests(&p, c)) {
            describe(c, seed);
            draw_way(&p, c, held);
        } else if (c->way != CALLER_RESTS && !held && attend(&p, c)) {
            left -= ++c->rounds == rounds;
        }
        if (kolo_rng_below(&p.rng, 2) == 0)
            advance(&p);
    }
    callers_settle(callers);
    callers_expect_idle(callers);
}
