/* data_tests.c - tagged messages: every size, expected and unexpected, many, out of order, at random. */
#include "net.h"

#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOP_TAG ((UINT64_C(1) << KOLO_TRANSPORT_TAG_BITS) - 1)

static const size_t sizes[] = {0, 1, 2, 3, 63, 64, 1000, 4096, 8191, 65536, 65537, 1u << 20, 8u << 20};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

/* One message from `from` to `to`; the receive posted first or long after. */
static void one_message(net *n, int32_t from, int32_t to, uint64_t tag, size_t bytes, size_t offset, bool expected)
{
    net_op send, recv;
    net_op_init(&send, &n->ends[from], bytes, offset);
    net_op_init(&recv, &n->ends[to], bytes, 1 - offset);
    net_fill(send.buffer, bytes, tag);
    memset(recv.buffer, 0, bytes);
    if (expected)
        assert_int_equal(net_recv(&n->ends[to], from, tag, &recv), KOLO_OK);
    assert_int_equal(net_send(&n->ends[from], to, tag, &send), KOLO_OK);
    if (!expected) {
        for (int i = 0; i < 20; i++)
            net_step(n);
        assert_int_equal(recv.completions, 0);
        assert_int_equal(net_recv(&n->ends[to], from, tag, &recv), KOLO_OK);
    }
    net_wait(n, &recv);
    net_wait(n, &send);
    assert_int_equal(send.status, KOLO_OK);
    assert_int_equal(recv.status, KOLO_OK);
    net_check(recv.buffer, bytes, tag);
    net_check(send.buffer, bytes, tag);
    net_op_fini(&send);
    net_op_fini(&recv);
}

static void all_sizes(bool expected)
{
    net n;
    net_open(&n, 2, 11);
    for (int i = 0; i < SIZES; i++)
        for (int32_t from = 0; from < 2; from++)
            one_message(&n, from, 1 - from, (uint64_t)i, sizes[i], (size_t)(i & 1), expected);
    net_close(&n);
}

static void data__all_sizes__receive_first(void **state)
{
    (void)state;
    all_sizes(true);
}

static void data__all_sizes__send_first(void **state)
{
    (void)state;
    all_sizes(false);
}

static void data__same_tag_again_after_completion(void **state)
{
    (void)state;
    net n;
    net_open(&n, 2, 12);
    for (int i = 0; i < 20; i++)
        one_message(&n, 0, 1, TOP_TAG, (size_t)i * 3000, 0, i & 1);
    net_close(&n);
}

static void data__to_itself(void **state)
{
    (void)state;
    net n;
    net_open(&n, 2, 13);
    one_message(&n, 1, 1, 9, 100, 0, true);
    one_message(&n, 1, 1, 10, 1u << 20, 0, false);
    net_close(&n);
}

/* The same tag to everybody from everybody: only the source tells them apart. */
static void data__same_tag_from_all_ranks(void **state)
{
    (void)state;
    for (int32_t ranks = 2; ranks <= 5; ranks++) {
        net n;
        net_op send[NET_MAX_RANKS][NET_MAX_RANKS], recv[NET_MAX_RANKS][NET_MAX_RANKS];
        net_open(&n, ranks, 14);
        for (int32_t a = 0; a < ranks; a++) {
            for (int32_t b = 0; b < ranks; b++) {
                net_op_init(&send[a][b], &n.ends[a], 5000, 0);
                net_op_init(&recv[b][a], &n.ends[b], 5000, 0);
                net_fill(send[a][b].buffer, 5000, (uint64_t)(a * 10 + b));
                assert_int_equal(net_send(&n.ends[a], b, TOP_TAG, &send[a][b]), KOLO_OK);
                assert_int_equal(net_recv(&n.ends[b], a, TOP_TAG, &recv[b][a]), KOLO_OK);
            }
        }
        for (int32_t r = 0; r < ranks; r++)
            net_until(&n, &n.ends[r].completions, 2 * (uint64_t)ranks);
        for (int32_t a = 0; a < ranks; a++) {
            for (int32_t b = 0; b < ranks; b++) {
                net_check(recv[b][a].buffer, 5000, (uint64_t)(a * 10 + b));
                net_op_fini(&send[a][b]);
                net_op_fini(&recv[b][a]);
            }
        }
        net_close(&n);
    }
}

