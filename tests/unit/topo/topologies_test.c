/* topologies_test.c - division, places, ring and drawing on many machines; only arithmetic, nothing is bound. */
#include "unit/topo/machines.h"

#include <stdio.h>
#include <string.h>
#include "topo/internal.h"

static hwloc_bitmap_t parse(const kolo_topo *topo, const char *cpus)
{
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    assert_non_null(set);
    if (*cpus)
        assert_true(kolo_topo_parse_list(cpus, topo->allowed, set));
    return set;
}

/* part is a run of whole allowed cores starting at *next, which moves behind it. */
static int32_t check_part(const kolo_topo *topo, hwloc_const_bitmap_t part, int32_t *next)
{
    int32_t cores = 0;
    hwloc_bitmap_t covered = hwloc_bitmap_alloc();
    for (; *next < topo->core_count && hwloc_bitmap_isincluded(topo->cores[*next].cpus, part); (*next)++, cores++)
        hwloc_bitmap_or(covered, covered, topo->cores[*next].cpus);
    assert_true(hwloc_bitmap_isequal(covered, part));
    hwloc_bitmap_free(covered);
    return cores;
}

static void check_comm(const kolo_topo *topo, hwloc_const_bitmap_t part, int32_t cores, const char *comm_cpus)
{
    hwloc_bitmap_t comm = parse(topo, comm_cpus);
    assert_true(hwloc_bitmap_isincluded(comm, part));
    assert_int_equal(kolo_topo_cores_in(topo, comm_cpus), 1);
    if (cores == 1)
        assert_true(hwloc_bitmap_isequal(comm, part));
    hwloc_bitmap_free(comm);
}

/* Parts in order, side by side, whole cores, all of the allowed set, at least the fair floor each. */
static void check_division(const kolo_topo *topo, int32_t local_size)
{
    int32_t next = 0, count = kolo_topo_allowed_cores(topo);
    for (int32_t rank = 0; rank < local_size; rank++) {
        kolo_binding binding, again;
        kolo_topo_binding(topo, rank, local_size, &binding);
        kolo_topo_binding(topo, rank, local_size, &again);
        assert_true(binding.bound);
        assert_string_equal(binding.rank_cpus, again.rank_cpus);
        assert_string_equal(binding.comm_cpus, again.comm_cpus);
        hwloc_bitmap_t part = parse(topo, binding.rank_cpus);
        int32_t cores = check_part(topo, part, &next);
        assert_in_range(cores, count / local_size, 2 * (count / local_size));
        check_comm(topo, part, cores, binding.comm_cpus);
        hwloc_bitmap_free(part);
    }
    assert_int_equal(next, count);
}

static void binding__divides_every_machine(void **state)
{
    (void)state;
    for (size_t i = 0; i < MACHINE_COUNT; i++) {
        print_message("%s\n", machines[i].name);
        kolo_topo *topo = load_machine(machines[i].variable, machines[i].value);
        assert_false(kolo_topo_is_real(topo));
        assert_int_equal(kolo_topo_allowed_cores(topo), machines[i].cores);
        for (int32_t local_size = 1; local_size <= machines[i].cores; local_size++)
            check_division(topo, local_size);
        kolo_topo_destroy(topo);
    }
}

static void binding__more_ranks_than_cores(void **state)
{
    (void)state;
    for (size_t i = 0; i < MACHINE_COUNT; i++) {
        kolo_topo *topo = load_machine(machines[i].variable, machines[i].value);
        int32_t cores = machines[i].cores;
        for (int32_t rank = 0; cores > 1 && rank <= cores; rank++) {
            kolo_binding binding;
            kolo_topo_binding(topo, rank, cores + 1, &binding);
            assert_false(binding.bound);
            assert_string_equal(binding.rank_cpus, "");
            assert_string_equal(binding.comm_cpus, "");
        }
        for (int32_t rank = 0; rank < 3 * cores; rank++) {
            kolo_binding binding, alone;
            kolo_topo_binding(topo, rank, 3 * cores, &binding);
            kolo_topo_binding(topo, rank / 3, cores, &alone);
            assert_true(binding.bound);
            assert_string_equal(binding.rank_cpus, alone.rank_cpus);
            assert_string_equal(binding.comm_cpus, binding.rank_cpus);
        }
        kolo_topo_destroy(topo);
    }
}

