/* broken.c - what ends a job early: errors anywhere, deadlines; and how every request then ends, on every rank. */
#include "engine/state.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A rank that does not know for sure who is late asks, and gives those who know so much time to speak first. */
#define GRACE_NS (2 * KOLO_NS_PER_S)

/* The job's error, as this request tells it. */
void kolo_engine_finish_broken(kolo_engine *engine, kolo_request *request)
{
    char text[KOLO_TITLE_BYTES];
    kolo_error error = engine->error;
    snprintf(error.operation, sizeof(error.operation), "%s", kolo_collective_name(request->operation.collective));
    if (error.tensor[0] == '\0')
        snprintf(error.tensor, sizeof(error.tensor), "%s", kolo_request_label(request->name, text));
    kolo_engine_finish(engine, request, &error);
}

/* ---- a broken job --------------------------------------------------------------------------------- */

static void tell_neighbours(kolo_engine *engine, int32_t source)
{
    uint8_t body[2048];
    kolo_writer writer;
    kolo_writer_init(&writer, body, sizeof(body));
    kolo_abort_write(&writer, engine->options.rank, &engine->error);
    for (int32_t i = 0; writer.ok && i < engine->control.count; i++)
        if (i != source &&
            kolo_control_send(&engine->control, i, KOLO_MESSAGE_ABORT, writer.data, writer.size) != KOLO_OK)
            kolo_log_write(engine->options.log, KOLO_LOG_DEBUG, "rank %d could not be told",
                           engine->control.neighbours[i].rank);
}

void kolo_engine_break(kolo_engine *engine, const kolo_error *error, int32_t source)
{
    if (engine->broken)
        return;
    engine->broken = true;
    kolo_board_break(&engine->board);
    engine->error = *error;
    engine->error.struct_size = sizeof(*error);
    kolo_log_write(engine->options.log, KOLO_LOG_ERROR, "%s", error->message);
    tell_neighbours(engine, source);
    engine->env.ops->cancel_all(engine->env.transport);
    for (kolo_runner *runner = NULL; (runner = kolo_engine_next_busy(engine, runner)) != NULL;)
        kolo_executor_cancel(&runner->executor, error->status);
}

void kolo_engine_abort(kolo_engine *engine, const kolo_error *error)
{
    kolo_engine_break(engine, error, -1);
}

const kolo_error *kolo_engine_error(const kolo_engine *engine)
{
    return engine->broken ? &engine->error : NULL;
}

void kolo_engine_leave(kolo_engine *engine)
{
    engine->leaving = true;
}

/* Once nothing of ours is at the transport any more, memory is the callers' again. */
int kolo_engine_settle_broken(kolo_engine *engine)
{
    (void)kolo_posted_work(engine); /* runners at places have nothing at the transport: they end at once */
    if (kolo_engine_next_busy(engine, NULL) != NULL)
        return 0;
    while (engine->waiting != NULL) {
        kolo_group *group = engine->waiting;
        engine->waiting = group->next;
        free(group);
    }
    engine->waiting_end = &engine->waiting;
    int failed = 0;
    for (; engine->live != NULL; failed++)
        kolo_engine_finish_broken(engine, engine->live);
    return failed;
}

void kolo_engine_break_with_last(kolo_engine *engine)
{
    kolo_error error = *kolo_error_current();
    kolo_engine_break(engine, &error, -1);
}

/* ---- alarms ------------------------------------------------------------------------------------------ */

/* Whoever sees the board alone knows who is late, but not of what goes by order, which that one may be waiting for. */
static bool knows_all(const kolo_engine *engine, const kolo_request *request)
{
    return engine->options.rank == 0 || request->entry->way == KOLO_WAY_ORDER;
}

/* When it is time to end the job for this request: at once where the late rank is known for sure. */
static int64_t effective_deadline(kolo_engine *engine, const kolo_request *request)
{
    char ranks[KOLO_MISSING_BYTES];
    if (request->deadline_ns > engine->now_ns || request->running)
        return request->deadline_ns;
    kolo_crossing other;
    bool sure = kolo_negotiation_missing(&engine->negotiation, request, ranks) == KOLO_MISSING_SURE &&
                (knows_all(engine, request) || kolo_negotiation_crossed(&engine->negotiation, request->name, &other));
    return sure || request->deadline_ns > INT64_MAX - GRACE_NS ? request->deadline_ns : request->deadline_ns + GRACE_NS;
}

