/* harness.c - runs a whole sweep. */
#include "harness.h"

#include "json.h"
#include "measure.h"
#include "table.h"
#include "turns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct run {
    const perf_options *options;
    const perf_backend *backend;
    perf_memory memory;
    FILE *json; /* rank 0 only */
    double *samples;
    perf_row *rows;
    size_t row_count;
    size_t row_room;
} run;

bool perf_harness_is_first(void)
{
    static const char *const variables[] = {"RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        if (value != NULL)
            return strcmp(value, "0") == 0;
    }
    return true;
}

/* One rank's trouble becomes everybody's, so that all leave together. *all: whether every rank is fine. */
static bool agree(const perf_backend *backend, bool fine, bool *all)
{
    double trouble = fine ? 0.0 : 1.0;
    if (!backend->combine(backend->self, PERF_COMBINE_MAX, &trouble, 1))
        return false;
    *all = trouble == 0.0;
    return true;
}

/* Bytes of each buffer: all tensors of the largest size. False when that is no number. */
static bool buffer_bytes(const perf_options *options, size_t *bytes)
{
    bool any_data = false;
    for (int op = 0; op < PERF_OP_COUNT; op++)
        any_data |= options->ops[op] && perf_op_has_data((perf_op)op);
    size_t tensors = options->async > 0 ? (size_t)options->async : 1;
    size_t largest = any_data ? (size_t)options->max_bytes + 64 : 0;
    return !__builtin_mul_overflow(perf_buffers_stride((int64_t)largest), tensors, bytes) && *bytes < SIZE_MAX / 8;
}

static bool init(run *r, const perf_options *options, const perf_backend *backend)
{
    *r = (run){.options = options, .backend = backend};
    size_t bytes;
    int most = options->iterations > options->warmup ? options->iterations : options->warmup;
    r->samples = malloc((size_t)most * sizeof *r->samples);
    if (r->samples == NULL || !buffer_bytes(options, &bytes)) {
        fprintf(stderr, "%s: rank %d: not enough memory; choose a smaller -n, -e or --async\n", backend->program,
                backend->rank);
        return false;
    }
    if (backend->rank == 0 && options->json_path != NULL) {
        r->json = fopen(options->json_path, "w");
        if (r->json == NULL) {
            fprintf(stderr, "%s: --json %s: %s\n", backend->program, options->json_path, strerror(errno));
            return false;
        }
    }
    return perf_buffers_init(&r->memory, backend, options->buffers, bytes);
}

static void fini(run *r)
{
    if (r->memory.backend != NULL)
        perf_buffers_fini(&r->memory);
    if (r->json != NULL)
        fclose(r->json);
    free(r->samples);
    free(r->rows);
}

static bool keep_row(run *r, const perf_row *row)
{
    if (r->row_count == r->row_room) {
        size_t room = r->row_room == 0 ? 64 : r->row_room * 2;
        perf_row *rows = realloc(r->rows, room * sizeof *rows);
        if (rows == NULL) {
            fprintf(stderr, "%s: rank %d: not enough memory for the results\n", r->backend->program, r->backend->rank);
            return false;
        }
        r->rows = rows;
        r->row_room = room;
    }
    r->rows[r->row_count++] = *row;
    return true;
}

static bool run_sizes(run *r, perf_op op, perf_type type, perf_redop redop)
{
    size_t element = perf_type_size(type);
    for (int64_t bytes = -1; perf_options_next_size(r->options, element, &bytes);) {
        perf_row row = {.op = op, .type = type, .redop = redop, .root = r->options->root};
        row.count = perf_op_has_data(op) ? bytes / (int64_t)element : 0;
        if (!perf_measure(r->options, r->backend, &r->memory, r->samples, &row) || !keep_row(r, &row))
            return false;
        if (r->backend->rank == 0)
            perf_table_row(stdout, &row);
        if (!perf_op_has_data(op))
            break;
    }
    return true;
}

static bool run_op(run *r, perf_op op)
{
    const perf_options *options = r->options;
    if (r->backend->rank == 0)
        perf_table_op(stdout, options, op);
    for (int type = 0; type < PERF_TYPE_COUNT; type++) {
        if (!options->types[type])
            continue;
        for (int redop = 0; redop < PERF_REDOP_COUNT; redop++) {
            if (!options->redops[redop])
                continue;
            if (!run_sizes(r, op, (perf_type)type, (perf_redop)redop))
                return false;
            if (!perf_op_reduces(op))
                break; /* one row is enough where the reduction does not matter */
        }
        if (!perf_op_has_data(op))
            break;
    }
    return true;
}

static bool write_json(const run *r)
{
    if (r->json == NULL || perf_json_write(r->json, r->options, r->backend->ranks, r->rows, r->row_count))
        return true;
    fprintf(stderr, "%s: --json %s: %s\n", r->backend->program, r->options->json_path, strerror(errno));
    return false;
}

static perf_outcome judge(const run *r, int64_t wrong)
{
    if (wrong > 0 && r->backend->rank == 0)
        fprintf(stderr, "%s: %lld wrong values\n", r->backend->program, (long long)wrong);
    return wrong > 0 ? PERF_WRONG : PERF_RIGHT;
}

static perf_outcome run_turns(run *r)
{
    int64_t wrong = 0;
    perf_outcome outcome = perf_turns_run(r->options, r->backend, &r->memory, r->samples, &wrong);
    return outcome == PERF_RIGHT ? judge(r, wrong) : outcome;
}

static perf_outcome run_all(run *r)
{
    const perf_backend *backend = r->backend;
    if (backend->rank == 0)
        perf_table_begin(stdout, r->options, backend);
    for (int op = 0; op < PERF_OP_COUNT; op++) {
        if (r->options->ops[op] && !run_op(r, (perf_op)op))
            return PERF_STOPPED;
    }
    if (backend->rank == 0)
        perf_table_end(stdout, r->rows, r->row_count);
    bool written;
    if (!agree(backend, write_json(r), &written))
        return PERF_STOPPED;
    if (!written)
        return PERF_REFUSED;
    return judge(r, perf_rows_wrong(r->rows, r->row_count));
}

perf_outcome perf_harness_run(const perf_options *options, const perf_backend *backend)
{
    if (options->root >= backend->ranks) {
        if (backend->rank == 0)
            fprintf(stderr, "%s: -r %d: the root must be a rank of this job, from 0 to %d\n", backend->program,
                    options->root, backend->ranks - 1);
        return PERF_REFUSED;
    }
    run r;
    bool all_fine = false;
    perf_outcome outcome = PERF_REFUSED;
    bool fine = init(&r, options, backend);
    if (!agree(backend, fine, &all_fine))
        outcome = PERF_STOPPED;
    else if (all_fine)
        outcome = options->turns != NULL ? run_turns(&r) : run_all(&r);
    fini(&r);
    return outcome;
}
