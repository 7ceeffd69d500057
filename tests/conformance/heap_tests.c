/* heap_tests.c - memory that all ranks have mapped: windows and flags, and heaps for tensors; and memory that they read from
 * each other. A transport without it has nothing to pass. */
#include "net.h"

#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

enum { HUGE_PAGE = 2 * 1024 * 1024 };

static bool has_heap(const net *n)
{
    return n->ops->heap && n->ops->heap_bytes(n->ends[0].transport) > 0;
}

static unsigned char *take(net_end *end, size_t bytes)
{
    void *memory = NULL;
    if (end->net->ops->heap_alloc(end->transport, bytes, &memory) != KOLO_OK)
        fail_msg("%zu bytes: %s", bytes, end->explanation);
    assert_non_null(memory);
    return memory;
}

/* What end's memory is for `reader`. */
static unsigned char *seen_by(const net_end *reader, const net_end *end, const unsigned char *memory)
{
    const kolo_transport_ops *ops = end->net->ops;
    const unsigned char *own = ops->heap(end->transport, end->rank);
    unsigned char *there = ops->heap(reader->transport, end->rank);
    assert_non_null(there);
    return there + (memory - own);
}

static void give(net_end *end, void *memory)
{
    assert_int_equal(end->net->ops->heap_free(end->transport, memory), KOLO_OK);
}

static void expect_zeros(const unsigned char *memory, size_t bytes)
{
    if (memory[0] == 0 && memcmp(memory, memory + 1, bytes - 1) == 0)
        return;
    for (size_t i = 0; i < bytes; i++)
        if (memory[i] != 0)
            fail_msg("byte %zu of %zu is %u", i, bytes, memory[i]);
}

static void window__aligned_zeroed_and_seen_by_all(void **state)
{
    (void)state;
    enum { RANKS = 3, FLAGS = KOLO_TRANSPORT_FLAG_LINES * 8 };
    net n;
    net_open(&n, RANKS, 1);
    const kolo_transport_ops *ops = n.ops;
    assert_true(!ops->window == !ops->window_bytes && !ops->window == !ops->flags &&
                !ops->window == !ops->flags_changed);
    for (int32_t r = 0; ops->window && ops->window(n.ends[0].transport, 0) && r < RANKS; r++) {
        kolo_transport *own = n.ends[r].transport, *other = n.ends[(r + 1) % RANKS].transport;
        size_t bytes = ops->window_bytes(own);
        unsigned char *window = ops->window(own, r), *seen = ops->window(other, r);
        assert_int_equal((uintptr_t)window % 4096, 0);
        assert_int_equal((uintptr_t)seen % 4096, 0);
        assert_int_equal((uintptr_t)ops->flags(own, r) % 64, 0);
        expect_zeros(window, bytes);
        expect_zeros((const unsigned char *)ops->flags(own, r), FLAGS * sizeof(uint64_t));
        window[bytes - 1] = (unsigned char)(r + 1);
        ops->flags(own, r)[FLAGS - 1] = (uint64_t)r + 1;
        assert_int_equal(seen[bytes - 1], r + 1);
        assert_int_equal(ops->flags(other, r)[FLAGS - 1], r + 1);
    }
    net_close(&n);
}

static void heap__all_or_none(void **state)
{
    (void)state;
    net n;
    net_open(&n, 2, 1);
    const kolo_transport_ops *ops = n.ops;
    assert_true(!ops->heap == !ops->heap_bytes && !ops->heap == !ops->heap_alloc && !ops->heap == !ops->heap_free);
    if (ops->heap) {
        size_t bytes = ops->heap_bytes(n.ends[0].transport);
        assert_int_equal(ops->heap_bytes(n.ends[1].transport), bytes);
        for (int32_t r = 0; r < 2; r++)
            assert_true((ops->heap(n.ends[0].transport, r) != NULL) == (bytes > 0));
        assert_int_equal((uintptr_t)ops->heap(n.ends[0].transport, 1) % (bytes >= HUGE_PAGE ? HUGE_PAGE : 4096), 0);
        assert_null(ops->heap(n.ends[0].transport, -1));
        assert_null(ops->heap(n.ends[0].transport, 2));
    }
    net_close(&n);
}

