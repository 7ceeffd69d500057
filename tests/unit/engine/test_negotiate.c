/* test_negotiate.c - rounds at one node: how they fill, when they are reported and decided, whom they wait for. */
#include "unit/engine/node.h"

#include <stdio.h>
#include <string.h>

static kolo_up read_only_up(const node_message *message)
{
    kolo_reader reader;
    kolo_up up;
    kolo_reader_init(&reader, message->bytes, message->size);
    assert_true(kolo_up_read(&reader, 1 << 20, &up));
    assert_true(kolo_reader_done(&reader));
    return up;
}

static kolo_down read_only_down(const node_message *message)
{
    kolo_reader reader;
    kolo_down down;
    kolo_reader_init(&reader, message->bytes, message->size);
    assert_true(kolo_down_read(&reader, &down));
    assert_true(kolo_reader_done(&reader));
    return down;
}

/* ---- at the root ------------------------------------------------------------------------------------------------- */

static void root__first_assigns_a_slot_then_names_it(void **state)
{
    (void)state;
    node n;
    node_init(&n, 0, 3);
    kolo_request *request = node_submit(&n, "w", 4);
    assert_int_equal(node_child_describes(&n, 0, "w", 4, 1, 1), KOLO_OK);
    assert_int_equal(node_flush(&n), 0); /* rank 2 is missing */
    assert_int_equal(node_child_describes(&n, 1, "w", 4, 2, 2), KOLO_OK);
    assert_int_equal(n.ran_count, 0);
    assert_int_equal(node_flush(&n), 1);
    kolo_down down = read_only_down(&n.down[0]);
    assert_true(down.kind == KOLO_DOWN_ASSIGN && down.slot == 0);
    assert_string_equal(down.name, "w");
    assert_true(n.ran_count == 1 && n.ran[0] == request);
    node_over(&n, request);

    /* The children may be ahead. */
    assert_int_equal(node_child_ready(&n, 1, 0), KOLO_OK);
    assert_int_equal(node_child_ready(&n, 0, 0), KOLO_OK);
    request = node_submit(&n, "w", 4);
    assert_int_equal(node_flush(&n), 1);
    down = read_only_down(&n.down[1]);
    assert_true(down.kind == KOLO_DOWN_RUN && down.slot == 0);
    assert_true(n.ran_count == 2 && n.ran[1] == request);
    assert_int_equal(node_flush(&n), 0);
    node_over(&n, request);
    node_fini(&n);
}

static void root__gathers_decisions_until_told(void **state)
{
    (void)state;
    node n;
    int sent = -1;
    node_init(&n, 0, 1);
    kolo_request *a = node_submit(&n, "a", 4), *b = node_submit(&n, "b", 4);
    assert_int_equal(kolo_negotiation_flush(&n.negotiation, false, &sent), KOLO_OK);
    assert_true(sent == 0 && n.ran_count == 0);
    assert_int_equal(node_flush(&n), 1);
    assert_true(n.batches == 1 && n.ran_count == 2 && n.ran[0] == a && n.ran[1] == b);
    node_over(&n, a);
    node_over(&n, b);
    node_fini(&n);
}

static void root__disagreement_fails_and_the_name_starts_over(void **state)
{
    (void)state;
    node n;
    node_init(&n, 0, 4);
    kolo_request *request = node_submit(&n, "w", 4);
    assert_int_equal(node_child_describes(&n, 0, "w", 4, 1, 1), KOLO_OK);
    assert_int_equal(node_child_describes(&n, 1, "w", 5, 2, 2), KOLO_OK);
    assert_int_equal(node_child_describes(&n, 2, "w", 4, 3, 3), KOLO_OK);
    assert_int_equal(node_flush(&n), 1);
    assert_int_equal(read_only_down(&n.down[0]).kind, KOLO_DOWN_FAIL);
    assert_ptr_equal(n.failed, request);
    assert_int_equal(n.error.status, KOLO_ERR_MISMATCH);
    assert_string_equal(n.error.ranks, "2");
    assert_string_equal(n.error.tensor, "w");
    assert_string_equal(n.error.operation, "allreduce");
    assert_non_null(strstr(n.error.message,
                           "ranks disagree about 'w': ranks 0-1,3: allreduce sum float32 [4]; rank 2: allreduce sum "
                           "float32 [5]; give it the same operation"));
    kolo_request_release(request);

    request = node_submit(&n, "w", 6);
    for (int32_t child = 0; child < 3; child++)
        assert_int_equal(node_child_describes(&n, child, "w", 6, 1 + child, 1 + child), KOLO_OK);
    assert_int_equal(node_flush(&n), 1);
    assert_int_equal(read_only_down(&n.down[1]).kind, KOLO_DOWN_ASSIGN);
    assert_ptr_equal(n.ran[0], request);
    node_over(&n, request);
    node_fini(&n);
}

