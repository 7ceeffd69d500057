/* test_message.c - control messages: round trips, bounds, and bytes that nobody vouches for. */
#include "unit/engine/made.h"

#include "engine/message.h"

#include <stdlib.h>
#include <string.h>

enum { SIZE = 20, MUTATIONS = 20000 };

typedef struct bytes {
    uint8_t data[4096];
    kolo_writer writer;
} bytes;

static void begin(bytes *b)
{
    kolo_writer_init(&b->writer, b->data, sizeof(b->data));
}

static const uint8_t *description(size_t *size)
{
    static kolo_request *request;
    static uint8_t copy[64];
    if (request == NULL) {
        request = made_request(&(made_options){.count = 300});
        memcpy(copy, request->description, request->description_size);
    }
    *size = request->description_size;
    return copy;
}

static void add_variant(kolo_variant *variant, int32_t first, int32_t last)
{
    size_t size;
    const uint8_t *view = description(&size);
    variant->description = (uint8_t *)(uintptr_t)view;
    variant->description_size = size;
    kolo_ranks_init(&variant->ranks);
    assert_true(kolo_ranks_add(&variant->ranks, first, last));
}

static void write_up(bytes *b, size_t variants)
{
    kolo_variant list[KOLO_VARIANTS_MAX] = {0};
    for (size_t i = 0; i < variants; i++)
        add_variant(&list[i], (int32_t)(4 * i), (int32_t)(4 * i + 2));
    kolo_up_write_describe(&b->writer, "layer.weight", true, list, variants);
    for (size_t i = 0; i < variants; i++)
        kolo_ranks_fini(&list[i].ranks);
}

/* ---- header ------------------------------------------------------------------------------------------------------ */

static void header__round_trip_and_every_wrong_byte(void **state)
{
    (void)state;
    bytes b;
    begin(&b);
    kolo_message_write_header(&b.writer, KOLO_MESSAGE_DOWN, 0xfedcba98u);
    assert_int_equal(b.writer.size, KOLO_MESSAGE_HEADER_BYTES);
    kolo_reader reader;
    kolo_message_header header;
    kolo_reader_init(&reader, b.data, b.writer.size);
    assert_true(kolo_message_read_header(&reader, &header));
    assert_int_equal(header.type, KOLO_MESSAGE_DOWN);
    assert_int_equal(header.sequence, 0xfedcba98u);
    for (size_t at = 0; at < 4; at++)
        for (unsigned value = 0; value < 256; value++) {
            uint8_t saved = b.data[at];
            b.data[at] = (uint8_t)value;
            kolo_reader_init(&reader, b.data, b.writer.size);
            bool fine = value == saved || (at == 2 && value >= KOLO_MESSAGE_UP && value <= KOLO_MESSAGE_ABORT);
            assert_int_equal(kolo_message_read_header(&reader, &header), fine);
            b.data[at] = saved;
        }
    for (size_t size = 0; size < KOLO_MESSAGE_HEADER_BYTES; size++) {
        kolo_reader_init(&reader, b.data, size);
        assert_false(kolo_message_read_header(&reader, &header));
    }
}

/* ---- UP ---------------------------------------------------------------------------------------------------------- */

static void up__round_trip(void **state)
{
    (void)state;
    bytes b;
    begin(&b);
    kolo_up_write_ready(&b.writer, 0x01020304);
    write_up(&b, KOLO_VARIANTS_MAX);
    kolo_up_write_expired(&b.writer, "late");
    kolo_reader reader;
    kolo_reader_init(&reader, b.data, b.writer.size);
    kolo_up up;
    assert_true(kolo_up_read(&reader, SIZE, &up));
    assert_int_equal(up.kind, KOLO_UP_READY);
    assert_int_equal(up.slot, 0x01020304);
    kolo_up_fini(&up);
    assert_true(kolo_up_read(&reader, SIZE, &up));
    assert_int_equal(up.kind, KOLO_UP_DESCRIBE);
    assert_string_equal(up.name, "layer.weight");
    assert_true(up.has_private);
    assert_int_equal(up.variant_count, KOLO_VARIANTS_MAX);
    for (int32_t i = 0; i < KOLO_VARIANTS_MAX; i++) {
        size_t size;
        const uint8_t *view = description(&size);
        assert_int_equal(up.variants[i].description_size, size);
        assert_memory_equal(up.variants[i].description, view, size);
        assert_int_equal(up.variants[i].ranks.count, 1);
        assert_true(kolo_ranks_contains(&up.variants[i].ranks, 4 * i + 2));
        assert_false(kolo_ranks_contains(&up.variants[i].ranks, 4 * i + 3));
    }
    kolo_up_fini(&up);
    assert_true(kolo_up_read(&reader, SIZE, &up));
    assert_int_equal(up.kind, KOLO_UP_EXPIRED);
    assert_string_equal(up.name, "late");
    kolo_up_fini(&up);
    assert_true(kolo_reader_done(&reader));
}

