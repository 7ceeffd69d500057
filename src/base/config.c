/* config.c - reads the environment into kolo_config, by the table. */
#include "base/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

typedef struct row {
    const char *variable; /* with KOLO_ */
    const char *initial;
    const char *meaning;
    kolo_config_kind kind;
    int64_t min, max;
    size_t offset; /* of the field in kolo_config */
} row;

#define ROW(field, name, kind_, initial_, min_, max_, meaning_)                                                        \
    {.variable = "KOLO_" name,                                                                                         \
     .initial = initial_,                                                                                              \
     .meaning = meaning_,                                                                                              \
     .kind = KOLO_CONFIG_##kind_,                                                                                      \
     .min = min_,                                                                                                      \
     .max = max_,                                                                                                      \
     .offset = offsetof(kolo_config, field)},
static const row table[] = {KOLO_CONFIG_LIST(ROW)};
#undef ROW

enum { ROWS = sizeof(table) / sizeof(*table), PREFIX = sizeof("KOLO_") - 1 };

struct kolo_config_texts {
    char *owned[ROWS]; /* NULL where the default's literal serves */
    kolo_config_origin origins[ROWS];
};

static void *field_of(kolo_config *config, const row *entry)
{
    return (char *)config + entry->offset;
}

static const void *const_field_of(const kolo_config *config, const row *entry)
{
    return (const char *)config + entry->offset;
}

/* ---- values --------------------------------------------------------------------------------- */

static bool may_be_auto(const row *entry)
{
    bool number = entry->kind == KOLO_CONFIG_SIZE || entry->kind == KOLO_CONFIG_TIME;
    return number && strcmp(entry->initial, "auto") == 0;
}

/* Sets the field. The text must live as long as the configuration. */
static bool parse_value(const row *entry, const char *text, void *field)
{
    int64_t *number = field;
    if (may_be_auto(entry) && strcmp(text, "auto") == 0) {
        *number = KOLO_CONFIG_AUTO;
        return true;
    }
    switch (entry->kind) {
    case KOLO_CONFIG_INT:
        return kolo_parse_int(text, entry->min, entry->max, number);
    case KOLO_CONFIG_SIZE:
        return kolo_parse_size(text, number) && *number >= entry->min && *number <= entry->max;
    case KOLO_CONFIG_TIME:
        return kolo_parse_time(text, number) && *number >= entry->min && *number <= entry->max;
    case KOLO_CONFIG_TEXT:
    case KOLO_CONFIG_SECRET:
        *(const char **)field = text;
        return true;
    case KOLO_CONFIG_LEVEL:
        return kolo_log_level_parse(text, (kolo_log_level *)field);
    case KOLO_CONFIG_BOOL:
        return kolo_parse_bool(text, (bool *)field);
    }
    return false;
}

/* What a variable of this kind accepts, for the error message. */
static void describe_accepted(const row *entry, char *text, size_t capacity)
{
    char low[32], high[32];
    const char *other = may_be_auto(entry) ? "auto, or " : "";
    switch (entry->kind) {
    case KOLO_CONFIG_INT:
        snprintf(text, capacity, "a whole number from %" PRId64 " to %" PRId64, entry->min, entry->max);
        return;
    case KOLO_CONFIG_SIZE:
        snprintf(text, capacity, "%sa size from %s to %s, such as 4096 or 64K", other,
                 kolo_format_size(entry->min, low, sizeof(low)), kolo_format_size(entry->max, high, sizeof(high)));
        return;
    case KOLO_CONFIG_TIME:
        snprintf(text, capacity, "%sa time from %s to %s with its unit, such as 500us or 30s", other,
                 kolo_format_time(entry->min, low, sizeof(low)), kolo_format_time(entry->max, high, sizeof(high)));
        return;
    case KOLO_CONFIG_LEVEL:
        snprintf(text, capacity, "error, warn, info or debug");
        return;
    case KOLO_CONFIG_BOOL:
        snprintf(text, capacity, "yes or no (also 1, 0, true, false, on, off)");
        return;
    case KOLO_CONFIG_TEXT:
    case KOLO_CONFIG_SECRET:
        break;
    }
    snprintf(text, capacity, "text");
}

static void format_value(const row *entry, const void *field, char *text, size_t capacity)
{
    const int64_t *number = field;
    if (may_be_auto(entry) && *number == KOLO_CONFIG_AUTO) {
        snprintf(text, capacity, "auto");
        return;
    }
    switch (entry->kind) {
    case KOLO_CONFIG_INT:
        snprintf(text, capacity, "%" PRId64, *number);
        return;
    case KOLO_CONFIG_SIZE:
        kolo_format_size(*number, text, capacity);
        return;
    case KOLO_CONFIG_TIME:
        kolo_format_time(*number, text, capacity);
        return;
    case KOLO_CONFIG_TEXT:
        snprintf(text, capacity, "%s", *(const char *const *)field);
        return;
    case KOLO_CONFIG_SECRET:
        snprintf(text, capacity, "%s", **(const char *const *)field != '\0' ? "(set)" : "");
        return;
    case KOLO_CONFIG_LEVEL:
        snprintf(text, capacity, "%s", kolo_log_level_name(*(const kolo_log_level *)field));
        return;
    case KOLO_CONFIG_BOOL:
        snprintf(text, capacity, "%s", *(const bool *)field ? "yes" : "no");
        return;
    }
}

