/* options.c - parses the command line into perf_options. */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_ASYNC = 256, OPTION_BUFFERS, OPTION_MODE, OPTION_BUDGET, OPTION_TURNS, OPTION_JSON, OPTION_VERSION };

static const char short_options[] = ":b:e:i:f:g:n:w:c:d:o:r:t:h";

static const struct option long_options[] = {
    {"minbytes", required_argument, NULL, 'b'},
    {"maxbytes", required_argument, NULL, 'e'},
    {"stepbytes", required_argument, NULL, 'i'},
    {"stepfactor", required_argument, NULL, 'f'},
    {"ngpus", required_argument, NULL, 'g'},
    {"iters", required_argument, NULL, 'n'},
    {"warmup_iters", required_argument, NULL, 'w'},
    {"check", required_argument, NULL, 'c'},
    {"datatype", required_argument, NULL, 'd'},
    {"op", required_argument, NULL, 'o'},
    {"root", required_argument, NULL, 'r'},
    {"seconds", required_argument, NULL, 't'},
    {"async", required_argument, NULL, OPTION_ASYNC},
    {"buffers", required_argument, NULL, OPTION_BUFFERS},
    {"mode", required_argument, NULL, OPTION_MODE},
    {"budget", required_argument, NULL, OPTION_BUDGET},
    {"turns", required_argument, NULL, OPTION_TURNS},
    {"json", required_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

/* Where parse errors go. */
typedef struct parser {
    perf_options *options;
    char *message;
    size_t message_size;
} parser;

__attribute__((format(printf, 2, 3))) static bool reject(const parser *p, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(p->message, p->message_size, format, list);
    va_end(list);
    return false;
}

static bool parse_number(const parser *p, const char *flag, const char *text, long long low, long long high,
                         long long *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || number < low || number > high)
        return reject(p, "%s %s: expected a whole number from %lld to %lld", flag, text, low, high);
    *value = number;
    return true;
}

static bool parse_int(const parser *p, const char *flag, const char *text, int low, int high, int *value)
{
    long long number = 0;
    if (!parse_number(p, flag, text, low, high, &number))
        return false;
    *value = (int)number;
    return true;
}

/* 8, 64K, 1M, 2G: powers of 1024, as nccl-tests counts. */
static bool parse_bytes(const parser *p, const char *flag, const char *text, int64_t *bytes)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    int shift = 0;
    bool good = end != text && errno == 0 && number >= 0;
    if (good && *end != '\0') {
        const char *suffixes = "KMG";
        const char *found = strchr(suffixes, toupper((unsigned char)*end));
        good = found != NULL && end[1] == '\0';
        shift = good ? (int)(found - suffixes + 1) * 10 : 0;
    }
    if (!good || number > (INT64_MAX >> 10 >> shift))
        return reject(p, "%s %s: expected a size in bytes, such as 8, 64K, 1M or 2G", flag, text);
    *bytes = (int64_t)number << shift;
    return true;
}

typedef bool (*find_fn)(const char *name, int *index);

static bool find_op(const char *name, int *index)
{
    perf_op op;
    bool found = perf_op_find(name, &op);
    *index = found ? (int)op : -1;
    return found;
}

static bool find_type(const char *name, int *index)
{
    perf_type type;
    bool found = perf_type_find(name, &type);
    *index = found ? (int)type : -1;
    return found;
}

static bool find_redop(const char *name, int *index)
{
    perf_redop redop;
    bool found = perf_redop_find(name, &redop);
    *index = found ? (int)redop : -1;
    return found;
}

