/* table.c - kolo_get_api: the plain functions as a table whose order is frozen. */
#include <kolo/kolo.h>

#include "base/error.h"

#include <string.h>

static const kolo_api table = {
    .size = sizeof(kolo_api),
    .abi_major = KOLO_ABI_MAJOR,
    .abi_minor = KOLO_ABI_MINOR,
    .init = kolo_init,
    .finalize = kolo_finalize,
    .rank = kolo_rank,
    .world_size = kolo_size,
    .local_rank = kolo_local_rank,
    .local_size = kolo_local_size,
    .allreduce = kolo_allreduce,
    .broadcast = kolo_broadcast,
    .reduce_scatter = kolo_reduce_scatter,
    .allgather = kolo_allgather,
    .barrier = kolo_barrier,
    .slice = kolo_slice,
    .test = kolo_test,
    .wait = kolo_wait,
    .request_free = kolo_request_free,
    .progress = kolo_progress,
    .completion_fd = kolo_completion_fd,
    .alloc = kolo_alloc,
    .free = kolo_free,
    .last_error = kolo_last_error,
    .request_error = kolo_request_error,
    .status_name = kolo_status_name,
    .status_text = kolo_status_text,
    .version = kolo_version,
    .prepare = kolo_prepare,
    .start = kolo_start,
};

/* What was released stays where it is: 1.0. New entries go to the end, with a new assert. */
#define FROZEN(member, index)                                                                                          \
    _Static_assert(offsetof(kolo_api, member) ==                                                                       \
                       sizeof(size_t) + 2 * sizeof(uint32_t) + (index) * sizeof(void (*)(void)),                       \
                   "kolo_api." #member " moved")
FROZEN(init, 0);
FROZEN(finalize, 1);
FROZEN(rank, 2);
FROZEN(world_size, 3);
FROZEN(local_rank, 4);
FROZEN(local_size, 5);
FROZEN(allreduce, 6);
FROZEN(broadcast, 7);
FROZEN(reduce_scatter, 8);
FROZEN(allgather, 9);
FROZEN(barrier, 10);
FROZEN(slice, 11);
FROZEN(test, 12);
FROZEN(wait, 13);
FROZEN(request_free, 14);
FROZEN(progress, 15);
FROZEN(completion_fd, 16);
FROZEN(alloc, 17);
FROZEN(free, 18);
FROZEN(last_error, 19);
FROZEN(request_error, 20);
FROZEN(status_name, 21);
FROZEN(status_text, 22);
FROZEN(version, 23);
FROZEN(prepare, 24);
FROZEN(start, 25);

const kolo_api *kolo_get_api(uint32_t abi_major, uint32_t min_minor)
{
    if (abi_major == KOLO_ABI_MAJOR && min_minor <= KOLO_ABI_MINOR)
        return &table;
    (void)kolo_fail(KOLO_ERR_VERSION, "ABI %u.%u or newer was asked for; this is Kolo %s with ABI %d.%d", abi_major,
                    min_minor, kolo_version(), KOLO_ABI_MAJOR, KOLO_ABI_MINOR);
    memcpy(kolo_error_current()->operation, "get_api", sizeof("get_api"));
    return NULL;
}
