/* test_executor_shared.c - schedules on tensors that all ranks see, or read from each other, run for all ranks in this
 * thread: the same bits as through windows, wherever the tensors lie, and in however many parts. */
#include "unit/engine/made.h"

#include "engine/executor.h"
#include "engine/parts.h"
#include "plan/algorithm.h"
#include "plan/slice.h"

#include <stdlib.h>
#include <string.h>

/* Windows have room for pieces that are worth publishing (reduce/publish.h). */
enum { RANKS_MAX = 5, WINDOW_COUNT = 1 << 16, TENSORS = 6 };

/* ---- a job of several ranks -------------------------------------------------------------------------------------- */

typedef struct job {
    kolo_plan_spec spec;
    int32_t ring[RANKS_MAX];
    int64_t offsets[RANKS_MAX + 1];
    kolo_dtype_id type;
    kolo_reduce_op op;
    unsigned in_place; /* a bit per rank */
    uint64_t seed;
    uint8_t *input[RANKS_MAX], *output[RANKS_MAX]; /* heap memory of exactly the tensor's size */
    uint8_t *scratch[RANKS_MAX];
    uintptr_t input_base[RANKS_MAX], output_base[RANKS_MAX], window_base[RANKS_MAX];
    uint64_t flags[RANKS_MAX][8]; /* a line each */
    uint64_t *flag_lines[RANKS_MAX];
    kolo_publisher publishers[RANKS_MAX];
    kolo_schedule schedules[RANKS_MAX];
    kolo_executor executors[RANKS_MAX];
    bool scattered; /* worked on as tensors of their own; */
    int64_t counts[TENSORS];
    kolo_parts parts[RANKS_MAX];
    uintptr_t tensors[2][RANKS_MAX][TENSORS]; /* inputs, outputs */
} job;

static void fake_flags_changed(kolo_transport *transport)
{
    (void)transport;
}

static int32_t unreadable = -1; /* a rank, */
static kolo_status why;         /* and why */
static kolo_status fake_read_peer(kolo_transport *transport, int32_t peer, uintptr_t address, void *to, size_t bytes)
{
    (void)transport;
    memcpy(to, (const void *)address, bytes);
    return peer == unreadable ? why : KOLO_OK;
}

static const kolo_transport_ops fake_ops = {.flags_changed = fake_flags_changed, .read_peer = fake_read_peer};

static void job_init(job *j, kolo_collective collective, int32_t size, int64_t count, int64_t chunk_count)
{
    memset(j, 0, sizeof(*j));
    for (int32_t i = 0; i < size; i++)
        j->ring[i] = (i + 2) % size; /* not the ranks' order */
    /* Of several tensors, some without elements; packed, they are one. */
    for (int64_t i = 0, left = count; i < TENSORS; left -= j->counts[i++])
        j->counts[i] = i == TENSORS - 1 ? left : i % 2 == 1 ? 0 : left * (i + 1) / TENSORS;
    kolo_slice_layout(j->counts, TENSORS, size, false, j->offsets);
    j->spec = (kolo_plan_spec){.collective = collective,
                               .size = size,
                               .root = size / 2,
                               .ring = j->ring,
                               .slice_offsets = j->offsets,
                               .chunk_count = chunk_count,
                               .window_count = WINDOW_COUNT,
                               .shared_tensors = true,
                               .readable_tensors = true};
    j->type = KOLO_DTYPE_FLOAT32;
    j->op = KOLO_AVERAGE;
    j->seed = (uint64_t)count;
}

static size_t total_bytes(const job *j)
{
    return (size_t)j->offsets[j->spec.size] * kolo_dtype_size(j->type);
}

static size_t slice_bytes(const job *j, int32_t rank)
{
    return (size_t)(j->offsets[rank + 1] - j->offsets[rank]) * kolo_dtype_size(j->type);
}

static size_t slice_at(const job *j, int32_t rank)
{
    return (size_t)j->offsets[rank] * kolo_dtype_size(j->type);
}

