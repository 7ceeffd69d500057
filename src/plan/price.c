/* price.c - the numbers by name: text, ranges, medians. */
#include "plan/price.h"

#include "base/config.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int64_t kolo_price_message_bytes[KOLO_PRICE_MESSAGES] = {8, 4096, 16384, 65536, 262144};

/* How a number is written: a time, a time for 1 MiB of what costs by the byte, or a size. */
typedef enum unit { TIME, TIME_PER_MIB, BYTES } unit;

#define MIB 1048576.0

typedef struct row {
    const char *name;
    size_t offset;
    unit unit;
    double least, most; /* as written */
} row;

#define AT(field) offsetof(kolo_price_model, field)

static const row rows[] = {
    {"message", AT(message_ns[0]), TIME, 10, 1e9},
    {"message4K", AT(message_ns[1]), TIME, 10, 1e9},
    {"message16K", AT(message_ns[2]), TIME, 10, 1e9},
    {"message64K", AT(message_ns[3]), TIME, 10, 1e10},
    {"message256K", AT(message_ns[4]), TIME, 10, 1e10},
    {"flight", AT(flight_ns), TIME, 5, 1e8},
    {"step", AT(step_ns), TIME, 1, 1e6},
    {"copy", AT(copy_ns), TIME_PER_MIB, 1e3, 1e8},
    {"reduce", AT(reduce_ns), TIME_PER_MIB, 1e3, 1e8},
    {"write", AT(write_ns), TIME_PER_MIB, 1e3, 1e8},
    {"read", AT(read_ns), TIME_PER_MIB, 1e3, 1e8},
    {"fold", AT(fold_ns), TIME_PER_MIB, 1e3, 1e8},
    {"attach", AT(attach_ns), TIME_PER_MIB, 1e3, 1e8},
    {"memory", AT(memory_ns), TIME_PER_MIB, 1e3, 1e8},
    {"cache", AT(cache_bytes), BYTES, 65536, 0x1p40},
};
enum { ROWS = sizeof(rows) / sizeof(*rows) };

static double *field(kolo_price_model *model, const row *entry)
{
    return (double *)(void *)((char *)model + entry->offset);
}

static double written(const kolo_price_model *model, const row *entry)
{
    double value = *(const double *)(const void *)((const char *)model + entry->offset);
    return entry->unit == TIME_PER_MIB ? value * MIB : value;
}

static void set(kolo_price_model *model, const row *entry, double value)
{
    *field(model, entry) = entry->unit == TIME_PER_MIB ? value / MIB : value;
}

/* ---- prices -------------------------------------------------------------------------------------------- */

double kolo_price_message(const kolo_price_model *model, double bytes)
{
    size_t end = 1;
    while (end < KOLO_PRICE_MESSAGES - 1 && bytes > (double)kolo_price_message_bytes[end])
        end++;
    double first = (double)kolo_price_message_bytes[end - 1], last = (double)kolo_price_message_bytes[end];
    double slope = (model->message_ns[end] - model->message_ns[end - 1]) / (last - first);
    double beyond = bytes > first ? bytes - first : 0;
    return model->message_ns[end - 1] + beyond * slope;
}

double kolo_price_spill(const kolo_price_model *model, double traffic, double footprint)
{
    return footprint > model->cache_bytes ? traffic * (1 - model->cache_bytes / footprint) * model->memory_ns : 0;
}

double kolo_price_post(const kolo_price_model *model)
{
    return model->flight_ns + model->step_ns;
}

double kolo_price_values(const kolo_price_model *model, double bytes, int32_t size)
{
    return kolo_price_post(model) + bytes * (model->write_ns + (size - 1) * model->fold_ns) +
           kolo_price_spill(model, 4 * bytes, 2 * bytes);
}

double kolo_price_order(const kolo_price_model *model)
{
    return 2 * (model->flight_ns + model->step_ns);
}

int32_t kolo_price_rounds(int32_t size)
{
    int32_t rounds = 0;
    while ((INT64_C(1) << rounds) < size)
        rounds++;
    return rounds;
}

/* ---- text ---------------------------------------------------------------------------------------------- */

