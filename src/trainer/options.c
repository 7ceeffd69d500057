/* options.c - one table drives the parser, the limits and the help text. */
#include "trainer/options.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_INTEGER,
    OPTION_REAL,
    OPTION_HIDDEN,
    OPTION_OPTIMIZER,
    OPTION_DECAY
} option_kind;

typedef struct option_row {
    const char *name;
    option_kind kind;
    size_t offset;
    double min; /* of numbers, both inclusive */
    double max;
    const char *value; /* how the help names it */
    const char *help;
} option_row;

#define AT(field) offsetof(train_options, field)

static const option_row rows[] = {
    {"--data", OPTION_TEXT, AT(data), 0, 0, "DIR",
     "folder of the IDX files (default /usr/share/datasets/fashion-mnist)"},
    {"--hidden", OPTION_HIDDEN, AT(hidden), 0, 0, "N,N,...",
     "widths of the hidden layers, \"none\" for none (default 512,256)"},
    {"--epochs", OPTION_INTEGER, AT(epochs), 1, 1e6, "N", "passes over the training data (default 10)"},
    {"--stop-after", OPTION_INTEGER, AT(stop_after), 1, 1e6, "N",
     "stop after epoch N of --epochs; continue with --resume"},
    {"--batch", OPTION_INTEGER, AT(batch), 1, 65536, "N", "samples per step and rank (default 64)"},
    {"--optimizer", OPTION_OPTIMIZER, AT(optimizer), 0, 0, "sgd|adam", "SGD with momentum, or Adam (default sgd)"},
    {"--lr", OPTION_REAL, AT(lr), 1e-12, 1e6, "X", "peak learning rate (default 0.05 for sgd, 0.001 for adam)"},
    {"--momentum", OPTION_REAL, AT(momentum), 0, 0.999999, "X", "of SGD (default 0.9)"},
    {"--weight-decay", OPTION_REAL, AT(weight_decay), 0, 1, "X",
     "of weights, not biases; decoupled in Adam (default 0)"},
    {"--warmup", OPTION_INTEGER, AT(warmup), 0, 1e9, "N",
     "steps in which the learning rate grows to its peak (default 200)"},
    {"--decay", OPTION_DECAY, AT(decay), 0, 0, "cosine|step|none",
     "how the learning rate falls afterwards (default cosine)"},
    {"--decay-every", OPTION_INTEGER, AT(decay_every), 1, 1e6, "N",
     "epochs between two steps of --decay step (default 3)"},
    {"--decay-factor", OPTION_REAL, AT(decay_factor), 1e-6, 1, "X", "of --decay step (default 0.3)"},
    {"--seed", OPTION_INTEGER, AT(seed), 0, 9007199254740992.0, "N",
     "of the first parameters and the order of samples (default 1)"},
    {"--threads", OPTION_INTEGER, AT(threads), 1, 1024, "N",
     "BLAS threads per rank (default: allowed cores / ranks here)"},
    {"--limit", OPTION_INTEGER, AT(limit), 1, 1e9, "N", "train on the first N samples only"},
    {"--checkpoint", OPTION_TEXT, AT(checkpoint), 0, 0, "FILE", "written after every epoch, and read by --resume"},
    {"--resume", OPTION_FLAG, AT(resume), 0, 0, NULL, "continue from --checkpoint"},
    {"--log-loss", OPTION_TEXT, AT(log_loss), 0, 0, "FILE", "write a line \"epoch step loss\" per step"},
    {"--log-times", OPTION_TEXT, AT(log_times), 0, 0, "FILE",
     "rank R writes \"epoch step us us-of-waiting\" to FILE.R"},
    {"--dump-params", OPTION_TEXT, AT(dump), 0, 0, "FILE", "write the final parameters as raw float32"},
    {"--help", OPTION_FLAG, AT(help), 0, 0, NULL, "show this text"},
    {"--version", OPTION_FLAG, AT(version), 0, 0, NULL, "show the version"},
};

static const train_options defaults = {
    .data = "/usr/share/datasets/fashion-mnist",
    .hidden = {512, 256},
    .hidden_count = 2,
    .epochs = 10,
    .batch = 64,
    .seed = 1,
    .optimizer = TRAIN_SGD,
    .momentum = 0.9,
    .decay = TRAIN_DECAY_COSINE,
    .decay_every = 3,
    .decay_factor = 0.3,
    .warmup = 200,
};