/* Brings "w" of 4 elements to slot 0 at the root of 3. */
static void agree(node *n)
{
    kolo_request *request = node_submit(n, "w", 4);
    assert_int_equal(node_child_describes(n, 0, "w", 4, 1, 1), KOLO_OK);
    assert_int_equal(node_child_describes(n, 1, "w", 4, 2, 2), KOLO_OK);
    assert_int_equal(node_flush(n), 1);
    node_over(n, request);
}

static void root__spells_the_slot_out_where_somebody_describes_anew(void **state)
{
    (void)state;
    node n;
    node_init(&n, 0, 3);
    agree(&n);
    kolo_request *request = node_submit(&n, "w", 4);
    assert_int_equal(node_child_ready(&n, 1, 0), KOLO_OK);
    assert_int_equal(node_child_describes(&n, 0, "w", 9, 1, 1), KOLO_OK);
    assert_int_equal(node_flush(&n), 1);
    assert_ptr_equal(n.failed, request);
    assert_non_null(strstr(n.error.message, "ranks 0,2: allreduce sum float32 [4]; rank 1: allreduce sum float32 [9]"));
    kolo_request_release(request);
    node_fini(&n);
}

static void root__changed_description_keeps_the_slot(void **state)
{
    (void)state;
    node n;
    node_init(&n, 0, 3);
    agree(&n);
    kolo_request *request = node_submit(&n, "w", 7);
    assert_int_equal(node_child_describes(&n, 0, "w", 7, 1, 1), KOLO_OK);
    assert_int_equal(node_child_describes(&n, 1, "w", 7, 2, 2), KOLO_OK);
    assert_int_equal(node_flush(&n), 1);
    kolo_down down = read_only_down(&n.down[1]);
    assert_true(down.kind == KOLO_DOWN_ASSIGN && down.slot == 0);
    node_over(&n, request);
    node_fini(&n);
}

static void same_name__queues_and_takes_its_turn(void **state)
{
    (void)state;
    node n;
    kolo_request *requests[3];
    node_init(&n, 0, 1);
    for (int i = 0; i < 3; i++)
        requests[i] = node_submit(&n, "w", 4);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(node_flush(&n), 1);
        assert_int_equal(node_flush(&n), 0); /* the next one waits for this one's end */
        assert_int_equal(n.ran_count, i + 1);
        assert_ptr_equal(n.ran[i], requests[i]);
        node_over(&n, requests[i]);
    }
    node_fini(&n);
}

/* ---- below the root ---------------------------------------------------------------------------------------------- */

static void leaf__describes_then_names_the_slot(void **state)
{
    (void)state;
    node n;
    node_init(&n, 1, 2);
    kolo_request *request = node_submit(&n, "w", 4);
    assert_int_equal(node_flush(&n), 1);
    kolo_up up = read_only_up(&n.up[0]);
    assert_true(up.kind == KOLO_UP_DESCRIBE && up.variant_count == 1 && kolo_ranks_contains(&up.variants[0].ranks, 1));
    kolo_up_fini(&up);
    kolo_down assign = {.kind = KOLO_DOWN_ASSIGN, .slot = 41, .name = "w"};
    assert_int_equal(node_root_decides(&n, &assign, 1), KOLO_OK);
    assert_ptr_equal(n.ran[0], request);
    node_over(&n, request);
    request = node_submit(&n, "w", 4);
    assert_int_equal(node_flush(&n), 1);
    up = read_only_up(&n.up[1]);
    assert_true(up.kind == KOLO_UP_READY && up.slot == 41);
    kolo_up_fini(&up);
    kolo_request_release(request);
    node_fini(&n);
}

