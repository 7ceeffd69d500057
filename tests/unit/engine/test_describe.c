/* test_describe.c - descriptions: what is written is valid and prints well; what is damaged is refused or read
 * within its bounds. */
#include "unit/engine/made.h"

#include "engine/describe.h"

#include <stdlib.h>
#include <string.h>

enum { MUTATIONS = 20000 };

typedef struct sample {
    uint8_t bytes[1024];
    size_t size;
} sample;

typedef struct shape {
    kolo_dtype_id type;
    int32_t ndim;
    int64_t dims[KOLO_MAX_DIMS];
} shape;

static sample describe(kolo_operation operation, const shape *shapes)
{
    sample out;
    kolo_writer writer;
    kolo_writer_init(&writer, out.bytes, sizeof(out.bytes));
    kolo_describe_operation(&writer, &operation);
    for (size_t i = 0; i < operation.piece_count; i++)
        kolo_describe_piece(&writer, shapes[i].type, shapes[i].ndim, shapes[i].dims);
    assert_true(writer.ok);
    out.size = writer.size;
    return out;
}

static const shape matrix = {KOLO_DTYPE_FLOAT32, 2, {512, 784}};
static const shape mixed[3] = {
    {KOLO_DTYPE_FLOAT16, 1, {7}}, {KOLO_DTYPE_INT64, 0, {0}}, {KOLO_DTYPE_BFLOAT16, 4, {1, 0, INT64_MAX, 300}}};

static sample sample_of(size_t index)
{
    switch (index) {
    case 0:
        return describe((kolo_operation){KOLO_ALLREDUCE, KOLO_SUM, 0, 1.0, 1.0, 1}, &matrix);
    case 1:
        return describe((kolo_operation){KOLO_ALLREDUCE, KOLO_AVERAGE, 0, 0.5, 2.0, 3}, mixed);
    case 2:
        return describe((kolo_operation){KOLO_BROADCAST, KOLO_SUM, 3, 1.0, 1.0, 1}, &mixed[2]);
    default:
        return describe((kolo_operation){KOLO_BARRIER, KOLO_SUM, 0, 1.0, 1.0, 0}, NULL);
    }
}
enum { SAMPLES = 4 };

static void written__is_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        sample s = sample_of(i);
        assert_true(kolo_description_valid(s.bytes, s.size));
    }
}

/* Whether the first `size` bytes are found to be what would be written. */
static bool matches(const sample *s, size_t size, const kolo_operation *operation, const shape *shapes)
{
    const uint8_t *end = s->bytes + size, *at = kolo_description_match_operation(s->bytes, end, operation);
    for (size_t i = 0; i < operation->piece_count; i++)
        at = kolo_description_match_piece(at, end, shapes[i].type, shapes[i].ndim, shapes[i].dims);
    return at == end;
}

