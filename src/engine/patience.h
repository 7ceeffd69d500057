/* patience.h - how long a waiting caller spins before it yields. Arithmetic only; times are handed in.
 *
 * To spin costs what the wait has left; to yield costs what whoever gets the core takes of it. So:
 *
 *   the core is shared with other ranks    The peer may need it, and then comes with the first yields, as soon as it has
 *                                          spun, too: less spinning the next time. More where spinning brought the peer,
 *                                          or a yield took so long that a stranger had the core.
 *   the core is this rank's own            A yield that takes longer than the spinning before it went to a stranger, who
 *                                          keeps a slice of the scheduler's where the peer was a moment away: spinning as
 *                                          long as that cost loses at most as much again. Forgotten in due course.
 */
#ifndef KOLO_ENGINE_PATIENCE_H
#define KOLO_ENGINE_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct kolo_patience {
    int64_t usual_ns; /* to spin at most, but for what a stranger costs */
    int64_t most_ns;  /* and with that; usual_ns where the core is shared, or that is the user's wish */
    int64_t spin_ns;  /* to spin now */
    int64_t until_ns; /* then what the stranger cost is forgotten */
} kolo_patience;

static inline kolo_patience kolo_patience_of(int64_t usual_ns, int64_t most_ns)
{
    return (kolo_patience){.usual_ns = usual_ns, .most_ns = most_ns, .spin_ns = usual_ns, .until_ns = INT64_MIN};
}

/* Yields are hand-overs to peers, not losses to strangers. */
static inline bool kolo_patience_shares(const kolo_patience *patience)
{
    return patience->most_ns <= patience->usual_ns;
}

/* A wait begins. */
static inline void kolo_patience_begin(kolo_patience *patience, int64_t now_ns)
{
    if (!kolo_patience_shares(patience) && now_ns >= patience->until_ns)
        patience->spin_ns = patience->usual_ns;
}

/* A wait ended after so many yields, which took yield_ns in all. */
static inline void kolo_patience_end(kolo_patience *patience, uint32_t yields, int64_t yield_ns)
{
    enum { LEAST_PART = 128, FIRST_YIELDS = 2 };
    int64_t most_ns = patience->usual_ns, half_ns = patience->spin_ns / 2;
    if (!kolo_patience_shares(patience))
        return;
    if (yields == 0 || yield_ns / 4 > most_ns)
        patience->spin_ns = patience->spin_ns < most_ns / 2 ? 2 * patience->spin_ns : most_ns;
    else if (yields <= FIRST_YIELDS)
        patience->spin_ns = half_ns > most_ns / LEAST_PART ? half_ns : most_ns / LEAST_PART;
}

/* A yield took cost_ns, in which this process ran for own_ns: where it did at all, it was no loss. (A part only, since a
 * virtual core may stand still for milliseconds, too.) To be forgotten after a hundred times as long, so that finding out
 * again costs a hundredth. */
static inline void kolo_patience_yielded(kolo_patience *patience, int64_t now_ns, int64_t cost_ns, int64_t own_ns)
{
    enum { OWN_PART = 8, REMEMBER = 100 };
    if (kolo_patience_shares(patience) || cost_ns <= patience->usual_ns || own_ns > cost_ns / OWN_PART)
        return;
    patience->spin_ns = cost_ns < patience->most_ns ? cost_ns : patience->most_ns;
    patience->until_ns = now_ns + REMEMBER * patience->spin_ns;
}

#endif
