/* info.h - the sections of kolo-info. Each prints to standard output, and says what it could not find out. */
#ifndef KOLO_INFO_INFO_H
#define KOLO_INFO_INFO_H

#include <stdbool.h>
#include "base/config.h"
#include "topo/topo.h"

enum { INFO_NP_MAX = 65536 };

typedef struct info_options {
    int32_t np; /* 0: as many as the launcher has started, or as there are allowed cores */
    bool selection;
    bool help, version;
} info_options;

/* False after a message on standard error: the command line is wrong. */
bool info_options_parse(int argc, char **argv, info_options *options);
void info_print_usage(void);

void info_heading(const char *title);

/* The configuration from the environment, less the variables that have no valid value. False when there is no
 * configuration at all (message printed); else kolo_config_fini is needed. What kolo_init would refuse is printed, and
 * *valid is false then. */
bool info_config_load(kolo_config *config, const kolo_log *log, bool *valid);
/* Values that parse, and mean nothing that kolo_init could do: printed, and false. */
bool info_config_check(const kolo_config *config);
/* One thing that kolo_init would refuse; below a heading, which the first one brings. */
void info_config_refused(const char *text);
void info_print_config(const kolo_config *config);
void info_print_launcher(void);

/* iface: KOLO_IFACE. */
void info_print_devices(const char *iface);

void info_print_topology(const kolo_topo *topo);
void info_print_placement(const kolo_topo *topo, int32_t np, bool bind);
/* Instead of the placement, in a job of np ranks here that has bound this one already. */
void info_print_bound(const kolo_topo *topo, int32_t np);

/* What would be chosen for np ranks, by which prices, and what it is expected to cost. config and topo may be NULL.
 * is_bound: this is a rank of theirs, on cores of its own. */
void info_print_selection(const kolo_config *config, const kolo_topo *topo, int32_t np, bool is_bound);

#endif
