/* world.c - see world.h. */
#include "unit/engine/world.h"

#include "unit/engine/made.h"

#include <stdlib.h>
#include <string.h>

static world *world_of(kolo_transport *transport)
{
    return (world *)(void *)transport;
}

static void *fake_window(kolo_transport *transport, int32_t rank)
{
    return world_of(transport)->windows[rank];
}

static size_t fake_window_bytes(kolo_transport *transport)
{
    return world_of(transport)->window_bytes;
}

static uint64_t *fake_flags(kolo_transport *transport, int32_t rank)
{
    return world_of(transport)->flags[rank];
}

static void *fake_heap(kolo_transport *transport, int32_t rank)
{
    const world *w = world_of(transport);
    return rank != w->without_heap ? w->heaps[rank] : NULL;
}

static size_t fake_heap_bytes(kolo_transport *transport)
{
    return world_of(transport)->heap_bytes;
}

/* Upwards, from the middle on; what was freed is not given out again. */
static kolo_status fake_heap_alloc(kolo_transport *transport, size_t bytes, void **memory)
{
    world *w = world_of(transport);
    if (bytes > w->heap_left)
        return KOLO_ERR_MEMORY;
    *memory = w->heaps[w->allocates] + HEAP_BYTES - w->heap_left;
    w->heap_left -= bytes;
    return KOLO_OK;
}

static kolo_status fake_heap_free(kolo_transport *transport, void *memory)
{
    (void)transport;
    (void)memory;
    return KOLO_OK;
}

static const kolo_transport_ops fake_ops = {.window = fake_window,
                                            .window_bytes = fake_window_bytes,
                                            .flags = fake_flags,
                                            .heap = fake_heap,
                                            .heap_bytes = fake_heap_bytes,
                                            .heap_alloc = fake_heap_alloc,
                                            .heap_free = fake_heap_free};

static char *zeroed(size_t bytes)
{
    char *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    assert_non_null(memory);
    return memset(memory, 0, bytes);
}

void world_share(world *w, int32_t size)
{
    memset(w->boards, 0, sizeof(w->boards));
    for (int32_t r = 0; r < size; r++)
        kolo_board_share(&w->boards[r], r, size, &w->publisher, &fake_ops, (kolo_transport *)(void *)w);
}

void world_init(world *w, int32_t size)
{
    *w = (world){
        .window_bytes = WINDOW_BYTES, .heap_bytes = HEAP_BYTES, .heap_left = HEAP_BYTES / 2, .without_heap = -1};
    for (int32_t r = 0; r < size; r++) {
        w->windows[r] = zeroed(WINDOW_BYTES);
        w->heaps[r] = zeroed(HEAP_BYTES);
        w->flags[r] = (uint64_t *)(void *)zeroed(KOLO_TRANSPORT_FLAG_LINES * 64);
    }
    world_share(w, size);
}

void world_fini(world *w)
{
    for (int32_t r = 0; r <= RANKS; r++) {
        free(w->windows[r]);
        free(w->heaps[r]);
        free(w->flags[r]);
    }
}
