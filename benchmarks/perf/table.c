/* table.c - prints the table. Scripts that read nccl-tests' first 13 columns by position can read these. */
#include "table.h"

#include <inttypes.h>

void perf_table_begin(FILE *out, const perf_options *options, const perf_backend *backend)
{
    fprintf(out, "# %s %s, %d rank%s, mode %s, buffers %s, ", backend->name, backend->version, backend->ranks,
            backend->ranks == 1 ? "" : "s", perf_mode_name(options->mode), perf_buffers_name(options->buffers));
    if (options->async > 0)
        fprintf(out, "%d tensor%s in flight\n", options->async, options->async == 1 ? "" : "s");
    else
        fprintf(out, "synchronous\n");
    fprintf(out, "# minBytes %" PRId64 " maxBytes %" PRId64 " step: ", options->min_bytes, options->max_bytes);
    if (options->step_factor > 0)
        fprintf(out, "%" PRId64 "(factor)", options->step_factor);
    else
        fprintf(out, "%" PRId64 "(bytes)", options->step_bytes);
    fprintf(out, " warmup iters: %d iters: %d validation: %d\n", options->warmup, options->iterations, options->checks);
    fflush(out);
}

void perf_table_op(FILE *out, const perf_options *options, perf_op op)
{
    const char *time = options->mode == PERF_ISOLATED ? "median" : "mean";
    fprintf(out, "#\n# %s; time is the %s\n", perf_op_name(op), time);
    fprintf(out, "# %52s  %-33s  %-33s  %-18s  %-18s\n", "", "           out-of-place", "             in-place",
            "   out-of-place", "     in-place");
    fprintf(out, "# %10s  %12s  %8s  %6s  %6s", "size", "count", "type", "redop", "root");
    for (int i = 0; i < 2; i++)
        fprintf(out, "  %9s  %6s  %6s  %6s", "time", "algbw", "busbw", "#wrong");
    for (int i = 0; i < 2; i++)
        fprintf(out, "  %9s  %9s", "p50", "p99");
    fprintf(out, "\n# %10s  %12s  %8s  %6s  %6s", "(B)", "(elements)", "", "", "");
    for (int i = 0; i < 2; i++)
        fprintf(out, "  %9s  %6s  %6s  %6s", "(us)", "(GB/s)", "(GB/s)", "");
    for (int i = 0; i < 2; i++)
        fprintf(out, "  %9s  %9s", "(us)", "(us)");
    fprintf(out, "\n");
    fflush(out);
}

static void print_timing(FILE *out, const perf_timing *timing)
{
    fprintf(out, "  %9.2f  %6.2f  %6.2f", timing->time_us, timing->algbw_gbs, timing->busbw_gbs);
    if (timing->wrong == PERF_NOT_CHECKED)
        fprintf(out, "  %6s", "N/A");
    else
        fprintf(out, "  %6" PRId64, timing->wrong);
}

void perf_table_row(FILE *out, const perf_row *row)
{
    fprintf(out, "  %10" PRId64 "  %12" PRId64 "  %8s  %6s  %6d", row->bytes, row->count,
            perf_op_has_data(row->op) ? perf_type_name(row->type) : "none",
            perf_op_reduces(row->op) ? perf_redop_name(row->redop) : "none",
            perf_op_has_root(row->op) ? row->root : -1);
    print_timing(out, &row->out_of_place);
    print_timing(out, &row->in_place);
    fprintf(out, "  %9.2f  %9.2f  %9.2f  %9.2f\n", row->out_of_place.us.p50, row->out_of_place.us.p99,
            row->in_place.us.p50, row->in_place.us.p99);
    fflush(out); /* a long sweep is watched while it runs */
}

int64_t perf_rows_wrong(const perf_row *rows, size_t count)
{
    int64_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        if (rows[i].out_of_place.wrong > 0)
            wrong += rows[i].out_of_place.wrong;
        if (rows[i].in_place.wrong > 0)
            wrong += rows[i].in_place.wrong;
    }
    return wrong;
}

void perf_table_end(FILE *out, const perf_row *rows, size_t count)
{
    int64_t wrong = perf_rows_wrong(rows, count);
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += rows[i].out_of_place.busbw_gbs + rows[i].in_place.busbw_gbs;
    fprintf(out, "# Wrong values         : %" PRId64 " %s\n", wrong, wrong == 0 ? "OK" : "FAILED");
    fprintf(out, "# Avg bus bandwidth    : %g\n", count > 0 ? sum / (double)(2 * count) : 0.0);
}
