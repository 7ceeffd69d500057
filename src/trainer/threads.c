/* threads.c - reads this process's allowed cores, and divides shared ones. */
#include "trainer/threads.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

void train_cores_read(train_cores *cores)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    memset(cores, 0, sizeof *cores);
    if (fd >= 0) {
        if (read(fd, cores->machine, sizeof cores->machine) < 0)
            memset(cores->machine, 0, sizeof cores->machine);
        close(fd);
    }
    if (sched_getaffinity(0, sizeof cores->allowed, (cpu_set_t *)(void *)cores->allowed) != 0)
        memset(cores->allowed, 0, sizeof cores->allowed);
}

static int32_t users_of(const train_cores *cores, int32_t ranks, int32_t rank, int word, uint64_t bit)
{
    int32_t users = 0;

    for (int32_t r = 0; r < ranks; r++)
        if (memcmp(cores[r].machine, cores[rank].machine, sizeof cores[r].machine) == 0 &&
            (cores[r].allowed[word] & bit) != 0)
            users++;
    return users;
}

int32_t train_cores_threads(const train_cores *cores, int32_t ranks, int32_t rank)
{
    double sum = 1e-6; /* three thirds are one */

    for (int word = 0; word < TRAIN_CORES_WORDS; word++)
        for (uint64_t left = cores[rank].allowed[word]; left != 0; left &= left - 1)
            sum += 1.0 / users_of(cores, ranks, rank, word, left & -left);
    return sum < 1 ? 1 : (int32_t)sum;
}
