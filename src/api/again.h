/* again.h - calls with a list of tensors that wait, and come again: what was checked and described is not looked at twice.
 *
 * A training makes the same call in each step, of the same tensors. The first one of a name is prepared, as kolo_prepare does,
 * and remembered with what its args said; one that says the same starts it again. To compare them takes a quarter of the time
 * of checking, describing and placing them. */
#ifndef KOLO_API_AGAIN_H
#define KOLO_API_AGAIN_H

#include "engine/request.h"

#include <pthread.h>

typedef struct kolo_again kolo_again;

/* Those of a context, the last one first. Any thread. */
typedef struct kolo_agains {
    pthread_mutex_t lock;
    kolo_again *first;
} kolo_agains;

void kolo_agains_init(kolo_agains *agains);
void kolo_agains_fini(kolo_agains *agains);

/* One that was made of args like these, which is the caller's until it gives it back or drops it; NULL: there is none. */
kolo_again *kolo_agains_take(kolo_agains *agains, const kolo_args *args);
void kolo_agains_give(kolo_agains *agains, kolo_again *again);
/* A new one, for the next call. An older one is forgotten for it, if there are two of its name, or many in all. */
void kolo_agains_add(kolo_agains *agains, kolo_again *again);

/* Whether a call of these, which are checked, can be told from another later, and by its name on the other ranks; and
 * nobody else is told of its end. */
bool kolo_again_is_possible(const kolo_args *args);
/* Of the prepared request that was made of them, a reference of which goes with it. NULL: no memory. */
kolo_again *kolo_again_make(const kolo_args *args, kolo_request *request);
void kolo_again_drop(kolo_again *again);
kolo_request *kolo_again_request(const kolo_again *again);

#endif
