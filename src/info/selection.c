/* selection.c - which algorithm would be chosen, by operation and size, and what it is expected to take. */
#include "info/info.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "plan/algorithm.h"

static const kolo_collective columns[] = {KOLO_ALLREDUCE, KOLO_REDUCE_SCATTER, KOLO_ALLGATHER, KOLO_BROADCAST};
enum { COLUMN_COUNT = sizeof(columns) / sizeof(*columns) };

static void print_size(int64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    size_t unit = 0;
    for (; unit < 3 && bytes >= 1024; unit++)
        bytes /= 1024;
    printf("  %5" PRId64 " %-3s", bytes, units[unit]);
}

static void print_cell(kolo_collective collective, int32_t np, bool is_shared, int64_t bytes, int64_t chunk_bytes,
                       const kolo_algorithm *forced)
{
    static const kolo_price_model model = KOLO_PRICE_MODEL_DEFAULT;
    kolo_association association = kolo_plan_association(collective, bytes, np, is_shared);
    const kolo_algorithm *chosen =
        kolo_algorithm_select(collective, association, np, bytes, chunk_bytes, &model, forced);
    if (!chosen) {
        printf("  %-14s %14s", "-", "");
        return;
    }
    char cell[64];
    snprintf(cell, sizeof(cell), "%-14s %11.1f us", chosen->name,
             chosen->price(collective, np, bytes, chunk_bytes, &model) / 1000.0);
    printf("  %s", cell);
}

static const kolo_algorithm *forced_by(const char *variable, const char *value)
{
    if (strcmp(value, "auto") == 0)
        return NULL;
    const kolo_algorithm *forced = kolo_algorithm_find(value);
    if (forced)
        printf("  %s=%s: taken wherever it can do the operation\n", variable, value);
    else
        printf("  %s=%s names no algorithm; shown as auto\n", variable, value);
    return forced;
}

static void print_table(bool is_shared, int32_t np, int64_t chunk_bytes, const kolo_algorithm *reduction,
                        const kolo_algorithm *broadcast)
{
    printf("\n  %s\n  %9s", is_shared ? "where all ranks share memory" : "where ranks send messages", "size");
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        printf(i + 1 < COLUMN_COUNT ? "  %-29s" : "  %s", kolo_collective_name(columns[i]));
    printf("\n");
    for (int64_t bytes = 4; bytes <= INT64_C(1) << 30; bytes *= 4) {
        print_size(bytes);
        for (size_t i = 0; i < COLUMN_COUNT; i++)
            print_cell(columns[i], np, is_shared, bytes, chunk_bytes,
                       columns[i] == KOLO_BROADCAST ? broadcast : reduction);
        printf("\n");
    }
}

void info_print_selection(const kolo_config *config, int32_t np)
{
    char title[96];
    snprintf(title, sizeof(title), "selection for %" PRId32 " rank%s, priced with the default model", np,
             np == 1 ? "" : "s");
    info_heading(title);
    const kolo_algorithm *reduction = config ? forced_by("KOLO_ALGORITHM", config->algorithm) : NULL;
    const kolo_algorithm *broadcast = config ? forced_by("KOLO_BROADCAST", config->broadcast) : NULL;
    int64_t chunk_bytes = config ? config->chunk_bytes : INT64_C(262144);
    print_table(false, np, chunk_bytes, reduction, broadcast);
    print_table(true, np, chunk_bytes, reduction, broadcast);
}