static void inner__reports_once_all_below_are_there_and_passes_decisions_on(void **state)
{
    (void)state;
    node n;
    node_init(&n, 1, 11); /* children: 9, 10 */
    assert_int_equal(node_child_describes(&n, 0, "w", 4, 9, 9), KOLO_OK);
    kolo_request *request = node_submit(&n, "w", 4);
    assert_int_equal(node_flush(&n), 0);
    assert_int_equal(node_child_describes(&n, 1, "w", 5, 10, 10), KOLO_OK);
    assert_int_equal(node_flush(&n), 1);
    kolo_up up = read_only_up(&n.up[0]);
    assert_true(up.kind == KOLO_UP_DESCRIBE && up.variant_count == 2);
    assert_true(kolo_ranks_contains(&up.variants[0].ranks, 1) && kolo_ranks_contains(&up.variants[0].ranks, 9));
    assert_true(kolo_ranks_contains(&up.variants[1].ranks, 10));
    kolo_up_fini(&up);
    kolo_down fail = {.kind = KOLO_DOWN_FAIL, .name = "w", .ranks = "10", .text = "rank 10 differs"};
    assert_int_equal(node_root_decides(&n, &fail, 1), KOLO_OK);
    assert_ptr_equal(n.failed, request);
    assert_non_null(strstr(n.error.message, "rank 10 differs"));
    kolo_down passed = read_only_down(&n.down[0]);
    assert_string_equal(passed.text, "rank 10 differs");
    kolo_request_release(request);
    node_fini(&n);
}

static void request__over_within_the_batch_makes_room_for_the_next(void **state)
{
    (void)state;
    node n;
    node_init(&n, 0, 1);
    n.finish_at_once = true;
    kolo_request *first = node_submit(&n, "w", 4), *second = node_submit(&n, "w", 4);
    assert_int_equal(node_flush(&n), 1);
    assert_int_equal(n.ran_count, 1); /* its successor stays for the next flush */
    assert_int_equal(node_flush(&n), 1);
    assert_int_equal(n.ran_count, 2);
    assert_int_equal(node_flush(&n), 0);
    kolo_request_release(first);
    kolo_request_release(second);
    node_fini(&n);
}

static void send__that_fails_is_passed_up(void **state)
{
    (void)state;
    int sent;
    for (int32_t rank = 0; rank < 2; rank++) {
        node n;
        node_init(&n, rank, 2);
        kolo_request *request = node_submit(&n, "w", 4);
        if (rank == 0)
            assert_int_equal(node_child_describes(&n, 0, "w", 4, 1, 1), KOLO_OK);
        n.send_answer = KOLO_ERR_TRANSPORT;
        assert_int_equal(kolo_negotiation_flush(&n.negotiation, true, &sent), KOLO_ERR_TRANSPORT);
        assert_int_equal(n.ran_count, 0);
        kolo_request_release(request);
        node_fini(&n);
    }
}

/* ---- who is missing ---------------------------------------------------------------------------------------------- */

static void missing__sure_unsure_nobody(void **state)
{
    (void)state;
    char ranks[KOLO_MISSING_BYTES];
    node n;
    node_init(&n, 0, 12); /* children 1 .. 8; 9 .. 11 are below 1 */
    kolo_request *request = node_submit(&n, "w", 4);
    assert_int_equal(kolo_negotiation_missing(&n.negotiation, request, ranks), KOLO_MISSING_UNSURE);
    assert_string_equal(ranks, "1-8 (or those below in the tree)");
    assert_int_equal(node_child_describes(&n, 0, "w", 4, 1, 1), KOLO_OK);
    assert_int_equal(node_child_describes(&n, 3, "w", 4, 4, 4), KOLO_OK);
    assert_int_equal(kolo_negotiation_missing(&n.negotiation, request, ranks), KOLO_MISSING_SURE);
    assert_string_equal(ranks, "2-3,5-8");
    for (int32_t child = 1; child < 8; child++)
        if (child != 3)
            assert_int_equal(node_child_describes(&n, child, "w", 4, child + 1, child + 1), KOLO_OK);
    assert_int_equal(kolo_negotiation_missing(&n.negotiation, request, ranks), KOLO_MISSING_NOBODY);
    assert_int_equal(node_flush(&n), 1);
    assert_int_equal(kolo_negotiation_missing(&n.negotiation, request, ranks), KOLO_MISSING_NOBODY);
    node_over(&n, request);
    node_fini(&n);
}

