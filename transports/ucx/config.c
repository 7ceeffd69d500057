/* config.c - UCX's options, set in code, and what UCX does to a process when it is loaded, taken back.
 *
 * The user's own UCX_* variables win: an option that is in the environment is left alone. Loading libucs installs
 * signal handlers from a constructor; those that still point into libucs are removed here, nobody else's are. (The same
 * constructor patches mmap() and friends in place. That cannot be undone; without listeners, which are switched off
 * here, it costs a jump.) */
#include "instance.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <ucm/api/ucm.h>
#include <ucs/debug/debug.h>

/* What UCX takes of /dev/shm for a process, rounded up. */
enum { DEV_SHM_BYTES = 8 << 20 };

/* What UCX opens on a machine with some network devices, rounded up. */
enum { FILES = 32 };

static bool user_set(const char *name)
{
    char variable[64];
    snprintf(variable, sizeof(variable), "UCX_%s", name);
    return getenv(variable) != NULL;
}

static const char *option(const kolo_transport_env *env, const char *name)
{
    const char *value = env->option ? env->option(env->user, name) : NULL;
    return value && value[0] ? value : NULL;
}

/* Whether code at address belongs to libucs. */
static bool is_ucs(const void *address)
{
    Dl_info there, ucs;
    return dladdr(address, &there) && dladdr((const void *)(uintptr_t)ucs_debug_disable_signal, &ucs) &&
           there.dli_fbase == ucs.dli_fbase;
}

static void take_back_signals(void)
{
    if (user_set("HANDLE_ERRORS") || user_set("ERROR_SIGNALS") || user_set("DEBUG_SIGNO"))
        return;
    static const int signals[] = {SIGHUP, SIGILL, SIGBUS, SIGFPE, SIGSEGV};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction action;
        if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN &&
            is_ucs((const void *)(uintptr_t)action.sa_sigaction))
            ucs_debug_disable_signal(signals[i]);
    }
}

static void switch_off_memory_events(void)
{
    if (user_set("MEM_EVENTS"))
        return;
    ucm_global_config_t options = ucm_global_opts;
    options.enable_events = 0;
    ucm_set_global_opts(&options);
}

static kolo_status set(const kolo_transport_env *env, ucp_config_t *config, const char *name, const char *value)
{
    if (!value || !value[0] || user_set(name))
        return KOLO_OK;
    ucs_status_t status = ucp_config_modify(config, name, value);
    if (status != UCS_OK)
        return kolo_guard_refuse(env, KOLO_ERR_CONFIG, "UCX refuses %s=%s: %s", name, value, ucs_status_string(status));
    return KOLO_OK;
}

static bool names(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += length)
        if ((at == list || strchr(",\\^", at[-1])) && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

/* Whether a value of UCX's TLS admits posix or sysv. */
static bool uses_shared_memory(const char *tls)
{
    bool all = names(tls, "shm") || names(tls, "sm") || names(tls, "mm");
    if (tls[0] == '^')
        return !all && !(names(tls, "posix") && names(tls, "sysv"));
    return all || names(tls, "all") || names(tls, "posix") || names(tls, "sysv");
}

/* UCX puts its shared memory into /dev/shm. Where a limit of file sizes forbids that, the kernel kills the process;
 * where there is no room, UCX looks for no other way. */
static bool has_room_in_dev_shm(const kolo_transport_env *env)
{
    struct rlimit limit;
    struct statvfs room;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < DEV_SHM_BYTES)
        return false;
    return statvfs("/dev/shm", &room) == 0 &&
           (uint64_t)room.f_bavail * room.f_frsize >= (uint64_t)env->size * DEV_SHM_BYTES;
}

