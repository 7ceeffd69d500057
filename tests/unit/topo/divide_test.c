/* divide_test.c - the division of a row of cores, against a search through all divisions. */
#include "unit/topo/machines.h"

#include "base/rng.h"
#include "topo/internal.h"

enum { LARGEST = 9 };

static int64_t cost_of(const int64_t *crossing, int32_t parts, int32_t floor, const int32_t *cuts)
{
    int64_t cost = 0;
    for (int32_t part = 0; part < parts; part++) {
        int64_t extra = cuts[part + 1] - cuts[part] - floor;
        cost += extra * extra;
        for (int32_t i = cuts[part] + 1; i < cuts[part + 1]; i++)
            cost += crossing[i];
    }
    return cost;
}

/* The least cost over all divisions whose parts have floor .. 2*floor cores. */
static int64_t search(const int64_t *crossing, int32_t count, int32_t parts, int32_t part, int32_t *cuts)
{
    int32_t floor = count / parts;
    if (part == parts)
        return cuts[parts] == count ? cost_of(crossing, parts, floor, cuts) : INT64_MAX;
    int64_t best = INT64_MAX;
    for (int32_t size = floor; size <= 2 * floor && cuts[part] + size <= count; size++) {
        cuts[part + 1] = cuts[part] + size;
        int64_t cost = search(crossing, count, parts, part + 1, cuts);
        best = cost < best ? cost : best;
    }
    return best;
}

static void check_division(const int64_t *crossing, int32_t count, int32_t parts)
{
    int32_t cuts[LARGEST + 1], scratch[LARGEST + 1] = {0};
    assert_true(kolo_topo_divide(crossing, count, parts, cuts));
    int32_t floor = count / parts;
    assert_int_equal(cuts[0], 0);
    assert_int_equal(cuts[parts], count);
    for (int32_t part = 0; part < parts; part++)
        assert_in_range(cuts[part + 1] - cuts[part], floor, 2 * floor);
    assert_int_equal(cost_of(crossing, parts, floor, cuts), search(crossing, count, parts, 0, scratch));
}

static void divide__optimal_for_random_boundaries(void **state)
{
    (void)state;
    static const int64_t costs[] = {0, 0, 0, 1000, 1000000};
    for (uint64_t seed = 1; seed <= 40; seed++) {
        kolo_rng rng = {.state = seed};
        int64_t crossing[LARGEST];
        for (int i = 0; i < LARGEST; i++)
            crossing[i] = costs[kolo_rng_below(&rng, sizeof(costs) / sizeof(*costs))];
        for (int32_t count = 1; count <= LARGEST; count++)
            for (int32_t parts = 1; parts <= count; parts++)
                check_division(crossing, count, parts);
    }
}

static void divide__even_without_boundaries(void **state)
{
    (void)state;
    int64_t crossing[LARGEST] = {0};
    for (int32_t parts = 1; parts <= LARGEST; parts++) {
        int32_t cuts[LARGEST + 1];
        assert_true(kolo_topo_divide(crossing, LARGEST, parts, cuts));
        for (int32_t part = 0; part < parts; part++)
            assert_in_range(cuts[part + 1] - cuts[part], LARGEST / parts, (LARGEST + parts - 1) / parts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(divide__optimal_for_random_boundaries),
        cmocka_unit_test(divide__even_without_boundaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
