/* place.c - where ranks are, as bytes on the wire, and the job's order made from it. Pure; no hwloc here.
 *
 * Bytes: "oPl", version (1) | host id [32] | package, numa, cache, core, allowed cores (i32 each) | zero [8];
 * little-endian. */
#include "topo/topo.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/codec.h"
#include "base/error.h"

enum { PLACE_TAIL_BYTES = 8 };
#define PLACE_MAGIC UINT32_C(0x6c506f) /* "oPl" */
#define PLACE_VERSION UINT32_C(1)

void kolo_place_encode(const kolo_place *place, uint8_t bytes[KOLO_PLACE_BYTES])
{
    static const uint8_t zero[PLACE_TAIL_BYTES];
    kolo_writer writer;
    kolo_writer_init(&writer, bytes, KOLO_PLACE_BYTES);
    kolo_write_u32(&writer, PLACE_VERSION << 24 | PLACE_MAGIC);
    kolo_write_raw(&writer, place->host_id, KOLO_HOST_ID_BYTES);
    kolo_write_u32(&writer, (uint32_t)place->package);
    kolo_write_u32(&writer, (uint32_t)place->numa);
    kolo_write_u32(&writer, (uint32_t)place->cache);
    kolo_write_u32(&writer, (uint32_t)place->core);
    kolo_write_u32(&writer, (uint32_t)place->allowed_cores);
    kolo_write_raw(&writer, zero, sizeof(zero));
}

/* An index into something, or -1. */
static bool read_index(kolo_reader *reader, int32_t *value)
{
    *value = (int32_t)kolo_read_u32(reader);
    return *value >= -1;
}

kolo_status kolo_place_decode(const uint8_t *bytes, size_t size, kolo_place *place)
{
    if (size != KOLO_PLACE_BYTES)
        return kolo_fail(KOLO_ERR_PROTOCOL, "a rank's place has %zu bytes, not %d", size, (int)KOLO_PLACE_BYTES);
    kolo_reader reader;
    kolo_reader_init(&reader, bytes, size);
    uint32_t head = kolo_read_u32(&reader);
    if ((head & UINT32_C(0xffffff)) != PLACE_MAGIC)
        return kolo_fail(KOLO_ERR_PROTOCOL,
                         "a rank's place starts with 0x%08" PRIx32 ": these are not the bytes of a place", head);
    if (head >> 24 != PLACE_VERSION)
        return kolo_fail(KOLO_ERR_VERSION,
                         "a rank's place has format %" PRIu32 ", this one reads %" PRIu32
                         "; start all ranks with the same Kolo", head >> 24, PLACE_VERSION);
    kolo_place found;
    memcpy(found.host_id, kolo_read_raw(&reader, KOLO_HOST_ID_BYTES), KOLO_HOST_ID_BYTES);
    bool ok = read_index(&reader, &found.package);
    ok = read_index(&reader, &found.numa) && ok;
    ok = read_index(&reader, &found.cache) && ok;
    ok = read_index(&reader, &found.core) && ok;
    ok = read_index(&reader, &found.allowed_cores) && found.allowed_cores > 0 && ok;
    const uint8_t *tail = kolo_read_raw(&reader, PLACE_TAIL_BYTES);
    for (size_t i = 0; i < PLACE_TAIL_BYTES; i++)
        ok = tail[i] == 0 && ok;
    if (!ok || !kolo_reader_done(&reader))
        return kolo_fail(KOLO_ERR_PROTOCOL, "a rank's place holds impossible values");
    *place = found;
    return KOLO_OK;
}

/* ---- the job's order ------------------------------------------------------------------------ */

static int compare_i32(int32_t a, int32_t b)
{
    return (a > b) - (a < b);
}

static int by_host_then_rank(const void *left, const void *right, void *user)
{
    const kolo_place *places = user;
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    int order = memcmp(places[a].host_id, places[b].host_id, KOLO_HOST_ID_BYTES);
    return order ? order : compare_i32(a, b);
}

typedef struct ring_keys {
    const kolo_place *places;
    const int32_t *host;
} ring_keys;

static int by_position(const void *left, const void *right, void *user)
{
    const ring_keys *keys = user;
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    const kolo_place *x = &keys->places[a], *y = &keys->places[b];
    int order = compare_i32(keys->host[a], keys->host[b]);
    order = order ? order : compare_i32(x->package, y->package);
    order = order ? order : compare_i32(x->numa, y->numa);
    order = order ? order : compare_i32(x->cache, y->cache);
    order = order ? order : compare_i32(x->core, y->core);
    return order ? order : compare_i32(a, b);
}

int32_t kolo_place_order(const kolo_place *places, int32_t size, int32_t *ring, int32_t *host, int32_t *local_rank,
                         int32_t *local_size)
{
    if (size <= 0)
        return 0;
    for (int32_t i = 0; i < size; i++)
        ring[i] = i;
    qsort_r(ring, (size_t)size, sizeof(*ring), by_host_then_rank, (void *)(uintptr_t)places);

    /* Runs of one host, lowest rank first. host[] holds that lowest rank for now. */
    for (int32_t start = 0, end; start < size; start = end) {
        for (end = start + 1; end < size; end++)
            if (memcmp(places[ring[start]].host_id, places[ring[end]].host_id, KOLO_HOST_ID_BYTES) != 0)
                break;
        for (int32_t i = start; i < end; i++) {
            host[ring[i]] = ring[start];
            local_rank[ring[i]] = i - start;
            local_size[ring[i]] = end - start;
        }
    }
    /* A lowest rank comes before the others of its host, so its number is there when they ask for it. */
    int32_t hosts = 0;
    for (int32_t rank = 0; rank < size; rank++)
        host[rank] = host[rank] == rank ? hosts++ : host[host[rank]];

    ring_keys keys = {.places = places, .host = host};
    qsort_r(ring, (size_t)size, sizeof(*ring), by_position, &keys);
    return hosts;
}