static kolo_status set_all(const kolo_transport_env *env, ucp_config_t *config)
{
    char devices[1024] = "";
    if (!user_set("NET_DEVICES")) {
        kolo_status status = ucx_devices_choose(env, option(env, "IFACE"), devices, sizeof(devices));
        if (status != KOLO_OK)
            return status;
    }
    const char *tls = user_set("TLS") ? getenv("UCX_TLS") : option(env, "UCX_TLS");
    /* UCX takes System V's memory for usable between PID namespaces that share an IPC namespace, as the containers of a
     * pod do; then it looks for the peer's process, finds none, and gives it up. */
    if (!tls)
        tls = has_room_in_dev_shm(env) ? "^sysv" : "^posix,sysv";
    const struct {
        const char *name, *value;
    } options[] = {
        {"TLS", tls},
        {"NET_DEVICES", devices},
        /* UCX would start the rendezvous by what it believes about a link's speed, which is often wrong. */
        {"RNDV_THRESH", "64k"},
        /* Lets the control endpoints (PEER mode) use shared memory. UCX complains where nobody reads it. */
        {"MM_ERROR_HANDLING", uses_shared_memory(tls) ? "y" : NULL},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        kolo_status status = set(env, config, options[i].name, options[i].value);
        if (status != KOLO_OK)
            return status;
    }
    kolo_guard_log(env, KOLO_LOG_INFO, "ucx: transports %s, devices %s", tls,
                   user_set("NET_DEVICES") ? getenv("UCX_NET_DEVICES") : devices);
    return KOLO_OK;
}

static kolo_status create(const kolo_transport_env *env, ucp_config_t *config, ucp_context_h *context)
{
    kolo_status status = set_all(env, config);
    if (status != KOLO_OK)
        return status;
    const ucp_params_t params = {
        .field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_ESTIMATED_NUM_EPS | UCP_PARAM_FIELD_TAG_SENDER_MASK,
        .features = UCP_FEATURE_TAG | UCP_FEATURE_AM | UCP_FEATURE_WAKEUP,
        .estimated_num_eps = 4, /* neighbours on a ring, and a tree's: whatever the size of the job */
        .tag_sender_mask = ~((UINT64_C(1) << KOLO_TRANSPORT_TAG_BITS) - 1),
    };
    ucs_status_t result = ucp_init(&params, config, context);
    if (result != UCS_OK)
        return kolo_guard_refuse(env, KOLO_ERR_CONFIG,
                                 "UCX finds no way to communicate (%s); check KOLO_IFACE, KOLO_UCX_TLS and UCX_*",
                                 ucs_status_string(result));
    return KOLO_OK;
}

/* How many more files this process may open, counted up to FILES. */
static int free_files(rlim_t limit)
{
    int count = 0;
    for (int fd = 0; (rlim_t)fd < limit && count < FILES; fd++)
        count += fcntl(fd, F_GETFD) < 0;
    return count;
}

/* UCX aborts the process where it runs out of them on the way. */
static kolo_status check_files(const kolo_transport_env *env)
{
    struct rlimit limit;
    int count;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || (count = free_files(limit.rlim_cur)) == FILES)
        return KOLO_OK;
    return kolo_guard_refuse(env, KOLO_ERR_SYSTEM,
                             "UCX needs up to %d more open files, and this process may open %d (its limit is %llu); "
                             "raise the limit (ulimit -n)",
                             (int)FILES, count, (unsigned long long)limit.rlim_cur);
}

kolo_status ucx_context_create(const kolo_transport_env *env, ucp_context_h *context)
{
    kolo_status checked = check_files(env);
    if (checked != KOLO_OK)
        return checked;
    take_back_signals();
    switch_off_memory_events();
    ucp_config_t *config;
    ucs_status_t result = ucp_config_read(NULL, NULL, &config);
    if (result != UCS_OK)
        return kolo_guard_refuse(env, KOLO_ERR_CONFIG, "UCX cannot read its UCX_* variables: %s",
                                 ucs_status_string(result));
    kolo_status status = create(env, config, context);
    ucp_config_release(config);
    return status;
}
