/* test_fit.c - measuring with real transports: what is measured, and that it ends for everybody, whatever happens. */
#include "unit/fit/party.h"

#include "transports/shm/shm.h"

#include <string.h>

static const int64_t LONG_NS = INT64_C(60000000000);

static party whole(int32_t size, bool is_shared)
{
    return (party){.size = size,
                   .absent = -1,
                   .is_shared = is_shared,
                   .window = "1M",
                   .budget_ns = LONG_NS,
                   .patience_ns = LONG_NS};
}

static bool is_untouched(double number)
{
    return number >= PARTY_UNMEASURED && number <= PARTY_UNMEASURED;
}

/* Its numbers, as kolo_price_clamp leaves those that were not measured. */
static void assert_measured(const kolo_price_model *model, bool is_shared)
{
    kolo_price_model untouched, read;
    double *numbers = (double *)(void *)&untouched;
    for (size_t i = 0; i < sizeof(untouched) / sizeof(double); i++)
        numbers[i] = PARTY_UNMEASURED;
    kolo_price_clamp(&untouched);
    assert_true(model->copy_ns < untouched.copy_ns || model->copy_ns > untouched.copy_ns);
    assert_true(model->reduce_ns < untouched.reduce_ns || model->reduce_ns > untouched.reduce_ns);
    assert_int_equal(model->flight_ns > untouched.flight_ns, is_shared);
    assert_int_equal(is_untouched(model->write_ns), !is_shared);
    assert_int_equal(is_untouched(model->read_ns), !is_shared);
    assert_int_equal(is_untouched(model->fold_ns), !is_shared);
    for (size_t i = 0; i < KOLO_PRICE_MESSAGES; i++)
        assert_int_equal(model->message_ns[i] > untouched.message_ns[i], !is_shared);
    char text[KOLO_PRICE_TEXT];
    assert_int_equal(kolo_price_parse(kolo_price_format(model, text), &read), KOLO_OK); /* all within range */
}

static void check(party p)
{
    party_run(&p);
    for (int32_t r = 0; r < p.size; r++) {
        assert_int_equal(p.status[r], KOLO_OK);
        assert_measured(&p.models[r], p.is_shared);
        assert_false(p.overwritten[r]);
    }
}

static void fit__windows(void **state)
{
    (void)state;
    for (int32_t size = 2; size <= PARTY_MAX; size++)
        check(whole(size, true));
}

static void fit__messages(void **state)
{
    (void)state;
    for (int32_t size = 2; size <= PARTY_MAX; size++)
        check(whole(size, false));
}

/* Some numbers come from too few samples then, or stay; but all ranks stop at the same place. */
static void fit__without_time(void **state)
{
    (void)state;
    for (int32_t size = 2; size <= PARTY_MAX; size++)
        for (int i = 0; i < 2; i++) {
            party p = whole(size, i == 0);
            p.budget_ns = 0;
            party_run(&p);
            for (int32_t r = 0; r < size; r++)
                assert_int_equal(p.status[r], KOLO_OK);
        }
}

static void fit__small_windows_are_not_measured(void **state)
{
    (void)state;
    party p = whole(2, true);
    p.window = "4K";
    party_run(&p);
    for (int32_t r = 0; r < 2; r++) {
        assert_int_equal(p.status[r], KOLO_OK);
        assert_true(is_untouched(p.models[r].write_ns));
        assert_false(is_untouched(p.models[r].copy_ns));
    }
}

/* Nobody hangs, and nothing is made up. */
static void fit__a_rank_does_not_come(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        party p = whole(3, i == 0);
        p.absent = 1;
        p.patience_ns = 20000000;
        party_run(&p);
        for (int32_t r = 0; r < 3; r += 2) {
            assert_int_equal(p.status[r], KOLO_ERR_TIMEOUT);
            assert_true(is_untouched(p.models[r].copy_ns) && is_untouched(p.models[r].message_ns[0]));
        }
    }
}

static kolo_status refuse_to_send(kolo_transport *transport, int32_t peer, uint64_t tag, const void *buffer,
                                  size_t bytes, void *cookie)
{
    (void)transport;
    (void)peer;
    (void)tag;
    (void)buffer;
    (void)bytes;
    (void)cookie;
    return KOLO_ERR_PEER;
}

/* The receive that was posted before is taken back. */
static void fit__the_transport_fails(void **state)
{
    (void)state;
    kolo_transport_ops broken = *kolo_shm_transport();
    broken.send = refuse_to_send;
    party p = whole(2, false);
    p.ops = &broken;
    party_run(&p);
    for (int32_t r = 0; r < 2; r++) {
        assert_int_equal(p.status[r], KOLO_ERR_PEER);
        assert_true(is_untouched(p.models[r].message_ns[0]));
    }
}

static void fit__alone(void **state)
{
    (void)state;
    const int32_t ring[1] = {0};
    kolo_price_model model = KOLO_PRICE_MODEL_DEFAULT;
    double write_ns = model.write_ns;
    kolo_fit_options options = {
        .size = 1, .ring = ring, .crowd = 1, .budget_ns = LONG_NS, .patience_ns = LONG_NS, .is_shared = true};
    assert_int_equal(kolo_fit(&options, &model), KOLO_OK);
    assert_true(model.write_ns <= write_ns && model.write_ns >= write_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fit__windows),
        cmocka_unit_test(fit__messages),
        cmocka_unit_test(fit__without_time),
        cmocka_unit_test(fit__small_windows_are_not_measured),
        cmocka_unit_test(fit__a_rank_does_not_come),
        cmocka_unit_test(fit__the_transport_fails),
        cmocka_unit_test(fit__alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
