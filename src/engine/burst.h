/* burst.h - all-reduces by place (board.h) that were submitted together: worked on as one group that nobody decides.
 *
 *     own queue:  a b c ──► cards:  a: #(a b c)   b: #(a b c)   c: #(a b c)
 *
 * What a rank takes from its queue at once it posts as a burst: the card of each tensor tells a hash of what they all are, slots
 * and rounds in order. A burst that is the same on all ranks is divided among them as a whole, not tensor by tensor, and they
 * tell each other once that they are through. That needs no message. Once all ranks' cards of all of a burst's tensors tell its
 * hash, it is everybody's burst, and everybody sees that; who sees another hash, as everybody with the same burst can, works on
 * its tensors one by one. A rank writes all cards of a burst before it looks at any, so nobody waits for what comes later.
 *
 * Hashes have 64 bits: two bursts that are under way together and differ have the same with a probability of 1 in 2^64.
 *
 * Why it pays: of 64 KiB a half is 32 KiB, and wherever such a piece ends, a core has fetched lines ahead that the next one is
 * writing. Two ranks with 100 tensors of 64 KiB take 1.4 times as long for halves of each as for halves of all. */
#ifndef KOLO_ENGINE_BURST_H
#define KOLO_ENGINE_BURST_H

#include "engine/engine.h"
#include "engine/request.h"

enum { KOLO_BURST_MOST = 1024 };

/* May it be part of one? */
bool kolo_burst_takes(const kolo_engine *engine, const kolo_request *request);
/* Posts what was added to engine->posted and not posted yet. */
void kolo_burst_publish(kolo_engine *engine);

/* Whether all ranks have posted the burst that begins with `first`, whose members follow it in the list of those posted; or
 * some rank's is another. thorough: look at all cards; else at enough of them to find that sooner or later. */
typedef enum kolo_burst_state { KOLO_BURST_OPEN, KOLO_BURST_AGREED, KOLO_BURST_DIFFERS } kolo_burst_state;
kolo_burst_state kolo_burst_look(const kolo_engine *engine, kolo_request *first, bool thorough);
kolo_request *kolo_burst_last(kolo_request *first);
/* From here on they are alone: all of them leave the list at once, or none is in a burst. */
void kolo_burst_dissolve(kolo_request *first);

#endif
