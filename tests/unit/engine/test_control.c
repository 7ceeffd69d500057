/* test_control.c - messages that overtake each other come out in order, once; those that cannot be right are refused. */
#include "unit/engine/made.h"

#include "engine/control.h"

#include <stdlib.h>
#include <string.h>

enum { SIZE = 9, MESSAGES = 5, EARLY_MAX = 1024 };

/* ---- a transport that keeps what it is given --------------------------------------------------------------------- */

static struct {
    int32_t peer;
    size_t size;
    uint8_t bytes[64];
    kolo_status answer;
} outbox;

static kolo_status keep_message(kolo_transport *transport, int32_t peer, const void *bytes, size_t size)
{
    (void)transport;
    if (outbox.answer != KOLO_OK)
        return outbox.answer;
    outbox.peer = peer;
    outbox.size = size;
    memcpy(outbox.bytes, bytes, size < sizeof(outbox.bytes) ? size : sizeof(outbox.bytes));
    return KOLO_OK;
}

static const kolo_transport_ops fake_ops = {.send_control = keep_message};

/* ---- what comes out ---------------------------------------------------------------------------------------------- */

static struct {
    int count;
    uint8_t values[16];
    kolo_message_type type;
    kolo_status answer;
} inbox;

static kolo_status take(void *user, int32_t index, kolo_message_type type, kolo_reader *body)
{
    assert_ptr_equal(user, &inbox);
    assert_int_equal(index, 0);
    inbox.type = type;
    uint8_t value = kolo_read_u8(body);
    assert_true(kolo_reader_done(body));
    if (inbox.count < 16)
        inbox.values[inbox.count] = value;
    inbox.count++;
    return inbox.answer;
}

static void start(kolo_control *control, int32_t rank)
{
    assert_int_equal(kolo_control_init(control, kolo_tree_of(SIZE, false), rank), KOLO_OK);
    control->ops = &fake_ops;
    memset(&inbox, 0, sizeof(inbox));
    memset(&outbox, 0, sizeof(outbox));
}

static kolo_status give(kolo_control *control, uint32_t sequence, uint8_t value)
{
    kolo_writer writer;
    uint8_t *bytes = malloc(KOLO_MESSAGE_HEADER_BYTES + 1);
    assert_non_null(bytes);
    kolo_writer_init(&writer, bytes, KOLO_MESSAGE_HEADER_BYTES + 1);
    kolo_message_write_header(&writer, KOLO_MESSAGE_UP, sequence);
    kolo_write_u8(&writer, value);
    kolo_status status = kolo_control_receive(control, 0, bytes, writer.size, take, &inbox);
    free(bytes);
    return status;
}

/* ---- receiving --------------------------------------------------------------------------------------------------- */

/* Gives message order[i] as number first + order[i]. */
static void check_order(const uint8_t order[MESSAGES], uint32_t first)
{
    kolo_control control;
    start(&control, 0);
    control.neighbours[0].next_in = first;
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(give(&control, first + order[i], order[i]), KOLO_OK);
    assert_int_equal(inbox.count, MESSAGES);
    for (uint8_t i = 0; i < MESSAGES; i++)
        assert_int_equal(inbox.values[i], i);
    assert_int_equal(control.neighbours[0].early_count, 0);
    assert_true(control.neighbours[0].next_in == first + MESSAGES);
    kolo_control_fini(&control);
}

static int permute(uint8_t order[MESSAGES], int fixed, uint32_t first)
{
    if (fixed == MESSAGES) {
        check_order(order, first);
        return 1;
    }
    int count = 0;
    for (int i = fixed; i < MESSAGES; i++) {
        uint8_t swap = order[fixed];
        order[fixed] = order[i];
        order[i] = swap;
        count += permute(order, fixed + 1, first);
        order[i] = order[fixed];
        order[fixed] = swap;
    }
    return count;
}

static void every_permutation__comes_out_in_order(void **state)
{
    (void)state;
    uint8_t order[MESSAGES] = {0, 1, 2, 3, 4};
    assert_int_equal(permute(order, 0, 0), 120);
}

