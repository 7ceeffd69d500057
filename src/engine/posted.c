/* posted.c - requests on the board: posted, complete, over.
 *
 *     post ──► by value: complete ──► folded ──► over
 *         └──► by place: complete, or with it all of a burst (burst.h) ──► a runner works on all ranks' tensors ──► over
 *                    └── decided by the root instead: a group like others */
#include "engine/state.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* ---- the list of those that are posted ---------------------------------------------------------------- */

static void init_list(kolo_posted_list *list)
{
    *list = (kolo_posted_list){.end = &list->first};
}

void kolo_posted_init(kolo_posted *posted)
{
    memset(posted, 0, sizeof(*posted));
    init_list(&posted->values);
    init_list(&posted->places);
}

static kolo_posted_list *list_of(kolo_posted *posted, const kolo_request *request)
{
    return request->post.way == KOLO_WAY_VALUE ? &posted->values : &posted->places;
}

void kolo_posted_add(kolo_posted *posted, kolo_request *request)
{
    kolo_posted_list *list = list_of(posted, request);
    request->posted = true;
    request->next_posted = NULL;
    *list->end = request;
    list->end = &request->next_posted;
}

static void unlink_at(kolo_posted_list *list, kolo_request **at)
{
    kolo_request *request = *at;
    *at = request->next_posted;
    if (list->end == &request->next_posted)
        list->end = at;
    if (list->gave_up == request)
        list->gave_up = NULL;
    request->posted = false;
}

void kolo_posted_drop(kolo_posted *posted, kolo_request *request)
{
    kolo_posted_list *list = list_of(posted, request);
    kolo_request **at = &list->first, *first = NULL;
    for (; *at != NULL && *at != request; at = &(*at)->next_posted)
        if (first == NULL && (*at)->post.burst == request->post.burst)
            first = *at;
    if (*at == NULL)
        return;
    if (request->post.burst != 0)
        kolo_burst_dissolve(first != NULL ? first : request);
    if (posted->unwritten == request)
        posted->unwritten = request->next_posted;
    unlink_at(list, at);
}

/* How many requests a pass finds open before it gives up. Ranks post in much the same order, so those behind are likely
 * to be open too, and looking at what a peer is about to write slows it down. */
enum { OPEN_LOOKS = 32 };

/* One pass over the posted requests: from the oldest on, and, since ranks may post in another order after all, from
 * where the pass before gave up. */
typedef struct pass {
    kolo_posted_list *list;
    kolo_request *open; /* the one before where the pass is; NULL at the beginning */
    int looks;          /* left */
    bool resumed;
} pass;

/* Everybody has posted the request, or all of the burst that begins with it; what is no burst after all is none from here on. */
static bool is_ready(kolo_engine *engine, kolo_request *request)
{
    if (request->post.burst != 0) {
        kolo_burst_state state = kolo_burst_look(engine, request, false);
        if (state != KOLO_BURST_DIFFERS)
            return state == KOLO_BURST_AGREED;
        kolo_burst_dissolve(request);
    }
    return kolo_board_is_complete(&engine->board, &request->post);
}

/* Where the next one is that is ready; NULL at the end. */
static kolo_request **next_ready(kolo_engine *engine, pass *p)
{
    kolo_posted_list *list = p->list;
    for (;;) {
        kolo_request **at = p->open != NULL ? &p->open->next_posted : &list->first;
        if (*at != NULL && is_ready(engine, *at))
            return at;
        if (*at != NULL && p->looks-- > 0) {
            p->open = kolo_burst_last(*at);
        } else if (!p->resumed && *at != NULL && list->gave_up != NULL) {
            *p = (pass){.list = list, .open = list->gave_up, .looks = OPEN_LOOKS, .resumed = true};
        } else {
            list->gave_up = *at != NULL ? p->open : NULL;
            return NULL;
        }
    }
}

