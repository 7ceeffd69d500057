/* sim_test.c - what the simulated network adds to the transport contract: a clock, seeds, counters. */
#include "sim_rig.h"

#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

static void create__bad_options(void **state)
{
    (void)state;
    kolo_sim *sim = NULL;
    kolo_sim_options o = usual_options(1);
    o.size = 0;
    assert_int_equal(kolo_sim_create(&o, &sim), KOLO_ERR_INVALID);
    o = usual_options(1), o.latency_max_ns = 999;
    assert_int_equal(kolo_sim_create(&o, &sim), KOLO_ERR_INVALID);
    o = usual_options(1), o.latency_min_ns = -1;
    assert_int_equal(kolo_sim_create(&o, &sim), KOLO_ERR_INVALID);
    o = usual_options(1), o.early_rate = 1.5;
    assert_int_equal(kolo_sim_create(&o, &sim), KOLO_ERR_INVALID);
    o = usual_options(1), o.bytes_per_ns = -1;
    assert_int_equal(kolo_sim_create(&o, &sim), KOLO_ERR_INVALID);
    o = usual_options(1), o.cpu_hiccup_ns = -1;
    assert_int_equal(kolo_sim_create(&o, &sim), KOLO_ERR_INVALID);
    assert_int_equal(kolo_sim_create(NULL, &sim), KOLO_ERR_INVALID);
    assert_null(sim);
    kolo_sim_destroy(NULL);
}

static void create__transport_without_a_world(void **state)
{
    (void)state;
    rank_log log = {0};
    kolo_transport *transport = NULL;
    const kolo_transport_env env = rig_env(&log, NULL, 0, 2);
    assert_int_equal(kolo_sim_transport()->create(&env, &transport), KOLO_ERR_INVALID);
    assert_non_null(strstr(log.explanation, "env.extra"));
}

/* ---- time ---- */

static void advance__nothing_under_way(void **state)
{
    (void)state;
    sim_rig r;
    rig_init(&r, usual_options(1));
    assert_int_equal(kolo_sim_advance(r.sim), -1);
    assert_int_equal(kolo_sim_now(r.sim), 0);
    rig_fini(&r);
}

static void wake_at__in_order_of_time(void **state)
{
    (void)state;
    sim_rig r;
    rig_init(&r, usual_options(1));
    kolo_sim_wake_at(r.sim, 2, 500);
    kolo_sim_wake_at(r.sim, 1, 100);
    kolo_sim_wake_at(r.sim, 3, 500);
    kolo_sim_wake_at(r.sim, 9, 1); /* nobody */
    assert_int_equal(kolo_sim_advance(r.sim), 1);
    assert_int_equal(kolo_sim_now(r.sim), 100);
    kolo_sim_wake_at(r.sim, 0, 5); /* in the past: now */
    assert_int_equal(kolo_sim_advance(r.sim), 0);
    assert_int_equal(kolo_sim_now(r.sim), 100);
    assert_int_equal(kolo_sim_advance(r.sim), 2);
    assert_int_equal(kolo_sim_advance(r.sim), 3);
    assert_int_equal(kolo_sim_now(r.sim), 500);
    assert_int_equal(kolo_sim_advance(r.sim), -1);
    rig_fini(&r);
}

static void latency__within_bounds(void **state)
{
    (void)state;
    sim_rig r;
    rig_init(&r, usual_options(3));
    for (int i = 0; i < 200; i++) {
        int64_t start = kolo_sim_now(r.sim);
        assert_int_equal(r.ops->send_control(r.transport[0], 1, "x", 1), KOLO_OK);
        assert_true(rig_step(&r));
        assert_in_range(kolo_sim_now(r.sim) - start, 1000, 9000);
    }
    rig_fini(&r);
}

static void link__serialises_a_senders_messages(void **state)
{
    (void)state;
    sim_rig r;
    kolo_sim_options o = usual_options(1);
    o.latency_min_ns = o.latency_max_ns = 10;
    o.bytes_per_ns = 2;
    rig_init(&r, o);
    unsigned char a[2000] = {0}, b[2000];
    for (uint64_t tag = 0; tag < 3; tag++) {
        assert_int_equal(rig_send(&r, 0, 1, tag, a, sizeof(a)), KOLO_OK);
        assert_int_equal(rig_recv(&r, 1, 0, tag, b, sizeof(b)), KOLO_OK);
    }
    assert_int_equal(kolo_sim_advance(r.sim), 1);
    assert_int_equal(kolo_sim_now(r.sim), 1010);
    r.ops->progress(r.transport[1]);
    rig_run(&r);
    assert_int_equal(kolo_sim_now(r.sim), 3 * 1000 + 10 + 10); /* and the way back to the sender */
    rig_fini(&r);
}