static bool parse_integer(const option_row *row, const char *text, int64_t *value, train_failure *failure)
{
    char *end;

    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || (double)parsed < row->min || (double)parsed > row->max)
        return train_fail(failure, "%s %s: expected a whole number from %.0f to %.0f", row->name, text, row->min,
                          row->max);
    *value = parsed;
    return true;
}

static bool parse_real(const option_row *row, const char *text, double *value, train_failure *failure)
{
    char *end;

    errno = 0;
    double parsed = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !(parsed >= row->min && parsed <= row->max))
        return train_fail(failure, "%s %s: expected a number from %g to %g", row->name, text, row->min, row->max);
    *value = parsed;
    return true;
}

static bool parse_hidden(train_options *options, const char *text, train_failure *failure)
{
    const char *next = text;

    options->hidden_count = 0;
    memset(options->hidden, 0, sizeof options->hidden);
    if (strcmp(text, "none") == 0)
        return true;
    for (;;) {
        char *end;
        long width;

        errno = 0;
        width = strtol(next, &end, 10);
        if (end == next || errno != 0 || width < 1 || width > TRAIN_MAX_WIDTH || (*end != ',' && *end != '\0'))
            return train_fail(failure,
                              "--hidden %s: expected widths from 1 to %d with commas between them, or \"none\"", text,
                              TRAIN_MAX_WIDTH);
        if (options->hidden_count == TRAIN_MAX_HIDDEN)
            return train_fail(failure, "--hidden %s: at most %d hidden layers are possible", text, TRAIN_MAX_HIDDEN);
        options->hidden[options->hidden_count++] = (int32_t)width;
        if (*end == '\0')
            return true;
        next = end + 1;
    }
}

static bool parse_optimizer(train_options *options, const char *text, train_failure *failure)
{
    if (strcmp(text, "sgd") == 0)
        options->optimizer = TRAIN_SGD;
    else if (strcmp(text, "adam") == 0)
        options->optimizer = TRAIN_ADAM;
    else
        return train_fail(failure, "--optimizer %s: expected sgd or adam", text);
    return true;
}

static bool parse_decay(train_options *options, const char *text, train_failure *failure)
{
    if (strcmp(text, "cosine") == 0)
        options->decay = TRAIN_DECAY_COSINE;
    else if (strcmp(text, "step") == 0)
        options->decay = TRAIN_DECAY_STEP;
    else if (strcmp(text, "none") == 0)
        options->decay = TRAIN_DECAY_NONE;
    else
        return train_fail(failure, "--decay %s: expected cosine, step or none", text);
    return true;
}

static bool parse_value(train_options *options, const option_row *row, const char *text, train_failure *failure)
{
    char *field = (char *)options + row->offset;

    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)(void *)field = true;
        return true;
    case OPTION_TEXT:
        if (text[0] == '\0')
            return train_fail(failure, "%s: expected a name, not nothing", row->name);
        memcpy(field, &text, sizeof text);
        return true;
    case OPTION_INTEGER:
        return parse_integer(row, text, (int64_t *)(void *)field, failure);
    case OPTION_REAL:
        return parse_real(row, text, (double *)(void *)field, failure);
    case OPTION_HIDDEN:
        return parse_hidden(options, text, failure);
    case OPTION_OPTIMIZER:
        return parse_optimizer(options, text, failure);
    case OPTION_DECAY:
        return parse_decay(options, text, failure);
    }
    return train_fail(failure, "%s: the option table is wrong, please report it", row->name);
}

/* The row that text ("--name" or "--name=value") names; *value is what follows the sign, or NULL. */
static const option_row *find_row(const char *text, const char **value)
{
    size_t length = strcspn(text, "=");

    *value = text[length] == '=' ? text + length + 1 : NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, text, length) == 0)
            return &rows[i];
    return NULL;
}

static bool check_together(train_options *options, train_failure *failure)
{
    if (options->lr == 0)
        options->lr = options->optimizer == TRAIN_SGD ? 0.05 : 0.001;
    if (options->resume && options->checkpoint == NULL)
        return train_fail(failure, "--resume needs --checkpoint FILE, the file to continue from");
    if (options->stop_after > options->epochs)
        return train_fail(failure, "--stop-after %" PRId64 " is beyond --epochs %" PRId64, options->stop_after,
                          options->epochs);
    return true;
}