static void binding__rank_out_of_range(void **state)
{
    (void)state;
    kolo_topo *topo = load_machine("HWLOC_SYNTHETIC", "core:4 pu:1");
    static const int32_t wrong[][2] = {{-1, 2}, {2, 2}, {0, 0}, {0, -1}, {INT32_MAX, INT32_MAX}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        kolo_binding binding;
        kolo_topo_binding(topo, wrong[i][0], wrong[i][1], &binding);
        assert_false(binding.bound);
    }
    kolo_topo_destroy(topo);
}

typedef struct expected_part {
    const char *variable, *value;
    int32_t local_rank, local_size;
    const char *rank_cpus, *comm_cpus;
} expected_part;

static void binding__known_answers(void **state)
{
    (void)state;
    static const expected_part expected[] = {
        /* Three on two packages of four: nobody straddles, and nobody has less than the fair 2. */
        {"HWLOC_SYNTHETIC", "pack:2 l3:1 core:4 pu:1", 0, 3, "0-1", "1"},
        {"HWLOC_SYNTHETIC", "pack:2 l3:1 core:4 pu:1", 1, 3, "2-3", "3"},
        {"HWLOC_SYNTHETIC", "pack:2 l3:1 core:4 pu:1", 2, 3, "4-7", "7"},
        /* A package each, both hardware threads of every core. */
        {"HWLOC_SYNTHETIC", "pack:2 core:4 pu:2", 1, 2, "8-15", "14-15"},
        /* Threads of one core are far apart in number. */
        {"HWLOC_SYNTHETIC", "pack:2 core:3 pu:2(indexes=0,6,1,7,2,8,3,9,4,10,5,11)", 0, 6, "0,6", "0,6"},
        {"HWLOC_SYNTHETIC", "pack:2 core:3 pu:2(indexes=0,6,1,7,2,8,3,9,4,10,5,11)", 1, 2, "3-5,9-11", "5,11"},
        /* CPUs that are missing count for nothing. */
        {"HWLOC_XMLFILE", TOPO_DATA "/restricted.xml", 1, 2, "16-19,24-29", "28-29"},
        {"HWLOC_XMLFILE", TOPO_DATA "/restricted.xml", 1, 4, "8-11", "10-11"},
        /* Half a core is allowed: that half only. */
        {"HWLOC_XMLFILE", TOPO_DATA "/allowed-part.xml", 0, 2, "2-3,5", "5"},
        {"HWLOC_XMLFILE", TOPO_DATA "/allowed-part.xml", 1, 2, "8-11", "10-11"},
        /* The communication thread goes to the network device's side. */
        {"HWLOC_XMLFILE", TOPO_DATA "/network-package0.xml", 0, 1, "0-7", "3"},
        {"HWLOC_XMLFILE", TOPO_DATA "/network-package0.xml", 1, 2, "4-7", "7"},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
        const expected_part *want = &expected[i];
        kolo_topo *topo = load_machine(want->variable, want->value);
        kolo_binding binding;
        kolo_topo_binding(topo, want->local_rank, want->local_size, &binding);
        assert_string_equal(binding.rank_cpus, want->rank_cpus);
        assert_string_equal(binding.comm_cpus, want->comm_cpus);
        kolo_topo_destroy(topo);
    }
}

static void binding__mask_too_long_for_its_text(void **state)
{
    (void)state;
    /* As under a control group that allows every second CPU: "0,2,4,..." of 400. */
    kolo_topo *topo = load_machine("HWLOC_SYNTHETIC", "core:400 pu:1");
    for (int32_t i = 0; i < topo->core_count; i++)
        hwloc_bitmap_only(topo->cores[i].cpus, (unsigned)(2 * i));
    kolo_binding binding;
    kolo_topo_binding(topo, 0, 1, &binding);
    assert_false(binding.bound);
    assert_string_equal(binding.rank_cpus, "");
    kolo_topo_destroy(topo);
}