static void sequence__wraps_at_2_to_the_32(void **state)
{
    (void)state;
    for (uint32_t back = 0; back <= MESSAGES; back++) {
        uint8_t order[MESSAGES] = {0, 1, 2, 3, 4};
        assert_int_equal(permute(order, 0, 0u - back), 120);
    }
}

static void same_number_twice__is_refused(void **state)
{
    (void)state;
    kolo_control control;
    start(&control, 0);
    assert_int_equal(give(&control, 0, 0), KOLO_OK);
    made_expect_error(give(&control, 0, 0), KOLO_ERR_PROTOCOL, "rank 1 sent message 0 twice");
    assert_int_equal(give(&control, 5, 5), KOLO_OK); /* waits */
    assert_int_equal(give(&control, 3, 3), KOLO_OK);
    made_expect_error(give(&control, 5, 5), KOLO_ERR_PROTOCOL, "rank 1 sent message 5 twice");
    made_expect_error(give(&control, 3, 3), KOLO_ERR_PROTOCOL, "rank 1 sent message 3 twice");
    made_expect_error(give(&control, UINT32_MAX, 3), KOLO_ERR_PROTOCOL, "rank 1 sent message 4294967295 twice");
    assert_int_equal(inbox.count, 1);
    kolo_control_fini(&control); /* and what waited is freed */
}

static void too_many_ahead__are_refused(void **state)
{
    (void)state;
    kolo_control control;
    start(&control, 0);
    for (uint32_t i = 1; i <= EARLY_MAX; i++)
        assert_int_equal(give(&control, i, (uint8_t)i), KOLO_OK);
    made_expect_error(give(&control, EARLY_MAX + 1, 0), KOLO_ERR_PROTOCOL,
                      "rank 1 sent 1024 messages ahead of number 0");
    assert_int_equal(inbox.count, 0);
    assert_int_equal(give(&control, 0, 0), KOLO_OK);
    assert_int_equal(inbox.count, EARLY_MAX + 1);
    kolo_control_fini(&control);
}

static void handler__that_fails_stops_the_rest(void **state)
{
    (void)state;
    kolo_control control;
    start(&control, 0);
    assert_int_equal(give(&control, 1, 1), KOLO_OK);
    assert_int_equal(give(&control, 2, 2), KOLO_OK);
    inbox.answer = KOLO_ERR_PEER;
    assert_int_equal(give(&control, 0, 0), KOLO_ERR_PEER);
    assert_int_equal(inbox.count, 1);
    inbox.answer = KOLO_OK;
    kolo_control_fini(&control);
}

