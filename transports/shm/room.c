/* room.c - how much memory may be taken. The kernel would grant a segment of any size, and kill processes when it
 * comes to filling it. */
#include "segment.h"

#include <inttypes.h>

/* The number in a file that begins with one, or otherwise. */
static uint64_t number_in(const char *path, uint64_t otherwise)
{
    uint64_t number = otherwise;
    FILE *file = fopen(path, "re");
    if (!file)
        return otherwise;
    if (fscanf(file, "%" SCNu64, &number) != 1)
        number = otherwise; /* "max" */
    fclose(file);
    return number;
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

/* What a control group has left, as a container sees its own. */
static uint64_t group_bytes(const char *limit_path, const char *used_path)
{
    uint64_t limit = number_in(limit_path, UINT64_MAX), used = number_in(used_path, 0);
    return limit == UINT64_MAX ? limit : limit - (used < limit ? used : limit);
}

uint64_t shm_room_bytes(void)
{
    const uint64_t rooms[] = {
        available_bytes(),
        group_bytes("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        group_bytes("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    };
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
        least = rooms[i] < least ? rooms[i] : least;
    return least;
}
