/* job.c - see job.h. */
#include "sim/job.h"

#include "support/unwatched.h"

#include "engine/extent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- values ------------------------------------------------------------------------------------------------- */

UNWATCHED static const job_operation *operation_of(const job_cell *cell)
{
    return &cell->run->work->what[cell->tensor][cell->round];
}

UNWATCHED static size_t bytes_of(const job_operation *what, int64_t count)
{
    return (size_t)count * kolo_dtype_size(what->type);
}

UNWATCHED static void put(const job_operation *what, void *data, int64_t index, double value)
{
    char *at = (char *)data + bytes_of(what, index);
    int32_t whole = (int32_t)value;
    float single = (float)value;
    if (what->type == KOLO_DTYPE_INT32)
        memcpy(at, &whole, sizeof(whole));
    else if (what->type == KOLO_DTYPE_FLOAT32)
        memcpy(at, &single, sizeof(single));
    else
        memcpy(at, (const char *)&single + 2, 2); /* the upper half: bfloat16 */
}

UNWATCHED static double get(const job_operation *what, const void *data, int64_t index)
{
    const char *at = (const char *)data + bytes_of(what, index);
    int32_t whole;
    float single = 0;
    if (what->type == KOLO_DTYPE_INT32) {
        memcpy(&whole, at, sizeof(whole));
        return (double)whole;
    }
    if (what->type == KOLO_DTYPE_FLOAT32)
        memcpy(&single, at, sizeof(single));
    else
        memcpy((char *)&single + 2, at, 2);
    return (double)single;
}

/* Small integers for int32, so that sums are exact; else rough floats, whose sums depend on the order. */
UNWATCHED static double input_value(const job_cell *cell, int32_t rank, int64_t index)
{
    const job_operation *what = operation_of(cell);
    kolo_rng rng = {.state = (uint64_t)cell->tensor * 1000003 + (uint64_t)cell->round * 10007 + (uint64_t)rank * 101 +
                             (uint64_t)index * 7919};
    if (what->type == KOLO_DTYPE_INT32)
        return (double)kolo_rng_below(&rng, 2001) - 1000;
    char bytes[sizeof(float)];
    put(what, bytes, 0, (kolo_rng_unit(&rng) * 2.0 - 1.0) * (double)(1 << kolo_rng_below(&rng, 12)));
    return get(what, bytes, 0);
}

/* The reduction of element i: exact for integers, within rounding for floats. */
UNWATCHED static void check_reduced(const job_cell *cell, int64_t index, double got)
{
    const job_operation *what = operation_of(cell);
    int32_t size = cell->run->work->size;
    double sum = 0, magnitude = 0, largest = -1e9;
    for (int32_t rank = 0; rank < size; rank++) {
        double value = input_value(cell, rank, index) * what->prescale;
        sum += value;
        magnitude += value < 0 ? -value : value;
        largest = value > largest ? value : largest;
    }
    double wanted = (what->op == KOLO_MAX ? largest : what->op == KOLO_AVERAGE ? sum / size : sum) * what->postscale;
    double tolerance = what->type == KOLO_DTYPE_FLOAT32 ? 1e-5 : 0.02 * size;
    if (what->type == KOLO_DTYPE_INT32)
        assert_int_equal((int32_t)got, (int32_t)wanted);
    else
        assert_true(got - wanted <= tolerance * magnitude && wanted - got <= tolerance * magnitude);
}

static void check_copied(const job_cell *cell, int32_t rank, int64_t index, double got)
{
    double wanted = input_value(cell, rank, index);
    assert_true(got <= wanted && got >= wanted);
}

/* Element i of the whole, and where it lies in the output. */
static void check_element(const job_cell *cell, int64_t index, int64_t at)
{
    const job_operation *what = operation_of(cell);
    double got = get(what, cell->output, at);
    if (what->collective == KOLO_BROADCAST) {
        check_copied(cell, what->root, index, got);
    } else if (what->collective == KOLO_ALLGATHER) {
        int32_t owner = 0;
        for (kolo_range slice = {0}; index >= slice.offset + slice.count; owner++)
            slice = kolo_slice_of(what->count, cell->run->work->size, owner);
        check_copied(cell, owner - 1, index, got);
    } else {
        check_reduced(cell, index, got);
    }
}

/* What of the output is the result. */
static kolo_range result_of(const job_cell *cell)
{
    const job_operation *what = operation_of(cell);
    return kolo_extent_of(what->collective, what->count, cell->run->work->size, cell->rank, false).output;
}

static void check_result(job_cell *cell)
{
    const job_operation *what = operation_of(cell);
    kolo_range result = result_of(cell);
    int64_t first = cell->in_place ? result.offset : 0;
    if (what->collective == KOLO_BARRIER)
        return;
    for (int64_t i = 0; i < result.count; i++)
        check_element(cell, result.offset + i, first + i);
    const unsigned char *bytes = (const unsigned char *)cell->output + bytes_of(what, first);
    cell->hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes_of(what, result.count); i++)
        cell->hash = (cell->hash ^ bytes[i]) * UINT64_C(0x100000001b3);
}

/* ---- memory ------------------------------------------------------------------------------------------------- */

static void *take(job_cell *cell, size_t bytes, bool *is_shared)
{
    void *memory = NULL;
    if (kolo_rng_below(cell->run->rng, 4) < cell->run->shared_parts)
        memory = cluster_alloc(cell->run->net, cell->rank, bytes > 0 ? bytes : 1);
    *is_shared = memory != NULL;
    if (memory == NULL)
        memory = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(memory);
    memset(memory, 0x5a, bytes);
    return memory;
}