static bool is_one(const char *ranks)
{
    return strpbrk(ranks, ",-(") == NULL;
}

static const char *rank_word(const char *ranks)
{
    return is_one(ranks) ? "rank" : "ranks";
}

static void break_late(kolo_engine *engine, const char *name, const char *why, const char *ranks, const char *advice)
{
    char text[KOLO_TITLE_BYTES];
    kolo_error error = {.struct_size = sizeof(error), .status = KOLO_ERR_TIMEOUT};
    snprintf(error.tensor, sizeof(error.tensor), "%s", kolo_request_label(name, text));
    snprintf(error.ranks, sizeof(error.ranks), "%s", ranks);
    snprintf(error.message, sizeof(error.message), "%s passed its deadline: %s %s %s; %s",
             kolo_request_title(name, text), why, rank_word(ranks), ranks, advice);
    kolo_engine_break(engine, &error, -1);
}

#define ALLOW_MORE_TIME "if that is only slow, allow more time (KOLO_TIMEOUT, kolo_args.timeout_ns)"

/* Whoever waits for each other waits for ever, so more time is no advice then. */
void kolo_engine_expired(void *user, const char *name, const char *missing)
{
    kolo_engine *engine = user;
    kolo_crossing other;
    char text[KOLO_TITLE_BYTES], advice[4 * KOLO_MISSING_BYTES] = ALLOW_MORE_TIME;
    if (kolo_negotiation_crossed(&engine->negotiation, name, &other))
        snprintf(
            advice, sizeof(advice),
            "meanwhile %s %s wait%s for %s, which %s %s did not submit: do all ranks use the same names, in the same "
            "order where they wait in between?",
            rank_word(other.waiting), other.waiting, is_one(other.waiting) ? "s" : "",
            kolo_request_title(other.name, text), rank_word(other.missing), other.missing);
    break_late(engine, name, "it was not submitted by", missing, advice);
}

void kolo_engine_deserted(void *user, const char *name, const char *left, const char *waiting)
{
    char text[KOLO_TITLE_BYTES];
    kolo_error error = {.struct_size = sizeof(error), .status = KOLO_ERR_PEER};
    snprintf(error.tensor, sizeof(error.tensor), "%s", kolo_request_label(name, text));
    snprintf(error.ranks, sizeof(error.ranks), "%s", left);
    snprintf(error.message, sizeof(error.message),
             "%s %s called kolo_finalize without submitting %s, for which %s %s wait%s; every rank must take part in "
             "every operation before it leaves",
             rank_word(left), left, kolo_request_title(name, text), rank_word(waiting), waiting,
             is_one(waiting) ? "s" : "");
    kolo_engine_break(user, &error, -1);
}

/* Whom the group at work waits for. */
static void list_peers(const kolo_runner *runner, char *text, size_t capacity)
{
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    kolo_executor_peers(&runner->executor, &ranks);
    kolo_ranks_format(&ranks, text, capacity);
    kolo_ranks_fini(&ranks);
}

/* Of the group that moves the request's data, or of the first one at work. */
static void list_peers_of(const kolo_engine *engine, const kolo_request *request, char *text, size_t capacity)
{
    text[0] = '\0';
    for (kolo_runner *runner = NULL; (runner = kolo_engine_next_busy(engine, runner)) != NULL;)
        for (size_t m = 0; m < runner->group->member_count; m++)
            if (runner->group->members[m].request == request) {
                list_peers(runner, text, capacity);
                return;
            }
    for (kolo_runner *runner = NULL; text[0] == '\0' && (runner = kolo_engine_next_busy(engine, runner)) != NULL;)
        list_peers(runner, text, capacity);
}

static void expire(kolo_engine *engine, const kolo_request *request)
{
    char ranks[KOLO_MISSING_BYTES];
    if (kolo_negotiation_missing(&engine->negotiation, request, ranks) != KOLO_MISSING_NOBODY) {
        kolo_engine_expired(engine, request->name, ranks);
    } else if (request->running || engine->options.rank == 0) { /* or it waits for a runner that is busy */
        const char *why = "all ranks submitted it, but its data does not move; waiting for";
        list_peers_of(engine, request, ranks, sizeof(ranks));
        if (ranks[0] == '\0') { /* stopped until now, perhaps */
            why = "all ranks submitted it, and what is left to do is for";
            snprintf(ranks, sizeof(ranks), "%d", engine->options.rank);
        }
        break_late(engine, request->name, why, ranks, ALLOW_MORE_TIME);
    } else {
        snprintf(ranks, sizeof(ranks), "%d", kolo_tree_parent(engine->negotiation.tree, engine->options.rank));
        break_late(engine, request->name,
                   "somebody has not submitted it, and who collects that does not answer:", ranks, ALLOW_MORE_TIME);
    }
}

