/* life_tests.c - the rest of the contract: the table, bad arguments, addresses, upcalls, sleep, cancel, close. */
#include "net.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

static void ops__table_is_complete(void **state)
{
    (void)state;
    const kolo_transport_ops *ops = conformance_harness_current->ops();
    assert_int_equal(ops->magic, KOLO_TRANSPORT_MAGIC);
    assert_true(ops->abi_min <= KOLO_TRANSPORT_ABI && ops->abi_max >= KOLO_TRANSPORT_ABI);
    assert_true(ops->struct_size >= sizeof(*ops));
    assert_string_equal(ops->name, conformance_harness_current->name);
    assert_true(ops->control_max >= KOLO_CONTROL_BYTES);
    assert_true(ops->create && ops->address && ops->connect && ops->send_control && ops->send && ops->recv);
    assert_true(ops->progress && ops->cancel_all && ops->event_fd && ops->arm && ops->close && ops->closed &&
                ops->destroy);
}

static void create__bad_env(void **state)
{
    (void)state;
    net n;
    net_create(&n, 2, 1);
    kolo_transport *transport = NULL;
    kolo_transport_env good = net_env(&n, 0), env;
    env = good, env.rank = -1;
    assert_int_equal(n.ops->create(&env, &transport), KOLO_ERR_INVALID);
    env = good, env.rank = 2;
    assert_int_equal(n.ops->create(&env, &transport), KOLO_ERR_INVALID);
    env = good, env.size = 0;
    assert_int_equal(n.ops->create(&env, &transport), KOLO_ERR_INVALID);
    env = good, env.on_complete = NULL;
    assert_int_equal(n.ops->create(&env, &transport), KOLO_ERR_INVALID);
    env = good, env.struct_size = 8;
    assert_int_equal(n.ops->create(&env, &transport), KOLO_ERR_VERSION);
    assert_null(transport);
    net_destroy(&n);
}

static void calls__before_connect(void **state)
{
    (void)state;
    net n;
    net_op op = {0};
    net_create(&n, 2, 1);
    kolo_transport *t = n.ends[0].transport;
    assert_int_equal(n.ops->send(t, 1, 1, "x", 1, &op), KOLO_ERR_STATE);
    assert_int_equal(n.ops->recv(t, 1, 1, &op, 1, &op), KOLO_ERR_STATE);
    assert_int_equal(n.ops->send_control(t, 1, "x", 1), KOLO_ERR_STATE);
    assert_int_equal(n.ends[0].explained, KOLO_ERR_STATE);
    net_destroy(&n);
}

static void calls__bad_arguments(void **state)
{
    (void)state;
    net n;
    net_op op = {0};
    unsigned char byte = 0;
    net_open(&n, 2, 1);
    kolo_transport *t = n.ends[0].transport;
    static const int32_t nobody[] = {-1, 2, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(n.ops->send(t, nobody[i], 1, &byte, 1, &op), KOLO_ERR_INVALID);
        assert_int_equal(n.ops->recv(t, nobody[i], 1, &byte, 1, &op), KOLO_ERR_INVALID);
        assert_int_equal(n.ops->send_control(t, nobody[i], &byte, 1), KOLO_ERR_INVALID);
    }
    uint64_t wide = UINT64_C(1) << KOLO_TRANSPORT_TAG_BITS;
    assert_int_equal(n.ops->send(t, 1, wide, &byte, 1, &op), KOLO_ERR_INVALID);
    assert_int_equal(n.ops->recv(t, 1, wide, &byte, 1, &op), KOLO_ERR_INVALID);
    assert_int_equal(n.ops->send(t, 1, 1, NULL, 1, &op), KOLO_ERR_INVALID);
    assert_int_equal(n.ops->recv(t, 1, 1, NULL, 1, &op), KOLO_ERR_INVALID);
    assert_int_equal(n.ops->send_control(t, 1, NULL, 1), KOLO_ERR_INVALID);
    assert_int_equal(n.ops->send_control(t, 0, &byte, 1), KOLO_ERR_INVALID); /* to itself */
    unsigned char *large = calloc(1, n.ops->control_max + 1);
    assert_int_equal(n.ops->send_control(t, 1, large, n.ops->control_max + 1), KOLO_ERR_INVALID);
    free(large);
    for (int i = 0; i < 20; i++)
        net_step(&n);
    assert_int_equal(n.ends[0].completions + n.ends[1].completions + n.ends[1].controls, 0);
    net_close(&n);
}