static bool reads_up(const uint8_t *data, size_t size)
{
    kolo_reader reader;
    kolo_up up;
    kolo_reader_init(&reader, data, size);
    bool ok = kolo_up_read(&reader, SIZE, &up);
    kolo_up_fini(&up);
    return ok;
}

static void up__every_truncation_is_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        bytes b;
        begin(&b);
        if (kind == 0)
            kolo_up_write_ready(&b.writer, 7);
        else if (kind == 1)
            write_up(&b, 2);
        else
            kolo_up_write_expired(&b.writer, "late");
        assert_true(reads_up(b.data, b.writer.size));
        for (size_t size = 0; size < b.writer.size; size++) {
            uint8_t *cut = made_copy(b.data, size);
            assert_false(reads_up(cut, size));
            free(cut);
        }
    }
}

static void up__mutations_are_read_within_bounds(void **state)
{
    (void)state;
    kolo_rng rng = {.state = 2};
    bytes b;
    begin(&b);
    kolo_up_write_ready(&b.writer, 7);
    write_up(&b, 3);
    kolo_up_write_expired(&b.writer, "late");
    size_t refused = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        uint8_t *copy = made_copy(b.data, b.writer.size);
        made_mutate(copy, b.writer.size, &rng);
        kolo_reader reader;
        kolo_reader_init(&reader, copy, b.writer.size);
        bool ok = true;
        while (ok && reader.offset < reader.size) {
            kolo_up up;
            ok = kolo_up_read(&reader, SIZE, &up);
            assert_in_range(strlen(up.name), 0, KOLO_NAME_MAX);
            for (size_t v = 0; ok && v < up.variant_count; v++)
                for (size_t r = 0; r < up.variants[v].ranks.count; r++)
                    assert_in_range(up.variants[v].ranks.ranges[r].last, up.variants[v].ranks.ranges[r].first,
                                    SIZE - 1);
            kolo_up_fini(&up);
        }
        refused += !ok;
        free(copy);
    }
    assert_true(refused > MUTATIONS / 2);
}

/* A DESCRIBE written by hand, so that every number in it can be wrong. */
typedef struct by_hand {
    const char *name;
    uint32_t name_bytes; /* 0: strlen */
    uint8_t variants, ranges;
    uint32_t first, last;
    size_t description_cut; /* bytes left out */
    uint8_t is_private;
} by_hand;

static bool reads_by_hand(by_hand h)
{
    bytes b;
    begin(&b);
    kolo_write_u8(&b.writer, KOLO_UP_DESCRIBE);
    kolo_write_bytes(&b.writer, h.name, h.name_bytes > 0 ? h.name_bytes : strlen(h.name));
    kolo_write_u8(&b.writer, h.is_private);
    kolo_write_u8(&b.writer, h.variants);
    for (int v = 0; v < h.variants; v++) {
        size_t size;
        const uint8_t *view = description(&size);
        kolo_write_bytes(&b.writer, view, size - h.description_cut);
        kolo_write_u8(&b.writer, h.ranges);
        for (int r = 0; r < h.ranges; r++) {
            kolo_write_u32(&b.writer, h.first);
            kolo_write_u32(&b.writer, h.last);
        }
    }
    assert_true(b.writer.ok);
    return reads_up(b.data, b.writer.size);
}

static void up__out_of_bounds_is_refused(void **state)
{
    (void)state;
    char longest[KOLO_NAME_MAX + 2];
    memset(longest, 'n', sizeof(longest));
    longest[KOLO_NAME_MAX + 1] = '\0';
    assert_true(reads_by_hand((by_hand){"n", 0, 1, 1, 0, SIZE - 1, 0, 0}));
    assert_true(reads_by_hand((by_hand){longest, KOLO_NAME_MAX, 1, 1, 0, 0, 0, 0}));
    assert_true(reads_by_hand((by_hand){"n", 0, 1, KOLO_VARIANT_RANGES_MAX, 3, 3, 0, 0}));
    assert_true(reads_by_hand((by_hand){"n", 0, 1, 1, 0, 0, 0, 1}));
    assert_false(reads_by_hand((by_hand){"n", 0, 1, 1, 0, 0, 0, 2}));
    assert_false(reads_by_hand((by_hand){longest, KOLO_NAME_MAX + 1, 1, 1, 0, 0, 0, 0}));
    assert_false(reads_by_hand((by_hand){"", 0, 1, 1, 0, 0, 0, 0}));
    assert_false(reads_by_hand((by_hand){"a\0b", 3, 1, 1, 0, 0, 0, 0}));
    assert_false(reads_by_hand((by_hand){"n", 0, 0, 1, 0, 0, 0, 0}));
    assert_false(reads_by_hand((by_hand){"n", 0, KOLO_VARIANTS_MAX + 1, 1, 0, 0, 0, 0}));
    assert_false(reads_by_hand((by_hand){"n", 0, 1, 0, 0, 0, 0, 0}));
    assert_false(reads_by_hand((by_hand){"n", 0, 1, KOLO_VARIANT_RANGES_MAX + 1, 3, 3, 0, 0}));
    assert_false(reads_by_hand((by_hand){"n", 0, 1, 1, 0, SIZE, 0, 0}));
    assert_false(reads_by_hand((by_hand){"n", 0, 1, 1, 5, 4, 0, 0}));
    assert_false(reads_by_hand((by_hand){"n", 0, 1, 1, UINT32_MAX, UINT32_MAX, 0, 0}));
    assert_false(reads_by_hand((by_hand){"n", 0, 1, 1, 0, 0, 1, 0}));
    assert_false(reads_up((const uint8_t *)"\0\0\0\0\0", 5));
    assert_false(reads_up((const uint8_t *)"\4\0\0\0\0", 5));
}

