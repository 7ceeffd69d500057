/* test_codec.c - bytes on the wire, and every way in which a message can be too short. */
#include "cmocka_all.h"

#include <math.h>
#include <string.h>

#include "base/codec.h"

static void write__is_little_endian(void **state)
{
    (void)state;
    uint8_t memory[64];
    kolo_writer writer;
    kolo_writer_init(&writer, memory, sizeof(memory));
    kolo_write_u8(&writer, 0x01);
    kolo_write_u16(&writer, 0x0302);
    kolo_write_u32(&writer, 0x07060504);
    kolo_write_u64(&writer, UINT64_C(0x0f0e0d0c0b0a0908));
    kolo_write_f64(&writer, 1.0); /* 0x3ff0000000000000 */
    kolo_write_raw(&writer, "\xaa\xbb", 2);
    kolo_write_bytes(&writer, "\xcc", 1);
    static const uint8_t expected[] = {1, 2,    3,    4,    5,    6, 7, 8, 9, 10,   11, 12, 13, 14, 15, 0, 0,
                                       0, 0,    0,    0,    0xf0, 0x3f, 0xaa, 0xbb, 1, 0, 0, 0, 0xcc};
    assert_true(writer.ok);
    assert_int_equal(writer.size, sizeof(expected));
    assert_memory_equal(memory, expected, sizeof(expected));
}

static void round_trip__all_kinds(void **state)
{
    (void)state;
    uint8_t memory[128];
    kolo_writer writer;
    kolo_writer_init(&writer, memory + 1, sizeof(memory) - 1); /* odd address */
    kolo_write_u8(&writer, UINT8_MAX);
    kolo_write_u16(&writer, UINT16_MAX - 1);
    kolo_write_u32(&writer, UINT32_MAX - 2);
    kolo_write_u64(&writer, UINT64_MAX - 3);
    kolo_write_f64(&writer, -0.0);
    kolo_write_f64(&writer, (double)INFINITY);
    kolo_write_bytes(&writer, "name", 4);
    kolo_write_bytes(&writer, NULL, 0);
    assert_true(writer.ok);

    kolo_reader reader;
    size_t size = 99;
    kolo_reader_init(&reader, memory + 1, writer.size);
    assert_int_equal(kolo_read_u8(&reader), UINT8_MAX);
    assert_int_equal(kolo_read_u16(&reader), UINT16_MAX - 1);
    assert_int_equal(kolo_read_u32(&reader), UINT32_MAX - 2);
    assert_true(kolo_read_u64(&reader) == UINT64_MAX - 3);
    assert_true(signbit(kolo_read_f64(&reader)));
    assert_true(isinf(kolo_read_f64(&reader)));
    const void *name = kolo_read_bytes(&reader, 255, &size);
    assert_int_equal(size, 4);
    assert_memory_equal(name, "name", 4);
    assert_false(kolo_reader_done(&reader)); /* something is left */
    assert_non_null(kolo_read_bytes(&reader, 255, &size));
    assert_int_equal(size, 0);
    assert_true(kolo_reader_done(&reader));
}

static void write__full_sticks_and_touches_nothing(void **state)
{
    (void)state;
    uint8_t memory[4] = {9, 9, 9, 9};
    kolo_writer writer;
    kolo_writer_init(&writer, memory, 3);
    kolo_write_u16(&writer, 0);
    kolo_write_u16(&writer, 0x1111);
    assert_false(writer.ok);
    assert_int_equal(writer.size, 2);
    kolo_write_u8(&writer, 5); /* would fit, but the message is broken */
    assert_false(writer.ok);
    assert_int_equal(writer.size, 2);
    assert_int_equal(memory[2], 9);
    assert_int_equal(memory[3], 9);
}

static void write__no_memory_takes_nothing(void **state)
{
    (void)state;
    kolo_writer writer;
    kolo_writer_init(&writer, NULL, 100);
    kolo_write_raw(&writer, NULL, 0);
    assert_true(writer.ok);
    kolo_write_u8(&writer, 1);
    assert_false(writer.ok);
}

static void write_bytes__longer_than_u32(void **state)
{
    (void)state;
    uint8_t memory[16];
    kolo_writer writer;
    kolo_writer_init(&writer, memory, sizeof(memory));
    kolo_write_bytes(&writer, memory, (size_t)UINT32_MAX + 1);
    assert_false(writer.ok);
    assert_int_equal(writer.size, 0);
}