/* Own subtree complete: whoever above knows the late rank shall name it. */
static void ask_once(kolo_engine *engine, kolo_request *request)
{
    if (request->asked)
        return;
    request->asked = true;
    if (kolo_negotiation_ask(&engine->negotiation, request->name) != KOLO_OK)
        kolo_engine_break_with_last(engine);
}

static void check_deadlines(kolo_engine *engine)
{
    engine->deadline_ns = INT64_MAX;
    for (kolo_request *request = engine->live; request != NULL; request = request->live_next) {
        int64_t deadline = effective_deadline(engine, request);
        if (deadline <= engine->now_ns) {
            expire(engine, request);
            return;
        }
        if (request->deadline_ns <= engine->now_ns)
            ask_once(engine, request);
        if (deadline < engine->deadline_ns)
            engine->deadline_ns = deadline;
    }
}

static void report_stall(void *user, const kolo_entry *entry, const char *ranks)
{
    kolo_engine *engine = user;
    char text[KOLO_TITLE_BYTES];
    kolo_log_write(engine->options.log, KOLO_LOG_WARN, "%s has waited %.1f s for %s %s; stuck, or doing other work?",
                   kolo_request_title(entry->name, text), (double)(engine->now_ns - entry->since_ns) / 1e9,
                   rank_word(ranks), ranks);
}

/* The same for data under way: a peer stopped in the middle. Returns since when the oldest of the others has not moved. */
static int64_t report_still_groups(kolo_engine *engine)
{
    int64_t oldest_ns = INT64_MAX;
    for (kolo_runner *runner = NULL; (runner = kolo_engine_next_busy(engine, runner)) != NULL;) {
        if (runner->warned)
            continue;
        if (engine->now_ns - runner->moved_ns < engine->options.stall_ns) {
            oldest_ns = runner->moved_ns < oldest_ns ? runner->moved_ns : oldest_ns;
            continue;
        }
        char ranks[KOLO_MISSING_BYTES], text[KOLO_TITLE_BYTES];
        list_peers(runner, ranks, sizeof(ranks));
        kolo_log_write(engine->options.log, KOLO_LOG_WARN, "%s: its data has not moved for %.1f s; waiting for %s %s",
                       kolo_request_title(runner->group->members[0].request->name, text),
                       (double)(engine->now_ns - runner->moved_ns) / 1e9, rank_word(ranks), ranks);
        runner->warned = true;
    }
    return oldest_ns;
}

/* Reports what is due, and finds out when the next one will be: those that follow each other closely are told together,
 * since a check looks at all names. */
static void check_stalls(kolo_engine *engine)
{
    enum { NEIGHBOURS = 16 }; /* within that part of the limit */
    int64_t group_ns = report_still_groups(engine);
    int64_t oldest_ns =
        kolo_negotiation_stalls(&engine->negotiation, engine->now_ns - engine->options.stall_ns, report_stall, engine);
    oldest_ns = group_ns < oldest_ns ? group_ns : oldest_ns;
    if (oldest_ns == INT64_MAX && engine->live != NULL)
        oldest_ns = engine->now_ns;
    int64_t next_ns = oldest_ns != INT64_MAX ? oldest_ns + engine->options.stall_ns : INT64_MAX;
    int64_t least_ns = engine->now_ns + engine->options.stall_ns / NEIGHBOURS;
    engine->stall_check_ns = next_ns > least_ns ? next_ns : least_ns;
}

void kolo_engine_check_alarms(kolo_engine *engine)
{
    if (engine->broken)
        return;
    if (engine->now_ns >= engine->deadline_ns)
        check_deadlines(engine);
    if (engine->now_ns >= engine->stall_check_ns)
        check_stalls(engine);
}

int64_t kolo_engine_alarm_ns(const kolo_engine *engine)
{
    if (engine->broken)
        return INT64_MAX;
    return engine->deadline_ns < engine->stall_check_ns ? engine->deadline_ns : engine->stall_check_ns;
}