/* As comparing what both would write: of all pairs, of all that is cut short, and with any bit changed. */
static void match__is_equality(void **state)
{
    (void)state;
    const shape other = {KOLO_DTYPE_FLOAT32, 2, {512, 128}}, flat = {KOLO_DTYPE_FLOAT32, 1, {512}};
    const struct {
        kolo_operation operation;
        const shape *shapes;
    } all[] = {
        {{KOLO_ALLREDUCE, KOLO_SUM, 0, 1.0, 1.0, 1}, &matrix}, {{KOLO_ALLREDUCE, KOLO_MAX, 0, 1.0, 1.0, 1}, &matrix},
        {{KOLO_ALLREDUCE, KOLO_SUM, 0, 0.5, 1.0, 1}, &matrix}, {{KOLO_ALLREDUCE, KOLO_SUM, 0, 1.0, 0.5, 1}, &matrix},
        {{KOLO_BROADCAST, KOLO_SUM, 3, 1.0, 1.0, 1}, &matrix}, {{KOLO_BROADCAST, KOLO_SUM, 2, 1.0, 1.0, 1}, &matrix},
        {{KOLO_ALLREDUCE, KOLO_SUM, 0, 1.0, 1.0, 1}, &other},  {{KOLO_ALLREDUCE, KOLO_SUM, 0, 1.0, 1.0, 1}, &flat},
        {{KOLO_ALLREDUCE, KOLO_SUM, 0, 1.0, 1.0, 3}, mixed},   {{KOLO_BARRIER, KOLO_SUM, 0, 1.0, 1.0, 0}, NULL}};
    enum { ALL = sizeof(all) / sizeof(all[0]) };
    for (size_t i = 0; i < ALL; i++) {
        sample s = describe(all[i].operation, all[i].shapes);
        for (size_t j = 0; j < ALL; j++)
            assert_int_equal(matches(&s, s.size, &all[j].operation, all[j].shapes), i == j);
        for (size_t size = 0; size < s.size; size++)
            assert_false(matches(&s, size, &all[i].operation, all[i].shapes));
        for (size_t bit = 0; bit < 8 * s.size; bit++) {
            s.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(matches(&s, s.size, &all[i].operation, all[i].shapes));
            s.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        s.bytes[s.size] = 0;
        assert_false(matches(&s, s.size + 1, &all[i].operation, all[i].shapes));
    }
}

static void expect_format(kolo_operation operation, const shape *shapes, size_t focus, const char *expected)
{
    char text[256];
    sample s = describe(operation, shapes);
    assert_string_equal(kolo_description_format(s.bytes, s.size, focus, text, sizeof(text)), expected);
}

static void format__tells_what_matters(void **state)
{
    (void)state;
    expect_format((kolo_operation){KOLO_ALLREDUCE, KOLO_SUM, 0, 1.0, 1.0, 1}, &matrix, 0,
                  "allreduce sum float32 [512, 784]");
    expect_format((kolo_operation){KOLO_ALLREDUCE, KOLO_MAX, 0, 0.5, 1.0, 1}, &mixed[1], 0,
                  "allreduce max prescale 0.5 int64 []");
    expect_format((kolo_operation){KOLO_ALLREDUCE, KOLO_AVERAGE, 0, 1.0, 2.0, 3}, mixed, 2,
                  "allreduce average postscale 2 of 3 tensors, tensor 2: bfloat16 [1, 0, 9223372036854775807, 300]");
    expect_format((kolo_operation){KOLO_REDUCE_SCATTER, KOLO_PRODUCT, 0, 1.0, 1.0, 1}, mixed, 0,
                  "reduce_scatter product float16 [7]");
    expect_format((kolo_operation){KOLO_BROADCAST, KOLO_SUM, 3, 1.0, 1.0, 1}, mixed, 0,
                  "broadcast from rank 3 float16 [7]");
    expect_format((kolo_operation){KOLO_BARRIER, KOLO_SUM, 0, 1.0, 1.0, 0}, NULL, 0, "barrier");
}

static void format__is_cut_to_any_capacity(void **state)
{
    (void)state;
    sample s = sample_of(1);
    char whole[256];
    kolo_description_format(s.bytes, s.size, 2, whole, sizeof(whole));
    for (size_t capacity = 1; capacity <= strlen(whole) + 1; capacity++) {
        char *text = malloc(capacity);
        assert_non_null(text);
        kolo_description_format(s.bytes, s.size, 2, text, capacity);
        assert_int_equal(strlen(text), capacity - 1);
        assert_memory_equal(text, whole, capacity - 1);
        free(text);
    }
}

static void format__of_malformed_bytes_says_so(void **state)
{
    (void)state;
    char text[64];
    assert_string_equal(kolo_description_format("", 0, 0, text, sizeof(text)), "(malformed description)");
}

static void difference__is_the_first_piece_that_differs(void **state)
{
    (void)state;
    kolo_operation operation = {KOLO_ALLREDUCE, KOLO_SUM, 0, 1.0, 1.0, 3};
    sample usual = describe(operation, mixed);
    assert_int_equal(kolo_description_difference(usual.bytes, usual.size, usual.bytes, usual.size), 0);
    for (size_t i = 0; i < 3; i++) {
        shape changed[3];
        memcpy(changed, mixed, sizeof(changed));
        changed[i].type = KOLO_DTYPE_UINT8;
        sample odd = describe(operation, changed);
        assert_int_equal(kolo_description_difference(usual.bytes, usual.size, odd.bytes, odd.size), i);
    }
    shape reshaped[3];
    memcpy(reshaped, mixed, sizeof(reshaped));
    reshaped[2].dims[3]++;
    sample odd = describe(operation, reshaped);
    assert_int_equal(kolo_description_difference(usual.bytes, usual.size, odd.bytes, odd.size), 2);
    sample other = sample_of(0);
    assert_int_equal(kolo_description_difference(usual.bytes, usual.size, other.bytes, other.size), 0);
}

static void every_truncation__is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        sample s = sample_of(i);
        for (size_t size = 0; size < s.size; size++) {
            char text[64];
            uint8_t *cut = made_copy(s.bytes, size);
            assert_false(kolo_description_valid(cut, size));
            kolo_description_format(cut, size, 0, text, sizeof(text));
            assert_in_range(kolo_description_difference(cut, size, s.bytes, s.size), 0, 3);
            free(cut);
        }
        s.bytes[s.size] = 0;
        assert_false(kolo_description_valid(s.bytes, s.size + 1));
    }
}

