/* shm_load_test.c - the shm transport between processes: everything at random, and whoever sleeps is woken. */
#include "shm_ranks.h"

#include <poll.h>

/* ---- load ----------------------------------------------------------------------------------------------------- */

enum { MESSAGES = 60, AHEAD = 8, CONTROL_HEAD = 4 };

typedef struct flow {
    int sent[AHEAD], received[AHEAD]; /* completions by place */
    unsigned char *out[AHEAD], *in[AHEAD];
    int begun_send, begun_recv, done_send, done_recv, controls;
    unsigned char seen[MESSAGES];
} flow;

static kolo_rng message_rng(const rig *r, int32_t from, int32_t to, int i, int kind)
{
    int number = ((from * MAX_RANKS + to) * 2 + kind) * MESSAGES + i;
    return (kolo_rng){.state = r->seed * 1000003 + (uint64_t)number * 7919};
}

static size_t message_bytes(kolo_rng *rng, unsigned most_bits)
{
    return (size_t)kolo_rng_below(rng, UINT64_C(1) << kolo_rng_below(rng, most_bits + 1));
}

static void fill(kolo_rng rng, unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = kolo_rng_next(&rng);
        memcpy(bytes + i, &word, size - i < 8 ? size - i : 8);
    }
}

static bool is_filled(kolo_rng rng, const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = kolo_rng_next(&rng);
        if (memcmp(bytes + i, &word, size - i < 8 ? size - i : 8) != 0)
            return false;
    }
    return true;
}

static void check_control(rig *r, int32_t peer, const unsigned char *bytes, size_t size)
{
    flow *f = &((flow *)r->user)[peer];
    int32_t i;
    CHECK(size >= CONTROL_HEAD);
    memcpy(&i, bytes, CONTROL_HEAD);
    CHECK(i >= 0 && i < MESSAGES && f->seen[i]++ == 0);
    kolo_rng rng = message_rng(r, peer, r->rank, i, 1);
    CHECK(message_bytes(&rng, 16) == size - CONTROL_HEAD && is_filled(rng, bytes + CONTROL_HEAD, size - CONTROL_HEAD));
}

static void send_one(rig *r, flow *f, int32_t peer)
{
    static unsigned char control[CONTROL_HEAD + (1 << 16)];
    int32_t i = f->begun_send++;
    kolo_rng rng = message_rng(r, r->rank, peer, i, 1);
    size_t bytes = message_bytes(&rng, 16);
    memcpy(control, &i, CONTROL_HEAD);
    fill(rng, control + CONTROL_HEAD, bytes);
    CHECK(ops->send_control(r->t, peer, control, CONTROL_HEAD + bytes) == KOLO_OK);
    rng = message_rng(r, r->rank, peer, i, 0);
    bytes = message_bytes(&rng, 19);
    f->out[i % AHEAD] = malloc(bytes + 1);
    f->sent[i % AHEAD] = 0;
    fill(rng, f->out[i % AHEAD], bytes);
    CHECK(ops->send(r->t, peer, (uint64_t)i, f->out[i % AHEAD], bytes, &f->sent[i % AHEAD]) == KOLO_OK);
}

static void recv_one(rig *r, flow *f, int32_t peer)
{
    int i = f->begun_recv++;
    kolo_rng rng = message_rng(r, peer, r->rank, i, 0);
    size_t bytes = message_bytes(&rng, 19);
    f->in[i % AHEAD] = malloc(bytes + 1);
    f->received[i % AHEAD] = 0;
    CHECK(ops->recv(r->t, peer, (uint64_t)i, f->in[i % AHEAD], bytes, &f->received[i % AHEAD]) == KOLO_OK);
}

/* Takes in what is complete, posts more; true: all is done. */
static bool drive_flow(rig *r, flow *f, int32_t peer)
{
    for (; f->done_send < f->begun_send && f->sent[f->done_send % AHEAD]; f->done_send++)
        free(f->out[f->done_send % AHEAD]);
    for (; f->done_recv < f->begun_recv && f->received[f->done_recv % AHEAD]; f->done_recv++) {
        kolo_rng rng = message_rng(r, peer, r->rank, f->done_recv, 0);
        size_t bytes = message_bytes(&rng, 19);
        CHECK(is_filled(rng, f->in[f->done_recv % AHEAD], bytes));
        free(f->in[f->done_recv % AHEAD]);
    }
    if (f->begun_send < MESSAGES && f->begun_send - f->done_send < AHEAD && kolo_rng_below(&r->rng, 2))
        send_one(r, f, peer);
    if (f->begun_recv < MESSAGES && f->begun_recv - f->done_recv < AHEAD && kolo_rng_below(&r->rng, 2))
        recv_one(r, f, peer);
    return f->done_send == MESSAGES && f->done_recv == MESSAGES;
}

