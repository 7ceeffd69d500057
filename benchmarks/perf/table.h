/* table.h - results as text: nccl-tests' columns, then the percentiles. */
#ifndef PERF_TABLE_H
#define PERF_TABLE_H

#include "measure.h"

#include <stdio.h>

void perf_table_begin(FILE *out, const perf_options *options, const perf_backend *backend);
void perf_table_op(FILE *out, const perf_options *options, perf_op op); /* the heading of one operation's rows */
void perf_table_row(FILE *out, const perf_row *row);
void perf_table_end(FILE *out, const perf_row *rows, size_t count);

/* Wrong elements in all rows together. */
int64_t perf_rows_wrong(const perf_row *rows, size_t count);

#endif
