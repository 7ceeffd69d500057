/* test_patience.c - how long to spin, where the core is shared with peers, with strangers, or with own threads. */
#include "unit/base/cmocka_all.h"

#include "base/clock.h"
#include "engine/patience.h"

static const int64_t usual = 100 * KOLO_NS_PER_US, most = 10 * KOLO_NS_PER_MS, slice = 4 * KOLO_NS_PER_MS;

static void shared__shrinks_where_yields_bring_what_spinning_does_not_and_grows_back(void **state)
{
    (void)state;
    const int64_t least = usual / 128;
    kolo_patience patience = kolo_patience_of(usual, usual);
    for (int i = 0; i < 20; i++) { /* the peer needs this core: it comes with the first yield */
        int64_t before = patience.spin_ns;
        kolo_patience_end(&patience, 1 + (uint32_t)i % 2, 2 * usual);
        assert_true(patience.spin_ns <= before && patience.spin_ns >= least);
    }
    assert_int_equal(patience.spin_ns, least);
    kolo_patience_end(&patience, 50, usual); /* late by itself */
    assert_int_equal(patience.spin_ns, least);
    kolo_patience_end(&patience, 1, 30 * usual); /* a stranger had the core */
    assert_int_equal(patience.spin_ns, 2 * least);
    for (int i = 0; i < 20; i++) /* the peer has another one */
        kolo_patience_end(&patience, 0, 0);
    assert_int_equal(patience.spin_ns, usual);
}

static void shared__never_spins_for_longer_than_usual(void **state)
{
    (void)state;
    static const int64_t limits[] = {0, 100 * KOLO_NS_PER_US, INT64_MAX}; /* no spinning; some; no end of it */
    for (int i = 0; i < 3; i++) {
        kolo_patience patience = kolo_patience_of(limits[i], limits[i]);
        kolo_patience_yielded(&patience, 0, slice, 0);
        kolo_patience_end(&patience, 0, 0);
        kolo_patience_begin(&patience, KOLO_NS_PER_S);
        assert_int_equal(patience.spin_ns, limits[i]);
    }
    kolo_patience none = kolo_patience_of(0, 0);
    kolo_patience_end(&none, 5, 5);
    assert_int_equal(none.spin_ns, 0);
}

static void own__spins_as_long_as_a_stranger_took_and_forgets(void **state)
{
    (void)state;
    kolo_patience patience = kolo_patience_of(usual, most);
    kolo_patience_yielded(&patience, 0, slice, slice / 100);
    assert_int_equal(patience.spin_ns, slice);
    kolo_patience_end(&patience, 1, slice); /* nobody's core but its own: yields bring no peer */
    kolo_patience_begin(&patience, 100 * slice - 1);
    assert_int_equal(patience.spin_ns, slice);
    kolo_patience_begin(&patience, 100 * slice);
    assert_int_equal(patience.spin_ns, usual);
}

static void own__never_spins_for_longer_than_it_may(void **state)
{
    (void)state;
    kolo_patience patience = kolo_patience_of(usual, most);
    kolo_patience_yielded(&patience, 0, 5 * most, 0);
    assert_int_equal(patience.spin_ns, most);
    kolo_patience_begin(&patience, 100 * most);
    assert_int_equal(patience.spin_ns, usual);
}

static void own__stays_as_usual_where_nothing_was_lost(void **state)
{
    (void)state;
    kolo_patience patience = kolo_patience_of(usual, most);
    kolo_patience_yielded(&patience, 0, 300, 0);           /* nobody wanted the core */
    kolo_patience_yielded(&patience, 0, usual, 0);         /* it cost no more than the spinning */
    kolo_patience_yielded(&patience, 0, slice, slice);     /* the program's own threads used it */
    kolo_patience_yielded(&patience, 0, slice, slice / 3); /* and did not get all of it */
    for (int i = 0; i < 20; i++)
        kolo_patience_end(&patience, 1, usual);
    assert_int_equal(patience.spin_ns, usual);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared__shrinks_where_yields_bring_what_spinning_does_not_and_grows_back),
        cmocka_unit_test(shared__never_spins_for_longer_than_usual),
        cmocka_unit_test(own__spins_as_long_as_a_stranger_took_and_forgets),
        cmocka_unit_test(own__never_spins_for_longer_than_it_may),
        cmocka_unit_test(own__stays_as_usual_where_nothing_was_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
