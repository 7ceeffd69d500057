/* group.h - fusion groups: tensors that move as one. From a batch of agreed requests to memory that an executor can
 * work on.
 *
 * A group of one tensor works on the caller's memory, and so does a larger one where nothing is sent: part by part
 * (parts.h). For messages, it is packed into an arena in the order of plan/slice.h, and unpacked at the end; there it says
 * why this keeps the bits. */
#ifndef KOLO_ENGINE_GROUP_H
#define KOLO_ENGINE_GROUP_H

#include "engine/executor.h"
#include "engine/parts.h"
#include "engine/places.h"
#include "engine/request.h"
#include "plan/algorithm.h"
#include "plan/fusion.h"

/* One tensor of one request. */
typedef struct kolo_member {
    kolo_request *request;
    const kolo_piece *piece;
} kolo_member;

/*     queued ──► running ──► finished
 * Groups are formed, numbered and started in the same order on all ranks. */
typedef struct kolo_group {
    struct kolo_group *next;
    uint32_t number;
    kolo_operation operation;
    kolo_dtype_id type;
    kolo_association association;
    size_t member_count;
    kolo_member members[];
} kolo_group;

/* What forming needs to know; the same on all ranks. */
typedef struct kolo_group_policy {
    int32_t size;
    bool is_shared; /* all ranks share memory: another association class */
    int64_t fusion_bytes;
    kolo_price_model model;
} kolo_group_policy;

/* Forms groups of a batch: *first .. linked in order, numbers counted up from *next_number. Tensors without elements
 * join no group. On failure there are none. */
KOLO_NODISCARD kolo_status kolo_groups_form(const kolo_group_policy *policy, kolo_request *const *requests,
                                            size_t count, uint32_t *next_number, kolo_group **first);

/* A group of the first tensors, which stand for all of them at places, of so many requests that are posted one after another;
 * NULL: no memory. */
kolo_group *kolo_group_of(const kolo_group_policy *policy, kolo_request *first, size_t count);

/* Memory that stays from group to group: grown, never shrunk, never freed in between (page faults would halve the
 * speed). */
typedef struct kolo_memory {
    void *data;
    size_t bytes;
} kolo_memory;
KOLO_NODISCARD kolo_status kolo_memory_reserve(kolo_memory *memory, size_t bytes);
void kolo_memory_fini(kolo_memory *memory);

/* The fixed surroundings of a runner. */
typedef struct kolo_runner_env {
    const kolo_transport_ops *ops;
    kolo_transport *transport;
    int32_t rank, size;
    const int32_t *ring;
    int64_t chunk_bytes;
    kolo_publisher *publisher;
    size_t reserved_bytes; /* at the end of each window, not for runners */
    kolo_price_model model;
    bool readable_tensors;                           /* all ranks can have the transport read the others' */
    const kolo_algorithm *forced, *forced_broadcast; /* NULL: by price */
} kolo_runner_env;

/* What a schedule was built for. */
typedef struct kolo_plan_key {
    kolo_collective collective;
    kolo_association association;
    int32_t root;
    size_t element_bytes;
    bool readable_tensors, shared_tensors;
} kolo_plan_key;

/* One operation whose places all ranks have posted. */
typedef struct kolo_placed {
    const kolo_operation *operation;
    const kolo_piece *pieces;
    kolo_post post;
    kolo_places *places; /* of a group; or NULL */
} kolo_placed;

/* One group at work. */
typedef struct kolo_runner {
    struct kolo_runner *next; /* of those at places, or free */
    kolo_group *group;        /* NULL: free */
    kolo_executor executor;
    kolo_schedule schedule; /* of `algorithm`, kept for the next group if that is like this one: */
    const kolo_algorithm *algorithm;
    kolo_plan_key planned;
    int64_t *planned_slices; /* [0] < 0: there is none; NULL: no memory yet */
    kolo_parts parts;        /* of the group, but not of one at places with a list; */
    uintptr_t *tensors;      /* and where its tensors lie: inputs, outputs */
    size_t tensors_capacity;
    bool packed;
    size_t seen_left; /* steps that were left when it last moved, and when that was */
    int64_t moved_ns;
    bool warned; /* that it has not moved since */
    kolo_memory arena, scratch;
    /* Its part of the shared windows; the same on all ranks, since group k runs on runner k mod their number. */
    uintptr_t *windows; /* per rank; NULL where nothing is shared */
    uint64_t **flags;   /* per rank: a line of flags */
    size_t window_bytes;
    uint64_t flag_base[KOLO_FLAG_COUNT];
    uintptr_t *bases; /* at places: inputs of all ranks, then outputs; NULL: it never was */
    size_t bases_capacity;
} kolo_runner;

void kolo_runner_init(kolo_runner *runner);
void kolo_runner_fini(kolo_runner *runner);
/* Gives it part `index` of `count` of the transport's windows and flags, if it has some that all `size` ranks share. */
KOLO_NODISCARD kolo_status kolo_runner_share(kolo_runner *runner, const kolo_runner_env *env, int32_t index,
                                             int32_t count);
/* Packs, plans and starts. On an error the runner stays free. */
KOLO_NODISCARD kolo_status kolo_runner_start(kolo_runner *runner, const kolo_runner_env *env, kolo_group *group);
/* The same at places; its group is the caller's to set, and may be none. */
KOLO_NODISCARD kolo_status kolo_runner_start_at_places(kolo_runner *runner, const kolo_runner_env *env,
                                                       const kolo_board *board, const kolo_placed *work);
/* The same for a burst, at the places of its members. */
KOLO_NODISCARD kolo_status kolo_runner_start_burst(kolo_runner *runner, const kolo_runner_env *env,
                                                   const kolo_board *board, const kolo_group *group);
/* After the executor finished well: results into the callers' memory, and ready for the next group. */
void kolo_runner_finish(kolo_runner *runner);

#endif