/* ---- addresses ---- */

static void refused(net *n, kolo_bytes *addresses)
{
    n->ends[0].explained = KOLO_OK;
    assert_int_equal(n->ops->connect(n->ends[0].transport, addresses), KOLO_ERR_PROTOCOL);
    assert_int_equal(n->ends[0].explained, KOLO_ERR_PROTOCOL);
    assert_non_null(strstr(n->ends[0].explanation, "rank 1"));
}

static void connect__damaged_addresses(void **state)
{
    (void)state;
    net n;
    kolo_bytes good[NET_MAX_RANKS], bad[NET_MAX_RANKS];
    net_create(&n, 2, 1);
    net_addresses(&n, good);
    memcpy(bad, good, sizeof(bad));
    bad[1] = (kolo_bytes){.data = NULL, .size = 0};
    refused(&n, bad);
    unsigned char *copy = malloc(good[1].size + 1);
    bad[1] = (kolo_bytes){.data = copy, .size = good[1].size};
    for (size_t i = 0; i < good[1].size; i++) { /* every byte once */
        memcpy(copy, good[1].data, good[1].size);
        copy[i] ^= (unsigned char)(1u << (i & 7));
        refused(&n, bad);
    }
    memcpy(copy, good[1].data, good[1].size);
    copy[good[1].size] = 0;
    for (size_t size = 0; size <= good[1].size + 1; size++) { /* every length but the right one */
        bad[1].size = size;
        if (size != good[1].size)
            refused(&n, bad);
    }
    for (size_t i = 0; i < good[1].size; i++)
        copy[i] = (unsigned char)(rand() & 255);
    bad[1].size = good[1].size;
    refused(&n, bad);
    bad[1] = good[0]; /* another rank's */
    refused(&n, bad);
    free(copy);
    /* And after all that the right ones still work. */
    for (int32_t r = 0; r < 2; r++)
        assert_int_equal(n.ops->connect(n.ends[r].transport, good), KOLO_OK);
    assert_int_equal(n.ops->connect(n.ends[0].transport, good), KOLO_ERR_STATE);
    assert_int_equal(n.ops->send_control(n.ends[0].transport, 1, "x", 1), KOLO_OK);
    net_until(&n, &n.ends[1].controls, 1);
    net_close(&n);
}

/* ---- upcalls ---- */

static void upcalls__only_inside_progress(void **state)
{
    (void)state;
    net n;
    net_op send, recv;
    net_open(&n, 2, 2);
    net_op_init(&send, &n.ends[0], 8, 0);
    net_op_init(&recv, &n.ends[1], 8, 0);
    assert_int_equal(net_send(&n.ends[0], 1, 1, &send), KOLO_OK);
    /* on_complete asserts that it is inside; here it must not even have come, however early the send was over. */
    assert_int_equal(send.completions, 0);
    for (int i = 0; i < 20; i++)
        net_step(&n);
    assert_int_equal(net_recv(&n.ends[1], 0, 1, &recv), KOLO_OK); /* the message is there */
    assert_int_equal(recv.completions, 0);
    net_wait(&n, &recv);
    net_wait(&n, &send);
    net_op_fini(&send);
    net_op_fini(&recv);
    net_close(&n);
}

/* ---- sleep ---- */

static void fall_asleep(net_end *end)
{
    bool armed = false;
    while (!armed) {
        while (net_progress(end) > 0)
            ;
        assert_int_equal(end->net->ops->arm(end->transport, &armed), KOLO_OK);
    }
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, timeout_ms) == 1;
}