/* As many bits as a word has: nobody is forgotten, and nobody counts twice. */
static void root__of_the_largest_flat_tree_waits_for_the_last_rank(void **state)
{
    (void)state;
    char ranks[KOLO_MISSING_BYTES];
    node n;
    node_init_in(&n, kolo_tree_of(KOLO_TREE_FLAT_RANKS, true), 0);
    kolo_request *request = node_submit(&n, "w", 4);
    for (int32_t rank = 1; rank < KOLO_TREE_FLAT_RANKS; rank++) {
        int32_t last = KOLO_TREE_FLAT_RANKS - 1;
        char expected[KOLO_MISSING_BYTES];
        snprintf(expected, sizeof(expected), rank < last ? "%d-%d" : "%d", rank, last);
        assert_int_equal(kolo_negotiation_missing(&n.negotiation, request, ranks), KOLO_MISSING_SURE);
        assert_string_equal(ranks, expected);
        assert_int_equal(node_flush(&n), 0);
        assert_int_equal(node_child_describes(&n, rank - 1, "w", 4, rank, rank), KOLO_OK);
        assert_int_equal(node_child_describes(&n, rank - 1, "w", 4, rank, rank), KOLO_ERR_PROTOCOL);
    }
    assert_int_equal(node_flush(&n), 1);
    assert_true(n.ran_count == 1 && n.ran[0] == request);
    node_over(&n, request);
    node_fini(&n);
}

static void question__goes_up_until_somebody_knows(void **state)
{
    (void)state;
    node leaf, inner, root;
    node_init(&leaf, 9, 10);
    node_init(&inner, 1, 10); /* child: 9 */
    node_init(&root, 0, 10);
    kolo_request *of_leaf = node_submit(&leaf, "w", 4);
    (void)node_flush(&leaf);
    assert_int_equal(kolo_negotiation_ask(&leaf.negotiation, "w"), KOLO_OK);
    (void)node_flush(&leaf);
    assert_int_equal(read_only_up(&leaf.up[1]).kind, KOLO_UP_EXPIRED);
    /* Not submitted here: this rank is the late one, and knows it. */
    assert_int_equal(node_child_says(&inner, 0, leaf.up[0].bytes, leaf.up[0].size), KOLO_OK);
    assert_int_equal(node_child_says(&inner, 0, leaf.up[1].bytes, leaf.up[1].size), KOLO_OK);
    assert_string_equal(inner.expired_name, "w");
    assert_string_equal(inner.expired_ranks, "1");
    /* Submitted meanwhile: the question goes on, and the root knows who else is missing. */
    kolo_request *of_inner = node_submit(&inner, "w", 4);
    assert_int_equal(node_child_says(&inner, 0, leaf.up[1].bytes, leaf.up[1].size), KOLO_OK);
    assert_int_equal(node_flush(&inner), 1);
    kolo_request *of_root = node_submit(&root, "w", 4);
    for (int32_t child = 2; child < 8; child++)
        assert_int_equal(node_child_describes(&root, child, "w", 4, child + 1, child + 1), KOLO_OK);
    assert_int_equal(node_child_says(&root, 0, inner.up[0].bytes, inner.up[0].size), KOLO_OK);
    assert_string_equal(root.expired_ranks, "2");
    /* Nobody asks about what was never submitted. */
    assert_int_equal(kolo_negotiation_ask(&leaf.negotiation, "unknown"), KOLO_OK);
    assert_int_equal(node_flush(&leaf), 0);
    kolo_request_release(of_leaf);
    kolo_request_release(of_inner);
    kolo_request_release(of_root);
    node_fini(&leaf);
    node_fini(&inner);
    node_fini(&root);
}

static void question__about_what_is_decided_is_dropped(void **state)
{
    (void)state;
    node n;
    node_init(&n, 0, 2);
    assert_int_equal(node_child_asks(&n, 0, "unknown"), KOLO_OK);
    kolo_request *request = node_submit(&n, "w", 4);
    assert_int_equal(node_child_describes(&n, 0, "w", 4, 1, 1), KOLO_OK);
    assert_int_equal(node_child_asks(&n, 0, "w"), KOLO_OK); /* complete */
    (void)node_flush(&n);
    assert_int_equal(node_child_asks(&n, 0, "w"), KOLO_OK); /* running */
    assert_string_equal(n.expired_name, "");
    node_over(&n, request);
    node_fini(&n);
}