/* ---- unknown names -------------------------------------------------------------------------- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance of a (a_size bytes) and b, both cut at 64 bytes. */
static size_t edit_distance(const char *a, size_t a_size, const char *b)
{
    enum { MAX = 64 };
    size_t line[MAX + 1];
    size_t b_size = strnlen(b, MAX);
    a_size = smaller(a_size, MAX);
    for (size_t j = 0; j <= b_size; j++)
        line[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = line[0];
        line[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = line[j];
            line[j] = smaller(replaced, smaller(line[j], line[j - 1]) + 1);
        }
    }
    return line[b_size];
}

static const row *find_row(const char *name, size_t size)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (strncmp(table[i].variable, name, size) == 0 && table[i].variable[size] == '\0')
            return &table[i];
    }
    return NULL;
}

/* Names with more edits than these are no typing errors, and a suggestion would mislead: two are most of a short name. */
static size_t most_edits(const row *entry)
{
    enum { SHORT = 5 };
    return strlen(entry->variable) - PREFIX <= SHORT ? 1 : 2;
}

static void warn_unknown(char **envp, const kolo_log *log)
{
    for (; envp != NULL && *envp != NULL; envp++) {
        size_t size = strcspn(*envp, "=");
        if (strncmp(*envp, "KOLO_", PREFIX) != 0 || find_row(*envp, size) != NULL)
            continue;
        const row *nearest = NULL;
        size_t least = SIZE_MAX;
        for (size_t i = 0; i < ROWS; i++) {
            size_t distance = edit_distance(*envp, size, table[i].variable);
            if (distance <= most_edits(&table[i]) && distance < least) {
                least = distance;
                nearest = &table[i];
            }
        }
        kolo_log_write(log, KOLO_LOG_WARN, "%.*s is not a variable of Kolo's and is ignored; %s%s",
                       (int)smaller(size, 256), *envp, nearest != NULL ? "the nearest one is " : "kolo-info lists them",
                       nearest != NULL ? nearest->variable : "");
    }
}

/* ---- the calls ------------------------------------------------------------------------------ */

static const char *environment_value(char **envp, const char *variable)
{
    size_t size = strlen(variable);
    for (; envp != NULL && *envp != NULL; envp++) {
        if (strncmp(*envp, variable, size) == 0 && (*envp)[size] == '=')
            return *envp + size + 1;
    }
    return NULL;
}

static kolo_status read_row(kolo_config *config, size_t index, char **envp)
{
    const row *entry = &table[index];
    const char *text = environment_value(envp, entry->variable);
    if (text == NULL) {
        if (!parse_value(entry, entry->initial, field_of(config, entry)))
            return kolo_fail(KOLO_ERR_INTERNAL, "the default of %s does not parse", entry->variable);
        return KOLO_OK;
    }
    config->texts->origins[index] = KOLO_ORIGIN_ENVIRONMENT;
    config->texts->owned[index] = strdup(text); /* the environment may change under us */
    if (config->texts->owned[index] == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for the value of %s", entry->variable);
    if (!parse_value(entry, config->texts->owned[index], field_of(config, entry))) {
        char accepted[160];
        describe_accepted(entry, accepted, sizeof(accepted));
        return kolo_fail(KOLO_ERR_CONFIG, "%s is '%.200s', but must be %s", entry->variable, text, accepted);
    }
    return KOLO_OK;
}

kolo_status kolo_config_init(kolo_config *config, char **envp, const kolo_log *log)
{
    kolo_config created = {.texts = calloc(1, sizeof(struct kolo_config_texts))};
    if (created.texts == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for the configuration");
    for (size_t i = 0; i < ROWS; i++) {
        kolo_status status = read_row(&created, i, envp);
        if (status != KOLO_OK) {
            kolo_config_fini(&created);
            return status;
        }
    }
    if (log != NULL) {
        kolo_log configured = *log;
        configured.level = created.log_level;
        warn_unknown(envp, &configured);
    }
    *config = created;
    return KOLO_OK;
}

void kolo_config_fini(kolo_config *config)
{
    for (size_t i = 0; config->texts != NULL && i < ROWS; i++)
        free(config->texts->owned[i]);
    free(config->texts);
    *config = (kolo_config){0};
}

size_t kolo_config_count(void)
{
    return ROWS;
}

void kolo_config_describe(const kolo_config *config, size_t index, kolo_config_entry *entry)
{
    const row *described = &table[index];
    *entry = (kolo_config_entry){.variable = described->variable,
                                 .meaning = described->meaning,
                                 .kind = described->kind,
                                 .origin = config->texts->origins[index]};
    format_value(described, const_field_of(config, described), entry->value, sizeof(entry->value));
}

const char *kolo_config_text(const kolo_config *config, const char *variable)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (table[i].kind == KOLO_CONFIG_SECRET || strcmp(table[i].variable + PREFIX, variable) != 0)
            continue;
        const char *text = config->texts->owned[i] != NULL ? config->texts->owned[i] : table[i].initial;
        if (table[i].kind == KOLO_CONFIG_TEXT)
            text = *(const char *const *)const_field_of(config, &table[i]); /* may have been decided since */
        return *text != '\0' ? text : NULL;
    }
    return NULL;
}