/* ---- places and the ring -------------------------------------------------------------------- */

static void ring__neighbours_are_near_on_every_machine(void **state)
{
    (void)state;
    enum { MOST = 16 };
    for (size_t i = 0; i < MACHINE_COUNT; i++) {
        kolo_topo *topo = load_machine(machines[i].variable, machines[i].value);
        int32_t size = machines[i].cores, ring[MOST], host[MOST], local_rank[MOST], local_size[MOST];
        kolo_place places[MOST];
        for (int32_t rank = 0; rank < size; rank++) {
            kolo_binding binding;
            kolo_topo_binding(topo, size - 1 - rank, size, &binding); /* ranks the other way round */
            kolo_topo_place_at(topo, binding.rank_cpus, &places[rank]);
            assert_int_equal(places[rank].allowed_cores, 1);
        }
        assert_int_equal(kolo_place_order(places, size, ring, host, local_rank, local_size), 1);
        for (int32_t position = 0; position < size; position++)
            assert_int_equal(ring[position], size - 1 - position);
        kolo_topo_destroy(topo);
    }
}

/* Each rank, its communication thread and what it touches first (its windows and its heap, so) have one NUMA node; and
 * whatever order the ranks are started in, the ring goes from socket to socket once, and back once. */
static void two_sockets__nobody_straddles(void **state)
{
    (void)state;
    enum { MOST = 16, STRIDE = 5 /* no divisor of a number of ranks below */ };
    kolo_topo *topo = load_machine("HWLOC_SYNTHETIC", "pack:2 numa:1 l3:1 core:8 pu:2");
    for (int32_t size = 2; size <= MOST; size *= 2) {
        int32_t ring[MOST], host[MOST], local_rank[MOST], local_size[MOST], crossings = 0;
        kolo_place places[MOST];
        for (int32_t rank = 0; rank < size; rank++) {
            kolo_binding binding;
            kolo_place comm;
            kolo_topo_binding(topo, rank * STRIDE % size, size, &binding);
            kolo_topo_place_at(topo, binding.rank_cpus, &places[rank]);
            kolo_topo_place_at(topo, binding.comm_cpus, &comm);
            assert_int_equal(places[rank].allowed_cores, MOST / size);
            assert_int_equal(comm.numa, places[rank].numa);
            assert_int_equal(places[rank].numa, rank * STRIDE % size < size / 2 ? 0 : 1);
        }
        assert_int_equal(kolo_place_order(places, size, ring, host, local_rank, local_size), 1);
        for (int32_t i = 0; i < size; i++)
            crossings += places[ring[i]].package != places[ring[(i + 1) % size]].package;
        assert_int_equal(crossings, 2);
    }
    kolo_topo_destroy(topo);
}

static void place__names_what_the_first_core_shares(void **state)
{
    (void)state;
    kolo_topo *topo = load_machine("HWLOC_SYNTHETIC", "pack:2 numa:2 l3:1 core:4 pu:1");
    kolo_place place;
    kolo_topo_place_at(topo, "13-15", &place);
    assert_int_equal(place.package, 1);
    assert_int_equal(place.numa, 3);
    assert_int_equal(place.cache, 3);
    assert_int_equal(place.core, 13);
    assert_int_equal(place.allowed_cores, 3);
    kolo_topo_place_at(topo, "99", &place); /* not there: the caller's own */
    assert_int_equal(place.core, 0);
    assert_int_equal(place.allowed_cores, 16);
    kolo_topo_destroy(topo);

    topo = load_machine("HWLOC_XMLFILE", TOPO_DATA "/allowed-part.xml");
    kolo_topo_place(topo, &place);
    assert_int_equal(place.core, 1); /* counted in the whole machine */
    assert_int_equal(place.allowed_cores, 4);
    kolo_topo_destroy(topo);
}