static void arm__event_fd_wakes(void **state)
{
    (void)state;
    net n;
    net_op send, recv;
    net_open(&n, 2, 5);
    int fd = n.ops->event_fd(n.ends[1].transport);
    net_op_init(&send, &n.ends[0], 1u << 20, 0);
    net_op_init(&recv, &n.ends[1], 1u << 20, 0);
    for (int round = 0; fd >= 0 && round < 5; round++) {
        fall_asleep(&n.ends[1]);
        assert_int_equal(n.ops->send_control(n.ends[0].transport, 1, "wake", 4), KOLO_OK);
        while (!is_readable(fd, 10))
            net_progress(&n.ends[0]);
        while (n.ends[1].controls <= (uint64_t)round) { /* early wake-ups are allowed: sleep again */
            net_progress(&n.ends[0]);
            if (net_progress(&n.ends[1]) == 0)
                fall_asleep(&n.ends[1]);
        }
    }
    assert_int_equal(net_recv(&n.ends[1], 0, 1, &recv), KOLO_OK);
    fall_asleep(&n.ends[1]);
    assert_int_equal(net_send(&n.ends[0], 1, 1, &send), KOLO_OK);
    while (!recv.completions) { /* progress only when woken */
        net_progress(&n.ends[0]);
        if (fd < 0 || is_readable(fd, 10)) {
            net_progress(&n.ends[1]);
            fall_asleep(&n.ends[1]);
        }
        if (n.harness->advance)
            n.harness->advance(n.world);
    }
    net_wait(&n, &send);
    net_op_fini(&send);
    net_op_fini(&recv);
    net_close(&n);
}

/* What is done already but not yet told keeps a transport awake. */
static void arm__refused_while_completions_wait(void **state)
{
    (void)state;
    net n;
    net_op send, recv;
    net_open(&n, 2, 6);
    net_op_init(&send, &n.ends[0], 8, 0);
    net_op_init(&recv, &n.ends[0], 8, 0);
    assert_int_equal(net_recv(&n.ends[0], 1, 1, &recv), KOLO_OK);
    n.ops->cancel_all(n.ends[0].transport);
    bool armed = false;
    if (n.ops->event_fd(n.ends[0].transport) >= 0) {
        assert_int_equal(n.ops->arm(n.ends[0].transport, &armed), KOLO_OK);
        assert_false(armed);
    }
    net_wait(&n, &recv);
    net_op_fini(&send);
    net_op_fini(&recv);
    net_close(&n);
}

/* ---- cancel ---- */

enum { CANCELED = 40 };

static void cancel_all__ends_everything(void **state)
{
    (void)state;
    net n;
    net_op ops[2 * CANCELED];
    net_open(&n, 3, 8);
    for (int i = 0; i < CANCELED; i++) {
        size_t bytes = i % 2 ? 100 : 500000;
        net_op_init(&ops[i], &n.ends[0], bytes, 0);
        net_op_init(&ops[CANCELED + i], &n.ends[0], bytes, 0);
        net_fill(ops[i].buffer, bytes, 1);
        assert_int_equal(net_send(&n.ends[0], 1 + i % 2, (uint64_t)i, &ops[i]), KOLO_OK);
        assert_int_equal(net_recv(&n.ends[0], 1 + i % 2, (uint64_t)i, &ops[CANCELED + i]), KOLO_OK);
    }
    for (int i = 0; i < 5; i++)
        net_step(&n);
    n.ops->cancel_all(n.ends[0].transport);
    while (n.ends[0].completions < 2 * CANCELED) /* without any help of the peers */
        if (net_progress(&n.ends[0]) == 0 && n.harness->advance)
            assert_true(n.harness->advance(n.world));
    for (int i = 0; i < 2 * CANCELED; i++) {
        bool is_send = i < CANCELED;
        assert_true(ops[i].status == KOLO_ERR_CANCELED || (is_send && ops[i].status == KOLO_OK));
        memset(ops[i].buffer, 0, ops[i].bytes); /* ours again */
        net_op_fini(&ops[i]);
    }
    n.ops->cancel_all(n.ends[0].transport); /* nothing to do */
    assert_int_equal(n.ops->send_control(n.ends[0].transport, 1, "still here", 10), KOLO_OK);
    assert_int_equal(n.ops->send_control(n.ends[1].transport, 0, "me too", 6), KOLO_OK);
    net_until(&n, &n.ends[1].controls, 1);
    net_until(&n, &n.ends[0].controls, 1);
    for (int i = 0; i < 20; i++)
        net_step(&n);
    assert_int_equal(n.ends[0].completions, 2 * CANCELED);
    net_close(&n);
}

/* ---- the end ---- */

