/* test_algorithms.c - every algorithm, for every number of ranks up to 64, under the symbolic checker. */
#include "unit/plan/layout.h"

#include "base/error.h"
#include "plan/check.h"
#include "plan/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

static void check(const layout *l, const kolo_algorithm *algorithm, kolo_placement placement, uint64_t seed)
{
    static const char *const names[] = {"out of place", "in place", "in place on some ranks"};
    kolo_status status = kolo_schedule_check(algorithm, &l->spec, placement, seed);
    if (status != KOLO_OK)
        fail_msg("%s %s, %d ranks, %lld elements, chunk %lld, root %d, %s, seed %llu: %s", algorithm->name,
                 kolo_collective_name(l->spec.collective), l->spec.size, (long long)l->offsets[l->spec.size],
                 (long long)l->spec.chunk_count, l->spec.root, names[placement], (unsigned long long)seed,
                 kolo_error_current()->message);
}

static void check_both_places(layout *l, const kolo_algorithm *algorithm, kolo_rng *rng)
{
    l->spec.root = (int32_t)kolo_rng_below(rng, (uint64_t)l->spec.size);
    check(l, algorithm, KOLO_OUT_OF_PLACE, kolo_rng_next(rng));
    check(l, algorithm, KOLO_IN_PLACE, kolo_rng_next(rng));
    if (algorithm->shared_tensors || algorithm->reads_tensors) /* only there one rank's place is another's business */
        check(l, algorithm, KOLO_PLACEMENT_MIXED, kolo_rng_next(rng));
}

static const int64_t chunks[] = {1, 3, 1 << 20};

/* As small as can be, so that chunks get small however large they are meant to be; or small; or huge as they are. */
static void shrink_windows(layout *l, kolo_rng *rng)
{
    int64_t least = 4 * (int64_t)l->spec.size;
    switch (kolo_rng_below(rng, 3)) {
    case 0:
        l->spec.window_count = least;
        break;
    case 1:
        l->spec.window_count = least + (int64_t)kolo_rng_below(rng, 4 * (uint64_t)least);
        break;
    default:
        break;
    }
}

/* Few ranks: all chunks, on the plain and on a shuffled ring. */
static void check_thoroughly(const kolo_algorithm *algorithm, kolo_collective collective, int32_t size, int64_t count,
                             kolo_rng *rng)
{
    for (size_t chunk = 0; chunk < 3; chunk++) {
        layout l;
        layout_init(&l, collective, size, count, chunks[chunk]);
        check_both_places(&l, algorithm, rng);
        layout_shuffle_ring(&l, rng);
        shrink_windows(&l, rng);
        check_both_places(&l, algorithm, rng);
    }
}

static void draw(layout *l, kolo_collective collective, int32_t size, int64_t count, kolo_rng *rng)
{
    layout_init(l, collective, size, count, chunks[kolo_rng_below(rng, 3)]);
    if (kolo_rng_below(rng, 2) == 0)
        layout_shuffle_ring(l, rng);
    l->spec.root = (int32_t)kolo_rng_below(rng, (uint64_t)size);
    shrink_windows(l, rng);
}

/* The work grows with the cube of the size: all counts in all ways up to 9 ranks, all counts up to 20, and beyond that
 * 0, 1 and two of the others, one in place, one not; beyond 32 only one of them. */
static void check_algorithm(const kolo_algorithm *algorithm, kolo_collective collective)
{
    kolo_rng rng = {.state = 1};
    for (int32_t size = 1; size <= LAYOUT_SIZE_MAX; size++) {
        int64_t counts[] = {0, 1, size - 1, size, size + 1, 3 * size + 2, 211};
        for (size_t i = 0; size <= 9 && i < 7; i++)
            check_thoroughly(algorithm, collective, size, counts[i], &rng);
        for (size_t i = 0; size > 9 && i < 7; i++) {
            layout l;
            draw(&l, collective, size, counts[i], &rng);
            if (size <= 20)
                check_both_places(&l, algorithm, &rng);
            else if (i < 2 || i - 2 == (size_t)size % 5 || (size <= 32 && i - 2 == (size_t)(size + 2) % 5))
                check(&l, algorithm,
                      (size > 32 ? size % 2 == 0 : i - 2 == (size_t)size % 5) ? KOLO_IN_PLACE : KOLO_OUT_OF_PLACE,
                      kolo_rng_next(&rng));
        }
    }
}

static void ring_allreduce__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("ring"), KOLO_ALLREDUCE);
}

static void ring_reduce_scatter__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("ring"), KOLO_REDUCE_SCATTER);
}

static void ring_allgather__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("ring"), KOLO_ALLGATHER);
}

static void oneshot_allreduce__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("oneshot"), KOLO_ALLREDUCE);
}

static void oneshot_reduce_scatter__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("oneshot"), KOLO_REDUCE_SCATTER);
}

static void oneshot_allgather__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("oneshot"), KOLO_ALLGATHER);
}

static void circulant_allreduce__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("circulant"), KOLO_ALLREDUCE);
}

static void circulant_reduce_scatter__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("circulant"), KOLO_REDUCE_SCATTER);
}

static void circulant_allgather__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("circulant"), KOLO_ALLGATHER);
}

static void binomial_broadcast__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("binomial"), KOLO_BROADCAST);
}

static void chain_broadcast__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("chain"), KOLO_BROADCAST);
}

static void direct_allreduce__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("direct"), KOLO_ALLREDUCE);
}

static void direct_reduce_scatter__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("direct"), KOLO_REDUCE_SCATTER);
}

