/* control_tests.c - control messages: every size, both ways, exactly once, also from within upcalls. */
#include "net.h"

#include <stdlib.h>
#include <string.h>

/* ---- every size, between all pairs ---- */

static size_t control_size(const net *n, int index)
{
    const size_t sizes[] = {0, 1, 7, 100, 1024, 1025, 4096, 9000, 32768, n->ops->control_max - 1, n->ops->control_max};
    return index < (int)(sizeof(sizes) / sizeof(sizes[0])) ? sizes[index] : SIZE_MAX;
}

typedef struct size_log {
    int seen[NET_MAX_RANKS][NET_MAX_RANKS][16]; /* to, from, index of the size */
} size_log;

static void note_size(net_end *end, int32_t peer, const unsigned char *bytes, size_t size)
{
    size_log *log = end->net->user;
    for (int i = 0; control_size(end->net, i) != SIZE_MAX; i++) {
        if (control_size(end->net, i) == size) {
            net_check(bytes, size, (uint64_t)(end->rank * 1000 + peer * 100 + i));
            log->seen[end->rank][peer][i]++;
            return;
        }
    }
    fail_msg("a control message of %zu bytes, which nobody sent", size);
}

static void all_sizes(int32_t ranks)
{
    net n;
    size_log log = {0};
    uint64_t sizes = 0;
    net_open(&n, ranks, 1);
    n.on_control = note_size;
    n.user = &log;
    unsigned char *bytes = malloc(n.ops->control_max);
    for (int i = 0; control_size(&n, i) != SIZE_MAX; i++, sizes++) {
        for (int32_t from = 0; from < ranks; from++) {
            for (int32_t to = 0; to < ranks; to++) {
                if (to == from)
                    continue;
                net_fill(bytes, control_size(&n, i), (uint64_t)(to * 1000 + from * 100 + i));
                assert_int_equal(n.ops->send_control(n.ends[from].transport, to, bytes, control_size(&n, i)), KOLO_OK);
                memset(bytes, 0xff, control_size(&n, i)); /* it was copied */
            }
        }
    }
    free(bytes);
    for (int32_t r = 0; r < ranks; r++)
        net_until(&n, &n.ends[r].controls, sizes * (uint64_t)(ranks - 1));
    for (int32_t to = 0; to < ranks; to++)
        for (int32_t from = 0; from < ranks; from++)
            for (uint64_t i = 0; i < sizes; i++)
                assert_int_equal(log.seen[to][from][i], to != from);
    net_close(&n);
}

static void control__all_sizes__2_ranks(void **state)
{
    (void)state;
    all_sizes(2);
}

static void control__all_sizes__3_ranks(void **state)
{
    (void)state;
    all_sizes(3);
}

static void control__all_sizes__5_ranks(void **state)
{
    (void)state;
    all_sizes(5);
}

/* ---- exactly once, under load ---- */

enum { MANY = 2000 };

static void note_number(net_end *end, int32_t peer, const unsigned char *bytes, size_t size)
{
    (void)peer;
    unsigned char(*seen)[MANY] = end->net->user;
    uint32_t number;
    assert_int_equal(size, sizeof(number));
    memcpy(&number, bytes, sizeof(number));
    assert_in_range(number, 0, MANY - 1);
    assert_int_equal(seen[end->rank][number]++, 0);
}

static void control__thousands__each_comes_once(void **state)
{
    (void)state;
    static unsigned char seen[2][MANY];
    memset(seen, 0, sizeof(seen));
    net n;
    net_open(&n, 2, 7);
    n.on_control = note_number;
    n.user = seen;
    for (uint32_t i = 0; i < MANY; i++)
        for (int32_t r = 0; r < 2; r++)
            assert_int_equal(n.ops->send_control(n.ends[r].transport, 1 - r, &i, sizeof(i)), KOLO_OK);
    net_until(&n, &n.ends[0].controls, MANY);
    net_until(&n, &n.ends[1].controls, MANY);
    for (int i = 0; i < 50; i++)
        net_step(&n);
    assert_int_equal(n.ends[0].controls + n.ends[1].controls, 2 * MANY);
    net_close(&n);
}

/* ---- from within upcalls ---- */

static void answer(net_end *end, int32_t peer, const unsigned char *bytes, size_t size)
{
    (void)size;
    if (bytes[0] > 0) {
        const unsigned char less[2] = {(unsigned char)(bytes[0] - 1), 0};
        assert_int_equal(end->net->ops->send_control(end->transport, peer, less, sizeof(less)), KOLO_OK);
    }
}

static void control__answers_from_upcalls(void **state)
{
    (void)state;
    net n;
    net_open(&n, 3, 3);
    n.on_control = answer;
    const unsigned char start[2] = {199, 0};
    for (int32_t r = 1; r < 3; r++)
        assert_int_equal(n.ops->send_control(n.ends[0].transport, r, start, sizeof(start)), KOLO_OK);
    net_until(&n, &n.ends[0].controls, 200);
    net_until(&n, &n.ends[1].controls, 100);
    net_until(&n, &n.ends[2].controls, 100);
    net_close(&n);
}

/* A control message announces data: its upcall posts the receive, whose completion answers with a control message. */
static net_op announced;

static void say_received(net_op *op)
{
    assert_int_equal(op->end->net->ops->send_control(op->end->transport, 0, "done", 4), KOLO_OK);
}

static void take_data(net_end *end, int32_t peer, const unsigned char *bytes, size_t size)
{
    (void)bytes, (void)size;
    if (end->rank == 1)
        assert_int_equal(net_recv(end, peer, 5, &announced), KOLO_OK);
}

static void control__and_data_from_upcalls(void **state)
{
    (void)state;
    net n;
    net_op send;
    net_open(&n, 2, 4);
    n.on_control = take_data;
    net_op_init(&send, &n.ends[0], 100000, 0);
    net_op_init(&announced, &n.ends[1], 100000, 0);
    net_fill(send.buffer, send.bytes, 44);
    announced.then = say_received;
    assert_int_equal(net_send(&n.ends[0], 1, 5, &send), KOLO_OK);
    assert_int_equal(n.ops->send_control(n.ends[0].transport, 1, "take", 4), KOLO_OK);
    net_until(&n, &n.ends[0].controls, 1);
    net_wait(&n, &send);
    assert_int_equal(announced.status, KOLO_OK);
    net_check(announced.buffer, announced.bytes, 44);
    net_op_fini(&send);
    net_op_fini(&announced);
    net_close(&n);
}

const struct CMUnitTest conformance_control_tests[] = {
    cmocka_unit_test(control__all_sizes__2_ranks),   cmocka_unit_test(control__all_sizes__3_ranks),
    cmocka_unit_test(control__all_sizes__5_ranks),   cmocka_unit_test(control__thousands__each_comes_once),
    cmocka_unit_test(control__answers_from_upcalls), cmocka_unit_test(control__and_data_from_upcalls),
};
const size_t conformance_control_count = sizeof(conformance_control_tests) / sizeof(conformance_control_tests[0]);