/* Numbers whose sums need rounding. */
static void fill(const job *j, uint8_t *memory, size_t bytes, kolo_rng *rng)
{
    for (size_t at = 0; at < bytes; at += kolo_dtype_size(j->type)) {
        float single = 1.0f + 1000.0f * (float)kolo_rng_unit(rng);
        uint32_t bits;
        memcpy(&bits, &single, sizeof(bits));
        uint16_t half = (uint16_t)(bits >> 16); /* bfloat16 */
        if (j->type == KOLO_DTYPE_BFLOAT16)
            memcpy(memory + at, &half, sizeof(half));
        else
            memcpy(memory + at, &single, sizeof(single));
    }
}

static uint8_t *zeroed(size_t bytes)
{
    uint8_t *memory = calloc(1, bytes > 0 ? bytes : 1);
    assert_non_null(memory);
    return memory;
}

static void place(job *j, int32_t rank, kolo_rng *rng)
{
    kolo_collective collective = j->spec.collective;
    size_t total = total_bytes(j), own = slice_bytes(j, rank), own_at = slice_at(j, rank);
    bool in_place = (j->in_place >> rank & 1) != 0 || collective == KOLO_BROADCAST;
    bool has_slice_in = collective == KOLO_ALLGATHER && !in_place;
    bool has_slice_out = collective == KOLO_REDUCE_SCATTER && !in_place;
    j->output[rank] = zeroed(has_slice_out ? own : total);
    j->input[rank] = in_place ? j->output[rank] : zeroed(has_slice_in ? own : total);
    j->input_base[rank] = (uintptr_t)j->input[rank] - (has_slice_in ? own_at : 0);
    j->output_base[rank] = (uintptr_t)j->output[rank] - (has_slice_out ? own_at : 0);
    if (collective == KOLO_ALLGATHER)
        fill(j, (uint8_t *)j->input_base[rank] + own_at, own, rng);
    else if (collective != KOLO_BROADCAST || rank == j->spec.root)
        fill(j, j->input[rank], total, rng);
    j->window_base[rank] = (uintptr_t)zeroed(WINDOW_COUNT * kolo_dtype_size(j->type));
    memset(j->flags[rank], 0, sizeof(j->flags[rank]));
    j->flag_lines[rank] = j->flags[rank];
}

/* ---- in parts ---------------------------------------------------------------------------------------------------- */

/* Copies between what is packed and tensors of their own. */
static void move_parts(job *j, int32_t rank, int table, uint8_t *packed, bool scatter)
{
    const kolo_parts *parts = &j->parts[rank];
    size_t element_bytes = kolo_dtype_size(j->type);
    for (const kolo_part *part = parts->list; part < parts->list + parts->count; part++) {
        uint8_t *one =
            (uint8_t *)j->tensors[table][rank][part->tensor] + (size_t)(part->start + part->shift) * element_bytes;
        uint8_t *other = packed + (size_t)part->start * element_bytes;
        size_t bytes = (size_t)(part[1].start - part->start) * element_bytes;
        memcpy(scatter ? one : other, scatter ? other : one, bytes);
    }
}

static void scatter(job *j, int32_t rank)
{
    kolo_parts *parts = &j->parts[rank];
    bool in_place = j->input[rank] == j->output[rank];
    kolo_parts_init(parts);
    assert_int_equal(kolo_parts_begin(parts, TENSORS, j->spec.size, false), KOLO_OK);
    for (size_t i = 0; i < TENSORS; i++) {
        kolo_parts_set(parts, i, j->counts[i]);
        size_t bytes = (size_t)j->counts[i] * kolo_dtype_size(j->type);
        j->tensors[1][rank][i] = (uintptr_t)zeroed(bytes);
        j->tensors[0][rank][i] = in_place ? j->tensors[1][rank][i] : (uintptr_t)zeroed(bytes);
    }
    kolo_rows rows = {.inputs = j->tensors[0][0], .outputs = j->tensors[1][0], .own = (size_t)rank};
    assert_int_equal(kolo_parts_cut(parts), KOLO_OK);
    assert_int_equal(kolo_parts_list(parts, rows, kolo_dtype_size(j->type)), KOLO_OK);
    move_parts(j, rank, 0, j->input[rank], true);
}

