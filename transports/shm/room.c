/* room.c - how much memory may be taken. The kernel would grant a segment of any size, and kill processes when it
 * comes to filling it. */
#include "segment.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* What a control group, as a container sees its own, has left: the limit without what does not give way. Most of the
 * rest that is used there is files in memory. */
static uint64_t group_room(const char *limit_path, const char *usage_path)
{
    uint64_t limit, used = 0, bytes;
    char what[64];
    FILE *file = fopen(limit_path, "re");
    if (!file)
        return UINT64_MAX;
    bool limited = fscanf(file, "%" SCNu64, &limit) == 1; /* not "max" */
    fclose(file);
    if (!limited || limit >= (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE))
        return UINT64_MAX;
    file = fopen(usage_path, "re");
    while (file && fscanf(file, "%63s %" SCNu64, what, &bytes) == 2)
        if (strcmp(what, "anon") == 0 || strcmp(what, "rss") == 0 || strcmp(what, "shmem") == 0)
            used += bytes;
    if (file)
        fclose(file);
    return limit > used ? limit - used : 0;
}

static uint64_t available_bytes(void)
{
    uint64_t kib = UINT64_MAX / 1024;
    char line[128];
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file)
        return UINT64_MAX;
    while (fgets(line, sizeof(line), file) && sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) != 1)
        continue;
    fclose(file);
    return kib * 1024;
}

uint64_t shm_room_bytes(void)
{
    const uint64_t rooms[] = {
        available_bytes(),
        group_room("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.stat"),
        group_room("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.stat"),
    };
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
        least = rooms[i] < least ? rooms[i] : least;
    return least;
}

kolo_status shm_room_check(const kolo_transport_env *env, const shm_layout *layout)
{
    uint64_t room = shm_room_bytes(), wanted = (uint64_t)layout->fixed * (uint64_t)layout->ranks;
    if (wanted <= room / 2)
        return KOLO_OK;
    return kolo_guard_refuse(env, KOLO_ERR_UNSUPPORTED,
                             "%d ranks with %zu bytes of shared memory each are too much for %llu available bytes; "
                             "less KOLO_SHM_WINDOW helps",
                             (int)layout->ranks, layout->fixed, (unsigned long long)room);
}
