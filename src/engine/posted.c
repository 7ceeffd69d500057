/* posted.c - requests on the board: posted, complete, over.
 *
 *     post ──► by value: complete ──► folded ──► over
 *         └──► by place: complete ──► a runner works on all ranks' tensors ──► over
 *                    └── decided by the root instead: a group like others */
#include "engine/state.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* ---- the list of those that are posted ---------------------------------------------------------------- */

void kolo_posted_init(kolo_posted *posted)
{
    memset(posted, 0, sizeof(*posted));
    posted->end = &posted->first;
}

void kolo_posted_add(kolo_posted *posted, kolo_request *request)
{
    request->posted = true;
    request->next_posted = NULL;
    *posted->end = request;
    posted->end = &request->next_posted;
}

static void unlink_at(kolo_posted *posted, kolo_request **at)
{
    kolo_request *request = *at;
    *at = request->next_posted;
    if (posted->end == &request->next_posted)
        posted->end = at;
    if (posted->gave_up == request)
        posted->gave_up = NULL;
    request->posted = false;
}

void kolo_posted_drop(kolo_posted *posted, kolo_request *request)
{
    kolo_request **at = &posted->first;
    while (*at != NULL && *at != request)
        at = &(*at)->next_posted;
    if (*at != NULL)
        unlink_at(posted, at);
}

/* How many requests a pass finds open before it gives up. Ranks post in much the same order, so those behind are likely
 * to be open too, and looking at what a peer is about to write slows it down. */
enum { OPEN_LOOKS = 32 };

/* One pass over the posted requests: from the oldest on, and, since ranks may post in another order after all, from
 * where the pass before gave up. */
typedef struct pass {
    kolo_request *open; /* the one before where the pass is; NULL at the beginning */
    int looks;          /* left */
    bool resumed;
} pass;

/* The next request that everybody has posted, taken off the list; NULL at the end. */
static kolo_request *next_complete(kolo_engine *engine, pass *p)
{
    kolo_posted *posted = &engine->posted;
    for (;;) {
        kolo_request **at = p->open != NULL ? &p->open->next_posted : &posted->first, *request = *at;
        if (request != NULL && kolo_board_is_complete(&engine->board, &request->post)) {
            unlink_at(posted, at);
            return request;
        }
        if (request != NULL && p->looks-- > 0) {
            p->open = request;
        } else if (!p->resumed && request != NULL && posted->gave_up != NULL) {
            *p = (pass){.open = posted->gave_up, .looks = OPEN_LOOKS, .resumed = true};
        } else {
            posted->gave_up = request != NULL ? p->open : NULL;
            return NULL;
        }
    }
}

bool kolo_posted_any_complete(const kolo_engine *engine)
{
    for (const kolo_request *request = engine->posted.first; request != NULL; request = request->next_posted)
        if (kolo_board_is_complete(&engine->board, &request->post))
            return true;
    return false;
}

/* ---- by place: runners ---------------------------------------------------------------------------------- */

kolo_runner *kolo_posted_take_runner(kolo_posted *posted)
{
    kolo_runner *runner = posted->free;
    if (runner != NULL) {
        posted->free = runner->next;
        runner->next = NULL;
    } else if ((runner = malloc(sizeof(*runner))) != NULL) {
        kolo_runner_init(runner);
    }
    return runner;
}

void kolo_posted_give_runner(kolo_posted *posted, kolo_runner *runner)
{
    runner->next = posted->free;
    posted->free = runner;
}

static kolo_status no_memory(const kolo_request *request)
{
    return kolo_fail(KOLO_ERR_MEMORY, "no memory to begin '%s'", request->name);
}

kolo_status kolo_posted_attend(kolo_engine *engine, kolo_runner *runner, kolo_request *request)
{
    kolo_group *group = kolo_group_of_one(&engine->policy, request);
    if (group == NULL)
        return no_memory(request);
    request->running = true;
    request->pieces_left = 1;
    runner->moved_ns = engine->now_ns;
    runner->warned = false;
    runner->group = group;
    *engine->at_places_end = runner;
    engine->at_places_end = &runner->next;
    return KOLO_OK;
}

static kolo_status start_at_places(kolo_engine *engine, kolo_request *request)
{
    const kolo_placed work = {.operation = &request->operation,
                              .pieces = request->pieces,
                              .post = request->post,
                              .places = request->entry->places};
    kolo_runner *runner = kolo_posted_take_runner(&engine->posted);
    if (runner == NULL)
        return no_memory(request);
    kolo_status status = kolo_runner_start_at_places(runner, &engine->env, &engine->board, &work);
    if (status == KOLO_OK)
        status = kolo_posted_attend(engine, runner, request);
    if (status != KOLO_OK)
        kolo_posted_give_runner(&engine->posted, runner);
    return status;
}

static void free_runner(kolo_engine *engine, kolo_runner **at)
{
    kolo_runner *runner = *at;
    *at = runner->next;
    if (engine->at_places_end == &runner->next)
        engine->at_places_end = at;
    kolo_posted_give_runner(&engine->posted, runner);
}

static int work_at_places(kolo_engine *engine)
{
    int events = 0;
    for (kolo_runner **at = &engine->at_places; *at != NULL;) {
        kolo_runner *runner = *at;
        if (runner->group != NULL)
            events += kolo_engine_work(engine, runner);
        if (runner->group == NULL)
            free_runner(engine, at);
        else
            at = &runner->next;
    }
    return events;
}