/* ---- DOWN -------------------------------------------------------------------------------------------------------- */

static void write_downs(bytes *b)
{
    kolo_down down = {.kind = KOLO_DOWN_ASSIGN, .slot = 9, .name = "w", .has_private = true};
    kolo_down_write(&b->writer, &down);
    down = (kolo_down){.kind = KOLO_DOWN_RUN, .slot = UINT32_MAX};
    kolo_down_write(&b->writer, &down);
    down = (kolo_down){.kind = KOLO_DOWN_FAIL, .name = "x", .ranks = "3", .text = "rank 3 differs"};
    kolo_down_write(&b->writer, &down);
    assert_true(b->writer.ok);
}

static void down__round_trip(void **state)
{
    (void)state;
    bytes b;
    begin(&b);
    write_downs(&b);
    kolo_reader reader;
    kolo_reader_init(&reader, b.data, b.writer.size);
    kolo_down down;
    assert_true(kolo_down_read(&reader, &down));
    assert_true(down.kind == KOLO_DOWN_ASSIGN && down.slot == 9 && strcmp(down.name, "w") == 0);
    assert_true(down.has_private);
    assert_true(kolo_down_read(&reader, &down));
    assert_true(down.kind == KOLO_DOWN_RUN && down.slot == UINT32_MAX && !down.has_private);
    assert_true(kolo_down_read(&reader, &down));
    assert_true(down.kind == KOLO_DOWN_FAIL && strcmp(down.name, "x") == 0 && strcmp(down.ranks, "3") == 0);
    assert_string_equal(down.text, "rank 3 differs");
    assert_true(kolo_reader_done(&reader));
}

/* How many whole entries can be read. */
static int count_downs(const uint8_t *data, size_t size)
{
    kolo_reader reader;
    kolo_down down;
    int count = 0;
    kolo_reader_init(&reader, data, size);
    while (reader.offset < reader.size && kolo_down_read(&reader, &down)) {
        assert_in_range(strlen(down.name), 0, KOLO_NAME_MAX);
        assert_in_range(strlen(down.text), 0, KOLO_FAIL_TEXT_MAX);
        count++;
    }
    return count;
}

static void down__every_truncation_loses_its_last_entry(void **state)
{
    (void)state;
    bytes b;
    begin(&b);
    write_downs(&b);
    for (size_t size = 0; size < b.writer.size; size++) {
        uint8_t *cut = made_copy(b.data, size);
        assert_in_range(count_downs(cut, size), 0, 2);
        free(cut);
    }
    assert_int_equal(count_downs(b.data, b.writer.size), 3);
}

static void down__mutations_are_read_within_bounds(void **state)
{
    (void)state;
    kolo_rng rng = {.state = 3};
    bytes b;
    begin(&b);
    write_downs(&b);
    for (int i = 0; i < MUTATIONS; i++) {
        uint8_t *copy = made_copy(b.data, b.writer.size);
        made_mutate(copy, b.writer.size, &rng);
        assert_in_range(count_downs(copy, b.writer.size), 0, 10);
        free(copy);
    }
}

static bool reads_fail(size_t name, size_t ranks, size_t text)
{
    static char filler[KOLO_FAIL_TEXT_MAX + 8];
    memset(filler, 'x', sizeof(filler));
    bytes b;
    begin(&b);
    kolo_write_u8(&b.writer, KOLO_DOWN_FAIL);
    kolo_write_bytes(&b.writer, filler, name);
    kolo_write_bytes(&b.writer, filler, ranks);
    kolo_write_bytes(&b.writer, filler, text);
    kolo_reader reader;
    kolo_down down;
    kolo_reader_init(&reader, b.data, b.writer.size);
    return kolo_down_read(&reader, &down);
}

