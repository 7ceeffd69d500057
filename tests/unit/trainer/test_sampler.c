/* test_sampler.c - every sample once an epoch, the same global batches for any number of ranks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trainer/sampler.h"

static train_sampler make(int64_t count, int64_t batch, int32_t rank, int32_t ranks)
{
    train_failure failure;
    train_sampler sampler;

    assert_true(train_sampler_init(&sampler, count, batch, rank, ranks, &failure));
    return sampler;
}

/* Counts in drawn[] what all ranks draw in the epoch, and checks what holds for every step. */
static void draw_epoch(int64_t count, int64_t batch, int32_t ranks, uint8_t *drawn)
{
    int64_t global_sum = 0;

    for (int32_t rank = 0; rank < ranks; rank++) {
        train_sampler sampler = make(count, batch, rank, ranks);

        train_sampler_shuffle(&sampler, 7, 3);
        for (int64_t step = 0; step < train_sampler_steps(&sampler); step++) {
            train_share share = train_sampler_share(&sampler, step);

            assert_in_range(share.count, 0, batch);
            assert_in_range(share.global_count, 1, batch * ranks);
            global_sum += share.global_count;
            for (int64_t i = 0; i < share.count; i++)
                drawn[share.indices[i]]++;
        }
        train_sampler_fini(&sampler);
    }
    assert_int_equal(global_sum, count * ranks);
}

static void share__every_sample_once(void **state)
{
    static const int64_t counts[] = {1, 2, 3, 63, 64, 65, 127, 1000, 1001};
    static const int64_t batches[] = {1, 3, 32, 64};
    uint8_t drawn[1001];

    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++)
            for (int32_t ranks = 1; ranks <= 5; ranks++) {
                memset(drawn, 0, sizeof drawn);
                draw_epoch(counts[c], batches[b], ranks, drawn);
                for (int64_t i = 0; i < counts[c]; i++)
                    assert_int_equal(drawn[i], 1);
            }
}

static void share__global_batches_do_not_depend_on_ranks(void **state)
{
    train_sampler one = make(1001, 64, 0, 1);
    train_sampler two[2] = {make(1001, 32, 0, 2), make(1001, 32, 1, 2)};

    (void)state;
    train_sampler_shuffle(&one, 5, 2);
    for (int r = 0; r < 2; r++)
        train_sampler_shuffle(&two[r], 5, 2);
    assert_int_equal(train_sampler_steps(&one), train_sampler_steps(&two[0]));
    for (int64_t step = 0; step < train_sampler_steps(&one); step++) {
        train_share whole = train_sampler_share(&one, step);
        train_share first = train_sampler_share(&two[0], step);
        train_share second = train_sampler_share(&two[1], step);

        assert_int_equal(whole.count, first.count + second.count);
        assert_memory_equal(whole.indices, first.indices, (size_t)first.count * sizeof(uint32_t));
        assert_memory_equal(whole.indices + first.count, second.indices, (size_t)second.count * sizeof(uint32_t));
    }
    train_sampler_fini(&one);
    train_sampler_fini(&two[0]);
    train_sampler_fini(&two[1]);
}

static void shuffle__depends_on_seed_and_epoch_alone(void **state)
{
    train_sampler one = make(500, 10, 0, 1);
    train_sampler other = make(500, 10, 0, 1);
    size_t bytes = 500 * sizeof(uint32_t);

    (void)state;
    train_sampler_shuffle(&one, 1, 1);
    train_sampler_shuffle(&other, 9, 9); /* what was before does not matter */
    train_sampler_shuffle(&other, 1, 1);
    assert_memory_equal(one.order, other.order, bytes);
    train_sampler_shuffle(&other, 1, 2);
    assert_memory_not_equal(one.order, other.order, bytes);
    train_sampler_shuffle(&other, 2, 1);
    assert_memory_not_equal(one.order, other.order, bytes);
    train_sampler_fini(&one);
    train_sampler_fini(&other);
}

static void split__is_contiguous_and_even(void **state)
{
    (void)state;
    for (int64_t count = 0; count < 40; count++)
        for (int32_t ranks = 1; ranks <= 7; ranks++) {
            int64_t end = 0;

            for (int32_t rank = 0; rank < ranks; rank++) {
                int64_t first;
                int64_t part;

                train_split(count, ranks, rank, &first, &part);
                assert_int_equal(first, end);
                assert_in_range(part, count / ranks, count / ranks + 1);
                end = first + part;
            }
            assert_int_equal(end, count);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(share__every_sample_once),
        cmocka_unit_test(share__global_batches_do_not_depend_on_ranks),
        cmocka_unit_test(shuffle__depends_on_seed_and_epoch_alone),
        cmocka_unit_test(split__is_contiguous_and_even),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