char *kolo_price_format(const kolo_price_model *model, char text[KOLO_PRICE_TEXT])
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ROWS && used < KOLO_PRICE_TEXT; i++) {
        char value[32];
        int64_t number = (int64_t)(written(model, &rows[i]) + 0.5);
        if (rows[i].unit == BYTES)
            kolo_format_size(number, value, sizeof(value));
        else
            kolo_format_time(number, value, sizeof(value));
        used += (size_t)snprintf(text + used, KOLO_PRICE_TEXT - used, "%s%s=%s", i > 0 ? "," : "", rows[i].name, value);
    }
    return text;
}

static const row *find(const char *name, size_t size)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strncmp(rows[i].name, name, size) == 0 && rows[i].name[size] == '\0')
            return &rows[i];
    return NULL;
}

static kolo_status refuse(const row *found, const char *entry, size_t size)
{
    char least[32], most[32];
    char *(*format)(int64_t, char *, size_t) = found->unit == BYTES ? kolo_format_size : kolo_format_time;
    format((int64_t)found->least, least, sizeof(least));
    format((int64_t)found->most, most, sizeof(most));
    return kolo_fail(KOLO_ERR_CONFIG, "KOLO_PRICES: '%.*s' is not a %s from %s to %s%s", (int)(size < 64 ? size : 64),
                     entry, found->unit == BYTES ? "size" : "time", least, most,
                     found->unit == TIME_PER_MIB ? ", of 1 MiB" : "");
}

static kolo_status refuse_name(const char *entry, size_t size)
{
    char names[256] = "";
    for (size_t i = 0; i < ROWS; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof(names) - used, "%s%s", i > 0 ? ", " : "", rows[i].name);
    }
    return kolo_fail(KOLO_ERR_CONFIG,
                     "KOLO_PRICES: '%.*s' is no price; auto, default, or some of these, like "
                     "flight=200ns,copy=30us: %s",
                     (int)(size < 64 ? size : 64), entry, names);
}

/* "name=value", `size` characters of it. */
static kolo_status parse_one(const char *entry, size_t size, kolo_price_model *model)
{
    size_t name_size = strcspn(entry, "=");
    const row *found = name_size < size ? find(entry, name_size) : NULL;
    if (found == NULL)
        return refuse_name(entry, size);
    char value[32] = "";
    size_t value_size = size - name_size - 1;
    int64_t number = 0;
    if (value_size < sizeof(value))
        memcpy(value, entry + name_size + 1, value_size);
    bool ok = found->unit == BYTES ? kolo_parse_size(value, &number) : kolo_parse_time(value, &number);
    if (!ok || (double)number < found->least || (double)number > found->most)
        return refuse(found, entry, size);
    set(model, found, (double)number);
    return KOLO_OK;
}

kolo_status kolo_price_parse(const char *text, kolo_price_model *model)
{
    kolo_price_model parsed = *model;
    while (*text != '\0') {
        size_t size = strcspn(text, ",");
        KOLO_TRY(parse_one(text, size, &parsed));
        text += size;
        text += *text == ',';
    }
    *model = parsed;
    return KOLO_OK;
}

/* ---- ranges -------------------------------------------------------------------------------------------- */

void kolo_price_clamp(kolo_price_model *model)
{
    for (size_t i = 0; i < ROWS; i++) {
        double value = written(model, &rows[i]);
        value = value >= rows[i].least ? value : rows[i].least; /* not a number neither */
        set(model, &rows[i], value <= rows[i].most ? value : rows[i].most);
    }
    for (size_t i = 1; i < KOLO_PRICE_MESSAGES; i++)
        if (model->message_ns[i] < model->message_ns[i - 1])
            model->message_ns[i] = model->message_ns[i - 1];
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void kolo_price_median(const kolo_price_model *models, size_t count, kolo_price_model *median)
{
    double values[KOLO_PRICE_MEDIAN_MAX];
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t i = 0; i < count; i++)
            values[i] = written(&models[i], &rows[r]);
        qsort(values, count, sizeof(*values), compare);
        set(median, &rows[r], values[(count - 1) / 2]);
    }
    kolo_price_clamp(median);
}