/* Many at once, received in another order than sent. */
static void many(size_t bytes, int count, int stride, bool expected)
{
    net n;
    net_op *ops = calloc((size_t)count * 2, sizeof(*ops));
    assert_non_null(ops);
    net_open(&n, 2, 15);
    for (int i = 0; i < count; i++) {
        net_op_init(&ops[i], &n.ends[0], bytes, 0);
        net_op_init(&ops[count + i], &n.ends[1], bytes, 0);
        net_fill(ops[i].buffer, bytes, (uint64_t)i);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < count; i++) {
            int j = (int)((long)i * stride % count);
            if ((pass == 0) == expected)
                assert_int_equal(net_recv(&n.ends[1], 0, (uint64_t)j, &ops[count + j]), KOLO_OK);
            else
                assert_int_equal(net_send(&n.ends[0], 1, (uint64_t)i, &ops[i]), KOLO_OK);
        }
        for (int i = 0; i < 10; i++)
            net_step(&n);
    }
    net_until(&n, &n.ends[0].completions, (uint64_t)count);
    net_until(&n, &n.ends[1].completions, (uint64_t)count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(ops[i].status, KOLO_OK);
        assert_int_equal(ops[count + i].status, KOLO_OK);
        net_check(ops[count + i].buffer, bytes, (uint64_t)i);
    }
    for (int i = 0; i < 2 * count; i++)
        net_op_fini(&ops[i]);
    free(ops);
    net_close(&n);
}

static void data__thousand_in_flight__small(void **state)
{
    (void)state;
    many(200, 1000, 387, true);
    many(200, 1000, 387, false);
}

static void data__hundred_in_flight__large(void **state)
{
    (void)state;
    many(100000, 100, 37, true);
    many(100000, 100, 37, false);
}

/* A token that goes round; each completion posts the next hop from within its upcall. */
enum { LAPS = 20, TOKEN_BYTES = 30000 };
static struct {
    net n;
    int hop;
    net_op *recvs, *sends;
} token;

static void pass_on(net_op *op)
{
    net *n = &token.n;
    int32_t rank = op->end->rank;
    assert_int_equal(op->status, KOLO_OK);
    if (++token.hop >= LAPS * n->size)
        return;
    net_op *send = &token.sends[token.hop];
    net_op_init(send, op->end, TOKEN_BYTES, 0);
    memcpy(send->buffer, op->buffer, TOKEN_BYTES);
    assert_int_equal(net_send(op->end, (rank + 1) % n->size, (uint64_t)token.hop, send), KOLO_OK);
    int again = token.hop - 1 + n->size;
    if (again < LAPS * n->size) {
        net_op_init(&token.recvs[again], op->end, TOKEN_BYTES, 0);
        token.recvs[again].then = pass_on;
        assert_int_equal(net_recv(op->end, (rank + n->size - 1) % n->size, (uint64_t)again, &token.recvs[again]),
                         KOLO_OK);
    }
}

static void data__posted_from_completions(void **state)
{
    (void)state;
    for (int32_t ranks = 2; ranks <= 5; ranks++) {
        int hops = LAPS * ranks;
        net *n = &token.n;
        net_open(n, ranks, 16);
        token.hop = 0;
        token.recvs = calloc((size_t)hops, sizeof(net_op));
        token.sends = calloc((size_t)hops, sizeof(net_op));
        for (int32_t h = 0; h < ranks; h++) { /* hop h goes from rank h to h + 1 */
            net_op_init(&token.recvs[h], &n->ends[(h + 1) % ranks], TOKEN_BYTES, 0);
            token.recvs[h].then = pass_on;
            assert_int_equal(net_recv(token.recvs[h].end, h, (uint64_t)h, &token.recvs[h]), KOLO_OK);
        }
        net_op_init(&token.sends[0], &n->ends[0], TOKEN_BYTES, 0);
        net_fill(token.sends[0].buffer, TOKEN_BYTES, 77);
        assert_int_equal(net_send(&n->ends[0], 1, 0, &token.sends[0]), KOLO_OK);
        while (token.hop < hops)
            assert_true(net_step(n));
        net_check(token.recvs[hops - 1].buffer, TOKEN_BYTES, 77);
        for (int h = 0; h < hops; h++) {
            net_wait(n, &token.sends[h]);
            net_op_fini(&token.recvs[h]);
            net_op_fini(&token.sends[h]);
        }
        free(token.recvs);
        free(token.sends);
        net_close(n);
    }
}

/* ---- at random ---- */

typedef struct plan {
    int32_t from, to;
    uint64_t tag;
    size_t bytes;
    net_op send, recv;
} plan;

enum { PLANS = 120 };

static size_t random_bytes(kolo_rng *rng)
{
    uint64_t bits = kolo_rng_below(rng, 18);
    return (size_t)kolo_rng_below(rng, (UINT64_C(1) << bits) + 1);
}