void kolo_posted_fini(kolo_posted *posted)
{
    while (posted->free != NULL) {
        kolo_runner *runner = posted->free;
        posted->free = runner->next;
        kolo_runner_fini(runner);
        free(runner);
    }
}

/* ---- the step ------------------------------------------------------------------------------------------- */

void kolo_posted_wake(kolo_engine *engine)
{
    if (engine->posted.news)
        engine->env.ops->flags_changed(engine->env.transport);
    engine->posted.news = false;
}

static void begin_or_finish(kolo_engine *engine, kolo_request *request)
{
    if (request->post.way == KOLO_WAY_PLACE) {
        if (start_at_places(engine, request) != KOLO_OK)
            kolo_engine_break_with_last(engine);
        return;
    }
    kolo_board_read_value(&engine->board, &request->post, &request->operation, kolo_request_piece(request));
    kolo_engine_finish(engine, request, NULL);
}

/* Those who sleep are woken once for all that was posted, and only after the first look at the others' posts: waking
 * takes a full fence, which would keep that look waiting for the own posts to be through. */
int kolo_posted_work(kolo_engine *engine)
{
    int events = 0;
    kolo_request *done;
    pass p = {.looks = OPEN_LOOKS};
    while (!engine->broken && (done = next_complete(engine, &p)) != NULL) {
        begin_or_finish(engine, done);
        events++;
    }
    kolo_posted_wake(engine);
    return events + work_at_places(engine);
}

/* ---- the negotiation's hooks ---------------------------------------------------------------------------- */

static bool is_forced(const kolo_engine_options *options, bool readable, kolo_collective collective)
{
    const kolo_algorithm *forced = collective == KOLO_BROADCAST ? options->forced_broadcast : options->forced;
    return forced != NULL && (forced->collectives >> (unsigned)collective & 1) != 0 &&
           (!forced->reads_tensors || readable);
}

static bool values_pay(const kolo_engine *engine, const kolo_piece *piece, bool by_place)
{
    const kolo_runner_env *env = &engine->env;
    kolo_plan_work work = {.collective = KOLO_ALLREDUCE,
                           .size = env->size,
                           .bytes = piece->count * (int64_t)kolo_dtype_size(piece->type),
                           .chunk_bytes = env->chunk_bytes,
                           .window_bytes = (int64_t)engine->runners[0].window_bytes,
                           .readable_tensors = env->readable_tensors};
    return kolo_plan_values_pay(&work, by_place, &env->model);
}

/* A forced algorithm's order of sums holds in every round. */
kolo_way kolo_posted_way(void *user, const kolo_request *request, uint32_t slot, bool has_private, kolo_cells *cells)
{
    kolo_engine *engine = user;
    const kolo_operation *operation = &request->operation;
    const kolo_piece *piece = kolo_request_piece(request);
    bool adds_one = operation->collective == KOLO_ALLREDUCE && operation->piece_count == 1;
    if (engine->board.size == 0 || is_forced(&engine->options, engine->env.readable_tensors, operation->collective))
        return KOLO_WAY_ORDER;
    kolo_ways ways = {.has_private = has_private,
                      .has_card = kolo_board_has_card(&engine->board, operation, piece, slot)};
    ways.by_value = adds_one && values_pay(engine, piece, ways.has_card && !has_private);
    return kolo_board_assign(&engine->board, operation, piece, ways, cells);
}

bool kolo_posted_is_private(void *user, const kolo_request *request)
{
    const kolo_engine *engine = user;
    return !kolo_board_holds(&engine->board, &request->operation, request->pieces);
}

bool kolo_posted_post(void *user, const kolo_entry *entry, kolo_request *request)
{
    kolo_engine *engine = user;
    const kolo_piece *piece = kolo_request_piece(request);
    request->post = kolo_entry_post(entry);
    if (entry->way == KOLO_WAY_VALUE)
        kolo_board_write_value(&engine->board, &request->post, &request->operation, piece);
    else if (!kolo_board_write_place(&engine->board, &request->post, &request->operation, piece, request->serial,
                                     &request->entry->places))
        return false;
    kolo_posted_add(&engine->posted, request);
    engine->posted.news = true;
    return true;
}

void kolo_posted_withdraw(void *user, kolo_request *request)
{
    kolo_engine *engine = user;
    kolo_posted_drop(&engine->posted, request);
}

uint64_t kolo_posted_by(void *user, const kolo_entry *entry)
{
    const kolo_engine *engine = user;
    kolo_post post = kolo_entry_post(entry);
    return kolo_board_posted(&engine->board, &post);
}

void kolo_posted_tell_report(void *user, const kolo_entry *entry)
{
    const kolo_engine *engine = user;
    kolo_post post = kolo_entry_post(entry);
    kolo_board_tell_report(&engine->board, &post);
}

uint64_t kolo_posted_arrived(void *user, const kolo_entry *entry)
{
    const kolo_engine *engine = user;
    kolo_post post = kolo_entry_post(entry);
    return kolo_board_arrived(&engine->board, &post);
}

uint64_t kolo_posted_places(void *user)
{
    const kolo_engine *engine = user;
    return kolo_board_places(&engine->board);
}
