/* modules.c - finds, loads and checks a transport module. */
#include "modules.h"

#include "base/error.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Every function a transport must have. */
#define FUNCTIONS(X)                                                                                                   \
    X(create)                                                                                                          \
    X(address)                                                                                                         \
    X(connect)                                                                                                         \
    X(send_control) X(send) X(recv) X(progress) X(cancel_all) X(event_fd) X(arm) X(close) X(closed) X(destroy)

static const char *missing_function(const kolo_transport_ops *ops)
{
#define CHECK(function)                                                                                                \
    if (!ops->function)                                                                                                \
        return #function;
    FUNCTIONS(CHECK)
#undef CHECK
    return NULL;
}

static kolo_status check_ops(const kolo_transport_ops *ops, const char *path)
{
    if (!ops)
        return kolo_fail(KOLO_ERR_CONFIG, "module %s answers no transport table", path);
    if (ops->magic != KOLO_TRANSPORT_MAGIC)
        return kolo_fail(KOLO_ERR_CONFIG, "module %s is no Kolo transport: its magic is 0x%08x, not 0x%08x", path,
                         ops->magic, KOLO_TRANSPORT_MAGIC);
    if (ops->abi_min > KOLO_TRANSPORT_ABI || ops->abi_max < KOLO_TRANSPORT_ABI) {
        char range[32];
        if (ops->abi_min == ops->abi_max)
            snprintf(range, sizeof(range), "%u", ops->abi_min);
        else
            snprintf(range, sizeof(range), "%u-%u", ops->abi_min, ops->abi_max);
        return kolo_fail(KOLO_ERR_VERSION,
                         "module %s speaks transport ABI %s, this library %u; build it against this library's headers",
                         path, range, KOLO_TRANSPORT_ABI);
    }
    if (ops->struct_size < sizeof(*ops))
        return kolo_fail(KOLO_ERR_VERSION, "module %s has a transport table of %zu bytes, this library expects %zu",
                         path, ops->struct_size, sizeof(*ops));
    const char *missing = ops->name ? missing_function(ops) : "name";
    if (missing)
        return kolo_fail(KOLO_ERR_CONFIG, "module %s lacks %s in its transport table", path, missing);
    if (ops->control_max < KOLO_CONTROL_BYTES)
        return kolo_fail(KOLO_ERR_CONFIG, "module %s carries control messages of %zu bytes at most; %u are needed",
                         path, ops->control_max, KOLO_CONTROL_BYTES);
    return KOLO_OK;
}

static kolo_status load(const char *path, const kolo_transport_ops **ops, void **handle)
{
    /* What a module brings along (threads, handlers for fork) may outlive its last transport: it stays in memory. */
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!module)
        return kolo_fail(KOLO_ERR_CONFIG, "module %s cannot be loaded: %s", path, dlerror());
    void *symbol = dlsym(module, KOLO_TRANSPORT_ENTRY);
    if (!symbol) {
        dlclose(module);
        return kolo_fail(KOLO_ERR_CONFIG, "module %s has no symbol " KOLO_TRANSPORT_ENTRY "; it is no Kolo transport",
                         path);
    }
    kolo_transport_module_fn entry;
    memcpy(&entry, &symbol, sizeof(entry)); /* ISO C knows no cast from data to function */
    const kolo_transport_ops *table = entry();
    kolo_status status = check_ops(table, path);
    if (status != KOLO_OK) {
        dlclose(module);
        return status;
    }
    *ops = table;
    *handle = module;
    return KOLO_OK;
}

kolo_status kolo_module_load(const char *name, const char *path_list, const kolo_log *log,
                             const kolo_transport_ops **ops, void **handle)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    if (!name || !name[0] || strlen(name) > 64 || name[strspn(name, allowed)] != '\0')
        return kolo_fail(
            KOLO_ERR_CONFIG,
            "KOLO_TRANSPORT=%s is no transport's name; auto, shm, ucx, or that of a module in KOLO_TRANSPORT_PATH",
            name ? name : "");
    const char *folder = path_list ? path_list : "";
    for (const char *end; folder[0]; folder = end[0] ? end + 1 : end) {
        char path[PATH_MAX];
        end = folder + strcspn(folder, ":");
        if (end == folder)
            continue;
        int length = snprintf(path, sizeof(path), "%.*s/kolo_transport_%s.so", (int)(end - folder), folder, name);
        if (length < 0 || (size_t)length >= sizeof(path) || access(path, F_OK) != 0)
            continue;
        KOLO_TRY(load(path, ops, handle));
        if (strcmp((*ops)->name, name) != 0)
            kolo_log_write(log, KOLO_LOG_WARN, "module %s calls itself \"%s\"", path, (*ops)->name);
        kolo_log_write(log, KOLO_LOG_INFO, "transport %s from %s", name, path);
        return KOLO_OK;
    }
    if (!path_list || !path_list[0])
        return kolo_fail(KOLO_ERR_UNSUPPORTED,
                         "there is no transport \"%s\", and KOLO_TRANSPORT_PATH names no folder to look in", name);
    return kolo_fail(KOLO_ERR_UNSUPPORTED,
                     "there is no transport \"%s\": no kolo_transport_%s.so in %s (KOLO_TRANSPORT_PATH adds folders)",
                     name, name, path_list);
}

char *kolo_module_folders(const char *configured, char *text, size_t capacity)
{
    Dl_info self;
    static const char inside;
    const char *separator = configured[0] ? ":" : "";
    int folder_length = -1;
    if (dladdr(&inside, &self) != 0 && self.dli_fname) {
        const char *slash = strrchr(self.dli_fname, '/');
        folder_length = slash ? (int)(slash - self.dli_fname) : -1;
    }
    if (folder_length < 0)
        snprintf(text, capacity, "%s", configured);
    else
        snprintf(text, capacity, "%s%s%.*s/kolo", configured, separator, folder_length, self.dli_fname);
    return text;
}

void kolo_module_unload(void *handle)
{
    if (handle)
        dlclose(handle);
}
