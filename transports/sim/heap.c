/* heap.c - events in order of time, and the latencies between them. */
#include "world.h"

#include <stdlib.h>

static bool before(const sim_event *a, const sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

sim_event *sim_event_create(kolo_sim *sim, sim_event_kind kind, int32_t rank, int32_t peer, size_t size)
{
    if (sim->events == sim->heap_capacity) {
        size_t capacity = sim->heap_capacity ? 2 * sim->heap_capacity : 64;
        sim_event **heap = realloc(sim->heap, capacity * sizeof(sim_event *));
        if (!heap)
            return NULL;
        sim->heap = heap;
        sim->heap_capacity = capacity;
    }
    sim_event *event = calloc(1, sizeof(*event) + size);
    if (!event)
        return NULL;
    sim->events++;
    event->kind = kind;
    event->rank = rank;
    event->peer = peer;
    event->epoch = sim->ranks[rank].epoch;
    event->size = size;
    return event;
}

void sim_event_destroy(kolo_sim *sim, sim_event *event)
{
    if (event) {
        sim->events--;
        free(event);
    }
}

void sim_event_push(kolo_sim *sim, sim_event *event, int64_t at_ns)
{
    event->at_ns = at_ns > sim->now_ns ? at_ns : sim->now_ns;
    event->sequence = sim->sequence++;
    size_t i = sim->heap_count++;
    while (i > 0 && before(event, sim->heap[(i - 1) / 2])) {
        sim->heap[i] = sim->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    sim->heap[i] = event;
}

sim_event *sim_event_pop(kolo_sim *sim)
{
    if (sim->heap_count == 0)
        return NULL;
    sim_event *top = sim->heap[0];
    sim_event *last = sim->heap[--sim->heap_count];
    size_t i = 0;
    for (size_t child = 1; child < sim->heap_count; child = 2 * i + 1) {
        if (child + 1 < sim->heap_count && before(sim->heap[child + 1], sim->heap[child]))
            child++;
        if (!before(sim->heap[child], last))
            break;
        sim->heap[i] = sim->heap[child];
        i = child;
    }
    sim->heap[i] = last;
    return top;
}

int64_t sim_latency_ns(kolo_sim *sim)
{
    const kolo_sim_options *o = &sim->options;
    uint64_t spread = (uint64_t)(o->latency_max_ns - o->latency_min_ns);
    int64_t latency = o->latency_min_ns + (int64_t)kolo_rng_below(&sim->rng, spread + 1);
    if (o->cpu_hiccup_ns > 0 && kolo_rng_below(&sim->rng, 64) == 0)
        latency += (int64_t)kolo_rng_below(&sim->rng, (uint64_t)o->cpu_hiccup_ns) + 1;
    return latency;
}