static void run_schedule(int32_t ranks, uint64_t seed)
{
    kolo_rng rng = {.state = seed};
    net n;
    net_open(&n, ranks, seed);
    plan *plans = calloc(PLANS, sizeof(*plans));
    int order[2 * PLANS]; /* what is posted when: i: send of plan i, PLANS + i: its receive */
    for (int i = 0; i < 2 * PLANS; i++)
        order[i] = i;
    for (int i = 2 * PLANS - 1; i > 0; i--) {
        int j = (int)kolo_rng_below(&rng, (uint64_t)i + 1), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (int i = 0; i < PLANS; i++) {
        plan *p = &plans[i];
        p->from = (int32_t)kolo_rng_below(&rng, (uint64_t)ranks);
        p->to = (int32_t)kolo_rng_below(&rng, (uint64_t)ranks);
        p->tag = (kolo_rng_next(&rng) & TOP_TAG & ~UINT64_C(255)) | (uint64_t)i;
        p->bytes = random_bytes(&rng);
        net_op_init(&p->send, &n.ends[p->from], p->bytes, (size_t)kolo_rng_below(&rng, 8));
        net_op_init(&p->recv, &n.ends[p->to], p->bytes, (size_t)kolo_rng_below(&rng, 8));
        net_fill(p->send.buffer, p->bytes, p->tag);
    }
    for (int i = 0; i < 2 * PLANS; i++) {
        plan *p = &plans[order[i] % PLANS];
        kolo_status status = order[i] < PLANS ? net_send(&n.ends[p->from], p->to, p->tag, &p->send)
                                              : net_recv(&n.ends[p->to], p->from, p->tag, &p->recv);
        assert_int_equal(status, KOLO_OK);
        for (uint64_t steps = kolo_rng_below(&rng, 4); steps > 0; steps--)
            net_step(&n);
    }
    for (int i = 0; i < PLANS; i++) {
        net_wait(&n, &plans[i].send);
        net_wait(&n, &plans[i].recv);
        assert_int_equal(plans[i].send.status, KOLO_OK);
        assert_int_equal(plans[i].recv.status, KOLO_OK);
        net_check(plans[i].recv.buffer, plans[i].bytes, plans[i].tag);
        net_op_fini(&plans[i].send);
        net_op_fini(&plans[i].recv);
    }
    free(plans);
    net_close(&n);
}

static void data__random_schedules(void **state)
{
    (void)state;
    static const int32_t ranks[] = {2, 3, 5};
    for (uint64_t seed = 1; seed <= 9; seed++) {
        print_message("  %d ranks, seed %llu\n", (int)ranks[seed % 3], (unsigned long long)seed);
        run_schedule(ranks[seed % 3], seed);
    }
}

/* ---- sizes that differ ---- */

static void sizes_differ(size_t sent, size_t expected, bool recv_first)
{
    net n;
    net_op send, recv;
    net_open(&n, 2, 17);
    net_op_init(&send, &n.ends[0], sent, 0);
    net_op_init(&recv, &n.ends[1], expected, 0);
    net_fill(send.buffer, sent, 1);
    if (recv_first)
        assert_int_equal(net_recv(&n.ends[1], 0, 1, &recv), KOLO_OK);
    assert_int_equal(net_send(&n.ends[0], 1, 1, &send), KOLO_OK);
    for (int i = 0; i < 20; i++)
        net_step(&n);
    if (!recv_first)
        assert_int_equal(net_recv(&n.ends[1], 0, 1, &recv), KOLO_OK);
    net_wait(&n, &recv);
    net_wait(&n, &send);
    assert_int_equal(recv.status, KOLO_ERR_TRANSPORT);
    assert_int_equal(n.ends[1].explained, KOLO_ERR_TRANSPORT);
    assert_true(n.ends[1].explanation[0] != '\0');
    net_op_fini(&send);
    net_op_fini(&recv);
    net_close(&n);
}

static void data__sizes_differ__receive_fails(void **state)
{
    (void)state;
    static const size_t pairs[][2] = {{100, 99}, {99, 100}, {1, 0}, {0, 1}, {300000, 200000}, {200000, 300000}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        sizes_differ(pairs[i][0], pairs[i][1], true);
        sizes_differ(pairs[i][0], pairs[i][1], false);
    }
}

const struct CMUnitTest conformance_data_tests[] = {
    cmocka_unit_test(data__all_sizes__receive_first),
    cmocka_unit_test(data__all_sizes__send_first),
    cmocka_unit_test(data__same_tag_again_after_completion),
    cmocka_unit_test(data__to_itself),
    cmocka_unit_test(data__same_tag_from_all_ranks),
    cmocka_unit_test(data__thousand_in_flight__small),
    cmocka_unit_test(data__hundred_in_flight__large),
    cmocka_unit_test(data__posted_from_completions),
    cmocka_unit_test(data__random_schedules),
    cmocka_unit_test(data__sizes_differ__receive_fails),
};
const size_t conformance_data_count = sizeof(conformance_data_tests) / sizeof(conformance_data_tests[0]);
