/* world.c - the simulated network: the clock, what events do, crashes. */
#include "world.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

static kolo_status check_options(const kolo_sim_options *o)
{
    if (!o || o->size < 1)
        return kolo_fail(KOLO_ERR_INVALID, "a simulated network needs at least one rank");
    if (o->latency_min_ns < 0 || o->latency_max_ns < o->latency_min_ns || o->latency_max_ns > INT64_MAX / 4)
        return kolo_fail(KOLO_ERR_INVALID, "latencies from %lld to %lld ns are no range", (long long)o->latency_min_ns,
                         (long long)o->latency_max_ns);
    if (!(o->early_rate >= 0 && o->early_rate <= 1) || !(o->bytes_per_ns >= 0) || isinf(o->bytes_per_ns))
        return kolo_fail(KOLO_ERR_INVALID, "early_rate must be within 0..1, bytes_per_ns finite and not negative");
    if (o->cpu_hiccup_ns < 0 || o->cpu_hiccup_ns > INT64_MAX / 4)
        return kolo_fail(KOLO_ERR_INVALID, "cpu_hiccup_ns must not be negative");
    return KOLO_OK;
}

kolo_status kolo_sim_create(const kolo_sim_options *options, kolo_sim **sim)
{
    KOLO_TRY(check_options(options));
    kolo_sim *s = calloc(1, sizeof(*s) + (size_t)options->size * sizeof(sim_rank));
    if (!s)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a simulated network of %d ranks", (int)options->size);
    s->options = *options;
    s->rng.state = options->seed;
    for (int32_t r = 0; r < options->size; r++)
        s->ranks[r].inbox_tail = &s->ranks[r].inbox;
    kolo_status status = sim_memory_init(s);
    if (status == KOLO_OK)
        *sim = s;
    else
        kolo_sim_destroy(s);
    return status;
}

void kolo_sim_destroy(kolo_sim *sim)
{
    if (!sim)
        return;
    for (int32_t r = 0; r < sim->options.size; r++)
        sim_drop_messages(sim, r, -1);
    for (sim_event *event; (event = sim_event_pop(sim)) != NULL;) {
        if (event->message)
            free(event->message);
        sim_event_destroy(sim, event);
    }
    sim_memory_fini(sim);
    free(sim->heap);
    free(sim);
}

int64_t kolo_sim_now(const kolo_sim *sim)
{
    return sim->now_ns;
}

uint64_t kolo_sim_trace(const kolo_sim *sim)
{
    return sim->trace;
}

static bool is_listening(const kolo_sim *sim, const sim_event *event)
{
    const sim_rank *rank = &sim->ranks[event->rank];
    return rank->transport && !rank->crashed && rank->epoch == event->epoch;
}

void sim_inbox_add(kolo_sim *sim, sim_event *event)
{
    sim_rank *rank = &sim->ranks[event->rank];
    if (!is_listening(sim, event)) {
        sim_event_destroy(sim, event);
        return;
    }
    event->next = NULL;
    *rank->inbox_tail = event;
    rank->inbox_tail = &event->next;
}

void sim_inbox_clear(kolo_sim *sim, sim_rank *rank)
{
    while (rank->inbox) {
        sim_event *event = rank->inbox;
        rank->inbox = event->next;
        sim_event_destroy(sim, event);
    }
    rank->inbox_tail = &rank->inbox;
}

/* FNV-1a, a word at a time: the run's fingerprint. */
static void trace_event(kolo_sim *sim, const sim_event *event)
{
    const sim_message *message = event->message;
    const uint64_t words[] = {(uint64_t)event->at_ns, event->sequence,      (uint64_t)event->kind,
                              (uint64_t)event->rank,  (uint64_t)event->peer, event->size,
                              message ? message->tag : 0, message ? message->bytes : 0, (uint64_t)event->status};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        sim->trace = (sim->trace ^ words[i]) * UINT64_C(0x100000001b3);
}

/* rank learns that peer is gone: first the news, then what became of the postings. */
static void lose(kolo_sim *sim, sim_event *event)
{
    int32_t rank = event->rank;
    int32_t peer = event->peer;
    if (!is_listening(sim, event)) {
        sim_event_destroy(sim, event);
        return;
    }
    sim->ranks[rank].transport->lost[peer] = true;
    sim_inbox_add(sim, event);
    sim_end_sends(sim, rank, peer, KOLO_ERR_PEER);
    sim_end_recvs(sim, rank, peer, KOLO_ERR_PEER);
    sim_drop_messages(sim, rank, peer);
}

int32_t kolo_sim_advance(kolo_sim *sim)
{
    while (!sim->out_of_memory) {
        sim_event *event = sim_event_pop(sim);
        if (!event)
            break;
        int32_t rank = event->rank;
        sim->now_ns = event->at_ns;
        trace_event(sim, event);
        if (event->kind == SIM_ALARM) {
            bool wakes = !sim->ranks[rank].crashed;
            sim_event_destroy(sim, event);
            if (wakes)
                return rank;
        } else if (event->kind == SIM_MESSAGE) {
            sim_message_step(sim, event->message);
        } else if (event->kind == SIM_LOST) {
            lose(sim, event);
        } else {
            sim_inbox_add(sim, event);
        }
        if (sim->ranks[rank].inbox)
            return rank;
    }
    return -1;
}

void kolo_sim_wake_at(kolo_sim *sim, int32_t rank, int64_t at_ns)
{
    if (rank < 0 || rank >= sim->options.size)
        return;
    sim_event *event = sim_event_create(sim, SIM_ALARM, rank, -1, 0);
    if (event)
        sim_event_push(sim, event, at_ns);
    else
        sim->out_of_memory = true;
}

void kolo_sim_crash(kolo_sim *sim, int32_t rank)
{
    if (rank < 0 || rank >= sim->options.size || sim->ranks[rank].crashed)
        return;
    sim->ranks[rank].crashed = true;
    sim_inbox_clear(sim, &sim->ranks[rank]);
    sim_end_recvs(sim, rank, -1, KOLO_OK);
    sim_end_sends(sim, rank, -1, KOLO_OK); /* its memory may be gone: only what was copied stays on the wire */
    for (int32_t r = 0; r < sim->options.size; r++) {
        if (r == rank || sim->ranks[r].crashed)
            continue;
        sim_event *event = sim_event_create(sim, SIM_LOST, r, rank, 0);
        if (event)
            sim_event_push(sim, event, sim->now_ns + sim_latency_ns(sim));
        else
            sim->out_of_memory = true;
    }
}

void kolo_sim_count(const kolo_sim *sim, int32_t rank, kolo_sim_counters *sent)
{
    *sent = rank >= 0 && rank < sim->options.size ? sim->ranks[rank].sent : (kolo_sim_counters){0};
}