static void close__nothing_can_be_posted(void **state)
{
    (void)state;
    net n;
    net_op op = {0};
    net_open(&n, 2, 9);
    n.ops->close(n.ends[0].transport, false);
    assert_int_equal(n.ops->send(n.ends[0].transport, 1, 1, "x", 1, &op), KOLO_ERR_STATE);
    assert_int_equal(n.ops->send_control(n.ends[0].transport, 1, "x", 1), KOLO_ERR_STATE);
    n.ops->close(n.ends[1].transport, true);
    for (int32_t r = 0; r < 2; r++)
        while (!n.ops->closed(n.ends[r].transport))
            net_step(&n);
    net_destroy(&n);
}

/* What was sent before close() arrives, though the receiver looks late. */
static void close__flushes_control(void **state)
{
    (void)state;
    net n;
    net_open(&n, 2, 10);
    for (int i = 0; i < 100; i++)
        assert_int_equal(n.ops->send_control(n.ends[0].transport, 1, "last words", 10), KOLO_OK);
    n.ops->close(n.ends[0].transport, false);
    while (!n.ops->closed(n.ends[0].transport) || n.ends[1].controls < 100)
        net_step(&n);
    n.ops->close(n.ends[1].transport, false);
    while (!n.ops->closed(n.ends[1].transport))
        net_step(&n);
    net_destroy(&n);
}

static void post_some(net *n, net_op ops[4])
{
    for (int i = 0; i < 4; i++)
        net_op_init(&ops[i], &n->ends[0], i & 1 ? 100 : 300000, 0);
    for (int i = 0; i < 2; i++) {
        net_fill(ops[i].buffer, ops[i].bytes, 1);
        assert_int_equal(net_send(&n->ends[0], 1, (uint64_t)i, &ops[i]), KOLO_OK);
        assert_int_equal(net_recv(&n->ends[0], 1, (uint64_t)i, &ops[2 + i]), KOLO_OK);
    }
    for (int i = 0; i < 5; i++)
        net_step(n);
}

static void close__forced_with_postings(void **state)
{
    (void)state;
    net n;
    net_op ops[4];
    net_open(&n, 2, 10);
    post_some(&n, ops);
    for (int32_t r = 0; r < 2; r++)
        n.ops->close(n.ends[r].transport, true);
    uint64_t before = n.ends[0].completions;
    for (int32_t r = 0; r < 2; r++)
        while (!n.ops->closed(n.ends[r].transport))
            net_step(&n);
    assert_int_equal(n.ends[0].completions, before);
    net_destroy(&n);
    for (int i = 0; i < 4; i++)
        net_op_fini(&ops[i]);
}

static void destroy__with_postings(void **state)
{
    (void)state;
    net n;
    net_op ops[4];
    net_open(&n, 2, 10);
    post_some(&n, ops);
    uint64_t before = n.ends[0].completions;
    net_destroy(&n);
    assert_int_equal(n.ends[0].completions, before);
    for (int i = 0; i < 4; i++)
        net_op_fini(&ops[i]);
}

static void destroy__never_connected(void **state)
{
    (void)state;
    net n;
    net_create(&n, 5, 10);
    net_destroy(&n);
}

static void one_rank__lives_alone(void **state)
{
    (void)state;
    net n;
    net_open(&n, 1, 10);
    for (int i = 0; i < 20; i++)
        net_step(&n);
    net_close(&n);
}

const struct CMUnitTest conformance_life_tests[] = {
    cmocka_unit_test(ops__table_is_complete),      cmocka_unit_test(create__bad_env),
    cmocka_unit_test(calls__before_connect),       cmocka_unit_test(calls__bad_arguments),
    cmocka_unit_test(connect__damaged_addresses),  cmocka_unit_test(upcalls__only_inside_progress),
    cmocka_unit_test(arm__event_fd_wakes),         cmocka_unit_test(arm__refused_while_completions_wait),
    cmocka_unit_test(cancel_all__ends_everything), cmocka_unit_test(close__nothing_can_be_posted),
    cmocka_unit_test(close__flushes_control),      cmocka_unit_test(close__forced_with_postings),
    cmocka_unit_test(destroy__with_postings),      cmocka_unit_test(destroy__never_connected),
    cmocka_unit_test(one_rank__lives_alone),
};
const size_t conformance_life_count = sizeof(conformance_life_tests) / sizeof(conformance_life_tests[0]);