static size_t alignment_of(size_t bytes)
{
    return bytes >= HUGE_PAGE ? HUGE_PAGE : bytes >= KOLO_TRANSPORT_HEAP_SMALL ? 4096 : KOLO_TRANSPORT_HEAP_LINE;
}

static void heap__one_writes_all_read(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 5000, KOLO_TRANSPORT_HEAP_SMALL, HUGE_PAGE - 1, HUGE_PAGE + 1};
    enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), RANKS = 3 };
    unsigned char *memory[RANKS][SIZES];
    net n;
    net_open(&n, RANKS, 1);
    for (uint64_t round = 0; has_heap(&n) && round < 2; round++) {
        for (uint64_t r = 0; r < RANKS; r++)
            for (uint64_t i = 0; i < SIZES; i++) {
                unsigned char *own = memory[r][i] = take(&n.ends[r], sizes[i]);
                assert_int_equal((uintptr_t)own % alignment_of(sizes[i]), 0);
                expect_zeros(own, sizes[i]);
                for (int reader = 0; reader < RANKS; reader++)
                    expect_zeros(seen_by(&n.ends[reader], &n.ends[r], own), sizes[i]);
                net_fill(i % 2 ? own : seen_by(&n.ends[(r + 1) % RANKS], &n.ends[r], own), sizes[i], 10 * r + i);
            }
        for (uint64_t r = 0; r < RANKS; r++)
            for (uint64_t i = 0; i < SIZES; i++)
                for (int reader = 0; reader < RANKS; reader++)
                    net_check(seen_by(&n.ends[reader], &n.ends[r], memory[r][i]), sizes[i], 10 * r + i);
        for (int r = 0; r < RANKS; r++)
            for (int i = 0; i < SIZES; i++)
                give(&n.ends[r], memory[r][(i + r) % SIZES]);
    }
    net_close(&n);
}

/* Small ones share pages with others. So giving one back must leave what is beside it, and zeros. */
static void heap__small_ones_side_by_side(void **state)
{
    (void)state;
    enum { HELD = 50, TURNS = 2000 };
    unsigned char *memory[HELD] = {NULL};
    size_t bytes[HELD];
    kolo_rng rng = {.state = 8};
    net n;
    net_open(&n, 2, 1);
    for (uint64_t turn = 0; has_heap(&n) && turn < TURNS; turn++) {
        uint64_t i = kolo_rng_below(&rng, HELD);
        if (memory[i] != NULL) {
            net_check(seen_by(&n.ends[0], &n.ends[1], memory[i]), bytes[i], i);
            give(&n.ends[1], memory[i]);
            memory[i] = NULL;
            continue;
        }
        bytes[i] = 1 + kolo_rng_below(&rng, kolo_rng_below(&rng, 4) == 0 ? 2 * KOLO_TRANSPORT_HEAP_SMALL : 3000);
        memory[i] = take(&n.ends[1], bytes[i]);
        assert_int_equal((uintptr_t)memory[i] % alignment_of(bytes[i]), 0);
        expect_zeros(memory[i], bytes[i]);
        net_fill(memory[i], bytes[i], i);
    }
    for (uint64_t i = 0; i < HELD; i++)
        if (memory[i] != NULL) {
            net_check(memory[i], bytes[i], i);
            give(&n.ends[1], memory[i]);
        }
    net_close(&n);
}

static void heap_alloc__until_full_and_again(void **state)
{
    (void)state;
    net n;
    net_open(&n, 2, 1);
    size_t bytes = has_heap(&n) ? n.ops->heap_bytes(n.ends[1].transport) : 0;
    for (int round = 0; bytes > 0 && bytes <= 64 * HUGE_PAGE && round < 2; round++) {
        unsigned char *memory[64];
        void *more = NULL;
        size_t count = 0, piece = bytes / 8;
        n.ends[1].explained = KOLO_OK;
        while (count < 64 && n.ops->heap_alloc(n.ends[1].transport, piece, &more) == KOLO_OK) {
            memory[count++] = more;
            memset(more, 1, piece);
        }
        assert_in_range(count, 4, 8); /* alignment may cost some */
        assert_int_equal(n.ends[1].explained, KOLO_ERR_MEMORY);
        assert_int_equal(n.ops->heap_alloc(n.ends[1].transport, piece, &more), KOLO_ERR_MEMORY);
        for (size_t i = 0; i < count; i++)
            give(&n.ends[1], memory[i]);
        unsigned char *all = take(&n.ends[1], bytes); /* what was freed has become one */
        expect_zeros(all, bytes);
        give(&n.ends[1], all);
    }
    net_close(&n);
}

