/* memory.c - windows, flags, heaps, and what ranks read of each other's memory.
 *
 * Stores are seen at once; only the news that flags changed takes its time. */
#include "world.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { LINE = 64, PAGE = 4096, HUGE_PAGE = 2 * 1024 * 1024 };

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

/* count pieces, one after the other: zeroed, and the first of them aligned. NULL: no memory. */
static void *aligned_pieces(size_t count, size_t bytes, size_t unit, void **memory)
{
    *memory = calloc(1, count * bytes + unit);
    return *memory ? (char *)*memory + (unit - (uintptr_t)*memory % unit) : NULL;
}

static size_t unit_of(size_t bytes)
{
    return bytes >= HUGE_PAGE ? HUGE_PAGE : bytes >= KOLO_TRANSPORT_HEAP_SMALL ? PAGE : KOLO_TRANSPORT_HEAP_LINE;
}

/* As aligned as what is taken from it. */
static size_t heap_unit(size_t heap_bytes)
{
    return heap_bytes >= HUGE_PAGE ? HUGE_PAGE : PAGE;
}

static size_t heap_stride(const kolo_sim *sim)
{
    return round_up(sim->options.heap_bytes, heap_unit(sim->options.heap_bytes));
}

static size_t window_stride(const kolo_sim *sim)
{
    return round_up(sim->options.window_bytes, PAGE);
}

kolo_status sim_memory_init(kolo_sim *sim)
{
    size_t size = (size_t)sim->options.size, window = window_stride(sim), heap = heap_stride(sim);
    for (size_t r = 0; r < size; r++)
        kolo_ranges_init(&sim->ranks[r].taken, sim->options.heap_bytes);
    if (window > 0) {
        sim->windows = aligned_pieces(size, window, PAGE, &sim->window_memory);
        sim->flags = aligned_pieces(size, SIM_FLAGS * sizeof(uint64_t), LINE, &sim->flag_memory);
        if (!sim->windows || !sim->flags)
            return kolo_fail(KOLO_ERR_MEMORY, "no memory for the windows of %d ranks", (int)size);
    }
    if (heap > 0) {
        sim->heaps = aligned_pieces(size, heap, heap_unit(heap), &sim->heap_memory);
        if (!sim->heaps)
            return kolo_fail(KOLO_ERR_MEMORY, "no memory for the heaps of %d ranks", (int)size);
    }
    return KOLO_OK;
}

void sim_memory_fini(kolo_sim *sim)
{
    for (int32_t r = 0; r < sim->options.size; r++)
        kolo_ranges_fini(&sim->ranks[r].taken);
    free(sim->window_memory);
    free(sim->flag_memory);
    free(sim->heap_memory);
}

void *sim_window(kolo_transport *t, int32_t rank)
{
    const kolo_sim *sim = t->sim;
    bool exists = sim->windows && rank >= 0 && rank < sim->options.size;
    return exists ? sim->windows + (size_t)rank * window_stride(sim) : NULL;
}

size_t sim_window_bytes(kolo_transport *t)
{
    return t->sim->options.window_bytes;
}

uint64_t *sim_flags(kolo_transport *t, int32_t rank)
{
    return t->sim->flags + (size_t)rank * SIM_FLAGS;
}

void sim_flags_changed(kolo_transport *t)
{
    for (int32_t r = 0; r < t->sim->options.size; r++)
        if (r != t->guard.env.rank)
            kolo_sim_wake_at(t->sim, r, t->sim->now_ns + sim_latency_ns(t->sim));
}

void *sim_heap(kolo_transport *t, int32_t rank)
{
    const kolo_sim *sim = t->sim;
    bool exists = sim->heaps && t->guard.connected && rank >= 0 && rank < sim->options.size;
    return exists ? sim->heaps + (size_t)rank * heap_stride(sim) : NULL;
}

size_t sim_heap_bytes(kolo_transport *t)
{
    return t->sim->options.heap_bytes;
}

kolo_status sim_heap_alloc(kolo_transport *t, size_t bytes, void **memory)
{
    char *heap = sim_heap(t, t->guard.env.rank);
    size_t offset, rounded = bytes;
    if (!t->guard.connected || bytes == 0)
        return kolo_guard_refuse(&t->guard.env, bytes == 0 ? KOLO_ERR_INVALID : KOLO_ERR_STATE,
                                 bytes == 0 ? "a tensor of 0 bytes needs no memory"
                                            : "the transport is not connected yet");
    if (!kolo_ranges_take(&t->sim->ranks[t->guard.env.rank].taken, unit_of(bytes), &rounded, &offset))
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_MEMORY, "the heap has no room for a tensor of %zu bytes",
                                 bytes);
    *memory = memset(heap + offset, 0, rounded);
    return KOLO_OK;
}

kolo_status sim_heap_free(kolo_transport *t, void *memory)
{
    kolo_ranges *taken = &t->sim->ranks[t->guard.env.rank].taken;
    uintptr_t heap = (uintptr_t)sim_heap(t, t->guard.env.rank), at = (uintptr_t)memory;
    if (at < heap || kolo_ranges_at(taken, at - heap) == 0)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_INVALID, "%p is not memory of this heap, or was freed before",
                                 memory);
    kolo_ranges_give(taken, at - heap);
    return KOLO_OK;
}

bool sim_reads_peers(kolo_transport *t)
{
    return t->sim->options.readable;
}

/* All ranks are in this process. */
kolo_status sim_read_peer(kolo_transport *t, int32_t peer, uintptr_t address, void *to, size_t bytes)
{
    if (!t->sim->options.readable || peer < 0 || peer >= t->sim->options.size || t->sim->ranks[peer].crashed)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_PEER, "the memory of rank %d cannot be read", (int)peer);
    memcpy(to, (const void *)address, bytes);
    return KOLO_OK;
}
