/* options.c - kolo-info's command line. */
#include "info/info.h"

#include <stdio.h>
#include <string.h>

void info_print_usage(void)
{
    printf("usage: kolo-info [--np N] [--selection]\n"
           "\n"
           "Prints what Kolo sees: its configuration and where each value comes from, the launcher's variables,\n"
           "network devices, the topology of this machine, and which cores N ranks would get on it.\n"
           "\n"
           "  --np N        place N ranks (1 to %d; default: as many as the launcher has started,\n"
           "                or one for each allowed core)\n"
           "  --selection   print which algorithm would be chosen for each operation and size with N ranks\n"
           "  --version     print the version, and exit\n"
           "  --help        print this, and exit\n"
           "\n"
           "Exit status: 0; 1 if a KOLO_* variable has no valid value; 2 if the command line is wrong.\n",
           (int)INFO_NP_MAX);
}

static bool parse_np(const char *text, info_options *options)
{
    int64_t np;
    if (!text || !kolo_parse_int(text, 1, INFO_NP_MAX, &np)) {
        fprintf(stderr, "kolo-info: --np %s: expected a number of ranks from 1 to %d\n",
                text ? text : "without a value", (int)INFO_NP_MAX);
        return false;
    }
    options->np = (int32_t)np;
    return true;
}

static void refuse_unknown(const char *arg)
{
    int64_t np;
    if (kolo_parse_int(arg, 1, INFO_NP_MAX, &np))
        fprintf(stderr, "kolo-info: unknown argument '%s'; a number of ranks is --np %s\n", arg, arg);
    else
        fprintf(stderr, "kolo-info: unknown argument '%s'; see kolo-info --help\n", arg);
}

bool info_options_parse(int argc, char **argv, info_options *options)
{
    *options = (info_options){.np = 0};
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            options->help = true;
        } else if (strcmp(arg, "--version") == 0) {
            options->version = true;
        } else if (strcmp(arg, "--selection") == 0) {
            options->selection = true;
        } else if (strcmp(arg, "--np") == 0 || strcmp(arg, "-np") == 0) {
            if (!parse_np(i + 1 < argc ? argv[++i] : NULL, options))
                return false;
        } else if (strncmp(arg, "--np=", 5) == 0) {
            if (!parse_np(arg + 5, options))
                return false;
        } else {
            refuse_unknown(arg);
            return false;
        }
    }
    return true;
}