static void gather(job *j, int32_t rank)
{
    move_parts(j, rank, 1, j->output[rank], false);
    for (size_t i = 0; i < TENSORS; i++) {
        if (j->tensors[0][rank][i] != j->tensors[1][rank][i])
            free((void *)j->tensors[0][rank][i]);
        free((void *)j->tensors[1][rank][i]);
    }
    kolo_parts_fini(&j->parts[rank]);
}

/* ---- a run ------------------------------------------------------------------------------------------------------- */

static int64_t fake_now_ns(void)
{
    return 0;
}

/* Every second rank publishes around the caches, another one stores its results so. */
static void start(job *j, int32_t rank, const char *algorithm)
{
    bool sees_peers = strcmp(algorithm, "shared") == 0;
    kolo_schedule_init(&j->schedules[rank]);
    kolo_executor_init(&j->executors[rank]);
    j->spec.rank = rank;
    assert_int_equal(kolo_algorithm_find(algorithm)->build(&j->spec, &j->schedules[rank]), KOLO_OK);
    j->publishers[rank] = (kolo_publisher){.now_ns = fake_now_ns, .around = rank % 2 != 0, .phase = KOLO_PUBLISH_ON};
    size_t scratch = (size_t)j->schedules[rank].scratch_count * kolo_dtype_size(j->type);
    j->scratch[rank] = scratch > 0 ? zeroed(scratch) : NULL;
    kolo_execution run = {.schedule = &j->schedules[rank],
                          .base = {j->input_base[rank], j->output_base[rank], (uintptr_t)j->scratch[rank]},
                          .reads_tensors = strcmp(algorithm, "attach") == 0,
                          .windows = sees_peers ? NULL : j->window_base,
                          .peer_input = sees_peers ? j->input_base : NULL,
                          .peer_output = sees_peers ? j->output_base : NULL,
                          .parts = j->scattered ? &j->parts[rank] : NULL,
                          .flags = j->flag_lines,
                          .type = j->type,
                          .op = j->op,
                          .rank = rank,
                          .size = j->spec.size,
                          .postscale = 0.7,
                          .publisher = &j->publishers[rank],
                          .around = rank % 3 == 1};
    assert_int_equal(kolo_executor_start(&j->executors[rank], &fake_ops, NULL, &run), KOLO_OK);
}

static void begin(job *j, const char *algorithm)
{
    kolo_rng rng = {.state = j->seed};
    for (int32_t rank = 0; rank < j->spec.size; rank++) {
        place(j, rank, &rng);
        if (j->scattered)
            scatter(j, rank);
    }
    for (int32_t rank = 0; rank < j->spec.size; rank++)
        start(j, rank, algorithm);
}

/* One step of one rank after another, in an order that is drawn. */
static void finish(job *j)
{
    kolo_rng rng = {.state = j->seed};
    for (int idle = 0, left = j->spec.size; left > 0;) {
        int32_t rank = (int32_t)kolo_rng_below(&rng, (uint64_t)j->spec.size);
        idle = kolo_executor_advance(&j->executors[rank], 1) > 0 ? 0 : idle + 1;
        assert_in_range(idle, 0, 1000);
        for (left = 0, rank = 0; rank < j->spec.size; rank++)
            left += !kolo_executor_finished(&j->executors[rank]);
    }
    for (int32_t rank = 0; j->scattered && rank < j->spec.size; rank++)
        gather(j, rank);
}

static void end(job *j)
{
    for (int32_t rank = 0; rank < j->spec.size; rank++) {
        if (j->input[rank] != j->output[rank])
            free(j->input[rank]);
        free(j->output[rank]);
        free((void *)j->window_base[rank]);
        free(j->scratch[rank]);
        kolo_executor_fini(&j->executors[rank]);
        kolo_schedule_fini(&j->schedules[rank]);
    }
}

/* ---- the same bits ----------------------------------------------------------------------------------------------- */

static void expect_same(job *j, const char *algorithm, uint8_t *const *expected, const size_t *bytes)
{
    begin(j, algorithm);
    finish(j);
    for (int32_t rank = 0; rank < j->spec.size; rank++)
        if (memcmp(expected[rank], j->output[rank], bytes[rank]) != 0)
            fail_msg("%s %s, %d ranks, %lld elements, in place 0x%x%s: rank %d has other bits", algorithm,
                     kolo_collective_name(j->spec.collective), j->spec.size, (long long)j->offsets[j->spec.size],
                     j->in_place, j->scattered ? ", in parts" : "", rank);
    end(j);
}