static void place__unknown_levels(void **state)
{
    (void)state;
    kolo_topo *topo = load_machine("HWLOC_SYNTHETIC", "core:2 pu:1");
    kolo_place place;
    kolo_topo_place(topo, &place);
    assert_int_equal(place.package, -1);
    assert_int_equal(place.cache, -1);
    assert_int_equal(place.core, 0);
    assert_int_equal(kolo_topo_l2_bytes(topo), 0);
    assert_int_equal(kolo_topo_l3_bytes(topo), 0);
    kolo_topo_destroy(topo);
}

static void facts__cache_sizes(void **state)
{
    (void)state;
    kolo_topo *topo = load_machine("HWLOC_XMLFILE", TOPO_DATA "/virtual-machine.xml");
    assert_int_equal(kolo_topo_l2_bytes(topo), 512 * 1024);
    assert_int_equal(kolo_topo_l3_bytes(topo), 32 * 1024 * 1024);
    kolo_topo_destroy(topo);
}

/* ---- drawing -------------------------------------------------------------------------------- */

typedef struct picture {
    char text[8192];
    int allowed, lines;
} picture;

static void collect(void *user, const char *line)
{
    picture *drawn = user;
    size_t used = strlen(drawn->text);
    assert_null(strchr(line, '\n'));
    assert_true(used + strlen(line) + 2 < sizeof(drawn->text));
    snprintf(drawn->text + used, sizeof(drawn->text) - used, "%s\n", line);
    drawn->lines++;
    drawn->allowed += strstr(line, "core ") && strstr(line, "allowed") && !strstr(line, "not allowed");
}

static void draw__every_machine(void **state)
{
    (void)state;
    for (size_t i = 0; i < MACHINE_COUNT; i++) {
        kolo_topo *topo = load_machine(machines[i].variable, machines[i].value);
        picture drawn = {.lines = 0};
        kolo_topo_draw(topo, collect, &drawn);
        assert_int_equal(drawn.allowed, machines[i].cores);
        assert_true(drawn.lines > machines[i].cores);
        kolo_topo_destroy(topo);
    }
}

static void draw__marks_and_devices(void **state)
{
    (void)state;
    kolo_topo *topo = load_machine("HWLOC_XMLFILE", TOPO_DATA "/allowed-part.xml");
    picture drawn = {.lines = 0};
    kolo_topo_draw(topo, collect, &drawn);
    assert_non_null(strstr(drawn.text, "4 of 8 cores allowed"));
    assert_non_null(strstr(drawn.text, "core 0  CPU 0-1  not allowed"));
    assert_non_null(strstr(drawn.text, "core 1  CPU 2-3  allowed"));
    assert_non_null(strstr(drawn.text, "core 2  CPU 4-5  only CPU 5 allowed"));
    kolo_topo_destroy(topo);

    topo = load_machine("HWLOC_XMLFILE", TOPO_DATA "/network-package0.xml");
    drawn.text[0] = '\0';
    kolo_topo_draw(topo, collect, &drawn);
    const char *device = strstr(drawn.text, "    network eth7");
    assert_non_null(device);
    assert_true(device > strstr(drawn.text, "package 0") && device < strstr(drawn.text, "package 1"));
    kolo_topo_destroy(topo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binding__divides_every_machine),
        cmocka_unit_test(binding__more_ranks_than_cores),
        cmocka_unit_test(binding__rank_out_of_range),
        cmocka_unit_test(binding__known_answers),
        cmocka_unit_test(binding__mask_too_long_for_its_text),
        cmocka_unit_test(ring__neighbours_are_near_on_every_machine),
        cmocka_unit_test(two_sockets__nobody_straddles),
        cmocka_unit_test(place__names_what_the_first_core_shares),
        cmocka_unit_test(place__unknown_levels),
        cmocka_unit_test(facts__cache_sizes),
        cmocka_unit_test(draw__every_machine),
        cmocka_unit_test(draw__marks_and_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