static void messages__overtake(void **state)
{
    (void)state;
    sim_rig r;
    rig_init(&r, usual_options(5));
    unsigned char a[1] = {0}, b[1];
    int data_first = 0;
    for (uint64_t tag = 0; tag < 50; tag++) {
        r.log[1].count = 0;
        assert_int_equal(r.ops->send_control(r.transport[0], 1, "x", 1), KOLO_OK);
        assert_int_equal(rig_recv(&r, 1, 0, tag, b, 1), KOLO_OK);
        assert_int_equal(rig_send(&r, 0, 1, tag, a, 1), KOLO_OK);
        rig_run(&r);
        data_first += r.log[1].notes[0].peer == -1;
    }
    assert_in_range(data_first, 5, 45);
    rig_fini(&r);
}

static void send__waits_for_its_receive_unless_early(void **state)
{
    (void)state;
    for (int early = 0; early <= 1; early++) {
        sim_rig r;
        kolo_sim_options o = usual_options(1);
        o.early_rate = early;
        rig_init(&r, o);
        unsigned char a[100], b[100];
        memset(a, 7, sizeof(a));
        assert_int_equal(rig_send(&r, 0, 1, 4, a, sizeof(a)), KOLO_OK);
        rig_run(&r);
        assert_int_equal(rig_told(&r, 0, 1004), early ? KOLO_OK : -1);
        if (early)
            memset(a, 8, sizeof(a)); /* it is ours again */
        assert_int_equal(rig_recv(&r, 1, 0, 4, b, sizeof(b)), KOLO_OK);
        rig_run(&r);
        assert_int_equal(rig_told(&r, 0, 1004), KOLO_OK);
        assert_int_equal(rig_told(&r, 1, 2004), KOLO_OK);
        assert_int_equal(b[0], 7);
        assert_int_equal(b[99], 7);
        rig_fini(&r);
    }
}

/* ---- determinism ---- */

static uint64_t random_run(uint64_t seed, uint64_t traffic_seed)
{
    sim_rig r;
    kolo_rng rng = {.state = traffic_seed};
    kolo_sim_options o = usual_options(seed);
    o.early_rate = 0.3;
    o.bytes_per_ns = 1;
    o.cpu_hiccup_ns = 100000;
    rig_init(&r, o);
    static unsigned char a[100][64], b[100][64];
    for (uint64_t tag = 0; tag < 100; tag++) {
        int32_t from = (int32_t)kolo_rng_below(&rng, RANKS), to = (int32_t)kolo_rng_below(&rng, RANKS);
        size_t bytes = (size_t)kolo_rng_below(&rng, 65);
        assert_int_equal(rig_send(&r, from, to, tag, a[tag], bytes), KOLO_OK);
        assert_int_equal(rig_recv(&r, to, from, tag, b[tag], bytes), KOLO_OK);
        assert_int_equal(r.ops->send_control(r.transport[from], (from + 1) % RANKS, "x", 1), KOLO_OK);
        rig_step(&r);
    }
    kolo_sim_crash(r.sim, 2);
    rig_run(&r);
    uint64_t trace = kolo_sim_trace(r.sim);
    rig_fini(&r);
    return trace;
}

static void trace__equal_seeds_equal_runs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t first = random_run(seed, 5);
        free(malloc(seed * 1000)); /* another heap, the same run */
        assert_int_equal(first, random_run(seed, 5));
        assert_int_not_equal(first, random_run(seed + 100, 5));
        assert_int_not_equal(first, random_run(seed, 6));
    }
}

static void count__what_was_sent(void **state)
{
    (void)state;
    sim_rig r;
    unsigned char a[300] = {0}, b[300];
    rig_init(&r, usual_options(1));
    assert_int_equal(r.ops->send_control(r.transport[1], 2, "x", 1), KOLO_OK);
    assert_int_equal(r.ops->send_control(r.transport[1], 0, "xy", 2), KOLO_OK);
    assert_int_equal(rig_send(&r, 1, 2, 1, a, 300), KOLO_OK);
    assert_int_equal(rig_recv(&r, 2, 1, 1, b, 300), KOLO_OK);
    assert_int_equal(rig_send(&r, 1, 2, 2, a, 50), KOLO_OK);
    rig_run(&r);
    kolo_sim_counters sent;
    kolo_sim_count(r.sim, 1, &sent);
    assert_int_equal(sent.control_messages, 2);
    assert_int_equal(sent.data_messages, 2);
    assert_int_equal(sent.data_bytes, 350);
    kolo_sim_count(r.sim, 2, &sent);
    assert_int_equal(sent.control_messages + sent.data_messages + sent.data_bytes, 0);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create__bad_options),
        cmocka_unit_test(create__transport_without_a_world),
        cmocka_unit_test(advance__nothing_under_way),
        cmocka_unit_test(wake_at__in_order_of_time),
        cmocka_unit_test(latency__within_bounds),
        cmocka_unit_test(link__serialises_a_senders_messages),
        cmocka_unit_test(messages__overtake),
        cmocka_unit_test(send__waits_for_its_receive_unless_early),
        cmocka_unit_test(trace__equal_seeds_equal_runs),
        cmocka_unit_test(count__what_was_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
