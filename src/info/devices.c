/* devices.c - network interfaces: state, speed, addresses, and what KOLO_IFACE makes of them. */
#include "info/info.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "topo/netdev.h"

/* ---- KOLO_IFACE ----------------------------------------------------------------------------- */

/* The next name of the list; false at its end. */
static bool next_name(const char **list, char name[IF_NAMESIZE], bool *left_out)
{
    *list += strspn(*list, ", ");
    if (!**list)
        return false;
    *left_out = **list == '^';
    *list += *left_out ? 1 : 0;
    size_t length = strcspn(*list, ", ");
    snprintf(name, IF_NAMESIZE, "%.*s", (int)length, *list);
    *list += length;
    return true;
}

/* "eth0,^docker0": named ones only, or all where none is named; less those with '^'. */
static bool is_wanted(const char *iface, const char *device)
{
    char name[IF_NAMESIZE];
    bool left_out, any_named = false, named = false;
    while (next_name(&iface, name, &left_out)) {
        bool match = strcmp(name, device) == 0;
        if (left_out && match)
            return false;
        any_named = any_named || !left_out;
        named = named || (!left_out && match);
    }
    return named || !any_named;
}

static void print_unknown_names(const char *iface)
{
    char name[IF_NAMESIZE];
    bool left_out;
    while (next_name(&iface, name, &left_out))
        if (if_nametoindex(name) == 0)
            printf("  KOLO_IFACE names %s, and there is no such device\n", name);
}

/* ---- addresses ------------------------------------------------------------------------------ */

static void print_addresses(const struct ifaddrs *all, const char *device)
{
    for (const struct ifaddrs *entry = all; entry; entry = entry->ifa_next) {
        if (!entry->ifa_addr || strcmp(entry->ifa_name, device) != 0)
            continue;
        int family = entry->ifa_addr->sa_family;
        if (family != AF_INET && family != AF_INET6)
            continue;
        char host[NI_MAXHOST];
        socklen_t size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        if (getnameinfo(entry->ifa_addr, size, host, sizeof(host), NULL, 0, NI_NUMERICHOST) == 0)
            printf("  %s", host);
    }
}

static void print_device(const struct ifaddrs *addresses, const char *device, const char *iface)
{
    kolo_netdev netdev;
    char state[64];
    kolo_netdev_read(device, &netdev);
    kolo_netdev_format(&netdev, state, sizeof(state));
    const char *use = !*iface ? "" : is_wanted(iface, device) ? "  chosen  " : "  left out";
    printf("  %-15s  %-24s  %s%s", device, state, netdev.virtual_only ? "virtual " : "hardware", use);
    print_addresses(addresses, device);
    printf("\n");
}

void info_print_devices(const char *iface)
{
    info_heading("network devices");
    struct ifaddrs *addresses = NULL;
    if (getifaddrs(&addresses) != 0) {
        printf("  addresses not found out: %s\n", strerror(errno));
        addresses = NULL;
    }
    struct if_nameindex *devices = if_nameindex();
    if (!devices)
        printf("  not found out: %s\n", strerror(errno));
    for (size_t i = 0; devices && devices[i].if_index != 0; i++)
        print_device(addresses, devices[i].if_name, iface);
    if (devices)
        if_freenameindex(devices);
    if (addresses)
        freeifaddrs(addresses);
    if (*iface)
        print_unknown_names(iface);
    else
        printf("  KOLO_IFACE is not set: the transport chooses\n");
}