static bool drive_all(rig *r, flow *flows)
{
    bool over = true;
    for (int32_t peer = 0; peer < r->size; peer++)
        if (peer != r->rank)
            over &= drive_flow(r, &flows[peer], peer);
    return over && r->controls == (long)MESSAGES * (r->size - 1);
}

static bool can_post(const rig *r, const flow *flows)
{
    for (int32_t peer = 0; peer < r->size; peer++) {
        const flow *f = &flows[peer];
        if (peer != r->rank && ((f->begun_send < MESSAGES && f->begun_send - f->done_send < AHEAD) ||
                                (f->begun_recv < MESSAGES && f->begun_recv - f->done_recv < AHEAD)))
            return true;
    }
    return false;
}

static void load(rig *r)
{
    flow flows[MAX_RANKS] = {0};
    r->user = flows;
    r->on_control = check_control;
    publish(r);
    CHECK(join(r) == KOLO_OK);
    while (!drive_all(r, flows))
        if (ops->progress(r->t) == 0 && !can_post(r, flows))
            doze(r);
    gate(r, 1);
    CHECK(r->completed[KOLO_OK] == 2L * MESSAGES * (r->size - 1));
    leave(r);
}

static void load__random_sizes_and_sleep(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        play((scene){.ranks = 2 + (int32_t)(seed % 3), .attach = seed % 2 ? "no" : "yes", .body = load, .killed = -1},
             seed);
}

/* ---- nobody sleeps too long
 * -------------------------------------------------------------------------------------- */

/* In the first rounds both sleep. In the others one answers at once, about when the other falls asleep: the narrow
 * case. */
enum { SLEEPY_ROUNDS = 2000, ROUNDS = 20000, FLAG_ROUNDS = 4000 };

static void ping_pong(rig *r)
{
    publish(r);
    CHECK(join(r) == KOLO_OK);
    for (long round = 0; round < ROUNDS; round++) {
        if (r->rank == 0)
            CHECK(ops->send_control(r->t, 1, "ping", 4) == KOLO_OK);
        while (r->controls <= round) {
            if (r->rank == 1 || round < SLEEPY_ROUNDS)
                doze(r); /* straight away: what comes just now must wake */
            ops->progress(r->t);
        }
        if (r->rank == 1)
            CHECK(ops->send_control(r->t, 0, "pong", 4) == KOLO_OK);
    }
    gate(r, 1);
    leave(r);
}

static void sleep__every_message_wakes(void **state)
{
    (void)state;
    play((scene){.ranks = 2, .body = ping_pong, .killed = -1}, 1);
}

static void flag_ping_pong(rig *r)
{
    publish(r);
    CHECK(join(r) == KOLO_OK);
    CHECK(ops->window_bytes(r->t) == 16384);
    _Atomic uint64_t *own = (_Atomic uint64_t *)ops->flags(r->t, r->rank);
    _Atomic uint64_t *other = (_Atomic uint64_t *)ops->flags(r->t, 1 - r->rank);
    unsigned char *own_window = ops->window(r->t, r->rank), *other_window = ops->window(r->t, 1 - r->rank);
    CHECK(own_window[0] == 0 && own_window[16383] == 0 && (uintptr_t)own_window % 4096 == 0);
    for (uint64_t round = 1; round <= FLAG_ROUNDS; round++) {
        for (int turn = 0; turn < 2; turn++) {
            if (turn == r->rank) {
                own_window[round] = (unsigned char)round;
                atomic_store_explicit(&own[8 * 127], round, memory_order_release);
                ops->flags_changed(r->t);
                continue;
            }
            while (atomic_load_explicit(&other[8 * 127], memory_order_acquire) < round) {
                bool armed;
                CHECK(ops->arm(r->t, &armed) == KOLO_OK);
                struct pollfd one = {.fd = ops->event_fd(r->t), .events = POLLIN};
                if (armed && atomic_load_explicit(&other[8 * 127], memory_order_acquire) < round)
                    CHECK(poll(&one, 1, POLL_MS) == 1);
                ops->progress(r->t);
            }
            CHECK(other_window[round] == (unsigned char)round);
        }
    }
    gate(r, 1);
    leave(r);
}

static void sleep__every_flag_wakes(void **state)
{
    (void)state;
    play((scene){.ranks = 2, .body = flag_ping_pong, .killed = -1}, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load__random_sizes_and_sleep),
        cmocka_unit_test(sleep__every_message_wakes),
        cmocka_unit_test(sleep__every_flag_wakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
