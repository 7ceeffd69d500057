/* test_many.c - n inputs in one pass: the order of the sum, one rounding, any number of inputs. */
#include "reference.h"

#include <string.h>

enum { MAX_INPUTS = 65, MAX_COUNT = 2100, ROOM = 8 * MAX_COUNT + 64 };

static uint8_t memory[MAX_INPUTS][ROOM], output[ROOM], expected[ROOM];

static void check_once(kolo_dtype_id type, kolo_reduce_op op, size_t n_inputs, size_t count, kolo_rng *rng)
{
    const void *inputs[MAX_INPUTS];
    for (size_t k = 0; k < n_inputs; k++) {
        uint8_t *input = memory[k] + (k * 7) % 64;
        fill_awkward(type, rng, input, count);
        inputs[k] = input;
    }
    const kolo_reduction reduction = {.type = type, .op = op};
    reference_fold(&reduction, expected, inputs, n_inputs, count);
    memset(output, 0x5a, sizeof(output));
    fold_to(type, op, output + 2, inputs, n_inputs, count);
    assert_elements_equal(type, output + 2, expected, count);
    assert_int_equal(output[1], 0x5a);
    assert_int_equal(output[2 + count * kolo_dtype_size(type)], 0x5a);

    memset(output, 0x5a, sizeof(output));
    kolo_folder folder;
    kolo_folder_init(&folder, &reduction, 1, n_inputs);
    void *to = output + 2;
    kolo_folder_fold(&folder, &to, inputs, count);
    assert_elements_equal(type, output + 2, expected, count);
    assert_int_equal(output[2 + count * kolo_dtype_size(type)], 0x5a);

    const size_t in_place = n_inputs / 2;
    uint8_t *dst = memory[in_place] + (in_place * 7) % 64;
    fold_to(type, op, dst, inputs, n_inputs, count);
    assert_elements_equal(type, dst, expected, count);
}

static void many__all_types_operators_and_sets(void **state)
{
    (void)state;
    static const size_t input_counts[] = {2, 3, 4, 5, 7, 8, 33};
    static const size_t counts[] = {0, 1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 70, 128, 129, 257, 300};
    for (size_t isa = 0; isa < kolo_reduce_isa_count(); isa++) {
        assert_true(kolo_reduce_force(kolo_reduce_isa_name(isa)));
        kolo_rng rng = {isa};
        for (int type = 0; type < KOLO_DTYPE_COUNT; type++) {
            for (int op = KOLO_SUM; op <= KOLO_PRODUCT; op++) {
                for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
                    check_once((kolo_dtype_id)type, (kolo_reduce_op)op, input_counts[i % 7], counts[i], &rng);
            }
        }
    }
    assert_true(kolo_reduce_force(NULL));
}

/* Around the pieces that many inputs are cut in, and around the numbers of them that are folded at a time. */
static void check_pieces(kolo_dtype_id type, kolo_reduce_op op)
{
    static const size_t input_counts[] = {8, 9, 15, 16, 17, 22, 23, 64, MAX_INPUTS};
    static const size_t bytes[] = {1016, 1024, 1032, 8184, 8192, 8200, 16392};
    kolo_rng rng = {(uint64_t)type * 10 + (uint64_t)op};
    for (size_t i = 0; i < sizeof(input_counts) / sizeof(*input_counts); i++) {
        size_t count = bytes[kolo_rng_below(&rng, 7)] / kolo_dtype_size(type);
        check_once(type, op, input_counts[i], count < MAX_COUNT ? count : MAX_COUNT, &rng);
    }
}

static void many__pieces(void **state)
{
    (void)state;
    for_all(check_pieces);
}

/* Whatever they are. */
static void one__is_copied_with_all_its_bits(void **state)
{
    (void)state;
    const kolo_reduction reduction = {.type = KOLO_DTYPE_FLOAT32, .op = KOLO_SUM};
    const uint32_t bits[] = {0x7fc12345, 0x80000000, 0xff812345, 1, 0x3f800000};
    uint32_t copies[2][5] = {{0}, {0}};
    void *const dsts[] = {copies[0], copies[1]};
    const void *const inputs[] = {bits};
    for (size_t n_dsts = 1; n_dsts <= 2; n_dsts++) {
        kolo_folder folder;
        memset(copies, 0, sizeof(copies));
        kolo_folder_init(&folder, &reduction, n_dsts, 1);
        kolo_folder_fold(&folder, dsts, inputs, 5);
        for (size_t i = 0; i < n_dsts; i++)
            assert_memory_equal(copies[i], bits, sizeof(bits));
    }
}

/* 2048 + 1 + 1: rounded after each sum it stays 2048 in float16. */
static void many__float16_is_rounded_once(void **state)
{
    (void)state;
    const uint16_t big = reference_narrow(KOLO_DTYPE_FLOAT16, 2048.0f);
    const uint16_t one = reference_narrow(KOLO_DTYPE_FLOAT16, 1.0f);
    uint16_t sum;
    fold_to(KOLO_DTYPE_FLOAT16, KOLO_SUM, &sum, (const void *const[]){&big, &one, &one}, 3, 1);
    assert_true(reference_widen(KOLO_DTYPE_FLOAT16, sum) == 2050.0);
}

/* Left to right: the large numbers cancel before the small one comes. */
static void many__left_to_right(void **state)
{
    (void)state;
    const float inputs[] = {1e30f, -1e30f, 1.0f};
    float sum;
    fold_to(KOLO_DTYPE_FLOAT32, KOLO_SUM, &sum, (const void *const[]){&inputs[0], &inputs[1], &inputs[2]}, 3, 1);
    assert_true(sum == 1.0f);
    fold_to(KOLO_DTYPE_FLOAT32, KOLO_SUM, &sum, (const void *const[]){&inputs[0], &inputs[2], &inputs[1]}, 3, 1);
    assert_true(sum == 0.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many__all_types_operators_and_sets),
        cmocka_unit_test(many__pieces),
        cmocka_unit_test(one__is_copied_with_all_its_bits),
        cmocka_unit_test(many__float16_is_rounded_once),
        cmocka_unit_test(many__left_to_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
