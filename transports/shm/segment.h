/* segment.h - one rank's shared memory: what lies where in it, making it, mapping a peer's.
 *
 *     head | flags: KOLO_TRANSPORT_FLAG_LINES lines | rings: one for each rank that writes to the owner | window | heap
 *
 * A segment is a memfd, and peers open it as /proc/PID/fd/FD. It has no name in any folder, so a crash at any time
 * leaves nothing behind, and the size of /dev/shm does not matter. The kernel lets only the same user in, and only
 * within one PID namespace, which pidfds and cross-memory attach ask for as well. It never shrinks, and the pages up
 * to the heap are there from the start: no access can fail later. What is available is looked at first, because the
 * kernel answers a segment too large by killing processes.
 *
 * The heap is mapped at its full size, but the file ends behind the last range that was ever taken from it: what
 * touches every page of a mapping (mlockall, a core dump) finds no more than that. */
#ifndef KOLO_TRANSPORT_SHM_SEGMENT_H
#define KOLO_TRANSPORT_SHM_SEGMENT_H

#include "guard.h"
#include "ring.h"

enum { SHM_PROOF_BYTES = 16 };

/* A rank's life, as its peers see it. Only ever goes on in this order. */
typedef enum shm_state {
    SHM_LIVE,
    SHM_CLOSING, /* in order: its end is no loss */
    SHM_CLOSED,  /* in order, and will read and write no more */
    SHM_GONE     /* the same, but it was not in order */
} shm_state;

/* When somebody sleeps, what to wake it for. */
enum { SHM_FOR_NEWS = 1, SHM_FOR_ROOM = 2 };

typedef struct shm_head {
    unsigned char proof[SHM_PROOF_BYTES]; /* random; the address says the same, so this is the segment it means */
    _Atomic uint32_t state;
    _Atomic uint64_t epoch; /* goes on when the owner takes its buffers back: what it announced before is void */
    _Alignas(SHM_LINE) _Atomic uint32_t sleeping; /* 0, or what for; set by the owner, cleared by whoever wakes it */
} shm_head;

enum { SHM_HUGE_PAGE = 2 * 1024 * 1024 };

typedef struct shm_layout {
    int32_t ranks;
    shm_ring_size ring;
    size_t flags_at, rings_at, window_at, window_bytes;
    size_t fixed; /* all of the above */
    size_t heap_at, heap_bytes;
    size_t stride; /* from one rank's segment to the next, where they are mapped */
} shm_layout;

/* For so many ranks; window_bytes is rounded up to whole pages, heap_bytes to whole huge ones. */
void shm_layout_make(int32_t ranks, size_t window_bytes, size_t heap_bytes, shm_layout *layout);
/* Where `writer` writes to the owner of the segment at base. */
void *shm_layout_ring(const shm_layout *layout, void *base, int32_t writer);

/* space.c: the addresses at which the segments of all ranks go, rank 0's first, each at a multiple of a huge page.
 * Where there are not enough of them the layout gets a smaller heap, or none; KOLO_ERR_UNSUPPORTED where even that does
 * not help. */
kolo_status shm_space_reserve(const kolo_transport_env *env, shm_layout *layout, void **space);
/* With all that is mapped there. */
void shm_space_release(const shm_layout *layout, void *space);

/* Makes a zeroed segment, mapped at its place in space. KOLO_ERR_UNSUPPORTED, with a reason, where this system does not
 * let us. */
kolo_status shm_segment_create(const kolo_transport_env *env, const shm_layout *layout, void *space, int *fd,
                               shm_head **head);
/* Maps the segment that is fd `fd` in process pid. KOLO_ERR_UNSUPPORTED where that cannot be, or it is not the one
 * with that proof. */
kolo_status shm_segment_map(const kolo_transport_env *env, const shm_layout *layout, void *space, int32_t rank,
                            int32_t pid, int fd, const unsigned char proof[SHM_PROOF_BYTES], shm_head **head);
/* Its place is reserved again. NULL is ignored. */
void shm_segment_unmap(const shm_layout *layout, shm_head *head);
/* pages.c: the pages of a part of a mapped segment, for good; huge where the part is made of such, and the kernel has
 * them. False, with errno: they cannot be had. */
bool shm_pages_fill(int fd, shm_head *head, size_t at, size_t bytes);

/* room.c: memory that could be had now, in bytes: what the host has available, and this process' control groups allow.
 * root: in front of /proc and /sys, "" but for tests. */
uint64_t shm_room_bytes(const char *root);
/* KOLO_ERR_UNSUPPORTED where the segments would take too much of it. All ranks are here and ask at the same time, so
 * each counts them all. Not the last half: the tensors need room too. */
kolo_status shm_room_check(const kolo_transport_env *env, const shm_layout *layout);

#endif