static void count_stall(void *user, const kolo_entry *entry, const char *ranks)
{
    char *text = user;
    snprintf(text + strlen(text), 64 - strlen(text), "%s lacks %s;", entry->name, ranks);
}

static void stall__is_told_once_a_round(void **state)
{
    (void)state;
    char text[64] = "";
    node n;
    node_init(&n, 0, 3);
    assert_true(kolo_negotiation_stalls(&n.negotiation, 1000, count_stall, text) == INT64_MAX);
    n.negotiation.now_ns = 500;
    kolo_request *request = node_submit(&n, "w", 4);
    assert_int_equal(node_child_describes(&n, 0, "w", 4, 1, 1), KOLO_OK);
    n.negotiation.now_ns = 800;
    assert_int_equal(kolo_negotiation_stalls(&n.negotiation, 499, count_stall, text), 500);
    assert_string_equal(text, ""); /* not long enough */
    assert_int_equal(kolo_negotiation_stalls(&n.negotiation, 500, count_stall, text), 800);
    assert_int_equal(kolo_negotiation_stalls(&n.negotiation, 700, count_stall, text), 800);
    assert_string_equal(text, "w lacks 2;");
    assert_int_equal(node_child_describes(&n, 1, "w", 4, 2, 2), KOLO_OK);
    assert_true(kolo_negotiation_stalls(&n.negotiation, 700, count_stall, text) == INT64_MAX);
    (void)node_flush(&n);
    node_over(&n, request);
    n.negotiation.now_ns = 1000;
    assert_int_equal(node_child_ready(&n, 1, 0), KOLO_OK);
    assert_int_equal(kolo_negotiation_stalls(&n.negotiation, 1000, count_stall, text), 1000);
    assert_string_equal(text, "w lacks 2;w lacks 0-1;");
    node_fini(&n);
}

/* Rank 0 waits in "v" for 1 and 2, who wait in "w" for 0. */
static void crossing__is_found_where_it_is_known(void **state)
{
    (void)state;
    kolo_crossing other;
    node n;
    node_init(&n, 0, 3);
    assert_false(kolo_negotiation_crossed(&n.negotiation, "w", &other));
    assert_int_equal(node_child_describes(&n, 0, "w", 4, 1, 1), KOLO_OK);
    assert_int_equal(node_child_describes(&n, 1, "w", 4, 2, 2), KOLO_OK);
    assert_false(kolo_negotiation_crossed(&n.negotiation, "w", &other)); /* rank 0 is busy elsewhere */
    assert_int_equal(node_child_describes(&n, 1, "u", 4, 2, 2), KOLO_OK);
    assert_false(kolo_negotiation_crossed(&n.negotiation, "w", &other)); /* what waits for rank 0, too */
    kolo_request *request = node_submit(&n, "v", 4);
    assert_true(kolo_negotiation_crossed(&n.negotiation, "w", &other));
    assert_string_equal(other.name, "v");
    assert_string_equal(other.waiting, "0");
    assert_string_equal(other.missing, "1-2");
    kolo_request_release(request);
    node_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root__first_assigns_a_slot_then_names_it),
        cmocka_unit_test(root__gathers_decisions_until_told),
        cmocka_unit_test(root__disagreement_fails_and_the_name_starts_over),
        cmocka_unit_test(root__spells_the_slot_out_where_somebody_describes_anew),
        cmocka_unit_test(root__changed_description_keeps_the_slot),
        cmocka_unit_test(same_name__queues_and_takes_its_turn),
        cmocka_unit_test(leaf__describes_then_names_the_slot),
        cmocka_unit_test(inner__reports_once_all_below_are_there_and_passes_decisions_on),
        cmocka_unit_test(request__over_within_the_batch_makes_room_for_the_next),
        cmocka_unit_test(send__that_fails_is_passed_up),
        cmocka_unit_test(missing__sure_unsure_nobody),
        cmocka_unit_test(root__of_the_largest_flat_tree_waits_for_the_last_rank),
        cmocka_unit_test(question__goes_up_until_somebody_knows),
        cmocka_unit_test(question__about_what_is_decided_is_dropped),
        cmocka_unit_test(stall__is_told_once_a_round),
        cmocka_unit_test(crossing__is_found_where_it_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
