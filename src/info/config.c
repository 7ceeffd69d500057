/* config.c - KOLO_* variables with value, origin and meaning, and the launcher's variables. */
#include "info/info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"

/* ---- KOLO_* --------------------------------------------------------------------------------- */

/* Whether the configuration accepts this one variable. What it says about unknown ones is said when all are loaded. */
static bool is_accepted(char *variable)
{
    char *one[] = {variable, NULL};
    kolo_config config;
    if (kolo_config_init(&config, one, NULL) != KOLO_OK)
        return false;
    kolo_config_fini(&config);
    return true;
}

void info_config_refused(const char *text)
{
    static bool has_heading;
    if (!has_heading)
        info_heading("errors in the configuration: kolo_init would fail");
    has_heading = true;
    printf("  %s\n", text);
}

bool info_config_load(kolo_config *config, const kolo_log *log, bool *valid)
{
    size_t count = 0;
    while (environ && environ[count])
        count++;
    char **accepted = calloc(count + 1, sizeof(*accepted));
    *valid = true;
    for (size_t i = 0, kept = 0; accepted && i < count; i++) {
        if (strncmp(environ[i], "KOLO_", 5) != 0)
            continue;
        if (is_accepted(environ[i])) {
            accepted[kept++] = environ[i];
            continue;
        }
        char text[sizeof(kolo_error_current()->message) + 64];
        snprintf(text, sizeof(text), "%s (below: the default)", kolo_error_current()->message);
        info_config_refused(text);
        *valid = false;
    }
    bool ok = accepted && kolo_config_init(config, accepted, log) == KOLO_OK;
    if (!ok) {
        info_heading("configuration");
        printf("  not found out: %s\n", accepted ? kolo_error_current()->message : "out of memory");
    }
    free(accepted);
    if (ok && !info_config_check(config))
        *valid = false;
    return ok;
}

static int widest_value(const kolo_config *config)
{
    enum { NARROWEST = 5, WIDEST = 24 };
    size_t width = NARROWEST;
    for (size_t i = 0; i < kolo_config_count(); i++) {
        kolo_config_entry entry;
        kolo_config_describe(config, i, &entry);
        size_t length = strlen(entry.value);
        width = length > width && length <= WIDEST ? length : width;
    }
    return (int)width;
}

void info_print_config(const kolo_config *config)
{
    info_heading("configuration");
    int width = widest_value(config);
    printf("  %-22s  %-*s  %-11s  %s\n", "variable", width, "value", "origin", "meaning");
    for (size_t i = 0; i < kolo_config_count(); i++) {
        kolo_config_entry entry;
        kolo_config_describe(config, i, &entry);
        printf("  %-22s  %-*s  %-11s  %s\n", entry.variable, width, *entry.value ? entry.value : "-",
               entry.origin == KOLO_ORIGIN_ENVIRONMENT ? "environment" : "default", entry.meaning);
    }
}

/* ---- launchers ------------------------------------------------------------------------------ */

/* What a job is read from; and what other starters set, which is not read but tells who started us. */
static const char *const job_variables[] = {"RANK",        "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE",
                                            "MASTER_ADDR", "MASTER_PORT"};
static const char *const foreign_variables[] = {"OMPI_COMM_WORLD_RANK",
                                                "OMPI_COMM_WORLD_SIZE",
                                                "OMPI_COMM_WORLD_LOCAL_RANK",
                                                "PMIX_NAMESPACE",
                                                "PMIX_RANK",
                                                "PMI_RANK",
                                                "PMI_SIZE",
                                                "SLURM_JOB_ID",
                                                "SLURM_PROCID",
                                                "SLURM_NTASKS",
                                                "SLURM_LOCALID"};

static size_t print_seen(const char *const *names, size_t count, const char *remark)
{
    size_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        const char *value = getenv(names[i]);
        if (!value)
            continue;
        printf("  %-26s  %s%s\n", names[i], value, remark);
        seen++;
    }
    return seen;
}

void info_print_launcher(void)
{
    info_heading("launcher's variables");
    size_t seen = print_seen(job_variables, sizeof(job_variables) / sizeof(*job_variables), "");
    seen +=
        print_seen(foreign_variables, sizeof(foreign_variables) / sizeof(*foreign_variables), "  (not read by Kolo)");
    if (seen == 0)
        printf("  none: a program started like this is a job of one rank\n");
}