static void down__out_of_bounds_is_refused(void **state)
{
    (void)state;
    assert_true(reads_fail(KOLO_NAME_MAX, 127, KOLO_FAIL_TEXT_MAX));
    assert_true(reads_fail(1, 0, 0));
    assert_false(reads_fail(0, 0, 0));
    assert_false(reads_fail(KOLO_NAME_MAX + 1, 0, 0));
    assert_false(reads_fail(1, 128, 0));
    assert_false(reads_fail(1, 0, KOLO_FAIL_TEXT_MAX + 1));
    assert_int_equal(count_downs((const uint8_t *)"\0\0\0\0\0", 5), 0);
    assert_int_equal(count_downs((const uint8_t *)"\4\0\0\0\0", 5), 0);
}

/* ---- ABORT ------------------------------------------------------------------------------------------------------- */

static kolo_error sample_error(void)
{
    kolo_error error = {.struct_size = sizeof(error), .status = KOLO_ERR_PEER, .sys_errno = 104};
    memset(error.operation, 'o', sizeof(error.operation) - 1);
    memset(error.tensor, 't', sizeof(error.tensor) - 1);
    memset(error.ranks, 'r', sizeof(error.ranks) - 1);
    memset(error.hop, 'h', sizeof(error.hop) - 1);
    memset(error.message, 'm', sizeof(error.message) - 1);
    return error;
}

static bool reads_abort(const uint8_t *data, size_t size, int32_t *origin, kolo_error *error)
{
    kolo_reader reader;
    kolo_reader_init(&reader, data, size);
    return kolo_abort_read(&reader, origin, error);
}

static void abort__round_trip_of_the_longest(void **state)
{
    (void)state;
    bytes b;
    kolo_error error = sample_error(), read;
    int32_t origin;
    begin(&b);
    kolo_abort_write(&b.writer, 17, &error);
    assert_true(b.writer.ok);
    assert_true(reads_abort(b.data, b.writer.size, &origin, &read));
    assert_int_equal(origin, 17);
    assert_memory_equal(&read, &error, sizeof(error));
    for (size_t size = 0; size < b.writer.size; size++) {
        uint8_t *cut = made_copy(b.data, size);
        assert_false(reads_abort(cut, size, &origin, &read));
        free(cut);
    }
    b.data[b.writer.size] = 0;
    assert_false(reads_abort(b.data, b.writer.size + 1, &origin, &read));
}

static void abort__must_be_an_error_of_the_list(void **state)
{
    (void)state;
    for (uint32_t status = 0; status < 300; status++) {
        bytes b;
        kolo_error error = {.status = KOLO_ERR_PEER}, read;
        int32_t origin;
        begin(&b);
        kolo_abort_write(&b.writer, 0, &error);
        b.data[4] = (uint8_t)status;
        b.data[5] = (uint8_t)(status >> 8);
        assert_int_equal(reads_abort(b.data, b.writer.size, &origin, &read), status > 0 && status <= KOLO_ERR_INTERNAL);
    }
}

static void abort__mutations_are_read_within_bounds(void **state)
{
    (void)state;
    kolo_rng rng = {.state = 4};
    for (int i = 0; i < MUTATIONS; i++) {
        bytes b;
        kolo_error error = {.status = KOLO_ERR_TIMEOUT,
                            .operation = "allreduce",
                            .tensor = "w",
                            .ranks = "3",
                            .message = "late"},
                   read;
        int32_t origin;
        begin(&b);
        kolo_abort_write(&b.writer, 1, &error);
        uint8_t *copy = made_copy(b.data, b.writer.size);
        made_mutate(copy, b.writer.size, &rng);
        if (reads_abort(copy, b.writer.size, &origin, &read))
            assert_true(read.status > KOLO_OK && read.status <= KOLO_ERR_INTERNAL &&
                        strlen(read.message) < sizeof(read.message));
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header__round_trip_and_every_wrong_byte),
        cmocka_unit_test(up__round_trip),
        cmocka_unit_test(up__every_truncation_is_refused),
        cmocka_unit_test(up__mutations_are_read_within_bounds),
        cmocka_unit_test(up__out_of_bounds_is_refused),
        cmocka_unit_test(down__round_trip),
        cmocka_unit_test(down__every_truncation_loses_its_last_entry),
        cmocka_unit_test(down__mutations_are_read_within_bounds),
        cmocka_unit_test(down__out_of_bounds_is_refused),
        cmocka_unit_test(abort__round_trip_of_the_longest),
        cmocka_unit_test(abort__must_be_an_error_of_the_list),
        cmocka_unit_test(abort__mutations_are_read_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
