/* room.c - how much memory may be taken. The kernel would grant a segment of any size, and kill processes when it
 * comes to filling it. */
#include "segment.h"

#include <inttypes.h>

/* The limit of a control group, as a container sees its own. Not what is left of it: most of what is used there is
 * files in memory, which give way. */
static uint64_t group_limit(const char *path)
{
    uint64_t limit = UINT64_MAX;
    FILE *file = fopen(path, "re");
    if (!file)
        return limit;
    if (fscanf(file, "%" SCNu64, &limit) != 1)
        limit = UINT64_MAX; /* "max" */
    fclose(file);
    return limit;
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
        group_limit("/sys/fs/cgroup/memory.max"),
        group_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    };
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
        least = rooms[i] < least ? rooms[i] : least;
    return least;
}
