/* options.c - reads kolorun's command line. By hand: getopt knows neither "-np" nor how to say what would be right. */
#include "launch/options.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"

const char kolorun_usage[] =
    "usage: kolorun -np N [--prefix] [--bind auto|none] [--timeout SECONDS] [--] program [argument ...]\n"
    "\n"
    "Starts N ranks of a program on this machine, each knowing its RANK, WORLD_SIZE, LOCAL_RANK,\n"
    "LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT.\n"
    "\n"
    "  -np N, -n N         number of ranks, 1 to 4096\n"
    "  -l, --prefix        put \"[rank] \" before each line that a rank writes\n"
    "  --bind auto|none    auto: each rank gets its share of the cores, if each core gets as many ranks\n"
    "                      (default; KOLO_BIND sets it too)\n"
    "  --timeout SECONDS   end the job after so long, with exit code 124\n"
    "  -h, --help          this text\n"
    "  --version           the version\n"
    "\n"
    "When a rank fails, the others are ended (SIGTERM, after 5 s SIGKILL), and kolorun exits with the\n"
    "failed rank's code, or 128 + the signal that killed it. Signals are passed on to all ranks; a second\n"
    "SIGINT ends the job. Only rank 0 has standard input.\n";

typedef struct reader {
    int argc, next;
    char **argv;
    char *error;
    size_t capacity;
} reader;

/* "--name value" and "--name=value". NULL: this argument is something else, or its value is missing (then error is
 * set). */
static const char *value_of(reader *in, const char *name)
{
    const char *argument = in->argv[in->next];
    size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0)
        return NULL;
    if (argument[length] == '=' && length > 2) {
        in->next++;
        return argument + length + 1;
    }
    if (argument[length] != '\0')
        return NULL;
    if (in->next + 1 >= in->argc) {
        snprintf(in->error, in->capacity, "%s needs a value", name);
        return NULL;
    }
    in->next += 2;
    return in->argv[in->next - 1];
}

static bool flag(reader *in, const char *name, bool *value)
{
    if (strcmp(in->argv[in->next], name) != 0)
        return false;
    in->next++;
    *value = true;
    return true;
}

static void read_ranks(reader *in, const char *text, kolorun_options *options)
{
    int64_t ranks;
    if (kolo_parse_int(text, 1, KOLORUN_RANKS_MAX, &ranks))
        options->ranks = (int32_t)ranks;
    else
        snprintf(in->error, in->capacity, "the number of ranks is '%.64s'; expected 1 to %d", text, KOLORUN_RANKS_MAX);
}

static void read_bind(reader *in, const char *name, const char *text, kolorun_options *options)
{
    if (strcmp(text, "auto") != 0 && strcmp(text, "none") != 0)
        snprintf(in->error, in->capacity, "%s is '%.64s'; expected auto or none", name, text);
    options->bind = strcmp(text, "auto") == 0;
}

/* Seconds, or a time with its unit ("90s", "500ms"). */
static void read_timeout(reader *in, const char *text, kolorun_options *options)
{
    int64_t seconds;
    if (kolo_parse_int(text, 1, INT64_C(1000000000), &seconds))
        options->timeout_ns = seconds * KOLO_NS_PER_S;
    else if (!kolo_parse_time(text, &options->timeout_ns) || options->timeout_ns <= 0)
        snprintf(in->error, in->capacity, "--timeout is '%.64s'; expected seconds, or a time like 500ms", text);
}

/* One option at in->next; false when it is none, or is wrong. */
static bool read_option(reader *in, kolorun_options *options)
{
    const char *value;
    if (flag(in, "-h", &options->help) || flag(in, "--help", &options->help) ||
        flag(in, "--version", &options->version) || flag(in, "-l", &options->prefix) ||
        flag(in, "--prefix", &options->prefix))
        return true;
    if ((value = value_of(in, "-np")) != NULL || (value = value_of(in, "-n")) != NULL ||
        (value = value_of(in, "--np")) != NULL) {
        read_ranks(in, value, options);
        return true;
    }
    if ((value = value_of(in, "--bind")) != NULL) {
        options->bind_given = true;
        read_bind(in, "--bind", value, options);
        return true;
    }
    if ((value = value_of(in, "--timeout")) != NULL) {
        read_timeout(in, value, options);
        return true;
    }
    if (in->error[0] == '\0')
        snprintf(in->error, in->capacity, "unknown option '%.64s'", in->argv[in->next]);
    return false;
}

bool kolorun_options_parse(int argc, char **argv, const char *bind_variable, kolorun_options *options, char *error,
                           size_t capacity)
{
    reader in = {.argc = argc, .next = 1, .argv = argv, .error = error, .capacity = capacity};
    *options = (kolorun_options){.bind = true};
    error[0] = '\0';
    while (in.next < argc && argv[in.next][0] == '-') {
        if (strcmp(argv[in.next], "--") == 0) {
            in.next++;
            break;
        }
        if (!read_option(&in, options) || error[0] != '\0')
            return false;
        if (options->help || options->version)
            return true;
    }
    options->program = argv + in.next;
    if (options->ranks == 0)
        snprintf(error, capacity, "the number of ranks is missing: -np N");
    else if (in.next >= argc)
        snprintf(error, capacity, "the program to run is missing");
    else if (!options->bind_given && bind_variable != NULL && bind_variable[0] != '\0')
        read_bind(&in, "KOLO_BIND", bind_variable, options);
    return error[0] == '\0';
}
