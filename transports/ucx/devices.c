/* devices.c - which network devices UCX may use.
 *
 * Left alone, UCX 1.13 takes all of them and may stripe a message over loopback and a real link at once. So it is
 * always told: what the user names; or all but what the user excludes; or InfiniBand ports and the one interface that
 * holds the default route, else loopback. */
#include "instance.h"

#include <dirent.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEVICES = 64, NAME_BYTES = 64 };

typedef struct device_list {
    size_t count;
    char names[MAX_DEVICES][NAME_BYTES];
} device_list;

static bool contains(const device_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->names[i], name) == 0)
            return true;
    return false;
}

static void add(device_list *list, const char *name)
{
    if (list->count < MAX_DEVICES && strlen(name) < NAME_BYTES && !contains(list, name))
        strcpy(list->names[list->count++], name);
}

static void remove_name(device_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        /* "^mlx5_0" leaves out all its ports. */
        size_t length = strlen(name);
        if (strncmp(list->names[i], name, length) == 0 && (list->names[i][length] == '\0' ||
                                                           list->names[i][length] == ':')) {
            memmove(list->names[i], list->names[i + 1], (list->count - i - 1) * sizeof(list->names[0]));
            list->count--;
            i--;
        }
    }
}

/* Copies what fits; the callers' lists are far below their capacity. */
static const char *join(const device_list *list, char *text, size_t capacity)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < list->count && used < capacity; i++)
        used += (size_t)snprintf(text + used, capacity - used, "%s%s", i ? "," : "", list->names[i]);
    return text;
}

static void add_interfaces(device_list *list)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        int family = one->ifa_addr ? one->ifa_addr->sa_family : AF_UNSPEC;
        if ((family == AF_INET || family == AF_INET6) && (one->ifa_flags & IFF_UP))
            add(list, one->ifa_name);
    }
    freeifaddrs(all);
}

static bool port_is_active(const char *device, const char *port)
{
    char path[600], state[32] = "";
    snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/%s/state", device, port);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool active = fgets(state, sizeof(state), file) && strstr(state, "ACTIVE");
    fclose(file);
    return active;
}

static void add_ports(device_list *list)
{
    DIR *devices = opendir("/sys/class/infiniband");
    if (!devices)
        return;
    for (const struct dirent *device; (device = readdir(devices)) != NULL;) {
        char path[320], name[560];
        snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports", device->d_name);
        DIR *ports = device->d_name[0] == '.' ? NULL : opendir(path);
        if (!ports)
            continue;
        for (const struct dirent *port; (port = readdir(ports)) != NULL;) {
            if (port->d_name[0] == '.' || !port_is_active(device->d_name, port->d_name))
                continue;
            snprintf(name, sizeof(name), "%s:%s", device->d_name, port->d_name);
            add(list, name);
        }
        closedir(ports);
    }
    closedir(devices);
}

/* The interface of the IPv4 default route with the lowest metric. */
static bool default_route(char name[NAME_BYTES])
{
    FILE *file = fopen("/proc/net/route", "re");
    if (!file)
        return false;
    char line[256], iface[NAME_BYTES];
    unsigned long best = ~0ul;
    while (fgets(line, sizeof(line), file)) {
        unsigned destination, gateway, flags, metric;
        if (sscanf(line, "%63s %x %x %x %*d %*u %u", iface, &destination, &gateway, &flags, &metric) == 5 &&
            destination == 0 &&
            (flags & 1u) && metric < best) {
            best = metric;
            strcpy(name, iface);
        }
    }
    fclose(file);
    return best != ~0ul;
}

static void choose_default(device_list *chosen)
{
    char name[NAME_BYTES];
    add_ports(chosen);
    if (default_route(name))
        add(chosen, name);
    if (chosen->count == 0)
        add(chosen, "lo");
}

/* "eth0,eth1": these. "^docker0": all others. Both: these, without those. */
static kolo_status choose_by_spec(const kolo_transport_env *env, const char *spec, device_list *chosen)
{
    device_list *known = calloc(1, sizeof(*known));
    char *copy = strdup(spec);
    kolo_status status = known && copy ? KOLO_OK : kolo_guard_refuse(env, KOLO_ERR_MEMORY,
                                                                     "no memory for device names");
    if (status == KOLO_OK) {
        add_interfaces(known);
        add_ports(known);
        if (spec[strspn(spec, ", ")] == '^')
            *chosen = *known;
    }
    char *rest = NULL;
    for (char *word = status == KOLO_OK ? strtok_r(copy, ", ", &rest) : NULL; word; word = strtok_r(NULL, ", ",
                                                                                                    &rest)) {
        char have[512];
        if (word[0] == '^') {
            remove_name(chosen, word + 1);
        } else if (contains(known, word)) {
            add(chosen, word);
        } else {
            status = kolo_guard_refuse(env, KOLO_ERR_CONFIG,
                                       "KOLO_IFACE names \"%s\"; this host's devices that are up: %s", word,
                                       join(known, have, sizeof(have)));
            break;
        }
    }
    free(copy);
    free(known);
    if (status == KOLO_OK && chosen->count == 0)
        return kolo_guard_refuse(env, KOLO_ERR_CONFIG, "KOLO_IFACE=%s leaves no network device", spec);
    return status;
}

kolo_status ucx_devices_choose(const kolo_transport_env *env, const char *spec, char *devices, size_t capacity)
{
    device_list *chosen = calloc(1, sizeof(*chosen));
    if (!chosen)
        return kolo_guard_refuse(env, KOLO_ERR_MEMORY, "no memory for device names");
    kolo_status status = KOLO_OK;
    if (spec)
        status = choose_by_spec(env, spec, chosen);
    else
        choose_default(chosen);
    if (status == KOLO_OK)
        join(chosen, devices, capacity);
    free(chosen);
    return status;
}