static void compare(job *j)
{
    uint8_t *expected[RANKS_MAX];
    size_t bytes[RANKS_MAX];
    begin(j, "direct");
    finish(j);
    for (int32_t rank = 0; rank < j->spec.size; rank++) {
        bool is_slice = j->spec.collective == KOLO_REDUCE_SCATTER && j->input[rank] != j->output[rank];
        bytes[rank] = is_slice ? slice_bytes(j, rank) : total_bytes(j);
        expected[rank] = made_copy(j->output[rank], bytes[rank]);
    }
    end(j);
    expect_same(j, "shared", expected, bytes);
    if (j->spec.collective == KOLO_ALLREDUCE)
        expect_same(j, "attach", expected, bytes);
    if (j->spec.collective == KOLO_ALLREDUCE && j->spec.size > 1) {
        j->scattered = true;
        expect_same(j, "direct", expected, bytes);
        expect_same(j, "direct_oneshot", expected, bytes);
        expect_same(j, "shared", expected, bytes);
    }
    for (int32_t rank = 0; rank < j->spec.size; rank++)
        free(expected[rank]);
}

static void compare_sizes(kolo_collective collective, kolo_dtype_id type, kolo_reduce_op op)
{
    for (int32_t size = 1; size <= RANKS_MAX; size++) {
        const int64_t counts[] = {0, 1, size - 1, size + 1, 37, 2049 * size + 3};
        const unsigned in_place[] = {0, 1, 0x15, 0x0a, 0x1f};
        for (size_t i = 0; i < 6 * 5; i++) {
            job j;
            job_init(&j, collective, size, counts[i / 5], i % 2 == 0 ? 5 : 1 << 20);
            j.in_place = in_place[i % 5];
            j.type = type;
            j.op = op;
            compare(&j);
        }
    }
}

static void allreduce__same_bits_as_through_windows(void **state)
{
    (void)state;
    compare_sizes(KOLO_ALLREDUCE, KOLO_DTYPE_FLOAT32, KOLO_AVERAGE);
    compare_sizes(KOLO_ALLREDUCE, KOLO_DTYPE_BFLOAT16, KOLO_SUM);
}

static void reduce_scatter__same_bits_as_through_windows(void **state)
{
    (void)state;
    compare_sizes(KOLO_REDUCE_SCATTER, KOLO_DTYPE_FLOAT32, KOLO_SUM);
    compare_sizes(KOLO_REDUCE_SCATTER, KOLO_DTYPE_BFLOAT16, KOLO_AVERAGE);
}

static void allgather__same_bits_as_through_windows(void **state)
{
    (void)state;
    compare_sizes(KOLO_ALLGATHER, KOLO_DTYPE_FLOAT32, KOLO_SUM);
}

