/* posted.h - the requests that are on the board (board.h). */
#ifndef KOLO_ENGINE_POSTED_H
#define KOLO_ENGINE_POSTED_H

#include "engine/group.h"
#include "engine/registry.h"

/* Posted and not complete, the oldest first. */
typedef struct kolo_posted_list {
    kolo_request *first, **end;
    kolo_request *gave_up; /* where the last pass over them did, NULL: nowhere */
} kolo_posted_list;

typedef struct kolo_posted {
    kolo_posted_list values, places;
    kolo_request *unwritten; /* the first of `places` whose card is not; nor is any behind it: burst.h */
    bool news;               /* something was posted, and nobody was woken for it yet */
    kolo_runner *free;       /* runners that work on places, and do not now */
} kolo_posted;

typedef struct kolo_engine kolo_engine;

void kolo_posted_init(kolo_posted *posted);
void kolo_posted_fini(kolo_posted *posted);

/* A request that was posted. And: forgets one, because it failed or the root has decided about it; nothing if it is not
 * there. */
void kolo_posted_add(kolo_posted *posted, kolo_request *request);
void kolo_posted_drop(kolo_posted *posted, kolo_request *request);

/* A runner that works on places; NULL: no memory. And back, when it is over, or has not begun. */
kolo_runner *kolo_posted_take_runner(kolo_posted *posted);
void kolo_posted_give_runner(kolo_posted *posted, kolo_runner *runner);
/* What such a runner has begun is the request's, and the step goes on with it. On an error, it is the caller's still. */
KOLO_NODISCARD kolo_status kolo_posted_attend(kolo_engine *engine, kolo_runner *runner, kolo_request *request);

/* Goes on with what is complete; returns how much happened. */
int kolo_posted_work(kolo_engine *engine);
/* Wakes the ranks that sleep, if something was posted. */
void kolo_posted_wake(kolo_engine *engine);
bool kolo_posted_any_complete(const kolo_engine *engine);

/* The negotiation's hooks (negotiate.h). */
bool kolo_posted_is_private(void *engine, const kolo_request *request);
kolo_way kolo_posted_way(void *engine, const kolo_request *request, uint32_t slot, bool has_private, kolo_cells *cells);
bool kolo_posted_post(void *engine, const kolo_entry *entry, kolo_request *request);
void kolo_posted_withdraw(void *engine, kolo_request *request);
void kolo_posted_tell_report(void *engine, const kolo_entry *entry);
uint64_t kolo_posted_arrived(void *engine, const kolo_entry *entry);
uint64_t kolo_posted_by(void *engine, const kolo_entry *entry);
uint64_t kolo_posted_places(void *engine);

#endif
