/* pages.c - memory behind a part of a segment. */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

enum { TOUCH = 4096 };

static bool populate(unsigned char *start, size_t bytes)
{
    int result;
    do
        result = madvise(start, bytes, MADV_POPULATE_WRITE);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

/* Where the system gives huge pages to shared memory, the first touch of each brings all of it. Where it does not,
 * collapsing what was touched does, in no more time than zeroing takes. What neither gives, the caller fills. */
static bool fill_huge(unsigned char *start, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += SHM_HUGE_PAGE)
        if (!populate(start + i, TOUCH))
            return false;
    (void)madvise(start, bytes, MADV_COLLAPSE);
    return true;
}

bool shm_pages_fill(int fd, shm_head *head, size_t at, size_t bytes)
{
    unsigned char *start = (unsigned char *)head + at;
    bool huge = at % SHM_HUGE_PAGE == 0 && bytes % SHM_HUGE_PAGE == 0;
    if ((!huge || fill_huge(start, bytes)) && populate(start, bytes))
        return true;
    int result = -1; /* a kernel without populating: pages, if not in our tables */
    while (errno == EINVAL && (result = fallocate(fd, 0, (off_t)at, (off_t)bytes)) != 0 && errno == EINTR)
        errno = EINVAL;
    return result == 0;
}
