/* netdev.h - what the kernel says about a network interface, from /sys/class/net. */
#ifndef KOLO_TOPO_NETDEV_H
#define KOLO_TOPO_NETDEV_H

#include <stdbool.h>
#include <stddef.h>

typedef struct kolo_netdev {
    char state[16];     /* "up", "down", "unknown" (loopback says that), ...; "?" if it can't be read */
    long speed_mbit;    /* Mb/s; -1: not known, as with virtual devices */
    bool virtual_only;  /* no hardware behind it: bridges, tunnels, loopback */
} kolo_netdev;

/* Reads the state of interface `name`. False when there is no such interface (netdev says "?", -1 then). Any thread. */
bool kolo_netdev_read(const char *name, kolo_netdev *netdev);

/* "up, 10000 Mb/s", "down, speed unknown". Returns text. */
char *kolo_netdev_format(const kolo_netdev *netdev, char *text, size_t capacity);

#endif