/* "a,b" or "all" (the first all_count kinds) into chosen[0..count). */
static bool parse_set(const parser *p, const char *flag, const char *text, find_fn find, const char *known,
                      bool *chosen, size_t count, size_t all_count)
{
    memset(chosen, 0, count * sizeof *chosen);
    const char *cursor = text;
    for (;;) {
        char name[32];
        size_t length = strcspn(cursor, ",");
        int index;
        if (length >= sizeof name)
            return reject(p, "%s %s: expected %s, a list of them with commas, or all", flag, text, known);
        memcpy(name, cursor, length);
        name[length] = '\0';
        if (strcmp(name, "all") == 0)
            memset(chosen, true, all_count * sizeof *chosen);
        else if (find(name, &index))
            chosen[index] = true;
        else
            return reject(p, "%s %s: expected %s, a list of them with commas, or all", flag, text, known);
        if (cursor[length] == '\0')
            return true;
        cursor += length + 1;
    }
}

static bool parse_choice(const parser *p, const char *flag, const char *text, const char *first, const char *second,
                         int *choice)
{
    if (strcmp(text, first) != 0 && strcmp(text, second) != 0)
        return reject(p, "%s %s: expected %s or %s", flag, text, first, second);
    *choice = strcmp(text, second) == 0;
    return true;
}

static bool parse_own_option(const parser *p, int flag, const char *text)
{
    perf_options *o = p->options;
    int choice = 0;
    bool good = false;
    switch (flag) {
    case 't':
        return parse_int(p, "-t", text, 1, 86400, &o->idle_seconds);
    case OPTION_ASYNC:
        return parse_int(p, "--async", text, 1, 100000, &o->async);
    case OPTION_BUFFERS:
        good = parse_choice(p, "--buffers", text, "private", "kolo", &choice);
        o->buffers = choice ? PERF_KOLO : PERF_PRIVATE;
        return good;
    case OPTION_MODE:
        return perf_mode_find(text, &o->mode) || reject(p, "--mode %s: expected isolated, b2b or loop", text);
    case OPTION_BUDGET:
        return parse_int(p, "--budget", text, 0, 3600000, &o->budget_ms);
    case OPTION_TURNS:
        if (*text == '\0')
            return reject(p, "--turns: expected the beginning of the FIFOs' names");
        o->turns = text;
        return true;
    case OPTION_JSON:
        if (*text == '\0')
            return reject(p, "--json: expected the name of a file to write");
        o->json_path = text;
        return true;
    default:
        return reject(p, "unexpected option; see --help");
    }
}

static bool parse_option(const parser *p, int flag, const char *text)
{
    perf_options *o = p->options;
    long long factor = 0;
    switch (flag) {
    case 'b':
        return parse_bytes(p, "-b", text, &o->min_bytes);
    case 'e':
        return parse_bytes(p, "-e", text, &o->max_bytes);
    case 'i':
        return parse_bytes(p, "-i", text, &o->step_bytes);
    case 'f':
        if (!parse_number(p, "-f", text, 2, 1 << 20, &factor))
            return false;
        o->step_factor = factor;
        return true;
    case 'g': /* how nccl-tests is usually started */
        return strcmp(text, "1") == 0 ||
               reject(p,
                      "-g %s: each rank has one tensor of an operation, and no GPU; only -g 1 is understood. More "
                      "ranks: kolorun -np N",
                      text);
    case 'n':
        return parse_int(p, "-n", text, 1, 10000000, &o->iterations);
    case 'w':
        return parse_int(p, "-w", text, 0, 10000000, &o->warmup);
    case 'c':
        return parse_int(p, "-c", text, 0, 10000000, &o->checks);
    case 'd':
        return parse_set(p, "-d", text, find_type, "int8, uint8, int16, int32, int64, half, float, double, bfloat16",
                         o->types, PERF_TYPE_COUNT, PERF_TYPE_COUNT);
    case 'o':
        return parse_set(p, "-o", text, find_redop, "sum, prod, min, max, avg", o->redops, PERF_REDOP_COUNT,
                         PERF_REDOP_COUNT);
    case 'r':
        return parse_int(p, "-r", text, 0, INT_MAX, &o->root);
    default:
        return parse_own_option(p, flag, text);
    }
}

