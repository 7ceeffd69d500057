/* test_negotiate_violations.c - neighbours that break the protocol, one rule at a time: found out, and named. */
#include "unit/engine/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- children ---------------------------------------------------------------------------------------------------- */

static void child__ready_for_an_unknown_slot(void **state)
{
    (void)state;
    node n;
    node_init(&n, 0, 3);
    made_expect_error(node_child_ready(&n, 1, 0), KOLO_ERR_PROTOCOL,
                      "rank 2 is ready for slot 0, which does not exist");
    made_expect_error(node_child_ready(&n, 1, UINT32_MAX), KOLO_ERR_PROTOCOL, "slot 4294967295, which does not exist");
    node_fini(&n);
}

/* "w" has slot 0 at the root of 3, and nothing is under way. */
static void agree(node *n)
{
    node_init(n, 0, 3);
    kolo_request *request = node_submit(n, "w", 4);
    assert_int_equal(node_child_describes(n, 0, "w", 4, 1, 1), KOLO_OK);
    assert_int_equal(node_child_describes(n, 1, "w", 4, 2, 2), KOLO_OK);
    assert_int_equal(node_flush(n), 1);
    node_over(n, request);
}

static void child__reports_twice(void **state)
{
    (void)state;
    static const char ready[] = "rank 1 is ready for slot 0, which it said before";
    static const char describes[] = "rank 1 describes tensor 'w' twice";
    for (int first = 0; first < 2; first++)
        for (int second = 0; second < 2; second++) {
            node n;
            agree(&n);
            assert_int_equal(first == 0 ? node_child_ready(&n, 0, 0) : node_child_describes(&n, 0, "w", 5, 1, 1),
                             KOLO_OK);
            if (second == 0)
                made_expect_error(node_child_ready(&n, 0, 0), KOLO_ERR_PROTOCOL, ready);
            else
                made_expect_error(node_child_describes(&n, 0, "w", 5, 1, 1), KOLO_ERR_PROTOCOL, describes);
            node_fini(&n);
        }
}

static void child__reports_twice_at_the_root_before_the_decision_is_sent(void **state)
{
    (void)state;
    node n;
    agree(&n);
    kolo_request *request = node_submit(&n, "w", 4);
    assert_int_equal(node_child_ready(&n, 0, 0), KOLO_OK);
    assert_int_equal(node_child_ready(&n, 1, 0), KOLO_OK);
    made_expect_error(node_child_ready(&n, 1, 0), KOLO_ERR_PROTOCOL,
                      "rank 2 is ready for slot 0, which it said before");
    kolo_request_release(request);
    node_fini(&n);
}

static void child__reports_the_next_round_before_this_one_is_decided(void **state)
{
    (void)state;
    for (int describes = 0; describes < 2; describes++) {
        node n;
        node_init(&n, 1, 10); /* child: 9 */
        kolo_request *request = node_submit(&n, "w", 4);
        assert_int_equal(node_child_describes(&n, 0, "w", 4, 9, 9), KOLO_OK);
        assert_int_equal(node_flush(&n), 1);
        if (describes) {
            made_expect_error(node_child_describes(&n, 0, "w", 4, 9, 9), KOLO_ERR_PROTOCOL,
                              "rank 9 describes tensor 'w' twice");
        } else {
            kolo_down assign = {.kind = KOLO_DOWN_ASSIGN, .slot = 0, .name = "w"};
            assert_int_equal(node_root_decides(&n, &assign, 1), KOLO_OK);
            /* Decided: from now on it may, even while this one runs here. */
            assert_int_equal(node_child_ready(&n, 0, 0), KOLO_OK);
            node_over(&n, request);
            request = node_submit(&n, "w", 4);
            assert_int_equal(node_flush(&n), 1);
            made_expect_error(node_child_ready(&n, 0, 0), KOLO_ERR_PROTOCOL,
                              "rank 9 is ready for slot 0, which it said before");
        }
        kolo_request_release(request);
        node_fini(&n);
    }
}

static void child__sends_what_does_not_decode(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {{"\0", 1}, {"\1\0\0\0", 4},        {"\2", 1}, {"\2\1\0\0\0w\1", 7}, {"\3\0\0\0\0", 5},
                 {"\4", 1}, {"\377\377\377\377", 4}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        node n;
        node_init(&n, 0, 3);
        made_expect_error(node_child_says(&n, 0, cases[i].bytes, cases[i].size), KOLO_ERR_PROTOCOL,
                          "rank 1 sent a report that does not decode");
        node_fini(&n);
    }
}