static void write_bytes__length_fits_but_bytes_do_not(void **state)
{
    (void)state;
    uint8_t memory[7];
    kolo_writer writer;
    kolo_writer_init(&writer, memory, sizeof(memory));
    kolo_write_bytes(&writer, "abcd", 4);
    assert_false(writer.ok);
}

/* Every prefix of a message, in memory of exactly its size, so that the address sanitizer sees one byte too many. */
static void read__every_prefix_fails(void **state)
{
    (void)state;
    uint8_t memory[64];
    kolo_writer writer;
    kolo_writer_init(&writer, memory, sizeof(memory));
    kolo_write_u8(&writer, 1);
    kolo_write_u16(&writer, 2);
    kolo_write_u32(&writer, 3);
    kolo_write_u64(&writer, 4);
    kolo_write_f64(&writer, 5);
    kolo_write_bytes(&writer, "six", 3);
    for (size_t cut = 0; cut <= writer.size; cut++) {
        uint8_t *copy = test_malloc(cut);
        memcpy(copy, memory, cut);
        kolo_reader reader;
        size_t size = 99;
        kolo_reader_init(&reader, copy, cut);
        (void)kolo_read_u8(&reader);
        (void)kolo_read_u16(&reader);
        (void)kolo_read_u32(&reader);
        (void)kolo_read_u64(&reader);
        (void)kolo_read_f64(&reader);
        const void *six = kolo_read_bytes(&reader, 3, &size);
        assert_int_equal(kolo_reader_done(&reader), cut == writer.size);
        assert_int_equal(six != NULL, cut == writer.size);
        assert_int_equal(size, cut == writer.size ? 3 : 0);
        test_free(copy);
    }
}

static void read__failure_sticks_and_answers_zero(void **state)
{
    (void)state;
    static const uint8_t memory[] = {0xff, 0xff, 0xff};
    kolo_reader reader;
    kolo_reader_init(&reader, memory, sizeof(memory));
    assert_int_equal(kolo_read_u32(&reader), 0);
    assert_false(reader.ok);
    assert_int_equal(kolo_read_u8(&reader), 0); /* would fit */
    assert_true(kolo_read_f64(&reader) == 0.0);
    assert_null(kolo_read_raw(&reader, 0));
    assert_false(kolo_reader_done(&reader));
}

static void read_bytes__length_above_max(void **state)
{
    (void)state;
    static const uint8_t memory[] = {3, 0, 0, 0, 'a', 'b', 'c'};
    kolo_reader reader;
    size_t size = 99;
    kolo_reader_init(&reader, memory, sizeof(memory));
    assert_null(kolo_read_bytes(&reader, 2, &size));
    assert_int_equal(size, 0);
    assert_false(reader.ok);
}

static void read_bytes__length_is_a_lie(void **state)
{
    (void)state;
    static const uint8_t memory[] = {0xff, 0xff, 0xff, 0xff, 'a'};
    kolo_reader reader;
    size_t size = 99;
    kolo_reader_init(&reader, memory, sizeof(memory));
    assert_null(kolo_read_bytes(&reader, SIZE_MAX, &size));
    assert_int_equal(size, 0);
}

static void read__raw_size_that_would_overflow(void **state)
{
    (void)state;
    static const uint8_t memory[] = {1, 2};
    kolo_reader reader;
    kolo_reader_init(&reader, memory, sizeof(memory));
    (void)kolo_read_u8(&reader);
    assert_null(kolo_read_raw(&reader, SIZE_MAX));
    assert_false(reader.ok);
}

static void read__empty_message_without_memory(void **state)
{
    (void)state;
    kolo_reader reader;
    kolo_reader_init(&reader, NULL, 0);
    assert_true(kolo_reader_done(&reader));
    assert_non_null(kolo_read_raw(&reader, 0));
    assert_int_equal(kolo_read_u8(&reader), 0);
    assert_false(kolo_reader_done(&reader));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write__is_little_endian),
        cmocka_unit_test(round_trip__all_kinds),
        cmocka_unit_test(write__full_sticks_and_touches_nothing),
        cmocka_unit_test(write__no_memory_takes_nothing),
        cmocka_unit_test(write_bytes__longer_than_u32),
        cmocka_unit_test(write_bytes__length_fits_but_bytes_do_not),
        cmocka_unit_test(read__every_prefix_fails),
        cmocka_unit_test(read__failure_sticks_and_answers_zero),
        cmocka_unit_test(read_bytes__length_above_max),
        cmocka_unit_test(read_bytes__length_is_a_lie),
        cmocka_unit_test(read__raw_size_that_would_overflow),
        cmocka_unit_test(read__empty_message_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