static void broadcast__same_bits_as_through_windows(void **state)
{
    (void)state;
    compare_sizes(KOLO_BROADCAST, KOLO_DTYPE_BFLOAT16, KOLO_SUM);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

/* Who is through waits for the others, and for nobody else; and that is all that it keeps waiting. */
static void end__waits_for_all(void **state)
{
    (void)state;
    job j;
    job_init(&j, KOLO_ALLREDUCE, 3, 30, 1 << 20);
    begin(&j, "shared");
    assert_int_equal(kolo_executor_advance(&j.executors[1], 100), 2); /* FOLD, NOTIFY */
    assert_int_equal(kolo_executor_advance(&j.executors[0], 100), 2);
    assert_false(kolo_executor_finished(&j.executors[0]));
    assert_false(kolo_executor_awake(&j.executors[0]));
    kolo_ranks late;
    kolo_ranks_init(&late);
    kolo_executor_peers(&j.executors[0], &late);
    assert_true(late.count == 1 && late.ranges[0].first == 2 && late.ranges[0].last == 2);
    kolo_ranks_fini(&late);
    assert_int_equal(kolo_executor_advance(&j.executors[2], 100), 3);
    assert_true(kolo_executor_finished(&j.executors[2]));
    for (int32_t rank = 0; rank < 2; rank++) {
        assert_true(kolo_executor_awake(&j.executors[rank]));
        assert_int_equal(kolo_executor_advance(&j.executors[rank], 100), 1);
        assert_true(kolo_executor_finished(&j.executors[rank]));
    }
    end(&j);
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

/* At whichever read: the step is named, and no further one is begun. Where the peer is lost, it is the transport's to say. */
static void attach__memory_that_cannot_be_read(void **state)
{
    (void)state;
    for (int steps = 0; steps < 18; steps++) {
        why = steps >= 9 ? KOLO_ERR_PEER : KOLO_ERR_INVALID;
        job j;
        job_init(&j, KOLO_ALLREDUCE, 2, 40, 20);
        begin(&j, "attach");
        for (int i = 0; i < 200; i++) {
            unreadable = i < 2 * (steps % 9) ? -1 : 1;
            kolo_executor_advance(&j.executors[1 - i % 2], 1);
        }
        assert_int_equal(j.executors[0].status, steps >= 9 ? KOLO_OK : why);
        assert_int_equal(kolo_executor_finished(&j.executors[0]), steps < 9);
        assert_int_equal(j.executors[0].failed_peer, 1);
        assert_false(kolo_executor_awake(&j.executors[0]));
        unreadable = -1;
        end(&j);
    }
}

/* ---- far away ---------------------------------------------------------------------------------------------------- */

/* Elements at offsets that no 32-bit number holds, of tensors of which only this slice exists. */
static void offsets__need_64_bits(void **state)
{
    (void)state;
    enum { COUNT = 3 };
    const int64_t offset = (INT64_C(1) << 33) + 1;
    double input[2][COUNT] = {{1, 2, 3}, {10, 20, 30}}, output[2][COUNT] = {{0}, {0}};
    uintptr_t input_base[2], output_base[2];
    for (int i = 0; i < 2; i++) {
        input_base[i] = (uintptr_t)input[i] - (uintptr_t)offset * sizeof(double);
        output_base[i] = (uintptr_t)output[i] - (uintptr_t)offset * sizeof(double);
    }
    kolo_schedule schedule;
    kolo_executor executor;
    kolo_schedule_init(&schedule);
    kolo_executor_init(&executor);
    kolo_step fold = {.kind = KOLO_STEP_FOLD,
                      .dst = KOLO_BUFFER_PEER_OUTPUT,
                      .a = KOLO_BUFFER_PEER_INPUT,
                      .b = KOLO_BUFFER_INPUT,
                      .dst_offset = offset,
                      .a_offset = offset,
                      .b_offset = offset,
                      .count = COUNT,
                      .final = true};
    kolo_schedule_add(&schedule, &fold);
    assert_int_equal(kolo_schedule_seal(&schedule), KOLO_OK);
    kolo_execution run = {.schedule = &schedule,
                          .base = {input_base[0], output_base[0], 0},
                          .peer_input = input_base,
                          .peer_output = output_base,
                          .type = KOLO_DTYPE_FLOAT64,
                          .op = KOLO_SUM,
                          .size = 2,
                          .postscale = 2.0};
    assert_int_equal(kolo_executor_start(&executor, &fake_ops, NULL, &run), KOLO_OK);
    assert_int_equal(kolo_executor_advance(&executor, 10), 1);
    for (int i = 0; i < COUNT; i++)
        assert_true(output[0][i] == 22.0 * (i + 1) && output[1][i] == 22.0 * (i + 1));
    kolo_executor_fini(&executor);
    kolo_schedule_fini(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allreduce__same_bits_as_through_windows),
        cmocka_unit_test(reduce_scatter__same_bits_as_through_windows),
        cmocka_unit_test(allgather__same_bits_as_through_windows),
        cmocka_unit_test(broadcast__same_bits_as_through_windows),
        cmocka_unit_test(end__waits_for_all),
        cmocka_unit_test(attach__memory_that_cannot_be_read),
        cmocka_unit_test(offsets__need_64_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
