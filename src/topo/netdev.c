/* netdev.c - the state and speed of network interfaces, as the kernel publishes them. */
#include "topo/netdev.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYS_NET "/sys/class/net"

/* The first line of an attribute. Reading `speed` of a device that is down answers EINVAL, which is not an error
 * here. */
static bool read_attribute(const char *name, const char *attribute, char *line, size_t capacity)
{
    char path[256];
    int length = snprintf(path, sizeof(path), SYS_NET "/%s/%s", name, attribute);
    if (length < 0 || (size_t)length >= sizeof(path))
        return false;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool ok = fgets(line, (int)capacity, file) != NULL;
    fclose(file);
    if (ok)
        line[strcspn(line, "\n")] = '\0';
    return ok;
}

bool kolo_netdev_read(const char *name, kolo_netdev *netdev)
{
    *netdev = (kolo_netdev){.state = "?", .speed_mbit = -1};
    if (!*name || strchr(name, '/') || name[0] == '.')
        return false;
    char line[64], path[256];
    if (!read_attribute(name, "operstate", line, sizeof(line)))
        return false;
    snprintf(netdev->state, sizeof(netdev->state), "%.15s", line);
    if (read_attribute(name, "speed", line, sizeof(line))) {
        long speed = strtol(line, NULL, 10);
        netdev->speed_mbit = speed > 0 ? speed : -1;
    }
    snprintf(path, sizeof(path), SYS_NET "/%.64s/device", name);
    netdev->virtual_only = access(path, F_OK) != 0;
    return true;
}

char *kolo_netdev_format(const kolo_netdev *netdev, char *text, size_t capacity)
{
    if (netdev->speed_mbit > 0)
        snprintf(text, capacity, "%s, %ld Mb/s", netdev->state, netdev->speed_mbit);
    else
        snprintf(text, capacity, "%s, speed unknown", netdev->state);
    return text;
}