static void heap__bad_arguments(void **state)
{
    (void)state;
    net n;
    net_create(&n, 2, 1);
    void *none = &n;
    kolo_transport *t = n.ends[0].transport;
    if (!n.ops->heap) {
        net_destroy(&n);
        return;
    }
    assert_null(n.ops->heap(t, 0));
    assert_int_equal(n.ops->heap_alloc(t, 1, &none), KOLO_ERR_STATE);
    kolo_bytes addresses[NET_MAX_RANKS];
    net_addresses(&n, addresses);
    for (int r = 0; r < 2; r++)
        assert_int_equal(n.ops->connect(n.ends[r].transport, addresses), KOLO_OK);
    size_t bytes = n.ops->heap_bytes(t);
    assert_int_equal(n.ops->heap_alloc(t, 0, &none), KOLO_ERR_INVALID);
    const size_t too_much[] = {bytes + 1, SIZE_MAX / 2, SIZE_MAX - 4096, SIZE_MAX};
    for (int i = 0; i < 4; i++)
        assert_int_equal(n.ops->heap_alloc(t, too_much[i], &none), KOLO_ERR_MEMORY);
    assert_ptr_equal(none, &n);
    assert_int_equal(n.ops->heap_free(t, &n), KOLO_ERR_INVALID);
    assert_int_equal(n.ops->heap_free(t, NULL), KOLO_ERR_INVALID);
    assert_int_equal(n.ends[0].explained, KOLO_ERR_INVALID);
    if (bytes > 0) {
        unsigned char *memory = take(&n.ends[0], 10000);
        const unsigned char *there = seen_by(&n.ends[0], &n.ends[1], memory);
        assert_int_equal(n.ops->heap_free(t, memory + 4096), KOLO_ERR_INVALID);
        assert_int_equal(n.ops->heap_free(n.ends[1].transport, memory), KOLO_ERR_INVALID);
        assert_int_equal(there == memory ? KOLO_ERR_INVALID : n.ops->heap_free(t, (void *)(uintptr_t)there),
                         KOLO_ERR_INVALID);
        give(&n.ends[0], memory);
        assert_int_equal(n.ops->heap_free(t, memory), KOLO_ERR_INVALID);
        take(&n.ends[0], 10000); /* goes with the transport */
    }
    net_close(&n);
}

static void read_peer__any_bytes_of_any_rank(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 63, 4097, 3 * HUGE_PAGE + 5};
    enum { RANKS = 3 };
    net n;
    net_open(&n, RANKS, 1);
    const kolo_transport_ops *ops = n.ops;
    assert_true(!ops->reads_peers == !ops->read_peer);
    for (int32_t r = 0; ops->reads_peers && ops->reads_peers(n.ends[0].transport) && r < RANKS; r++) {
        int32_t peer = (r + 1) % RANKS;
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            unsigned char *theirs = malloc(sizes[i]), *own = malloc(sizes[i]);
            assert_true(theirs && own);
            net_fill(theirs, sizes[i], 10 * (uint64_t)r + i);
            kolo_status status = ops->read_peer(n.ends[r].transport, peer, (uintptr_t)theirs, own, sizes[i]);
            assert_int_equal(status, KOLO_OK);
            net_check(own, sizes[i], 10 * (uint64_t)r + i);
            free(theirs);
            free(own);
        }
    }
    net_close(&n);
}

const struct CMUnitTest conformance_heap_tests[] = {
    cmocka_unit_test(window__aligned_zeroed_and_seen_by_all),
    cmocka_unit_test(heap__all_or_none),
    cmocka_unit_test(heap__one_writes_all_read),
    cmocka_unit_test(heap__small_ones_side_by_side),
    cmocka_unit_test(heap_alloc__until_full_and_again),
    cmocka_unit_test(heap__bad_arguments),
    cmocka_unit_test(read_peer__any_bytes_of_any_rank),
};
const size_t conformance_heap_count = sizeof(conformance_heap_tests) / sizeof(conformance_heap_tests[0]);