static void child__good_entries_before_a_bad_one_do_no_harm(void **state)
{
    (void)state;
    node n;
    agree(&n);
    made_expect_error(node_child_says(&n, 0, "\1\0\0\0\0\1\7\0\0\0", 10), KOLO_ERR_PROTOCOL,
                      "rank 1 is ready for slot 7, which does not exist");
    node_fini(&n);
}

/* ---- the parent -------------------------------------------------------------------------------------------------- */

/* At a leaf that has reported "w" for the first time. */
static void expect_refused(const kolo_down *downs, size_t count, const char *text)
{
    node n;
    node_init(&n, 1, 2);
    kolo_request *request = node_submit(&n, "w", 4);
    assert_int_equal(node_flush(&n), 1);
    made_expect_error(node_root_decides(&n, downs, count), KOLO_ERR_PROTOCOL, text);
    assert_int_equal(n.ran_count, 0);
    kolo_request_release(request);
    node_fini(&n);
}

static void root__decides_about_what_is_unknown(void **state)
{
    (void)state;
    expect_refused(&(kolo_down){.kind = KOLO_DOWN_RUN, .slot = 0}, 1,
                   "the root decided about '' (slot 0), which this rank has not reported");
    expect_refused(&(kolo_down){.kind = KOLO_DOWN_ASSIGN, .name = "v"}, 1,
                   "the root decided about 'v' (slot 0), which this rank has not reported");
    expect_refused(&(kolo_down){.kind = KOLO_DOWN_FAIL, .name = "v", .text = "x"}, 1, "the root decided about 'v'");
}

static void root__assigns_an_impossible_slot(void **state)
{
    (void)state;
    expect_refused(&(kolo_down){.kind = KOLO_DOWN_ASSIGN, .slot = KOLO_SLOTS_MAX, .name = "w"}, 1,
                   "slot 16777216 for tensor 'w' is not free");
    expect_refused(&(kolo_down){.kind = KOLO_DOWN_ASSIGN, .slot = KOLO_NO_SLOT, .name = "w"}, 1,
                   "slot 4294967295 for tensor 'w' is not free");
}

static void root__decides_twice(void **state)
{
    (void)state;
    const kolo_down twice[2] = {{.kind = KOLO_DOWN_ASSIGN, .slot = 3, .name = "w"}, {.kind = KOLO_DOWN_RUN, .slot = 3}};
    expect_refused(twice, 2, "the root decided about 'w' (slot 3)");
}

static void root__decides_before_the_report(void **state)
{
    (void)state;
    kolo_down assign = {.kind = KOLO_DOWN_ASSIGN, .slot = 0, .name = "w"};
    node n;
    node_init(&n, 1, 10); /* child 9 has not reported: nor has this node */
    kolo_request *request = node_submit(&n, "w", 4);
    made_expect_error(node_root_decides(&n, &assign, 1), KOLO_ERR_PROTOCOL,
                      "the root decided about 'w' (slot 0), which this rank has not reported");
    kolo_request_release(request);
    node_fini(&n);

    /* Known only through the child. */
    node_init(&n, 1, 10);
    assert_int_equal(node_child_describes(&n, 0, "w", 4, 9, 9), KOLO_OK);
    made_expect_error(node_root_decides(&n, &assign, 1), KOLO_ERR_PROTOCOL, "the root decided about 'w'");
    node_fini(&n);
}

static void root__decides_about_what_runs(void **state)
{
    (void)state;
    node n;
    node_init(&n, 1, 2);
    kolo_request *first = node_submit(&n, "w", 4), *second = node_submit(&n, "w", 4);
    assert_int_equal(node_flush(&n), 1);
    kolo_down down = {.kind = KOLO_DOWN_ASSIGN, .slot = 0, .name = "w"};
    assert_int_equal(node_root_decides(&n, &down, 1), KOLO_OK);
    made_expect_error(node_root_decides(&n, &down, 1), KOLO_ERR_PROTOCOL, "the root decided about 'w'");
    down = (kolo_down){.kind = KOLO_DOWN_FAIL, .name = "w", .text = "x"};
    made_expect_error(node_root_decides(&n, &down, 1), KOLO_ERR_PROTOCOL, "the root decided about 'w'");
    assert_null(n.failed);
    kolo_request_release(first);
    kolo_request_release(second);
    node_fini(&n);
}

