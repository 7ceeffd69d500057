/* selection.c - which algorithm would be chosen, by operation and size, and what it is expected to take. */
#include "info/info.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "info/prices.h"
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

static void print_choice(const char *name, double ns)
{
    char cell[64];
    snprintf(cell, sizeof(cell), "%-14s %11.1f us", name, ns / 1000.0);
    printf("  %s", cell);
}

static void print_cell(const kolo_plan_work *work, bool is_shared, const kolo_price_model *model,
                       const kolo_algorithm *forced)
{
    if (is_shared && forced == NULL && kolo_plan_values_pay(work, false, model)) {
        print_choice("values", kolo_price_values(model, (double)work->bytes, work->size));
        return;
    }
    kolo_association association = kolo_plan_association(work->collective, work->bytes, work->size, is_shared);
    const kolo_algorithm *chosen = kolo_algorithm_select(work, association, model, forced);
    if (!chosen) {
        printf("  %-14s %14s", "-", "");
        return;
    }
    print_choice(chosen->name, chosen->price(work, model));
}

/* An all-reduce of tensors from kolo_alloc: they are reduced where they lie, unless more ranks share the host than do
 * that. */
static void print_allocated(const kolo_plan_work *work, const kolo_price_model *model, const kolo_algorithm *forced)
{
    const kolo_algorithm *shared = kolo_algorithm_find("shared");
    if (forced != NULL || work->size > KOLO_PLAN_VALUE_RANKS)
        print_cell(work, true, model, forced);
    else if (kolo_plan_values_pay(work, true, model))
        print_choice("values", kolo_price_values(model, (double)work->bytes, work->size));
    else
        print_choice(shared->name, shared->price(work, model));
}

static const kolo_algorithm *forced_by(const char *variable, const char *value, bool attach, kolo_collective collective)
{
    const kolo_algorithm *forced = NULL;
    if (kolo_algorithm_forced(variable, value, collective, &forced) != KOLO_OK)
        printf("  %s; shown as auto\n", kolo_error_current()->message);
    if (forced && forced->reads_tensors && !attach) {
        printf("  %s=%s cannot be used with KOLO_SHM_ATTACH=no; shown as auto\n", variable, value);
        return NULL;
    }
    if (forced)
        printf("  %s=%s: taken wherever it can do the operation\n", variable, value);
    return forced;
}

/* What one of the groups under way has of a rank's window, half of which is the board's where there is one. */
static int64_t window_bytes_of(const kolo_config *config, int32_t np)
{
    int64_t bytes = config ? config->shm_window_bytes : INT64_C(12) << 20,
            groups = config ? config->groups_in_flight : 2;
    return (np <= KOLO_PLAN_VALUE_RANKS ? bytes / 2 : bytes) / groups;
}

static void print_heads(bool is_shared)
{
    printf("  %9s", "size");
    if (is_shared)
        printf("  %-29s", "allreduce from kolo_alloc");
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        printf(i + 1 < COLUMN_COUNT ? "  %-29s" : "  %s", kolo_collective_name(columns[i]));
    printf("\n");
}

static void print_table(kolo_plan_work work, const kolo_price_model *model, const kolo_algorithm *reduction,
                        const kolo_algorithm *broadcast)
{
    bool is_shared = work.window_bytes > 0;
    print_heads(is_shared);
    for (work.bytes = 4; work.bytes <= INT64_C(1) << 30; work.bytes *= 4) {
        print_size(work.bytes);
        work.collective = KOLO_ALLREDUCE;
        if (is_shared)
            print_allocated(&work, model, reduction);
        for (size_t i = 0; i < COLUMN_COUNT; i++) {
            work.collective = columns[i];
            print_cell(&work, is_shared, model, columns[i] == KOLO_BROADCAST ? broadcast : reduction);
        }
        printf("\n");
    }
}

static void print_prices(const info_prices *prices)
{
    char text[KOLO_PRICE_TEXT];
    if (prices->by_hand)
        printf("  prices, by KOLO_PRICES:\n");
    else if (prices->measured > 0)
        printf("  prices, measured here with %" PRId32
               " thread%s in the place of ranks; those of messages are defaults:\n",
               prices->measured, prices->measured == 1 ? "" : "s");
    else
        printf("  prices, not measured%s:\n",
               prices->out_of_reach ? " (this rank is bound; outside of the job kolo-info measures them)" : "");
    kolo_price_format(&prices->model, text);
    for (char *from = text, *end = NULL; from; from = end) {
        if ((end = strchr(from, ',')) != NULL)
            *end++ = '\0';
        printf("    %s\n", from);
    }
}

/* What prices would say of one rank is not true where it works in place. */
static void print_selection_of_one(void)
{
    printf(
        "  nothing to choose: in place, and in a broadcast, one rank moves nothing; out of place its input is copied "
        "to\n  its output, once, as by memcpy. --np N shows the selection for N ranks\n");
}

void info_print_selection(const kolo_config *config, const kolo_topo *topo, int32_t np, bool is_bound)
{
    char title[96];
    info_prices prices;
    snprintf(title, sizeof(title), "selection for %" PRId32 " rank%s", np, np == 1 ? "" : "s");
    info_heading(title);
    if (np == 1) {
        print_selection_of_one();
        return;
    }
    info_find_prices(config, topo, np, is_bound, &prices);
    print_prices(&prices);
    bool attach = config == NULL || config->shm_attach;
    const kolo_algorithm *reduction =
        config ? forced_by("KOLO_ALGORITHM", config->algorithm, attach, KOLO_ALLREDUCE) : NULL;
    const kolo_algorithm *broadcast =
        config ? forced_by("KOLO_BROADCAST", config->broadcast, attach, KOLO_BROADCAST) : NULL;
    kolo_plan_work work = {.size = np, .chunk_bytes = config ? config->chunk_bytes : INT64_C(262144)};
    printf("\n  where ranks send messages%s\n",
           prices.measured > 0
               ? " (what a message takes is a default: a job that sends some measures it, this program cannot)"
               : "");
    print_table(work, &prices.model, reduction, broadcast);
    printf("\n  where all ranks share memory\n");
    work.window_bytes = window_bytes_of(config, np);
    work.readable_tensors = attach;
    print_table(work, &prices.model, reduction, broadcast);
}