static void give(job_cell *cell, void **memory, size_t bytes, bool is_shared)
{
    if (*memory == NULL)
        return;
    memset(*memory, 0xee, bytes);
    if (is_shared)
        cluster_free(cell->run->net, cell->rank, *memory);
    else
        free(*memory);
    *memory = NULL;
}

static void place(job_cell *cell, kolo_extent *extent)
{
    const job_operation *what = operation_of(cell);
    *extent = kolo_extent_of(what->collective, what->count, cell->run->work->size, cell->rank, cell->in_place);
    cell->output = take(cell, bytes_of(what, extent->output.count), &cell->output_is_shared);
    if (!cell->in_place)
        cell->input = take(cell, bytes_of(what, extent->input.count), &cell->input_is_shared);
}

/* In a broken job peers may still be at work on what is shared: it stays taken. */
static void give_back(job_cell *cell, bool broken)
{
    const job_operation *what = operation_of(cell);
    kolo_extent extent =
        kolo_extent_of(what->collective, what->count, cell->run->work->size, cell->rank, cell->in_place);
    if (!broken || !cell->output_is_shared)
        give(cell, &cell->output, bytes_of(what, extent.output.count), cell->output_is_shared);
    if (!broken || !cell->input_is_shared)
        give(cell, &cell->input, bytes_of(what, extent.input.count), cell->input_is_shared);
}

/* ---- a run -------------------------------------------------------------------------------------------------- */

static void on_done(void *user, kolo_request *request, kolo_status status)
{
    job_cell *cell = user;
    assert_false(cell->is_over);
    cell->is_over = true;
    if (status == KOLO_OK) {
        check_result(cell);
    } else if (!cell->run->net->crashed[cell->rank]) {
        if (cell->run->lost == NULL || status != KOLO_ERR_PEER ||
            strstr(request->error->message, cell->run->lost) == NULL)
            fail_msg("rank %d: %s", (int)cell->rank, request->error->message);
        cell->run->failed++;
    }
    give_back(cell, status != KOLO_OK);
}

/* Fills in memory and submits; the layouts of in-place variants differ by collective. */
static void submit(job_cell *cell)
{
    const job_operation *what = operation_of(cell);
    kolo_extent extent;
    cell->in_place = what->collective == KOLO_BROADCAST || kolo_rng_below(cell->run->rng, 2) == 0;
    place(cell, &extent);
    kolo_range given = kolo_extent_of(what->collective, what->count, cell->run->work->size, cell->rank, false).input;
    void *input = cell->in_place ? cell->output : cell->input;
    for (int64_t i = 0; i < given.count; i++)
        put(what, input, given.offset - extent.input.offset + i, input_value(cell, cell->rank, given.offset + i));
    char name[16];
    snprintf(name, sizeof(name), "t%d", cell->tensor);
    cluster_tensor tensor = {
        .name = name,
        .collective = what->collective,
        .op = what->op,
        .type = what->type,
        .root = what->root,
        .input = cell->input,
        .output = cell->output,
        .count = what->count,
        .pieces = what->pieces,
        .prescale = what->prescale,
        .postscale = what->postscale,
        .done = on_done,
        .user = cell,
    };
    cell->request = cluster_submit(cell->run->net, cell->rank, &tensor);
}

static size_t cell_count(const job_run *run)
{
    return (size_t)run->work->size * (size_t)run->work->tensors * (size_t)run->work->rounds;
}

void job_run_init(job_run *run, const job *work, cluster *net, kolo_rng *rng, uint64_t shared_parts)
{
    memset(run, 0, sizeof(*run));
    run->work = work;
    run->net = net;
    run->rng = rng;
    run->shared_parts = shared_parts;
    run->left = (int)cell_count(run);
    run->cells = calloc(cell_count(run), sizeof(*run->cells));
    assert_non_null(run->cells);
}

bool job_submit(job_run *run)
{
    const job *work = run->work;
    while (run->left > 0) {
        int32_t rank = (int32_t)kolo_rng_below(run->rng, (uint64_t)work->size);
        int tensor = (int)kolo_rng_below(run->rng, (uint64_t)work->tensors);
        int round = run->next_round[rank][tensor];
        if (round == work->rounds)
            continue;
        run->next_round[rank][tensor]++;
        run->left--;
        job_cell *cell = &run->cells[(rank * work->tensors + tensor) * work->rounds + round];
        *cell = (job_cell){.run = run, .tensor = tensor, .round = round, .rank = rank};
        submit(cell);
        return true;
    }
    return false;
}

/* Every rank has an order of its own. */
void job_submit_all(job_run *run)
{
    while (job_submit(run))
        for (uint64_t i = kolo_rng_below(run->rng, 4); i > 0; i--)
            (void)cluster_event(run->net);
}

void job_expect_over(job_run *run)
{
    for (size_t i = 0; i < cell_count(run); i++) {
        job_cell *cell = &run->cells[i];
        if (cell->request != NULL && !run->net->crashed[cell->rank] &&
            (!kolo_request_is_done(cell->request) || !cell->is_over))
            fail_msg("deadlock: rank %d never completes round %d of t%d", (int)cell->rank, cell->round, cell->tensor);
    }
}

uint64_t job_digest(const job_run *run)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < cell_count(run); i++)
        hash = (hash ^ run->cells[i].hash) * UINT64_C(0x100000001b3);
    return hash;
}

void job_run_fini(job_run *run)
{
    for (size_t i = 0; i < cell_count(run); i++) {
        job_cell *cell = &run->cells[i];
        if (cell->request != NULL)
            kolo_request_release(cell->request);
        if (!cell->output_is_shared)
            free(cell->output);
        if (!cell->input_is_shared)
            free(cell->input);
    }
    free(run->cells);
}
