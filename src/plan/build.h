/* build.h - what the algorithms share when they build schedules. For src/plan only. */
#ifndef KOLO_PLAN_BUILD_H
#define KOLO_PLAN_BUILD_H

#include "plan/algorithm.h"
#include "plan/slice.h"

#define KOLO_COLLECTIVE_BIT(collective) (UINT32_C(1) << (collective))

/* Most pieces that one slice is cut in, and about the most steps that a rank's schedule gets for the sake of
 * pipelining. */
#define KOLO_PLAN_CHUNKS_MAX 256
#define KOLO_PLAN_STEPS_MAX  65536

/* Elements of a buffer, from an offset on; how many is said elsewhere. */
typedef struct kolo_place {
    kolo_buffer buffer;
    int64_t offset;
} kolo_place;

static inline kolo_place kolo_place_at(kolo_buffer buffer, int64_t offset)
{
    return (kolo_place){buffer, offset};
}

/* Is the spec sound, and where is its rank on the ring? KOLO_ERR_INVALID says what is wrong. Does not look for
 * a rank that is on the ring twice, unless it is the spec's own. */
KOLO_NODISCARD kolo_status kolo_plan_validate(const kolo_plan_spec *spec, int32_t *position);

/* A rank's slice. And: the rank at a position, and its slice; positions go round: any int64 is one. */
kolo_range kolo_plan_slice_of(const kolo_plan_spec *spec, int32_t rank);
int32_t kolo_plan_rank_at(const kolo_plan_spec *spec, int64_t position);
kolo_range kolo_plan_slice_at(const kolo_plan_spec *spec, int64_t position);
int64_t kolo_plan_total(const kolo_plan_spec *spec);
int64_t kolo_plan_longest_slice(const kolo_plan_spec *spec);

/* The chunk to use for pieces of up to `longest` elements, where each chunk costs a rank steps_per_chunk steps: spec's,
 * or what keeps the numbers of chunks and steps within the bounds above. At least 1, at most longest. */
int64_t kolo_plan_chunk(int64_t chunk_count, int64_t longest, int64_t steps_per_chunk);
/* Number of chunks in `count` elements, and one of them. */
int64_t kolo_plan_chunks(int64_t count, int64_t chunk);
kolo_range kolo_plan_chunk_of(kolo_range range, int64_t chunk, int64_t index);
/* Chunk number `index` of a rank's slice; of no elements beyond its end. */
kolo_range kolo_plan_part(const kolo_plan_spec *spec, int64_t chunk, int32_t rank, int64_t index);

/* Steps. Each returns the index of the new step. */
uint32_t kolo_build_send(kolo_schedule *schedule, kolo_place from, int64_t count, int32_t peer, uint32_t message,
                         uint32_t hop);
uint32_t kolo_build_recv(kolo_schedule *schedule, kolo_place to, int64_t count, int32_t peer, uint32_t message,
                         uint32_t hop);
uint32_t kolo_build_reduce(kolo_schedule *schedule, kolo_place to, kolo_place a, kolo_place b, int64_t count,
                           bool final, uint32_t hop);
uint32_t kolo_build_copy(kolo_schedule *schedule, kolo_place to, kolo_place from, int64_t count, bool final);

/* Steps of a chain: each waits for the one before it. */
void kolo_build_chained(kolo_schedule *schedule, kolo_step step);
void kolo_build_notify(kolo_schedule *schedule, kolo_flag flag, int64_t value);
void kolo_build_wait(kolo_schedule *schedule, kolo_flag flag, int32_t peer, int64_t value);

/* The whole schedule of a job of one rank, sealed; and its price. */
KOLO_NODISCARD kolo_status kolo_build_alone(const kolo_plan_spec *spec, kolo_schedule *schedule);
double kolo_price_alone(int64_t bytes, const kolo_price_model *model);
/* Of chunks in shared memory, all of whose work takes work_ns: the first one waits for each of its flights; those of the
 * others are hidden behind the work on the chunk before, as far as that takes so long. */
double kolo_price_flights(double each, double chunks, double work_ns, const kolo_price_model *model);

/* Their tables. */
extern const kolo_algorithm kolo_algorithm_ring;
extern const kolo_algorithm kolo_algorithm_oneshot;
extern const kolo_algorithm kolo_algorithm_circulant;
extern const kolo_algorithm kolo_algorithm_binomial;
extern const kolo_algorithm kolo_algorithm_chain;
extern const kolo_algorithm kolo_algorithm_direct;
extern const kolo_algorithm kolo_algorithm_direct_oneshot;
extern const kolo_algorithm kolo_algorithm_attach;
extern const kolo_algorithm kolo_algorithm_shared;

#endif
