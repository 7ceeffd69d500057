/* test_negotiate_bounds.c - the longest names, the largest descriptions, and messages that are split where they would not fit. */
#include "unit/engine/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 2000 };

/* Distinct, of exactly KOLO_NAME_MAX bytes. */
static void long_name(char name[KOLO_NAME_MAX + 1], int index)
{
    memset(name, 'n', KOLO_NAME_MAX);
    name[KOLO_NAME_MAX] = '\0';
    int n = snprintf(name, KOLO_NAME_MAX, "%d", index);
    name[n] = '-';
}

static void reports__are_split_at_the_bound_and_lose_nothing(void **state)
{
    (void)state;
    static kolo_request *requests[MANY];
    char name[KOLO_NAME_MAX + 1];
    node n;
    node_init(&n, 1, 2);
    for (int i = 0; i < MANY; i++) {
        long_name(name, i);
        requests[i] = node_submit(&n, name, i);
    }
    (void)node_flush(&n);
    assert_in_range(n.up_count, MANY * 290 / KOLO_CONTROL_BODY_BYTES, NODE_MESSAGES);
    int seen = 0;
    for (size_t m = 0; m < n.up_count; m++) {
        kolo_reader reader;
        kolo_reader_init(&reader, n.up[m].bytes, n.up[m].size);
        for (; reader.offset < reader.size; seen++) {
            kolo_up up;
            assert_true(kolo_up_read(&reader, 2, &up));
            long_name(name, seen);
            assert_string_equal(up.name, name);
            assert_int_equal(up.variants[0].description_size, requests[seen]->description_size);
            assert_memory_equal(up.variants[0].description, requests[seen]->description,
                                requests[seen]->description_size);
            kolo_up_fini(&up);
        }
        /* Full but for one more entry. */
        assert_true(m + 1 == n.up_count || n.up[m].size + 400 > KOLO_CONTROL_BODY_BYTES);
    }
    assert_int_equal(seen, MANY);
    for (int i = 0; i < MANY; i++)
        kolo_request_release(requests[i]);
    node_fini(&n);
}

static void decisions__are_split_at_the_bound_and_run_in_order(void **state)
{
    (void)state;
    static kolo_request *requests[MANY];
    char name[KOLO_NAME_MAX + 1];
    node n, child;
    node_init(&n, 0, 2);
    node_init(&child, 1, 2);
    for (int i = 0; i < MANY; i++) {
        long_name(name, i);
        requests[i] = node_submit(&n, name, 4);
        kolo_request_release(node_submit(&child, name, 4));
        kolo_entry *entry = kolo_registry_find(&child.negotiation.registry, name);
        entry->head = entry->tail = NULL; /* only its report is of interest */
    }
    (void)node_flush(&child);
    for (size_t m = 0; m < child.up_count; m++)
        assert_int_equal(node_child_says(&n, 0, child.up[m].bytes, child.up[m].size), KOLO_OK);
    int sent = node_flush(&n);
    assert_in_range(sent, MANY * 260 / KOLO_CONTROL_BODY_BYTES, NODE_MESSAGES);
    assert_int_equal(n.down_count, sent);
    assert_int_equal(n.batches, sent);
    assert_int_equal(n.ran_count, MANY);
    uint32_t slot = 0;
    for (size_t m = 0; m < n.down_count; m++) {
        kolo_reader reader;
        kolo_down down;
        kolo_reader_init(&reader, n.down[m].bytes, n.down[m].size);
        for (; reader.offset < reader.size; slot++) {
            assert_true(kolo_down_read(&reader, &down));
            assert_int_equal(down.slot, slot); /* also across messages */
            assert_ptr_equal(n.ran[slot], requests[slot]);
        }
    }
    assert_int_equal(slot, MANY);
    for (int i = 0; i < MANY; i++)
        node_over(&n, requests[i]);
    node_fini(&n);
    node_fini(&child);
}

static void round__that_ends_while_its_batch_is_split_is_kept_for_the_next_flush(void **state)
{
    (void)state;
    static kolo_request *requests[2][MANY];
    char name[KOLO_NAME_MAX + 1];
    node n;
    node_init(&n, 0, 1);
    n.finish_at_once = true;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < MANY; i++) {
            long_name(name, i);
            requests[round][i] = node_submit(&n, name, 4);
        }
    (void)node_flush(&n);
    assert_int_equal(n.ran_count, MANY);
    (void)node_flush(&n);
    assert_int_equal(n.ran_count, 2 * MANY);
    assert_int_equal(node_flush(&n), 0);
    for (int i = 0; i < 2 * MANY; i++) {
        assert_ptr_equal(n.ran[i], requests[i / MANY][i % MANY]);
        kolo_request_release(n.ran[i]);
    }
    node_fini(&n);
}

