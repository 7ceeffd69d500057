/* options.h - kolorun's command line. */
#ifndef KOLO_LAUNCH_OPTIONS_H
#define KOLO_LAUNCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KOLORUN_RANKS_MAX = 4096 };

typedef struct kolorun_options {
    bool help, version; /* asked for: nothing else is checked */
    int32_t ranks;
    bool prefix;        /* rank before each line of output */
    bool bind;          /* ranks to their share of the cores */
    bool bind_given;    /* --bind, not KOLO_BIND */
    int64_t timeout_ns; /* 0: none */
    char **program;     /* NULL-terminated, into argv */
} kolorun_options;

/* Reads argv, and KOLO_BIND (may be NULL). False: *error says what is wrong. */
bool kolorun_options_parse(int argc, char **argv, const char *bind_variable, kolorun_options *options, char *error,
                           size_t capacity);

extern const char kolorun_usage[];

#endif
