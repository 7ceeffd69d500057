/* place_test.c - places on the wire, and the order of a job. */
#include "unit/topo/machines.h"

#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/rng.h"

static kolo_place make_place(uint8_t host, int32_t package, int32_t numa, int32_t cache, int32_t core)
{
    kolo_place place = {.package = package, .numa = numa, .cache = cache, .core = core, .allowed_cores = 1};
    memset(place.host_id, host, sizeof(place.host_id));
    return place;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static void place__round_trip(void **state)
{
    (void)state;
    kolo_place place = make_place(0, 1, -1, INT32_MAX, 77), again;
    for (size_t i = 0; i < sizeof(place.host_id); i++)
        place.host_id[i] = (uint8_t)(255 - i);
    uint8_t bytes[KOLO_PLACE_BYTES];
    kolo_place_encode(&place, bytes);
    assert_int_equal(kolo_place_decode(bytes, sizeof(bytes), &again), KOLO_OK);
    assert_memory_equal(&place, &again, sizeof(place));
}

static void decode__truncated_or_too_long(void **state)
{
    (void)state;
    kolo_place place = make_place(1, 0, 0, 0, 0), untouched = make_place(9, 9, 9, 9, 9), out = untouched;
    uint8_t bytes[KOLO_PLACE_BYTES + 1] = {0};
    kolo_place_encode(&place, bytes);
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        if (size == KOLO_PLACE_BYTES)
            continue;
        /* Memory of exactly that size, so that a sanitizer sees any byte read past it. */
        uint8_t *exact = malloc(size ? size : 1);
        assert_non_null(exact);
        memcpy(exact, bytes, size);
        assert_int_equal(kolo_place_decode(exact, size, &out), KOLO_ERR_PROTOCOL);
        free(exact);
    }
    assert_memory_equal(&out, &untouched, sizeof(out));
}

static void decode__garbage(void **state)
{
    (void)state;
    kolo_rng rng = {.state = 7};
    kolo_place out;
    uint8_t bytes[KOLO_PLACE_BYTES];
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)kolo_rng_next(&rng);
        assert_int_not_equal(kolo_place_decode(bytes, sizeof(bytes), &out), KOLO_OK);
    }
}

static void decode__other_version_is_named(void **state)
{
    (void)state;
    kolo_place place = make_place(1, 0, 0, 0, 0), out;
    uint8_t bytes[KOLO_PLACE_BYTES];
    kolo_place_encode(&place, bytes);
    bytes[3] = 9;
    assert_int_equal(kolo_place_decode(bytes, sizeof(bytes), &out), KOLO_ERR_VERSION);
    assert_non_null(strstr(kolo_error_current()->message, "format 9"));
}

/* Offsets: 4 magic and version, 32 host id, then five numbers of 4 bytes, then zeros. */
static void decode__values_out_of_range(void **state)
{
    (void)state;
    enum { NUMBERS = 36, NUMBER_COUNT = 5, TAIL = 56 };
    kolo_place place = make_place(1, 0, 0, 0, 0), out;
    uint8_t bytes[KOLO_PLACE_BYTES];
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        kolo_place_encode(&place, bytes);
        memset(bytes + NUMBERS + 4 * i, 0xff, 4); /* -1: allowed for an index, not for the number of cores */
        kolo_status expected = i < NUMBER_COUNT - 1 ? KOLO_OK : KOLO_ERR_PROTOCOL;
        assert_int_equal(kolo_place_decode(bytes, sizeof(bytes), &out), expected);
        bytes[NUMBERS + 4 * i] = 0xfe; /* -2 */
        assert_int_equal(kolo_place_decode(bytes, sizeof(bytes), &out), KOLO_ERR_PROTOCOL);
    }
    for (size_t i = TAIL; i < KOLO_PLACE_BYTES; i++) {
        kolo_place_encode(&place, bytes);
        bytes[i] = 1;
        assert_int_equal(kolo_place_decode(bytes, sizeof(bytes), &out), KOLO_ERR_PROTOCOL);
    }
}

/* ---- order ---------------------------------------------------------------------------------- */

static void order__hosts_by_lowest_rank_then_locality(void **state)
{
    (void)state;
    /* Host ids in the opposite order of their lowest ranks. */
    kolo_place places[6] = {make_place(9, 1, 1, 1, 4), make_place(3, 0, 0, 0, 2), make_place(9, 0, 0, 0, 1),
                            make_place(3, 0, 0, 0, 0), make_place(9, 0, 0, 0, 0), make_place(1, 0, 0, 0, 0)};
    int32_t ring[6], host[6], local_rank[6], local_size[6];
    assert_int_equal(kolo_place_order(places, 6, ring, host, local_rank, local_size), 3);
    const int32_t ring_expected[] = {4, 2, 0, 3, 1, 5}, host_expected[] = {0, 1, 0, 1, 0, 2};
    const int32_t local_rank_expected[] = {0, 0, 1, 1, 2, 0}, local_size_expected[] = {3, 2, 3, 2, 3, 1};
    assert_memory_equal(ring, ring_expected, sizeof(ring));
    assert_memory_equal(host, host_expected, sizeof(host));
    assert_memory_equal(local_rank, local_rank_expected, sizeof(local_rank));
    assert_memory_equal(local_size, local_size_expected, sizeof(local_size));
}