static void root__gives_a_taken_slot(void **state)
{
    (void)state;
    node n;
    node_init(&n, 1, 2);
    kolo_request *v = node_submit(&n, "v", 4), *w = node_submit(&n, "w", 4);
    assert_int_equal(node_flush(&n), 1);
    const kolo_down downs[2] = {{.kind = KOLO_DOWN_ASSIGN, .slot = 5, .name = "v"},
                                {.kind = KOLO_DOWN_ASSIGN, .slot = 5, .name = "w"}};
    made_expect_error(node_root_decides(&n, downs, 2), KOLO_ERR_PROTOCOL, "slot 5 for tensor 'w' is not free");
    kolo_request_release(v);
    kolo_request_release(w);
    node_fini(&n);
}

static void parent__sends_what_does_not_decode(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 256; kind++) {
        node n;
        node_init(&n, 10, 11);
        uint8_t bytes[3] = {(uint8_t)kind, 0, 0};
        kolo_reader reader;
        kolo_reader_init(&reader, bytes, sizeof(bytes));
        made_expect_error(kolo_negotiation_down(&n.negotiation, &reader), KOLO_ERR_PROTOCOL,
                          "rank 1 sent decisions that do not decode");
        node_fini(&n);
    }
}

/* ---- noise ------------------------------------------------------------------------------------------------------- */

/* Good messages with a few bytes changed: every answer is fine, as long as memory is sound and nothing else than
 * KOLO_ERR_PROTOCOL comes out. */
static void mutated_messages__never_do_more_than_fail(void **state)
{
    (void)state;
    int refused = 0;
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        kolo_rng rng = {.state = seed};
        node source, n;
        node_init(&source, 9, 10);
        node_init(&n, 1, 10);
        kolo_request *a = node_submit(&source, "alpha", 4), *b = node_submit(&source, "beta", 300);
        kolo_request *own = node_submit(&n, "alpha", 4);
        assert_int_equal(node_flush(&source), 1);
        made_mutate(source.up[0].bytes, source.up[0].size, &rng);
        kolo_status status = node_child_says(&n, 0, source.up[0].bytes, source.up[0].size);
        assert_true(status == KOLO_OK || status == KOLO_ERR_PROTOCOL);
        refused += status != KOLO_OK;
        (void)node_flush(&n);
        kolo_request_release(a);
        kolo_request_release(b);
        kolo_request_release(own);
        node_fini(&source);
        node_fini(&n);
    }
    assert_in_range(refused, 100, 1000);
}

static void mutated_decisions__never_do_more_than_fail(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        kolo_rng rng = {.state = seed};
        node root, n;
        node_init(&root, 0, 2);
        node_init(&n, 1, 2);
        kolo_request *requests[4] = {node_submit(&root, "a", 4), node_submit(&root, "b", 4), node_submit(&n, "a", 4),
                                     node_submit(&n, "b", 5)};
        assert_int_equal(node_flush(&n), 1);
        assert_int_equal(node_child_says(&root, 0, n.up[0].bytes, n.up[0].size), KOLO_OK);
        assert_int_equal(node_flush(&root), 1);
        made_mutate(root.down[0].bytes, root.down[0].size, &rng);
        /* A slot number far away costs memory in proportion; that is the price of trusting the root within its bound. */
        root.down[0].bytes[3] = root.down[0].bytes[4] = 0;
        kolo_reader reader;
        kolo_reader_init(&reader, root.down[0].bytes, root.down[0].size);
        kolo_status status = kolo_negotiation_down(&n.negotiation, &reader);
        assert_true(status == KOLO_OK || status == KOLO_ERR_PROTOCOL);
        node_fini(&root);
        node_fini(&n);
        for (int i = 0; i < 4; i++)
            kolo_request_release(requests[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(child__ready_for_an_unknown_slot),
        cmocka_unit_test(child__reports_twice),
        cmocka_unit_test(child__reports_twice_at_the_root_before_the_decision_is_sent),
        cmocka_unit_test(child__reports_the_next_round_before_this_one_is_decided),
        cmocka_unit_test(child__sends_what_does_not_decode),
        cmocka_unit_test(child__good_entries_before_a_bad_one_do_no_harm),
        cmocka_unit_test(root__decides_about_what_is_unknown),
        cmocka_unit_test(root__assigns_an_impossible_slot),
        cmocka_unit_test(root__decides_twice),
        cmocka_unit_test(root__decides_before_the_report),
        cmocka_unit_test(root__decides_about_what_runs),
        cmocka_unit_test(root__gives_a_taken_slot),
        cmocka_unit_test(parent__sends_what_does_not_decode),
        cmocka_unit_test(mutated_messages__never_do_more_than_fail),
        cmocka_unit_test(mutated_decisions__never_do_more_than_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