/* Four ranks, four descriptions of 4,096 tensors each: the largest entry there is must fit in one message. */
static void largest_disagreement__fits_and_is_explained(void **state)
{
    (void)state;
    char name[KOLO_NAME_MAX + 1];
    long_name(name, 7);
    kolo_request *own[4];
    node inner, root;
    node_init(&inner, 1, 12); /* children: 9, 10, 11 */
    node_init(&root, 0, 12);
    for (int i = 0; i < 4; i++)
        own[i] = made_group(name, KOLO_PIECES_MAX, 500000 + i);
    assert_int_equal(kolo_negotiation_submit(&inner.negotiation, own[0]), KOLO_OK);
    for (int32_t child = 0; child < 3; child++) {
        node leaf;
        node_init(&leaf, 9 + child, 12);
        assert_int_equal(kolo_negotiation_submit(&leaf.negotiation, own[1 + child]), KOLO_OK);
        assert_int_equal(node_flush(&leaf), 1);
        assert_int_equal(node_child_says(&inner, child, leaf.up[0].bytes, leaf.up[0].size), KOLO_OK);
        node_fini(&leaf);
    }
    assert_int_equal(node_flush(&inner), 1);
    assert_in_range(inner.up[0].size, 4 * 4 * KOLO_PIECES_MAX, KOLO_CONTROL_BODY_BYTES);
    kolo_request *of_root = node_submit(&root, name, 4);
    for (int32_t child = 1; child < 8; child++)
        assert_int_equal(node_child_describes(&root, child, name, 4, child + 1, child + 1), KOLO_OK);
    assert_int_equal(node_child_says(&root, 0, inner.up[0].bytes, inner.up[0].size), KOLO_OK);
    assert_int_equal(node_flush(&root), 1);
    assert_ptr_equal(root.failed, of_root);
    /* Five descriptions, four are told. */
    assert_non_null(strstr(
        root.error.message,
        "ranks 0,2-8: allreduce sum float32 [4]; rank 1: allreduce sum of 4096 tensors, tensor 0: float32 [500000]"));
    assert_non_null(strstr(root.error.message, "or each by itself everywhere"));
    kolo_request_release(of_root);
    for (int i = 0; i < 4; i++)
        kolo_request_release(own[i]);
    node_fini(&inner);
    node_fini(&root);
}

/* More ranges of ranks than an entry tells: the report stays readable, and the disagreement stands. */
static void scattered_ranks__are_cut_in_the_report(void **state)
{
    (void)state;
    enum { RANGES = 60 };
    uint8_t *bytes = malloc(4096);
    assert_non_null(bytes);
    kolo_writer writer;
    kolo_request *request = made_request(&(made_options){.count = 4});
    kolo_variant variant = {.description = request->description, .description_size = request->description_size};
    kolo_ranks_init(&variant.ranks);
    for (int32_t i = 0; i < RANGES; i++)
        assert_true(kolo_ranks_add(&variant.ranks, 2 * i, 2 * i));
    kolo_writer_init(&writer, bytes, 4096);
    kolo_up_write_describe(&writer, "w", false, &variant, 1);
    kolo_reader reader;
    kolo_up up;
    kolo_reader_init(&reader, bytes, writer.size);
    assert_true(kolo_up_read(&reader, 2 * RANGES, &up));
    assert_int_equal(up.variants[0].ranks.count, KOLO_VARIANT_RANGES_MAX);
    kolo_up_fini(&up);
    kolo_ranks_fini(&variant.ranks);
    kolo_request_release(request);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports__are_split_at_the_bound_and_lose_nothing),
        cmocka_unit_test(decisions__are_split_at_the_bound_and_run_in_order),
        cmocka_unit_test(round__that_ends_while_its_batch_is_split_is_kept_for_the_next_flush),
        cmocka_unit_test(largest_disagreement__fits_and_is_explained),
        cmocka_unit_test(scattered_ranks__are_cut_in_the_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