static void mutations__are_read_within_bounds(void **state)
{
    (void)state;
    kolo_rng rng = {.state = 1};
    int refused = 0, accepted = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        sample s = sample_of((size_t)i % SAMPLES);
        char text[80];
        uint8_t *bytes = made_copy(s.bytes, s.size);
        made_mutate(bytes, s.size, &rng);
        *(kolo_description_valid(bytes, s.size) ? &accepted : &refused) += 1;
        size_t capacity = 1 + kolo_rng_below(&rng, sizeof(text));
        kolo_description_format(bytes, s.size, kolo_rng_below(&rng, 4), text, capacity);
        assert_in_range(strnlen(text, capacity), 0, capacity - 1);
        assert_in_range(kolo_description_difference(bytes, s.size, s.bytes, s.size), 0, 3);
        free(bytes);
    }
    /* The samples are mostly numbers, any of which is fine, and a few enums, most of which are not. */
    assert_true(refused > MUTATIONS / 10 && accepted > MUTATIONS / 10);
}

static void expect_refused(size_t offset, uint8_t value)
{
    sample s = sample_of(0);
    s.bytes[offset] = value;
    assert_false(kolo_description_valid(s.bytes, s.size));
}

/* u8 collective, u8 op, u32 root, f64 prescale, f64 postscale, u32 pieces, then u8 type, u8 ndim, dimensions */
static void out_of_bounds__is_refused(void **state)
{
    (void)state;
    enum { PIECES = 22, TYPE = 26, NDIM = 27 };
    sample s = sample_of(0);
    assert_int_equal(s.bytes[PIECES], 1);
    assert_int_equal(s.bytes[NDIM], 2);
    expect_refused(0, KOLO_COLLECTIVE_COUNT);
    expect_refused(1, KOLO_PRODUCT + 1);
    expect_refused(PIECES, 0);
    expect_refused(PIECES, 2);
    expect_refused(PIECES + 1, 0x10); /* 4097 pieces */
    expect_refused(PIECES + 3, 0xff);
    expect_refused(TYPE, KOLO_DTYPE_COUNT);
    expect_refused(NDIM, KOLO_MAX_DIMS + 1);
    expect_refused(NDIM, 1);
    expect_refused(NDIM, 3);
}

static void dimension__that_never_ends_is_refused(void **state)
{
    (void)state;
    sample s = describe((kolo_operation){KOLO_ALLREDUCE, KOLO_SUM, 0, 1.0, 1.0, 1}, &(shape){KOLO_DTYPE_INT8, 1, {0}});
    memset(s.bytes + s.size - 1, 0xff, 12);
    for (size_t extra = 0; extra < 12; extra++)
        assert_false(kolo_description_valid(s.bytes, s.size + extra));
}

static void largest_group__fits_in_its_bound(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(KOLO_DESCRIPTION_MAX);
    assert_non_null(bytes);
    kolo_writer writer;
    kolo_writer_init(&writer, bytes, KOLO_DESCRIPTION_MAX);
    kolo_operation operation = {KOLO_ALLREDUCE, KOLO_SUM, 0, 1.0, 1.0, KOLO_PIECES_MAX};
    kolo_describe_operation(&writer, &operation);
    for (int64_t i = 0; i < KOLO_PIECES_MAX; i++)
        kolo_describe_piece(&writer, KOLO_DTYPE_FLOAT32, 1, &(int64_t){i + 1000000});
    assert_true(writer.ok);
    char text[100];
    assert_true(kolo_description_valid(bytes, writer.size));
    kolo_description_format(bytes, writer.size, 4095, text, sizeof(text));
    assert_string_equal(text, "allreduce sum of 4096 tensors, tensor 4095: float32 [1004095]");
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written__is_valid),
        cmocka_unit_test(match__is_equality),
        cmocka_unit_test(format__tells_what_matters),
        cmocka_unit_test(format__is_cut_to_any_capacity),
        cmocka_unit_test(format__of_malformed_bytes_says_so),
        cmocka_unit_test(difference__is_the_first_piece_that_differs),
        cmocka_unit_test(every_truncation__is_refused),
        cmocka_unit_test(mutations__are_read_within_bounds),
        cmocka_unit_test(out_of_bounds__is_refused),
        cmocka_unit_test(dimension__that_never_ends_is_refused),
        cmocka_unit_test(largest_group__fits_in_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
