/* test_spread.c - folds of 1 to 9 inputs, and of many, to 1 to 9 destinations, or many, some of them inputs, with and
 * without what ends a reduction. */
#include "reference.h"

#include <string.h>

enum { FEW = 9, MANY = 18, COUNT_MAX = 1100, GUARD = 64, ROOM = GUARD + 8 * COUNT_MAX + 2 * GUARD, FILLER = 0x5a };

static uint8_t inputs[MANY][ROOM], outputs[MANY][ROOM], originals[MANY][ROOM], expected[8 * COUNT_MAX];

typedef struct trial {
    kolo_reduction reduction;
    size_t n_inputs, n_dsts, count;
    size_t in_place; /* so many destinations are inputs, the last ones first */
} trial;

static void check_guards(const uint8_t *memory, const uint8_t *dst, size_t bytes)
{
    for (size_t i = 0; i < ROOM; i++) {
        if (memory + i == dst)
            i += bytes;
        assert_int_equal(memory[i], FILLER);
    }
}

static void check_once(const trial *one, kolo_rng *rng)
{
    const kolo_dtype_id type = one->reduction.type;
    const size_t bytes = one->count * kolo_dtype_size(type);
    void *from[MANY], *to[MANY];
    memset(inputs, FILLER, sizeof(inputs));
    memset(outputs, FILLER, sizeof(outputs));
    for (size_t k = 0; k < one->n_inputs; k++) {
        uint8_t *input = inputs[k] + GUARD + kolo_rng_below(rng, GUARD);
        fill_awkward(type, rng, input, one->count);
        from[k] = input;
    }
    memcpy(originals, inputs, sizeof(inputs));
    for (size_t m = 0; m < one->n_dsts; m++) {
        to[m] = m < one->in_place ? from[one->n_inputs - 1 - m] : outputs[m] + GUARD + kolo_rng_below(rng, GUARD);
    }
    const void *const *read = (const void *const *)from;
    reference_fold(&one->reduction, expected, read, one->n_inputs, one->count);
    kolo_reduce_fold(&one->reduction, to, one->n_dsts, read, one->n_inputs, one->count);
    for (size_t m = 0; m < one->n_dsts; m++) {
        assert_elements_equal(type, to[m], expected, one->count);
        check_guards(m < one->in_place ? inputs[one->n_inputs - 1 - m] : outputs[m], to[m], bytes);
    }
    for (size_t k = 0; k + one->in_place < one->n_inputs; k++) /* the others are as they were */
        assert_memory_equal(inputs[k], originals[k], ROOM);
}

static void check_all(kolo_dtype_id type, kolo_reduce_op op)
{
    static const size_t counts[] = {0,  1,  2,  3,  5,   7,   8,   15,  16,   17,
                                    31, 33, 64, 65, 127, 129, 257, 300, 1030, COUNT_MAX};
    kolo_rng rng = {(uint64_t)type * 10 + (uint64_t)op};
    for (size_t n_inputs = 1; n_inputs <= MANY; n_inputs += n_inputs < FEW ? 1 : MANY - FEW) {
        for (size_t n_dsts = 1; n_dsts <= MANY; n_dsts += n_dsts < FEW ? 1 : MANY - FEW) {
            size_t shared = n_inputs < n_dsts ? n_inputs : n_dsts;
            trial one = {.reduction = {.type = type, .op = op, .size = (int32_t)n_inputs + 1, .postscale = 0.3},
                         .n_inputs = n_inputs,
                         .n_dsts = n_dsts,
                         .count = counts[kolo_rng_below(&rng, sizeof(counts) / sizeof(*counts))],
                         .in_place = kolo_rng_below(&rng, shared + 1)};
            one.reduction.final = n_inputs == 1 || kolo_rng_below(&rng, 2) == 0;
            check_once(&one, &rng);
        }
    }
}

static void spread__all_types_operators_and_sets(void **state)
{
    (void)state;
    for_all(check_all);
}

/* Every count up to some strides, to three destinations in place of all three inputs. */
static void check_counts(kolo_dtype_id type, kolo_reduce_op op)
{
    kolo_rng rng = {1000 + (uint64_t)type * 10 + (uint64_t)op};
    for (size_t count = 0; count <= 300; count += count < 70 ? 1 : 23) {
        trial one = {.reduction = {.type = type, .op = op, .final = true, .size = 3, .postscale = 1.0},
                     .n_inputs = 3,
                     .n_dsts = 3,
                     .count = count,
                     .in_place = 3};
        check_once(&one, &rng);
    }
}

static void spread__every_count_in_place(void **state)
{
    (void)state;
    for_all(check_counts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spread__all_types_operators_and_sets),
        cmocka_unit_test(spread__every_count_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
