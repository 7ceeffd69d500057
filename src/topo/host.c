/* host.c - which host is this: an id that is equal only for processes that share kernel, name and namespaces.
 *
 * 16 bytes boot id, then 4 bytes each: pid and net namespace (their inode numbers), hash of the host name. Not the ipc
 * namespace: nothing of it is used. A good hint and no proof: virtual machines started from one snapshot share all of
 * it. Who maps memory together proves it by mapping. */
#include "topo/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BOOT_ID_BYTES = 16 };

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* The kernel's id of this boot: a UUID in hexadecimal with dashes. */
static bool read_boot_id(uint8_t bytes[BOOT_ID_BYTES])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (!file)
        return false;
    int digits = 0, c;
    while (digits < 2 * BOOT_ID_BYTES && (c = fgetc(file)) != EOF) {
        int digit = hex_digit(c);
        if (digit < 0)
            continue;
        uint8_t *byte = &bytes[digits / 2];
        *byte = (uint8_t)(digits % 2 ? *byte << 4 | digit : digit);
        digits++;
    }
    fclose(file);
    return digits == 2 * BOOT_ID_BYTES;
}

static void put_u32(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t namespace_inode(const kolo_log *log, const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0)
        return (uint32_t)info.st_ino; /* the kernel numbers namespaces in 32 bits */
    kolo_log_write(log, KOLO_LOG_DEBUG, "%s cannot be read (%s); the host id goes without it", path, strerror(errno));
    return 0;
}

/* FNV-1a, 32 bits (Fowler, Noll, Vo). */
static uint32_t hash_text(const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    return hash;
}

void kolo_topo_host_id(const kolo_log *log, uint8_t host_id[KOLO_HOST_ID_BYTES])
{
    memset(host_id, 0, KOLO_HOST_ID_BYTES);
    if (!read_boot_id(host_id)) {
        /* Namespaces and names repeat between machines, so without a boot id equality means nothing: be alone rather
         * than take a stranger for a neighbour. */
        kolo_log_write(log, KOLO_LOG_WARN,
                       "/proc/sys/kernel/random/boot_id cannot be read; this rank counts as a host of its own");
        if (getrandom(host_id, BOOT_ID_BYTES, 0) != BOOT_ID_BYTES)
            put_u32(host_id, (uint32_t)getpid());
    }
    char name[256] = "";
    if (gethostname(name, sizeof(name) - 1) != 0)
        name[0] = '\0';
    put_u32(host_id + 16, namespace_inode(log, "/proc/self/ns/pid"));
    put_u32(host_id + 20, namespace_inode(log, "/proc/self/ns/net"));
    put_u32(host_id + 24, hash_text(name));
}