static void direct_allgather__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("direct"), KOLO_ALLGATHER);
}

static void direct_broadcast__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("direct"), KOLO_BROADCAST);
}

static void direct_oneshot_allreduce__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("direct_oneshot"), KOLO_ALLREDUCE);
}

static void attach_allreduce__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("attach"), KOLO_ALLREDUCE);
}

static void shared_allreduce__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("shared"), KOLO_ALLREDUCE);
}

static void shared_reduce_scatter__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("shared"), KOLO_REDUCE_SCATTER);
}

static void shared_allgather__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("shared"), KOLO_ALLGATHER);
}

static void shared_broadcast__every_size_and_count(void **state)
{
    (void)state;
    check_algorithm(kolo_algorithm_find("shared"), KOLO_BROADCAST);
}

static void broadcast__every_root(void **state)
{
    (void)state;
    kolo_rng rng = {.state = 2};
    const char *const names[] = {"binomial", "chain", "direct", "shared"};
    for (int32_t size = 1; size <= 13; size++) {
        for (int32_t root = 0; root < size; root++) {
            layout l;
            layout_init(&l, KOLO_BROADCAST, size, 11, 3);
            layout_shuffle_ring(&l, &rng);
            l.spec.root = root;
            for (size_t i = 0; i < 4; i++)
                check(&l, kolo_algorithm_find(names[i]), root % 2 == 0 ? KOLO_IN_PLACE : KOLO_OUT_OF_PLACE,
                      kolo_rng_next(&rng));
        }
    }
}

/* Calls visit for every algorithm and collective it does. */
static void for_each(void (*visit)(const kolo_algorithm *algorithm, kolo_collective collective, uint64_t seed))
{
    for (size_t i = 0; i < kolo_algorithm_count(); i++)
        for (kolo_collective collective = 0; collective < KOLO_COLLECTIVE_COUNT; collective++)
            if (kolo_algorithm_at(i)->collectives & (1u << collective))
                visit(kolo_algorithm_at(i), collective, 100 * i + collective);
}

static void check_fused(const kolo_algorithm *algorithm, kolo_collective collective, uint64_t seed)
{
    kolo_rng rng = {.state = seed};
    for (int32_t round = 0; round < 60; round++) {
        int64_t counts[6];
        size_t tensors = 1 + (size_t)kolo_rng_below(&rng, 6);
        for (size_t i = 0; i < tensors; i++)
            counts[i] = (int64_t)kolo_rng_below(&rng, 40);
        layout l;
        layout_init(&l, collective, 1 + (int32_t)kolo_rng_below(&rng, 14), 0, 1 + (int64_t)kolo_rng_below(&rng, 8));
        layout_shuffle_ring(&l, &rng);
        bool by_slice = kolo_association_is_by_slice(algorithm->association, l.spec.size);
        kolo_slice_layout(counts, tensors, l.spec.size, by_slice, l.offsets);
        shrink_windows(&l, &rng);
        check_both_places(&l, algorithm, &rng);
    }
}

static void all__fused_groups(void **state)
{
    (void)state;
    for_each(check_fused);
}

static void check_unequal(const kolo_algorithm *algorithm, kolo_collective collective, uint64_t seed)
{
    kolo_rng rng = {.state = seed};
    for (int32_t round = 0; round < 60; round++) {
        layout l;
        layout_init(&l, collective, 1 + (int32_t)kolo_rng_below(&rng, 14), 0, 1 + (int64_t)kolo_rng_below(&rng, 8));
        layout_shuffle_ring(&l, &rng);
        layout_draw_slices(&l, &rng, 30);
        shrink_windows(&l, &rng);
        check_both_places(&l, algorithm, &rng);
    }
}

static void all__slices_of_any_length_empty_ones_included(void **state)
{
    (void)state;
    for_each(check_unequal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_allreduce__every_size_and_count),
        cmocka_unit_test(ring_reduce_scatter__every_size_and_count),
        cmocka_unit_test(ring_allgather__every_size_and_count),
        cmocka_unit_test(oneshot_allreduce__every_size_and_count),
        cmocka_unit_test(oneshot_reduce_scatter__every_size_and_count),
        cmocka_unit_test(oneshot_allgather__every_size_and_count),
        cmocka_unit_test(circulant_allreduce__every_size_and_count),
        cmocka_unit_test(circulant_reduce_scatter__every_size_and_count),
        cmocka_unit_test(circulant_allgather__every_size_and_count),
        cmocka_unit_test(binomial_broadcast__every_size_and_count),
        cmocka_unit_test(chain_broadcast__every_size_and_count),
        cmocka_unit_test(direct_allreduce__every_size_and_count),
        cmocka_unit_test(direct_reduce_scatter__every_size_and_count),
        cmocka_unit_test(direct_allgather__every_size_and_count),
        cmocka_unit_test(direct_broadcast__every_size_and_count),
        cmocka_unit_test(direct_oneshot_allreduce__every_size_and_count),
        cmocka_unit_test(attach_allreduce__every_size_and_count),
        cmocka_unit_test(shared_allreduce__every_size_and_count),
        cmocka_unit_test(shared_reduce_scatter__every_size_and_count),
        cmocka_unit_test(shared_allgather__every_size_and_count),
        cmocka_unit_test(shared_broadcast__every_size_and_count),
        cmocka_unit_test(broadcast__every_root),
        cmocka_unit_test(all__fused_groups),
        cmocka_unit_test(all__slices_of_any_length_empty_ones_included),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
