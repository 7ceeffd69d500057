/* turns.c - reads requests, measures, answers. */
#include "turns.h"

#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, LINE_BYTES = 256, FILL_BYTES = 1 << 20 };

/* The options' first type and reduction. */
static perf_row row_of(const perf_options *options, perf_op op, int64_t bytes)
{
    perf_row row = {.op = op, .root = options->root};
    while (!options->types[row.type])
        row.type++;
    while (!options->redops[row.redop])
        row.redop++;
    row.count = bytes / (int64_t)perf_type_size(row.type);
    row.bytes = row.count * (int64_t)perf_type_size(row.type);
    return row;
}

static FILE *open_fifo(const perf_options *options, const perf_backend *backend, bool answers)
{
    char path[PATH_BYTES];
    if (answers)
        snprintf(path, sizeof path, "%s.out", options->turns);
    else
        snprintf(path, sizeof path, "%s.%d", options->turns, backend->rank);
    FILE *file = fopen(path, answers ? "w" : "r");
    if (file == NULL)
        fprintf(stderr, "%s: rank %d: --turns: %s: %s\n", backend->program, backend->rank, path, strerror(errno));
    return file;
}

/* One request into the options of its turn, and a row. */
static bool parse(const char *line, const perf_memory *memory, perf_options *turn, perf_row *row, bool *in_place)
{
    char op_name[32];
    char mode[16];
    char place[16];
    int64_t bytes;
    perf_op op;
    if (sscanf(line, "%31s %15s %d %" SCNd64 " %15s %d", op_name, mode, &turn->async, &bytes, place, &turn->checks) !=
            6 ||
        !perf_op_find(op_name, &op) || !perf_mode_find(mode, &turn->mode) || op == PERF_IDLE || turn->async < 0 ||
        turn->checks < 0 || bytes < 0)
        return false;
    *in_place = strcmp(place, "in_place") == 0;
    *row = row_of(turn, op, perf_op_has_data(op) ? bytes : 0);
    size_t tensors = turn->async > 0 ? (size_t)turn->async : 1;
    return perf_buffers_stride(row->bytes) <= memory->bytes / tensors;
}

/* Once for all turns: what is measured does not depend on the numbers, as long as they are some. */
static void fill(const perf_options *options, const perf_memory *memory)
{
    perf_options one = *options;
    one.async = 0;
    size_t filled = memory->bytes < FILL_BYTES ? memory->bytes : FILL_BYTES;
    perf_row row = row_of(options, PERF_ALLREDUCE, (int64_t)filled);
    perf_measure_fill(&one, memory->backend, memory, &row);
    for (size_t piece; filled < memory->bytes; filled += piece) {
        piece = memory->bytes - filled < filled ? memory->bytes - filled : filled;
        memcpy(memory->pristine + filled, memory->pristine, piece);
    }
}

static perf_outcome serve(FILE *requests, FILE *answers, const perf_options *options, const perf_memory *memory,
                          double *samples, int64_t *wrong)
{
    const perf_backend *backend = memory->backend;
    char line[LINE_BYTES];
    while (fgets(line, sizeof line, requests) != NULL && strcmp(line, "end\n") != 0) {
        perf_options turn = *options;
        perf_row row;
        bool in_place;
        perf_timing timing;
        if (!parse(line, memory, &turn, &row, &in_place)) {
            if (backend->rank == 0)
                fprintf(stderr, "%s: --turns: no such request, or more than -e has room for: %s", backend->program,
                        line);
            return PERF_REFUSED;
        }
        if (!perf_measure_placed(&turn, backend, memory, samples, &row, in_place, &timing))
            return PERF_STOPPED;
        *wrong += timing.wrong > 0 ? timing.wrong : 0;
        if (answers != NULL) {
            perf_json_timing(answers, &timing);
            fprintf(answers, "\n");
            fflush(answers);
        }
    }
    return PERF_RIGHT;
}

perf_outcome perf_turns_run(const perf_options *options, const perf_backend *backend, const perf_memory *memory,
                            double *samples, int64_t *wrong)
{
    fill(options, memory);
    FILE *requests = open_fifo(options, backend, false);
    FILE *answers = backend->rank == 0 ? open_fifo(options, backend, true) : NULL;
    double trouble = requests == NULL || (answers == NULL && backend->rank == 0);
    perf_outcome outcome = PERF_STOPPED;
    if (backend->combine(backend->self, PERF_COMBINE_MAX, &trouble, 1))
        outcome = trouble > 0.0 ? PERF_REFUSED : serve(requests, answers, options, memory, samples, wrong);
    if (requests != NULL)
        fclose(requests);
    if (answers != NULL)
        fclose(answers);
    return outcome;
}