bool kolo_posted_any_complete(const kolo_engine *engine)
{
    const kolo_posted *posted = &engine->posted;
    for (const kolo_request *request = posted->values.first; request != NULL; request = request->next_posted)
        if (kolo_board_is_complete(&engine->board, &request->post))
            return true;
    for (kolo_request *request = posted->places.first; request != NULL; request = kolo_burst_last(request)->next_posted)
        if (request->post.burst != 0 ? kolo_burst_look(engine, request, true) != KOLO_BURST_OPEN
                                     : kolo_board_is_complete(&engine->board, &request->post))
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

static void attend(kolo_engine *engine, kolo_runner *runner, kolo_group *group)
{
    for (size_t i = 0; i < group->member_count; i++) {
        group->members[i].request->running = true;
        group->members[i].request->pieces_left = 1;
    }
    runner->moved_ns = engine->now_ns;
    runner->warned = false;
    runner->group = group;
    *engine->at_places_end = runner;
    engine->at_places_end = &runner->next;
}

kolo_status kolo_posted_attend(kolo_engine *engine, kolo_runner *runner, kolo_request *request)
{
    kolo_group *group = kolo_group_of(&engine->policy, request, 1);
    if (group == NULL)
        return no_memory(request);
    attend(engine, runner, group);
    return KOLO_OK;
}

static kolo_status start_runner(kolo_engine *engine, kolo_runner *runner, const kolo_group *group)
{
    const kolo_request *request = group->members[0].request;
    if (group->member_count > 1)
        return kolo_runner_start_burst(runner, &engine->env, &engine->board, group);
    const kolo_placed work = {.operation = &request->operation,
                              .pieces = request->pieces,
                              .post = request->post,
                              .places = request->entry->places};
    return kolo_runner_start_at_places(runner, &engine->env, &engine->board, &work);
}

/* The request that is ready, or the burst that begins with it. */
static kolo_status start_at_places(kolo_engine *engine, kolo_request **at)
{
    kolo_group *group = kolo_group_of(&engine->policy, *at, (*at)->post.burst != 0 ? (*at)->burst_count : 1);
    kolo_runner *runner = kolo_posted_take_runner(&engine->posted);
    kolo_status status = group == NULL || runner == NULL ? no_memory(*at) : start_runner(engine, runner, group);
    if (status != KOLO_OK) {
        if (runner != NULL)
            kolo_posted_give_runner(&engine->posted, runner);
        free(group);
        return status;
    }
    for (size_t i = 0; i < group->member_count; i++)
        unlink_at(&engine->posted.places, at);
    attend(engine, runner, group);
    return KOLO_OK;
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
    kolo_burst_publish(engine);
    if (engine->posted.news)
        engine->env.ops->flags_changed(engine->env.transport);
    engine->posted.news = false;
}

static int work_values(kolo_engine *engine)
{
    pass p = {.list = &engine->posted.values, .looks = OPEN_LOOKS};
    kolo_request **at;
    int events = 0;
    for (; !engine->broken && (at = next_ready(engine, &p)) != NULL; events++) {
        kolo_request *request = *at;
        unlink_at(p.list, at);
        kolo_board_read_value(&engine->board, &request->post, &request->operation, kolo_request_piece(request));
        kolo_engine_finish(engine, request, NULL);
    }
    return events;
}

static int begin_places(kolo_engine *engine)
{
    pass p = {.list = &engine->posted.places, .looks = OPEN_LOOKS};
    kolo_request **at;
    int events = 0;
    kolo_burst_publish(engine); /* what has become the first of its name since */
    for (; !engine->broken && (at = next_ready(engine, &p)) != NULL; events++)
        if (start_at_places(engine, at) != KOLO_OK)
            kolo_engine_break_with_last(engine);
    return events;
}

/* Those who sleep are woken once for all that was posted, and only after the first look at the others' posts: waking
 * takes a full fence, which would keep that look waiting for the own posts to be through. */
int kolo_posted_work(kolo_engine *engine)
{
    int events = work_values(engine) + begin_places(engine);
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

/* By place, after those whose turn it was before. */
static bool post_now(kolo_engine *engine, kolo_request *request)
{
    const kolo_piece *piece = kolo_request_piece(request);
    if (request->post.way == KOLO_WAY_PLACE) {
        kolo_burst_publish(engine);
        return kolo_board_write_place(&engine->board, &request->post, &request->operation, piece, request->serial,
                                      &request->entry->places);
    }
    kolo_board_write_value(&engine->board, &request->post, &request->operation, piece);
    return true;
}

bool kolo_posted_post(void *user, const kolo_entry *entry, kolo_request *request)
{
    kolo_engine *engine = user;
    const kolo_piece *piece = kolo_request_piece(request);
    kolo_posted *posted = &engine->posted;
    bool is_burst = entry->way == KOLO_WAY_PLACE && kolo_burst_takes(engine, request);
    kolo_entry_set_post(entry, &request->post);
    if (is_burst && !kolo_board_holds(&engine->board, &request->operation, piece))
        return false;
    if (!is_burst && !post_now(engine, request))
        return false;
    kolo_posted_add(posted, request);
    if (is_burst && posted->unwritten == NULL)
        posted->unwritten = request;
    posted->news |= !is_burst;
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

/* This rank has, also where its card is about to be written. */
uint64_t kolo_posted_arrived(void *user, const kolo_entry *entry)
{
    const kolo_engine *engine = user;
    kolo_post post = kolo_entry_post(entry);
    return kolo_board_arrived(&engine->board, &post) | (uint64_t)entry->posted << engine->board.rank;
}

uint64_t kolo_posted_places(void *user)
{
    const kolo_engine *engine = user;
    return kolo_board_places(&engine->board);
}