bool train_options_parse(train_options *options, int argc, char **argv, train_failure *failure)
{
    *options = defaults;
    for (int i = 1; i < argc; i++) {
        const char *value;
        const option_row *row = find_row(argv[i], &value);

        if (row == NULL)
            return train_fail(failure, "unknown argument \"%s\"; kolo-train --help lists the options", argv[i]);
        if (row->kind == OPTION_FLAG && value != NULL)
            return train_fail(failure, "%s takes no value", row->name);
        if (row->kind != OPTION_FLAG && value == NULL) {
            if (i + 1 == argc)
                return train_fail(failure, "%s needs a value: %s %s", row->name, row->name, row->value);
            value = argv[++i];
        }
        if (!parse_value(options, row, value, failure))
            return false;
    }
    return options->help || options->version || check_together(options, failure);
}

void train_options_print_help(FILE *file)
{
    fprintf(file, "usage: [kolorun -np RANKS] kolo-train [option ...]\n"
                  "Trains a multi-layer perceptron on Fashion-MNIST, data-parallel over all ranks of the job.\n\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char left[64];

        (void)snprintf(left, sizeof left, "%s %s", rows[i].name, rows[i].value != NULL ? rows[i].value : "");
        fprintf(file, "  %-26s %s\n", left, rows[i].help);
    }
    fprintf(file, "\nThe last line of the output reads: test_accuracy=0.8912 epochs=10 ranks=2 samples_per_s=30000\n"
                  "Exit status: 0 trained, 1 failed, 2 wrong arguments.\n");
}

const char *train_optimizer_name(train_optimizer_kind kind)
{
    return kind == TRAIN_ADAM ? "adam" : "sgd";
}

/* ---- what all ranks must have alike ------------------------------------------------------------------------- */

/* Paths may differ; of the checkpoint, which only rank 0 reads and writes, whether there is one may not. */
static const char *const common[] = {"--hidden",      "--epochs",       "--stop-after",   "--batch",   "--optimizer",
                                     "--lr",          "--momentum",     "--weight-decay", "--warmup",  "--decay",
                                     "--decay-every", "--decay-factor", "--seed",         "--threads", "--limit",
                                     "--checkpoint",  "--resume"};

static void write_hidden(const train_options *options, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, options->hidden_count > 0 ? "" : "none");
    for (int32_t i = 0; i < options->hidden_count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%" PRId32, i > 0 ? "," : "", options->hidden[i]);
}

static void write_integer(int64_t value, double least, char *text, size_t size)
{
    if ((double)value < least)
        snprintf(text, size, "none");
    else
        snprintf(text, size, "%" PRId64, value);
}

/* As it was given, if that has no more digits than tell it from others. */
static void write_real(double value, char *text, size_t size)
{
    snprintf(text, size, "%.15g", value);
    double read = strtod(text, NULL);
    if (read < value || read > value)
        snprintf(text, size, "%.17g", value);
}

static const char *decay_name(train_decay decay)
{
    return decay == TRAIN_DECAY_COSINE ? "cosine" : decay == TRAIN_DECAY_STEP ? "step" : "none";
}

static void write_value(const train_options *options, const option_row *row, char *text, size_t size)
{
    const void *field = (const char *)options + row->offset;
    switch (row->kind) {
    case OPTION_HIDDEN:
        write_hidden(options, text, size);
        break;
    case OPTION_INTEGER:
        write_integer(*(const int64_t *)field, row->min, text, size);
        break;
    case OPTION_REAL:
        write_real(*(const double *)field, text, size);
        break;
    case OPTION_OPTIMIZER:
        snprintf(text, size, "%s", train_optimizer_name(options->optimizer));
        break;
    case OPTION_DECAY:
        snprintf(text, size, "%s", decay_name(options->decay));
        break;
    case OPTION_FLAG:
        snprintf(text, size, "%s", *(const bool *)field ? "given" : "none");
        break;
    case OPTION_TEXT:
        snprintf(text, size, "%s", *(const char *const *)field != NULL ? "given" : "none");
        break;
    }
}

bool train_options_common(const train_options *options, size_t index, const char **name, char *text, size_t size)
{
    if (index >= sizeof common / sizeof common[0])
        return false;
    const char *value;
    *name = common[index];
    write_value(options, find_row(*name, &value), text, size);
    return true;
}
