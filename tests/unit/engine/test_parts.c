/* test_parts.c - a group's parts: numbered as plan/slice.h lays them out, found by number, and joined where they lie side
 * by side. */
#include "unit/engine/made.h"

#include "engine/parts.h"
#include "plan/slice.h"

enum { TENSORS_MAX = 40, ROWS_MAX = 2 };

/* Where tensors lie: each row of inputs and outputs draws places of its own. */
typedef struct memory {
    uintptr_t inputs[ROWS_MAX * TENSORS_MAX], outputs[ROWS_MAX * TENSORS_MAX];
    kolo_rows rows;
} memory;

static void lay_out(kolo_parts *parts, const int64_t *counts, size_t tensors, int32_t size, bool by_slice,
                    const memory *m)
{
    assert_int_equal(kolo_parts_begin(parts, tensors, size, by_slice), KOLO_OK);
    for (size_t i = 0; i < tensors; i++)
        kolo_parts_set(parts, i, counts[i]);
    assert_int_equal(kolo_parts_cut(parts), KOLO_OK);
    assert_int_equal(kolo_parts_list(parts, m != NULL ? m->rows : (kolo_rows){0}, sizeof(float)), KOLO_OK);
}

/* Element `index` of the tensor is what the list finds for the number: in all rows, at the same address. */
static void check_element(const kolo_parts *parts, const memory *m, int64_t number, size_t tensor, int64_t index)
{
    const kolo_part *part = &parts->list[kolo_parts_find(parts, number)];
    assert_true(part->start <= number && number < part[1].start);
    if (m == NULL) {
        assert_int_equal(part->tensor, tensor);
        assert_int_equal(number + part->shift, index);
        return;
    }
    for (size_t row = 0; row < m->rows.count; row++) {
        uintptr_t at = (uintptr_t)(number + part->shift) * sizeof(float), is = (uintptr_t)index * sizeof(float);
        size_t first = row * parts->tensors;
        assert_int_equal(m->inputs[first + part->tensor] + at, m->inputs[first + tensor] + is);
        assert_int_equal(m->outputs[first + part->tensor] + at, m->outputs[first + tensor] + is);
    }
}

/* Every element of every tensor has one number, in the layout's order. */
static void check(const kolo_parts *parts, const int64_t *counts, size_t tensors, int32_t size, const memory *m)
{
    int64_t offsets[8], number = 0;
    assert_in_range(size, 1, 7);
    kolo_slice_layout(counts, tensors, size, parts->by_slice, offsets);
    assert_memory_equal(parts->slices, offsets, ((size_t)size + 1) * sizeof(*offsets));
    for (int32_t k = 0; k < (parts->by_slice ? size : 1); k++)
        for (size_t t = 0; t < tensors; t++) {
            kolo_range range = parts->by_slice ? kolo_slice_of(counts[t], size, k) : (kolo_range){0, counts[t]};
            for (int64_t i = 0; i < range.count; i++)
                check_element(parts, m, number++, t, range.offset + i);
        }
    assert_int_equal(parts->list[parts->count].start, number);
    assert_int_equal(offsets[size], number);
    for (size_t i = 0; i < parts->count; i++)
        assert_true(parts->list[i].start < parts->list[i + 1].start);
}

static void draw_counts(kolo_rng *rng, int64_t *counts, size_t tensors)
{
    for (size_t i = 0; i < tensors; i++)
        counts[i] = kolo_rng_below(rng, 3) == 0 ? 0 : (int64_t)kolo_rng_below(rng, 30);
    counts[kolo_rng_below(rng, tensors)]++;
}