static bool parse_operation(const parser *p, int argc, char **argv)
{
    static const char known[] =
        "allreduce, grouped_allreduce, prepared_allreduce, prepared_group, broadcast, allgather, reduce_scatter, "
        "barrier, memcpy, idle";
    if (optind == argc)
        return reject(p, "which operation? Give one of %s, a list of them with commas, or all", known);
    if (optind + 1 < argc)
        return reject(p, "%s: one operation (or a list with commas) is enough; %s came before it", argv[optind + 1],
                      argv[optind]);
    perf_options *o = p->options;
    if (!parse_set(p, "operation", argv[optind], find_op, known, o->ops, PERF_OP_COUNT, PERF_MEMCPY))
        return false;
    if (o->ops[PERF_IDLE] && strcmp(argv[optind], perf_op_name(PERF_IDLE)) != 0)
        return reject(p, "operation %s: idle runs alone", argv[optind]);
    return true;
}

static bool check_sweep(const parser *p)
{
    const perf_options *o = p->options;
    if (o->min_bytes > o->max_bytes)
        return reject(p, "-b %lld is more than -e %lld: give both, smallest first", (long long)o->min_bytes,
                      (long long)o->max_bytes);
    if (o->step_factor == 0 && o->step_bytes == 0 && o->min_bytes < o->max_bytes)
        return reject(p, "-i 0 never gets from -b to -e: give a step of at least one byte, or a factor with -f");
    return true;
}

