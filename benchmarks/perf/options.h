/* options.h - the command line: nccl-tests' flags where it has them. */
#ifndef PERF_OPTIONS_H
#define PERF_OPTIONS_H

#include "kinds.h"

typedef enum perf_mode {
    PERF_ISOLATED, /* a barrier before each iteration, inputs rewritten; an iteration takes as long as its slowest rank
                    */
    PERF_B2B, /* no barrier between; an iteration takes what it takes on average over the ranks, as nccl-tests has it */
    PERF_LOOP /* the same with the rewriting of inputs in the time: the pace of a loop that computes, too */
} perf_mode;

typedef enum perf_buffers { PERF_PRIVATE, PERF_KOLO } perf_buffers;

typedef struct perf_options {
    bool ops[PERF_OP_COUNT];
    bool types[PERF_TYPE_COUNT];
    bool redops[PERF_REDOP_COUNT];
    int64_t min_bytes;
    int64_t max_bytes;
    int64_t step_bytes;  /* used where step_factor is 0 */
    int64_t step_factor; /* 0: not given */
    int iterations;
    int warmup;
    int budget_ms; /* 0: none; else of one size in one place: iterations and warmup are the most there may be */
    int checks;    /* iterations whose results are checked, after the timed ones */
    int root;
    int async;        /* 0: synchronous calls; K: K tensors in flight, then waited for */
    int idle_seconds; /* how long `idle` lasts */
    perf_mode mode;
    perf_buffers buffers;
    const char *json_path; /* NULL: none; points into argv */
    const char *turns;     /* NULL: a sweep; else the prefix of turns.h's FIFOs; points into argv */
} perf_options;

typedef enum perf_parse { PERF_PARSE_RUN, PERF_PARSE_HELP, PERF_PARSE_VERSION, PERF_PARSE_BAD } perf_parse;

/* Reads argv (permuting it, as getopt does). PERF_PARSE_BAD: message says what is wrong, and what would be right. */
perf_parse perf_options_parse(int argc, char **argv, perf_options *options, char *message, size_t message_size);

/* The text for --help; `program` names the program. */
void perf_options_help(const char *program);

/* Puts the sizes of the sweep one after another into *bytes: start with *bytes = -1; false at the end. */
bool perf_options_next_size(const perf_options *options, size_t element_size, int64_t *bytes);

const char *perf_mode_name(perf_mode mode);
bool perf_mode_find(const char *name, perf_mode *mode);
const char *perf_buffers_name(perf_buffers buffers);

#endif
