/* main.c - kolo-info: what Kolo sees here, and what it would do. */
#include "info/info.h"

#include <kolo/kolo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "reduce/reduce.h"

void info_heading(const char *title)
{
    printf("\n%s\n", title);
}

static void print_version(void)
{
    printf("kolo %s, ABI %d.%d\n", KOLO_VERSION, KOLO_ABI_MAJOR, KOLO_ABI_MINOR);
}

static void print_instruction_sets(void)
{
    printf("reduction kernels: %s (of:", kolo_reduce_isa());
    for (size_t i = 0; i < kolo_reduce_isa_count(); i++)
        printf(" %s", kolo_reduce_isa_name(i));
    printf(")\n");
}

/* How many ranks the launcher has started, where there is one; else 0. */
static int32_t launched(const char *variable)
{
    const char *text = getenv(variable);
    int64_t ranks;
    return text && kolo_parse_int(text, 1, INFO_NP_MAX, &ranks) ? (int32_t)ranks : 0;
}

/* Placement and selection need a number of ranks; the launcher gives the default, or the machine. */
static void print_machine(const kolo_log *log, const info_options *options, const kolo_config *config)
{
    bool bind = !config || strcmp(config->bind, "none") != 0, is_bound = false;
    int32_t np = options->np ? options->np : launched("WORLD_SIZE");
    int32_t local_np = !options->np && launched("LOCAL_WORLD_SIZE") ? launched("LOCAL_WORLD_SIZE") : np;
    kolo_topo *topo = NULL;
    if (kolo_topo_create(log, &topo) == KOLO_OK) {
        is_bound = !options->np && local_np > 1 && kolo_topo_is_restricted(topo);
        local_np = local_np ? local_np : kolo_topo_allowed_cores(topo);
        info_print_topology(topo);
        if (is_bound)
            info_print_bound(topo, local_np);
        else
            info_print_placement(topo, local_np, bind);
    } else {
        info_heading("topology");
        printf("  not found out: %s\n", kolo_error_current()->message);
    }
    np = np ? np : local_np;
    if (options->selection)
        info_print_selection(config, topo, np ? np : 1, is_bound);
    if (topo)
        kolo_topo_destroy(topo);
}

int main(int argc, char **argv)
{
    info_options options;
    if (!info_options_parse(argc, argv, &options))
        return 2;
    if (options.help) {
        info_print_usage();
        return 0;
    }
    print_version();
    if (options.version)
        return 0;
    print_instruction_sets();

    kolo_log log = {.level = KOLO_LOG_WARN, .rank = -1};
    kolo_config config;
    bool valid = true;
    bool configured = info_config_load(&config, &log, &valid);
    if (configured)
        info_print_config(&config);
    info_print_launcher();
    info_print_devices(configured ? config.iface : "");
    print_machine(&log, &options, configured ? &config : NULL);
    if (configured)
        kolo_config_fini(&config);

    if (fflush(stdout) != 0) {
        perror("kolo-info: writing to standard output");
        return 1;
    }
    return valid ? 0 : 1;
}