/* One after another with the same memory, larger and smaller, with tensors without elements anywhere. */
static void random_groups__are_laid_out_as_slices_are(void **state)
{
    (void)state;
    kolo_parts parts;
    kolo_rng rng = {.state = 5};
    kolo_parts_init(&parts);
    for (int round = 0; round < 500; round++) {
        int64_t counts[TENSORS_MAX];
        size_t tensors = 1 + kolo_rng_below(&rng, TENSORS_MAX);
        int32_t size = 1 + (int32_t)kolo_rng_below(&rng, 7);
        bool by_slice = kolo_rng_below(&rng, 2) != 0;
        draw_counts(&rng, counts, tensors);
        lay_out(&parts, counts, tensors, size, by_slice, NULL);
        check(&parts, counts, tensors, size, NULL);
        lay_out(&parts, counts, tensors, size, by_slice, NULL); /* the same again */
        check(&parts, counts, tensors, size, NULL);
        lay_out(&parts, counts, tensors, size, !by_slice, NULL);
        check(&parts, counts, tensors, size, NULL);
        counts[kolo_rng_below(&rng, tensors)]++; /* and almost the same */
        lay_out(&parts, counts, tensors, size, !by_slice, NULL);
        check(&parts, counts, tensors, size, NULL);
    }
    kolo_parts_fini(&parts);
}

/* Most tensors behind one another; here and there a gap, in one row of inputs or outputs. */
static size_t draw_places(memory *m, kolo_rng *rng, const int64_t *counts, size_t tensors)
{
    uintptr_t at[2 * ROWS_MAX] = {4096, 8192, 16384, 32768};
    size_t runs = 0;
    m->rows = (kolo_rows){.inputs = m->inputs, .outputs = m->outputs, .count = 1 + kolo_rng_below(rng, ROWS_MAX)};
    for (size_t t = 0; t < tensors; t++) {
        bool gap = counts[t] > 0 && (runs == 0 || kolo_rng_below(rng, 8) == 0);
        if (gap)
            at[kolo_rng_below(rng, 2 * m->rows.count)] += 4;
        runs += gap;
        for (size_t i = 0; i < 2 * m->rows.count; i++) {
            (i % 2 == 0 ? m->inputs : m->outputs)[i / 2 * tensors + t] = counts[t] > 0 ? at[i] : 0;
            at[i] += (uintptr_t)counts[t] * sizeof(float);
        }
    }
    return runs;
}

static void neighbours__are_one_part(void **state)
{
    (void)state;
    kolo_parts parts;
    kolo_rng rng = {.state = 6};
    kolo_parts_init(&parts);
    for (int round = 0; round < 500; round++) {
        int64_t counts[TENSORS_MAX];
        memory m;
        size_t tensors = 1 + kolo_rng_below(&rng, TENSORS_MAX);
        draw_counts(&rng, counts, tensors);
        size_t runs = draw_places(&m, &rng, counts, tensors);
        int32_t size = 1 + (int32_t)kolo_rng_below(&rng, 7);
        lay_out(&parts, counts, tensors, size, false, &m);
        check(&parts, counts, tensors, size, &m);
        assert_int_equal(parts.count, runs);
        lay_out(&parts, counts, tensors, size, true, &m); /* where slices count, they stay apart */
        check(&parts, counts, tensors, size, NULL);
    }
    kolo_parts_fini(&parts);
}

static void counts__need_64_bits(void **state)
{
    (void)state;
    const int64_t huge = INT64_C(1) << 40, counts[] = {huge + 1, 3, huge};
    kolo_parts parts;
    kolo_parts_init(&parts);
    lay_out(&parts, counts, 3, 2, false, NULL);
    assert_int_equal(parts.slices[1], huge + 2);
    assert_int_equal(kolo_parts_find(&parts, huge), 0);
    assert_int_equal(kolo_parts_find(&parts, huge + 1), 1);
    lay_out(&parts, counts, 3, 3, true, NULL);
    assert_int_equal(parts.list[parts.count].start, 2 * huge + 4);
    assert_int_equal(parts.list[parts.count - 1].tensor, 2);
    assert_int_equal(2 * huge + 3 + parts.list[parts.count - 1].shift, huge - 1);
    kolo_parts_fini(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_groups__are_laid_out_as_slices_are),
        cmocka_unit_test(neighbours__are_one_part),
        cmocka_unit_test(counts__need_64_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
