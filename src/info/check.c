/* check.c - what the values of KOLO_* variables mean: names of algorithms, prices, transports. */
#include "info/info.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "plan/algorithm.h"

#ifndef KOLO_MODULES_FROM_PROGRAM
#error "KOLO_MODULES_FROM_PROGRAM is not defined"
#endif

static bool is_good(kolo_status status)
{
    if (status != KOLO_OK)
        info_config_refused(kolo_error_current()->message);
    return status == KOLO_OK;
}

/* Whether one of the folders has the file; they are separated by ':'. */
static bool is_in(const char *folders, const char *file)
{
    for (const char *folder = folders, *end; *folder != '\0'; folder = *end != '\0' ? end + 1 : end) {
        char path[PATH_MAX];
        end = folder + strcspn(folder, ":");
        int length = snprintf(path, sizeof(path), "%.*s/%s", (int)(end - folder), folder, file);
        if (end > folder && length > 0 && (size_t)length < sizeof(path) && access(path, F_OK) == 0)
            return true;
    }
    return false;
}

/* The library's own modules: beside it, and it is beside this program, installed or in the folder where it is built. */
static void find_own_modules(char *folders, size_t capacity)
{
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(program, '/');
    int size = slash != NULL ? (int)(slash - program) : 0;
    snprintf(folders, capacity, "%.*s/%s:%.*s/../lib/kolo", size, program, KOLO_MODULES_FROM_PROGRAM, size, program);
}

/* Modules are looked for, not loaded: what they bring along is for jobs. */
static kolo_status check_transport(const kolo_config *config)
{
    const char *name = config->transport;
    char file[NAME_MAX + 1], own[3 * PATH_MAX];
    if (strcmp(name, "auto") == 0 || (strcmp(name, "shm") == 0 && config->transport_path[0] == '\0'))
        return KOLO_OK;
    snprintf(file, sizeof(file), "kolo_transport_%.64s.so", name);
    find_own_modules(own, sizeof(own));
    if (is_in(config->transport_path, file) || is_in(own, file))
        return KOLO_OK;
    return kolo_fail(KOLO_ERR_CONFIG,
                     "KOLO_TRANSPORT=%.64s names no transport: auto, shm, ucx, or one with a module %s in a folder of "
                     "KOLO_TRANSPORT_PATH",
                     name, file);
}

static kolo_status check_prices(const char *text)
{
    kolo_price_model model = KOLO_PRICE_MODEL_DEFAULT;
    return strcmp(text, "auto") == 0 || strcmp(text, "default") == 0 ? KOLO_OK : kolo_price_parse(text, &model);
}

bool info_config_check(const kolo_config *config)
{
    const kolo_algorithm *forced;
    bool good = is_good(kolo_algorithm_forced("KOLO_ALGORITHM", config->algorithm, KOLO_ALLREDUCE, &forced));
    good = is_good(kolo_algorithm_forced("KOLO_BROADCAST", config->broadcast, KOLO_BROADCAST, &forced)) && good;
    good = is_good(check_prices(config->prices)) && good;
    good = is_good(check_transport(config)) && good;
    return is_good(kolo_topo_check_bind(config->bind)) && good;
}