static void malformed__names_the_sender(void **state)
{
    (void)state;
    kolo_control control;
    start(&control, 0);
    for (size_t size = 0; size < KOLO_MESSAGE_HEADER_BYTES; size++) {
        uint8_t *cut = made_copy("\x4b\1\1\0\0\0\0\0", size);
        made_expect_error(kolo_control_receive(&control, 4, cut, size, take, &inbox), KOLO_ERR_PROTOCOL,
                          "rank 5 sent a control message that does not decode");
        free(cut);
    }
    made_expect_error(kolo_control_receive(&control, 0, "\x4b\2\1\0\0\0\0\0", 8, take, &inbox), KOLO_ERR_PROTOCOL,
                      "another version of Kolo?");
    assert_int_equal(inbox.count, 0);
    kolo_control_fini(&control);
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static void send__numbers_each_neighbour_on_its_own(void **state)
{
    (void)state;
    kolo_control control;
    start(&control, 0);
    for (uint32_t i = 0; i < 3; i++)
        for (int32_t index = 0; index < control.count; index++) {
            assert_int_equal(kolo_control_send(&control, index, KOLO_MESSAGE_DOWN, "x", 1), KOLO_OK);
            kolo_reader reader;
            kolo_message_header header;
            kolo_reader_init(&reader, outbox.bytes, outbox.size);
            assert_true(kolo_message_read_header(&reader, &header));
            assert_int_equal(outbox.peer, control.neighbours[index].rank);
            assert_int_equal(header.sequence, i);
            assert_int_equal(header.type, KOLO_MESSAGE_DOWN);
            assert_int_equal(kolo_read_u8(&reader), 'x');
            assert_true(kolo_reader_done(&reader));
        }
    assert_int_equal(control.sent, 3 * (SIZE - 1));
    kolo_control_fini(&control);
}

static void send__that_fails_uses_no_number(void **state)
{
    (void)state;
    kolo_control control;
    start(&control, 0);
    outbox.answer = KOLO_ERR_TRANSPORT;
    assert_int_equal(kolo_control_send(&control, 0, KOLO_MESSAGE_DOWN, "x", 1), KOLO_ERR_TRANSPORT);
    outbox.answer = KOLO_OK;
    assert_int_equal(control.neighbours[0].next_out, 0);
    assert_int_equal(control.sent, 0);
    kolo_control_fini(&control);
}

static void send__largest_body_and_one_more(void **state)
{
    (void)state;
    kolo_control control;
    start(&control, 0);
    uint8_t *body = calloc(1, KOLO_CONTROL_BODY_BYTES + 1);
    assert_non_null(body);
    assert_int_equal(kolo_control_send(&control, 0, KOLO_MESSAGE_UP, body, KOLO_CONTROL_BODY_BYTES), KOLO_OK);
    assert_int_equal(outbox.size, KOLO_CONTROL_BYTES);
    made_expect_error(kolo_control_send(&control, 0, KOLO_MESSAGE_UP, body, KOLO_CONTROL_BODY_BYTES + 1),
                      KOLO_ERR_INTERNAL, "too long");
    free(body);
    kolo_control_fini(&control);
}

static void neighbours__are_the_parent_and_the_children(void **state)
{
    (void)state;
    kolo_control control;
    assert_int_equal(kolo_control_init(&control, kolo_tree_of(20, false), 1), KOLO_OK);
    assert_int_equal(control.count, 9);
    assert_int_equal(control.first_child, 1);
    assert_int_equal(kolo_control_index(&control, 0), 0);
    for (int32_t i = 0; i < 8; i++)
        assert_int_equal(kolo_control_index(&control, 9 + i), 1 + i);
    assert_int_equal(kolo_control_index(&control, 1), -1);
    assert_int_equal(kolo_control_index(&control, 17), -1);
    kolo_control_fini(&control);
    assert_int_equal(kolo_control_init(&control, kolo_tree_of(1, false), 0), KOLO_OK);
    assert_int_equal(control.count, 0);
    assert_int_equal(kolo_control_index(&control, 1), -1);
    kolo_control_fini(&control);
    for (int32_t rank = 0; rank < KOLO_TREE_FLAT_RANKS; rank += 21) {
        assert_int_equal(kolo_control_init(&control, kolo_tree_of(KOLO_TREE_FLAT_RANKS, true), rank), KOLO_OK);
        for (int32_t other = -1; other <= KOLO_TREE_FLAT_RANKS; other++) {
            bool is_near = other >= 0 && other < KOLO_TREE_FLAT_RANKS && other != rank && (other == 0 || rank == 0);
            int32_t index = kolo_control_index(&control, other);
            assert_int_equal(index >= 0, is_near);
            assert_true(!is_near || control.neighbours[index].rank == other);
        }
        kolo_control_fini(&control);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_permutation__comes_out_in_order),
        cmocka_unit_test(sequence__wraps_at_2_to_the_32),
        cmocka_unit_test(same_number_twice__is_refused),
        cmocka_unit_test(too_many_ahead__are_refused),
        cmocka_unit_test(handler__that_fails_stops_the_rest),
        cmocka_unit_test(malformed__names_the_sender),
        cmocka_unit_test(send__numbers_each_neighbour_on_its_own),
        cmocka_unit_test(send__that_fails_uses_no_number),
        cmocka_unit_test(send__largest_body_and_one_more),
        cmocka_unit_test(neighbours__are_the_parent_and_the_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