perf_parse perf_options_parse(int argc, char **argv, perf_options *options, char *message, size_t message_size)
{
    parser p = {.options = options, .message = message, .message_size = message_size};
    *options = (perf_options){.min_bytes = 32 << 20,
                              .max_bytes = 32 << 20,
                              .step_bytes = 1 << 20,
                              .iterations = 20,
                              .warmup = 5,
                              .checks = 1,
                              .idle_seconds = 10};
    options->types[PERF_FLOAT] = true;
    options->redops[PERF_SUM] = true;
    optind = 0; /* GNU getopt starts afresh, also for a second call in one process */
    opterr = 0;
    int flag;
    while ((flag = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        if (flag == 'h')
            return PERF_PARSE_HELP;
        if (flag == OPTION_VERSION)
            return PERF_PARSE_VERSION;
        if (flag == ':' || flag == '?') {
            /* For a long option optind is past it already; for a short one optopt names it. */
            if (optopt > 0 && optopt < 256)
                reject(&p, flag == ':' ? "-%c needs a value; see --help" : "-%c is not an option here; see --help",
                       optopt);
            else
                reject(&p, flag == ':' ? "%s needs a value; see --help" : "%s is not an option here; see --help",
                       argv[optind - 1]);
            return PERF_PARSE_BAD;
        }
        if (!parse_option(&p, flag, optarg))
            return PERF_PARSE_BAD;
    }
    return parse_operation(&p, argc, argv) && check_sweep(&p) ? PERF_PARSE_RUN : PERF_PARSE_BAD;
}

void perf_options_help(const char *program)
{
    printf(
        "Usage: kolorun -np N %s OPERATION[,OPERATION...] [options]\n"
        "   as: kolorun -np 4 %s allreduce -b 8 -e 64M -f 8\n"
        "\n"
        "Times operations on tensors of many sizes among N ranks, out of place and in place, and checks the results. "
        "It prints\n"
        "a table like nccl-tests' programs. Numbers in parentheses are the defaults.\n"
        "\n"
        "Operations\n"
        "  allreduce, broadcast, allgather, reduce_scatter, barrier; all: these five\n"
        "  grouped_allreduce        one call for many tensors (--async says how many)\n"
        "  prepared_allreduce, prepared_group\n"
        "                           allreduce and grouped_allreduce, prepared once, not timed, and started in each "
        "iteration\n"
        "  memcpy                   every rank copies its input, all at the same time: a floor to compare with\n"
        "  idle                     alone: what a job costs that does nothing\n"
        "Sizes (bytes of one whole tensor; K, M, G are powers of 1024)\n"
        "  -b, --minbytes SIZE      first size (32M)\n"
        "  -e, --maxbytes SIZE      last size (32M)\n"
        "  -i, --stepbytes SIZE     from one size to the next: add so much (1M)\n"
        "  -f, --stepfactor N       or multiply by so much\n"
        "Tensors\n"
        "  -d, --datatype TYPES     int8 uint8 int16 int32 int64 half float double bfloat16, with commas, or all "
        "(float)\n"
        "  -o, --op REDUCTIONS      sum prod min max avg, with commas, or all (sum)\n"
        "  -r, --root RANK          of a broadcast (0)\n"
        "      --async K            start operations on K tensors, each of the given size, then wait for all of "
        "them; of\n"
        "                           grouped_allreduce and prepared_group: one operation on K tensors\n"
        "                           (without it: one tensor, and a call that waits)\n"
        "      --buffers private|kolo   tensors in the program's own memory, or in kolo_alloc's (private)\n"
        "Timing\n"
        "  -n, --iters N            timed iterations (20)\n"
        "  -w, --warmup_iters N     iterations before them (5)\n"
        "  -c, --check N            iterations whose every result is checked, after the timed ones; 0: none (1)\n"
        "      --mode MODE          isolated: each iteration follows a barrier, and takes as long as its slowest "
        "rank;\n"
        "                           inputs are rewritten before it\n"
        "                           b2b: back to back without barriers; inputs beyond 4 KiB are rewritten between "
        "iterations,\n"
        "                           which is not timed\n"
        "                           loop: as b2b, with the rewriting timed (isolated)\n"
        "      --budget MS          for each size, in place and out of place, as many iterations as fit into MS "
        "milliseconds, at\n"
        "                           least 3 and at most those of -n and -w; 0: no limit (0)\n"
        "  -t, --seconds N          how long idle lasts (10)\n"
        "Results\n"
        "      --json FILE          write them as JSON, too\n"
        "      --turns PREFIX       for benchmarks/peers: instead of a sweep, measure what is asked for through FIFOs\n"
        "Other\n"
        "  -g, --ngpus 1            changes nothing: so that nccl-tests' command lines work\n"
        "  -h, --help               show this text\n"
        "      --version            show the version\n"
        "\n"
        "The table's time is the median of the iterations for isolated, else the mean of ranks and iterations. algbw "
        "= size / time,\n"
        "and busbw as nccl-tests defines it, both with the size of all K tensors; #wrong counts wrong elements. A "
        "broadcast out of\n"
        "place is the root's copy and a broadcast.\n"
        "Exit status: 0, 1 when a result is wrong or an operation fails, 2 for bad arguments.\n",
        program, program);
}

bool perf_options_next_size(const perf_options *options, size_t element_size, int64_t *bytes)
{
    if (*bytes < 0) {
        *bytes = options->min_bytes;
        return true;
    }
    int64_t next;
    if (options->step_factor == 0)
        next = *bytes + (options->step_bytes > 0 ? options->step_bytes : 1);
    else if (*bytes == 0) /* no factor leaves 0 */
        next = (int64_t)element_size;
    else if (__builtin_mul_overflow(*bytes, options->step_factor, &next))
        return false;
    if (next > options->max_bytes)
        return false;
    *bytes = next;
    return true;
}

const char *perf_mode_name(perf_mode mode)
{
    return mode == PERF_B2B ? "b2b" : mode == PERF_LOOP ? "loop" : "isolated";
}

bool perf_mode_find(const char *name, perf_mode *mode)
{
    for (*mode = PERF_ISOLATED; *mode <= PERF_LOOP; (*mode)++)
        if (strcmp(name, perf_mode_name(*mode)) == 0)
            return true;
    return false;
}

const char *perf_buffers_name(perf_buffers buffers)
{
    return buffers == PERF_KOLO ? "kolo" : "private";
}
