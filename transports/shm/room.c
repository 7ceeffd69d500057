/* room.c - how much memory may be taken. The kernel would grant a segment of any size, and kill processes when it
 * comes to filling it. */
#include "segment.h"

#include <inttypes.h>
#include <string.h>

enum { PATH = 4096 };

/* How control groups of one version keep their memory: in which files, and what of its use does not give way. Most of the
 * rest is files in memory. */
typedef struct version {
    const char *mount, *limit, *used[2];
} version;

static const version v1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", {"total_rss", "total_shmem"}};
static const version v2 = {"/sys/fs/cgroup", "memory.max", {"anon", "shmem"}};
static const version v2_beside_v1 = {"/sys/fs/cgroup/unified", "memory.max", {"anon", "shmem"}};

static FILE *open_in(const char *folder, const char *name)
{
    char path[2 * PATH];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return fopen(path, "re");
}

/* What one group has left: its limit without what is used. */
static uint64_t group_room(const version *kept, const char *folder)
{
    uint64_t limit, used = 0, bytes;
    char what[64];
    FILE *file = open_in(folder, kept->limit);
    if (!file)
        return UINT64_MAX;
    bool limited = fscanf(file, "%" SCNu64, &limit) == 1; /* not "max" */
    fclose(file);
    file = limited ? open_in(folder, "memory.stat") : NULL;
    while (file && fscanf(file, "%63s %" SCNu64, what, &bytes) == 2)
        if (strcmp(what, kept->used[0]) == 0 || strcmp(what, kept->used[1]) == 0)
            used += bytes;
    if (file)
        fclose(file);
    return !limited ? UINT64_MAX : limit > used ? limit - used : 0;
}

/* The least of the group's and those above it. A container may see its own group as the mount, wherever that is outside. */
static uint64_t groups_room(const char *root, const version *kept, const char *group)
{
    char folder[PATH];
    int mount = snprintf(folder, sizeof(folder), "%s%s", root, kept->mount);
    int end = snprintf(folder, sizeof(folder), "%s%s%s", root, kept->mount, group);
    uint64_t least = UINT64_MAX;
    for (end = end < PATH ? end : PATH - 1; end >= mount; end--) {
        if (folder[end] != '/' && folder[end] != '\0')
            continue;
        folder[end] = '\0';
        uint64_t room = group_room(kept, folder);
        least = room < least ? room : least;
    }
    return least;
}

static bool among(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += length)
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

/* A line of /proc/self/cgroup: "4:cpu,memory:/the/group", or "0::/the/group" in version 2. */
static uint64_t line_room(const char *root, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return UINT64_MAX;
    *group++ = '\0';
    controllers++;
    if (among(controllers, "memory"))
        return groups_room(root, &v1, group);
    if (controllers[0] != '\0')
        return UINT64_MAX;
    uint64_t alone = groups_room(root, &v2, group), beside = groups_room(root, &v2_beside_v1, group);
    return alone < beside ? alone : beside;
}

static uint64_t limited_bytes(const char *root)
{
    uint64_t least = UINT64_MAX;
    char line[PATH];
    FILE *file = open_in(root, "proc/self/cgroup");
    while (file && fgets(line, sizeof(line), file)) {
        uint64_t room = line_room(root, line);
        least = room < least ? room : least;
    }
    if (file)
        fclose(file);
    return least;
}

static uint64_t available_bytes(const char *root)
{
    uint64_t kib = UINT64_MAX / 1024;
    char line[128];
    FILE *file = open_in(root, "proc/meminfo");
    if (!file)
        return UINT64_MAX;
    while (fgets(line, sizeof(line), file) && sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) != 1)
        continue;
    fclose(file);
    return kib * 1024;
}

uint64_t shm_room_bytes(const char *root)
{
    uint64_t available = available_bytes(root), limited = limited_bytes(root);
    return available < limited ? available : limited;
}

kolo_status shm_room_check(const kolo_transport_env *env, const shm_layout *layout)
{
    uint64_t room = shm_room_bytes(""), wanted = (uint64_t)layout->fixed * (uint64_t)layout->ranks;
    if (wanted <= room / 2)
        return KOLO_OK;
    return kolo_guard_refuse(env, KOLO_ERR_UNSUPPORTED,
                             "%d ranks with %zu bytes of shared memory each are too much for %llu available bytes; "
                             "less KOLO_SHM_WINDOW helps",
                             (int)layout->ranks, layout->fixed, (unsigned long long)room);
}
