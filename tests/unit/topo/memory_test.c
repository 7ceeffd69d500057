/* memory_test.c - memory near cores: which nodes that is on described machines, and the real kernel's answer where memory was
 * bound. */
#include "unit/topo/machines.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/error.h"
#include "topo/internal.h"

enum { BYTES = 1 << 20, NODES = 1024, LONG_BITS = 8 * sizeof(unsigned long) };

/* ---- described machines ---------------------------------------------------------------------- */

static void nodes__known_answers(void **state)
{
    (void)state;
    static const struct {
        const char *variable, *value, *cpus, *nodes;
    } expected[] = {
        {"HWLOC_SYNTHETIC", "pack:2 numa:1 l3:1 core:4 pu:1", "0-3", "0"},
        {"HWLOC_SYNTHETIC", "pack:2 numa:1 l3:1 core:4 pu:1", "6", "1"},
        /* Cores of both: all nodes there are. */
        {"HWLOC_SYNTHETIC", "pack:2 numa:1 l3:1 core:4 pu:1", "3-4", ""},
        {"HWLOC_SYNTHETIC", "pack:2 numa:1 l3:1 core:4 pu:1", "", ""},
        /* A package with two of them. */
        {"HWLOC_SYNTHETIC", "pack:2 numa:2 core:2 pu:1", "4-7", "2-3"},
        {"HWLOC_SYNTHETIC", "pack:2 numa:2 core:2 pu:1", "1,6", "0,3"},
        {"HWLOC_SYNTHETIC", "core:4 pu:1", "2", ""},
        {"HWLOC_XMLFILE", TOPO_DATA "/virtual-machine.xml", "0", ""},
        /* The system's numbers, not hwloc's. */
        {"HWLOC_SYNTHETIC", "pack:2 [numa(indexes=4,2)] core:2 pu:1", "0-1", "4"},
        {"HWLOC_SYNTHETIC", "pack:2 [numa(indexes=4,2)] core:2 pu:1", "2", "2"},
        /* Not there. */
        {"HWLOC_SYNTHETIC", "pack:2 numa:1 l3:1 core:4 pu:1", "99", ""},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
        char nodes[KOLO_CPUS_TEXT];
        kolo_topo *topo = load_machine(expected[i].variable, expected[i].value);
        kolo_topo_nodes(topo, expected[i].cpus, nodes);
        if (strcmp(nodes, expected[i].nodes) != 0)
            fail_msg("%s: CPUs '%s' are near nodes '%s', not '%s'", expected[i].value, expected[i].cpus, nodes,
                     expected[i].nodes);
        kolo_topo_destroy(topo);
    }
}

/* Two sockets, each rank at one: its memory is there, and nobody's is elsewhere. */
static void nodes__of_each_rank(void **state)
{
    (void)state;
    enum { RANKS = 8 };
    kolo_topo *topo = load_machine("HWLOC_SYNTHETIC", "pack:2 numa:1 l3:1 core:8 pu:2");
    for (int32_t size = 1; size <= RANKS; size *= 2) {
        for (int32_t rank = 0; rank < size; rank++) {
            kolo_binding binding;
            char nodes[KOLO_CPUS_TEXT];
            kolo_topo_binding(topo, rank, size, &binding);
            kolo_topo_nodes(topo, binding.rank_cpus, nodes);
            assert_string_equal(nodes, size == 1 ? "" : rank < size / 2 ? "0" : "1");
        }
    }
    kolo_topo_destroy(topo);
}

/* ---- this one -------------------------------------------------------------------------------- */

typedef struct policy {
    int mode; /* 0: the system's default */
    unsigned long nodes[NODES / LONG_BITS];
} policy;

/* What holds for the page at this address; skips the test where the system does not tell. */
static policy policy_at(const void *memory)
{
    enum { AT_ADDRESS = 2 };
    policy found = {.mode = -1};
    if (syscall(SYS_get_mempolicy, &found.mode, found.nodes, (unsigned long)NODES, memory, AT_ADDRESS) != 0) {
        assert_true(errno == EPERM || errno == ENOSYS);
        skip();
    }
    return found;
}

/* One mapping is bound; the other is a peer's. */
static void bind__holds_for_whoever_maps_it(void **state)
{
    (void)state;
    kolo_topo *topo = load_machine(NULL, NULL);
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, BYTES), 0);
    unsigned char *own = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned char *peers = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(own != MAP_FAILED && peers != MAP_FAILED);
    assert_int_equal(policy_at(peers).mode, 0);

    char node[24];
    int first = hwloc_bitmap_first(hwloc_topology_get_allowed_nodeset(topo->hwloc));
    snprintf(node, sizeof(node), "%d", first);
    assert_int_equal(kolo_topo_bind_memory(topo, "", own, 2 * BYTES), KOLO_OK);
    assert_int_equal(policy_at(peers).mode, 0);
    assert_int_equal(kolo_topo_bind_memory(topo, node, own, 2 * BYTES), KOLO_OK);
    static const size_t where[] = {0, BYTES - 1, 2 * BYTES - 1}; /* also behind the file's end, where it may grow to */
    for (size_t i = 0; i < sizeof(where) / sizeof(*where); i++) {
        policy found = policy_at(peers + where[i]);
        assert_true(found.mode == 1 || found.mode == 5); /* MPOL_PREFERRED, MPOL_PREFERRED_MANY: never a strict one */
        assert_int_equal(found.nodes[(size_t)first / LONG_BITS], 1UL << (size_t)first % LONG_BITS);
    }
    munmap(own, 2 * BYTES);
    munmap(peers, 2 * BYTES);
    close(fd);
    kolo_topo_destroy(topo);
}

static void bind__not_these_nodes(void **state)
{
    (void)state;
    kolo_topo *topo = load_machine(NULL, NULL);
    void *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    static const char *const wrong[] = {"a", "0-", "4095", " 0"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_int_equal(kolo_topo_bind_memory(topo, wrong[i], memory, BYTES), KOLO_ERR_INVALID);
        assert_non_null(strstr(kolo_error_current()->message, wrong[i]));
    }
    kolo_topo_destroy(topo);

    /* The kernel knows no such node. */
    topo = load_machine("HWLOC_SYNTHETIC", "numa:2(indexes=0,1000) core:1 pu:1");
    assert_int_equal(setenv("HWLOC_THISSYSTEM", "1", 1), 0);
    kolo_topo *believed;
    assert_int_equal(kolo_topo_create(NULL, &believed), KOLO_OK);
    assert_int_equal(kolo_topo_bind_memory(believed, "1000", memory, BYTES), KOLO_ERR_SYSTEM);
    assert_non_null(strstr(kolo_error_current()->message, "NUMA nodes 1000"));
    unsetenv("HWLOC_THISSYSTEM");
    kolo_topo_destroy(believed);

    /* One that is only described: nothing is bound. */
    assert_int_equal(kolo_topo_bind_memory(topo, "1000", memory, BYTES), KOLO_OK);
    kolo_topo_destroy(topo);
    assert_int_equal(policy_at(memory).mode, 0);
    munmap(memory, BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes__known_answers),
        cmocka_unit_test(nodes__of_each_rank),
        cmocka_unit_test(bind__holds_for_whoever_maps_it),
        cmocka_unit_test(bind__not_these_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
