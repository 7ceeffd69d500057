/* layout.c - specs for the tests of src/plan. */
#include "unit/plan/layout.h"

#include "plan/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

void layout_init(layout *l, kolo_collective collective, int32_t size, int64_t count, int64_t chunk_count)
{
    for (int32_t i = 0; i < size; i++)
        l->ring[i] = i;
    kolo_slice_layout(&count, 1, size, false, l->offsets);
    l->spec = (kolo_plan_spec){.collective = collective,
                               .size = size,
                               .ring = l->ring,
                               .slice_offsets = l->offsets,
                               .chunk_count = chunk_count,
                               .window_count = INT64_C(1) << 40,
                               .shared_tensors = true,
                               .readable_tensors = true};
}

void layout_shuffle_ring(layout *l, kolo_rng *rng)
{
    for (int32_t i = l->spec.size - 1; i > 0; i--) {
        int32_t j = (int32_t)kolo_rng_below(rng, (uint64_t)i + 1);
        int32_t moved = l->ring[i];
        l->ring[i] = l->ring[j];
        l->ring[j] = moved;
    }
}

void layout_draw_slices(layout *l, kolo_rng *rng, int64_t longest)
{
    l->offsets[0] = 0;
    for (int32_t i = 0; i < l->spec.size; i++) {
        int64_t count = kolo_rng_below(rng, 3) == 0 ? 0 : (int64_t)kolo_rng_below(rng, (uint64_t)longest + 1);
        l->offsets[i + 1] = l->offsets[i] + count;
    }
}

kolo_schedule *layout_build(const layout *l, const kolo_algorithm *algorithm)
{
    kolo_schedule *schedules = calloc((size_t)l->spec.size, sizeof(*schedules));
    assert_non_null(schedules);
    kolo_plan_spec spec = l->spec;
    for (spec.rank = 0; spec.rank < spec.size; spec.rank++) {
        kolo_schedule_init(&schedules[spec.rank]);
        assert_int_equal(algorithm->build(&spec, &schedules[spec.rank]), KOLO_OK);
    }
    return schedules;
}

void layout_free(const layout *l, kolo_schedule *schedules)
{
    for (int32_t rank = 0; rank < l->spec.size; rank++)
        kolo_schedule_fini(&schedules[rank]);
    free(schedules);
}