static void order__each_level_decides_in_turn(void **state)
{
    (void)state;
    kolo_place places[5] = {make_place(1, 1, 0, 0, 0), make_place(1, 0, 1, 0, 0), make_place(1, 0, 0, 1, 0),
                            make_place(1, 0, 0, 0, 1), make_place(1, 0, 0, 0, 0)};
    int32_t ring[5], host[5], local_rank[5], local_size[5];
    assert_int_equal(kolo_place_order(places, 5, ring, host, local_rank, local_size), 1);
    const int32_t expected[] = {4, 3, 2, 1, 0};
    assert_memory_equal(ring, expected, sizeof(ring));
}

static void order__equal_places_go_by_rank(void **state)
{
    (void)state;
    enum { SIZE = 7 };
    kolo_place places[SIZE];
    int32_t ring[SIZE], host[SIZE], local_rank[SIZE], local_size[SIZE];
    for (int32_t i = 0; i < SIZE; i++)
        places[i] = make_place(1, -1, -1, -1, -1);
    assert_int_equal(kolo_place_order(places, SIZE, ring, host, local_rank, local_size), 1);
    for (int32_t i = 0; i < SIZE; i++) {
        assert_int_equal(ring[i], i);
        assert_int_equal(local_rank[i], i);
        assert_int_equal(local_size[i], SIZE);
    }
    assert_int_equal(kolo_place_order(places, 0, ring, host, local_rank, local_size), 0);
}

/* The properties that everybody relies on, checked against the places and not against the code. */
static void check_order(const kolo_place *places, int32_t size)
{
    int32_t *out = calloc((size_t)size * 5, sizeof(*out));
    assert_non_null(out);
    int32_t *ring = out, *host = out + size, *seen = out + 2 * size;
    int32_t *local_rank = out + 3 * size, *local_size = out + 4 * size;
    int32_t hosts = kolo_place_order(places, size, ring, host, local_rank, local_size), highest = -1;
    for (int32_t i = 0; i < size; i++) {
        assert_in_range(ring[i], 0, size - 1);
        assert_int_equal(seen[ring[i]]++, 0);
        assert_true(host[i] >= 0 && host[i] <= highest + 1); /* numbered as they first appear */
        highest = host[i] > highest ? host[i] : highest;
        int32_t before = 0, all = 0;
        for (int32_t j = 0; j < size; j++) {
            bool same = memcmp(places[i].host_id, places[j].host_id, KOLO_HOST_ID_BYTES) == 0;
            assert_int_equal(same, host[i] == host[j]);
            before += same && j < i;
            all += same;
        }
        assert_int_equal(local_rank[i], before);
        assert_int_equal(local_size[i], all);
    }
    assert_int_equal(hosts, highest + 1);
    for (int32_t i = 1; i < size; i++)
        assert_true(host[ring[i]] == host[ring[i - 1]] || host[ring[i]] == host[ring[i - 1]] + 1);
    free(out);
}

static void order__random_jobs(void **state)
{
    (void)state;
    enum { LARGEST = 40 };
    kolo_place places[LARGEST];
    for (uint64_t seed = 1; seed <= 200; seed++) {
        kolo_rng rng = {.state = seed};
        int32_t size = 1 + (int32_t)kolo_rng_below(&rng, LARGEST);
        uint64_t hosts = 1 + kolo_rng_below(&rng, 6);
        for (int32_t i = 0; i < size; i++)
            places[i] = make_place((uint8_t)kolo_rng_below(&rng, hosts), (int32_t)kolo_rng_below(&rng, 2),
                                   (int32_t)kolo_rng_below(&rng, 2), (int32_t)kolo_rng_below(&rng, 3),
                                   (int32_t)kolo_rng_below(&rng, 4) - 1);
        check_order(places, size);
    }
}

/* ---- host id -------------------------------------------------------------------------------- */

static void host_id__same_for_every_look(void **state)
{
    (void)state;
    kolo_topo *topo = load_machine(NULL, NULL);
    kolo_topo *other = load_machine("HWLOC_SYNTHETIC", "core:4 pu:1");
    kolo_place a, b;
    kolo_topo_place(topo, &a);
    kolo_topo_place(other, &b);
    assert_memory_equal(a.host_id, b.host_id, sizeof(a.host_id));
    static const uint8_t nothing[KOLO_HOST_ID_BYTES];
    assert_memory_not_equal(a.host_id, nothing, sizeof(nothing));
    kolo_topo_destroy(topo);
    kolo_topo_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(place__round_trip),
        cmocka_unit_test(decode__truncated_or_too_long),
        cmocka_unit_test(decode__garbage),
        cmocka_unit_test(decode__other_version_is_named),
        cmocka_unit_test(decode__values_out_of_range),
        cmocka_unit_test(order__hosts_by_lowest_rank_then_locality),
        cmocka_unit_test(order__each_level_decides_in_turn),
        cmocka_unit_test(order__equal_places_go_by_rank),
        cmocka_unit_test(order__random_jobs),
        cmocka_unit_test(host_id__same_for_every_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
