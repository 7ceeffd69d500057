/* json.c - writes the results as JSON. Every string is a name from this program's own tables: nothing needs escaping.
 */
#include "json.h"

#include <inttypes.h>

void perf_json_timing(FILE *out, const perf_timing *timing)
{
    fprintf(out,
            "{\"iterations\": %d, \"time_us\": %.3f, \"min_us\": %.3f, \"p50_us\": %.3f, \"p99_us\": %.3f, "
            "\"algbw_gbs\": %.6f, \"busbw_gbs\": %.6f, ",
            timing->iterations, timing->time_us, timing->us.min, timing->us.p50, timing->us.p99, timing->algbw_gbs,
            timing->busbw_gbs);
    if (timing->wrong == PERF_NOT_CHECKED)
        fprintf(out, "\"wrong\": null}");
    else
        fprintf(out, "\"wrong\": %" PRId64 "}", timing->wrong);
}

static void write_row(FILE *out, const perf_options *options, const perf_row *row)
{
    fprintf(
        out,
        "    {\"op\": \"%s\", \"bytes\": %" PRId64 ", \"count\": %" PRId64 ", \"dtype\": \"%s\", \"redop\": \"%s\", ",
        perf_op_name(row->op), row->bytes, row->count, perf_op_has_data(row->op) ? perf_type_name(row->type) : "none",
        perf_op_reduces(row->op) ? perf_redop_name(row->redop) : "none");
    fprintf(out, "\"buffers\": \"%s\", \"mode\": \"%s\",\n     ", perf_buffers_name(options->buffers),
            perf_mode_name(options->mode));
    fprintf(out, "\"out_of_place\": ");
    perf_json_timing(out, &row->out_of_place);
    fprintf(out, ",\n     \"in_place\": ");
    perf_json_timing(out, &row->in_place);
    fprintf(out, "}");
}

bool perf_json_write(FILE *out, const perf_options *options, int ranks, const perf_row *rows, size_t count)
{
    fprintf(out, "{\"ranks\": %d, \"results\": [", ranks);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, i == 0 ? "\n" : ",\n");
        write_row(out, options, &rows[i]);
    }
    fprintf(out, "\n]}\n");
    return fflush(out) == 0 && !ferror(out);
}
