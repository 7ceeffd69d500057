/* runner.c - one group at work: lay out, plan, pack if need be, start; unpack. */
#include "engine/group.h"

#include "base/error.h"
#include "reduce/reduce.h"

#include <stdlib.h>
#include <string.h>

void kolo_runner_init(kolo_runner *runner)
{
    memset(runner, 0, sizeof(*runner));
    kolo_executor_init(&runner->executor);
    kolo_schedule_init(&runner->schedule);
    kolo_parts_init(&runner->parts);
}

void kolo_runner_fini(kolo_runner *runner)
{
    kolo_executor_fini(&runner->executor);
    kolo_schedule_fini(&runner->schedule);
    kolo_memory_fini(&runner->arena);
    kolo_memory_fini(&runner->scratch);
    free(runner->windows);
    free(runner->flags);
    kolo_parts_fini(&runner->parts);
    free(runner->tensors);
    free(runner->bases);
    free(runner->planned_slices);
    memset(runner, 0, sizeof(*runner));
}

kolo_status kolo_runner_share(kolo_runner *runner, const kolo_runner_env *env, int32_t index, int32_t count)
{
    enum { LINE_BYTES = 64, FLAGS_PER_LINE = LINE_BYTES / sizeof(uint64_t) };
    size_t size = (size_t)env->size;
    runner->window_bytes =
        (env->ops->window_bytes(env->transport) - env->reserved_bytes) / (size_t)count / LINE_BYTES * LINE_BYTES;
    runner->windows = calloc(size, sizeof(*runner->windows));
    runner->flags = calloc(size, sizeof(*runner->flags));
    if (runner->windows == NULL || runner->flags == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for the windows of %d ranks", env->size);
    for (int32_t rank = 0; rank < env->size; rank++) {
        runner->windows[rank] =
            (uintptr_t)env->ops->window(env->transport, rank) + (size_t)index * runner->window_bytes;
        runner->flags[rank] = env->ops->flags(env->transport, rank) + (size_t)index * FLAGS_PER_LINE;
    }
    return KOLO_OK;
}

/* A forced algorithm may add in another class's order. */
static bool is_by_slice(const kolo_runner_env *env, const kolo_group *group)
{
    return kolo_association_is_by_slice(group->association, env->size) ||
           (env->forced != NULL && kolo_association_is_by_slice(env->forced->association, env->size));
}

static kolo_status lay_out(kolo_runner *runner, const kolo_runner_env *env, const kolo_group *group)
{
    kolo_parts *parts = &runner->parts;
    KOLO_TRY(kolo_parts_begin(parts, group->member_count, env->size, is_by_slice(env, group)));
    for (size_t i = 0; i < group->member_count; i++)
        kolo_parts_set(parts, i, group->members[i].piece->count);
    return kolo_parts_cut(parts);
}

/* Walks the packed buffer in memory order. */
static void each_part(const kolo_runner *runner, size_t element_bytes,
                      void (*fn)(const kolo_group *group, const kolo_member *member, size_t offset, void *arena,
                                 size_t count))
{
    const kolo_parts *parts = &runner->parts;
    for (const kolo_part *part = parts->list; part < parts->list + parts->count; part++)
        fn(runner->group, &runner->group->members[part->tensor], (size_t)(part->start + part->shift) * element_bytes,
           (char *)runner->arena.data + (size_t)part->start * element_bytes, (size_t)(part[1].start - part->start));
}

static void pack_part(const kolo_group *group, const kolo_member *member, size_t offset, void *arena, size_t count)
{
    kolo_reduce_scale(group->type, group->operation.prescale, arena, (const char *)member->piece->input + offset,
                      count);
}

static void unpack_part(const kolo_group *group, const kolo_member *member, size_t offset, void *arena, size_t count)
{
    kolo_reduce_copy((char *)member->piece->output + offset, arena, count * kolo_dtype_size(group->type));
}

/* Of messages each is sent from one piece of memory; what else there is can be done part by part. */
static bool needs_packing(const kolo_runner *runner)
{
    bool sends = runner->schedule.flag_total[KOLO_FLAG_DONE] == 0;
    return sends || kolo_operation_scales_inputs(&runner->group->operation);
}

static kolo_status pack(kolo_runner *runner, const kolo_runner_env *env, kolo_execution *run)
{
    size_t element_bytes = kolo_dtype_size(run->type);
    KOLO_TRY(kolo_memory_reserve(&runner->arena, (size_t)runner->parts.slices[env->size] * element_bytes));
    KOLO_TRY(kolo_parts_list(&runner->parts, (kolo_rows){0}, element_bytes));
    each_part(runner, element_bytes, pack_part);
    run->base[KOLO_BUFFER_INPUT] = run->base[KOLO_BUFFER_OUTPUT] = (uintptr_t)runner->arena.data;
    runner->packed = true;
    return KOLO_OK;
}

/* Where the tensors lie on this rank. */
static kolo_status list_parts(kolo_runner *runner, kolo_execution *run)
{
    const kolo_group *group = runner->group;
    size_t count = group->member_count;
    if (count > runner->tensors_capacity) {
        free(runner->tensors);
        runner->tensors = malloc(2 * count * sizeof(*runner->tensors));
        runner->tensors_capacity = runner->tensors != NULL ? count : 0;
        if (runner->tensors == NULL)
            return kolo_fail(KOLO_ERR_MEMORY, "no memory for a group of %zu tensors", count);
    }
    for (size_t i = 0; i < count; i++) {
        runner->tensors[i] = (uintptr_t)group->members[i].piece->input;
        runner->tensors[count + i] = (uintptr_t)group->members[i].piece->output;
    }
    kolo_rows rows = {.inputs = runner->tensors, .outputs = runner->tensors + count, .count = 1};
    run->parts = &runner->parts;
    return kolo_parts_list(&runner->parts, rows, kolo_dtype_size(group->type));
}

/* A group of one: INPUT and OUTPUT in full coordinates, in place of a copy wherever possible. */
static kolo_status place_one(kolo_runner *runner, const kolo_runner_env *env, kolo_execution *run)
{
    const kolo_group *group = runner->group;
    const kolo_piece *piece = group->members[0].piece;
    size_t element_bytes = kolo_dtype_size(group->type);
    size_t total = (size_t)runner->parts.slices[env->size];
    size_t own = (size_t)runner->parts.slices[env->rank] * element_bytes;
    kolo_collective collective = group->operation.collective;
    bool in_place = piece->input == piece->output;

    run->base[KOLO_BUFFER_INPUT] = (uintptr_t)piece->input;
    run->base[KOLO_BUFFER_OUTPUT] = (uintptr_t)piece->output;
    if (collective == KOLO_ALLGATHER && !in_place)
        run->base[KOLO_BUFFER_INPUT] -= own;
    if (collective == KOLO_REDUCE_SCATTER && !in_place)
        run->base[KOLO_BUFFER_OUTPUT] -= own;
    if (!kolo_operation_scales_inputs(&group->operation))
        return KOLO_OK;
    /* Scale once, ahead: into the output where it is large enough, else into the arena. */
    void *scaled = piece->output;
    if (collective == KOLO_REDUCE_SCATTER && !in_place) {
        KOLO_TRY(kolo_memory_reserve(&runner->arena, total * element_bytes));
        scaled = runner->arena.data;
    }
    kolo_reduce_scale(group->type, group->operation.prescale, scaled, piece->input, total);
    run->base[KOLO_BUFFER_INPUT] = (uintptr_t)scaled;
    return KOLO_OK;
}

/* Others are to read it: the kernel's view of it, first and last byte. A device's memory, say, it may not read. */
static bool can_be_read(const kolo_runner_env *env, const void *memory, size_t bytes)
{
    unsigned char byte;
    uintptr_t first = (uintptr_t)memory;
    return env->ops->read_peer(env->transport, env->rank, first, &byte, 1) == KOLO_OK &&
           env->ops->read_peer(env->transport, env->rank, first + bytes - 1, &byte, 1) == KOLO_OK;
}

/* Only all-reduces are read by peers: else a copy that they can read is in order. */
static bool needs_readable_copy(const kolo_runner *runner, const kolo_runner_env *env)
{
    const kolo_piece *piece = runner->group->members[0].piece;
    size_t bytes = (size_t)runner->parts.slices[env->size] * kolo_dtype_size(runner->group->type);
    if (!runner->algorithm->reads_tensors || bytes == 0 || env->size == 1 ||
        (can_be_read(env, piece->input, bytes) && can_be_read(env, piece->output, bytes)))
        return false;
    kolo_error_clear();
    return true;
}

static kolo_status place(kolo_runner *runner, const kolo_runner_env *env, kolo_execution *run)
{
    runner->packed = false;
    if (runner->group->member_count == 1 && !needs_readable_copy(runner, env))
        return place_one(runner, env, run);
    return runner->group->member_count == 1 || needs_packing(runner) ? pack(runner, env, run) : list_parts(runner, run);
}

/* In one piece on every rank, so that one address tells where: by itself, or packed. */
static bool is_readable(const kolo_runner_env *env, const kolo_group *group)
{
    bool is_one = group->member_count == 1 || kolo_operation_scales_inputs(&group->operation);
    return env->readable_tensors && is_one;
}

static bool is_same_plan(const kolo_plan_key *a, const kolo_plan_key *b)
{
    return a->collective == b->collective && a->association == b->association && a->root == b->root &&
           a->element_bytes == b->element_bytes && a->readable_tensors == b->readable_tensors &&
           a->shared_tensors == b->shared_tensors;
}

/* Programs do the same step after step, so the schedule is often there already. */
static bool is_planned(const kolo_runner *runner, const kolo_runner_env *env, const kolo_plan_key *key,
                       const int64_t *slices)
{
    size_t bytes = ((size_t)env->size + 1) * sizeof(*slices);
    return runner->planned_slices != NULL && is_same_plan(&runner->planned, key) &&
           memcmp(runner->planned_slices, slices, bytes) == 0;
}

static kolo_status keep_plan(kolo_runner *runner, const kolo_runner_env *env, const kolo_plan_key *key,
                             const int64_t *slices)
{
    size_t bytes = ((size_t)env->size + 1) * sizeof(*slices);
    if (runner->planned_slices == NULL && (runner->planned_slices = malloc(bytes)) == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for the slices of %d ranks", env->size);
    memcpy(runner->planned_slices, slices, bytes);
    runner->planned = *key;
    return KOLO_OK;
}

static const kolo_algorithm *choose(const kolo_runner *runner, const kolo_runner_env *env, const kolo_plan_key *key,
                                    const int64_t *slices)
{
    kolo_plan_work work = {.collective = key->collective,
                           .size = env->size,
                           .bytes = slices[env->size] * (int64_t)key->element_bytes,
                           .chunk_bytes = env->chunk_bytes,
                           .window_bytes = (int64_t)runner->window_bytes,
                           .readable_tensors = key->readable_tensors};
    return kolo_algorithm_select(&work, key->association, &env->model,
                                 key->collective == KOLO_BROADCAST ? env->forced_broadcast : env->forced);
}

static kolo_status plan(kolo_runner *runner, const kolo_runner_env *env, const kolo_plan_key *key,
                        const int64_t *slices)
{
    int64_t chunk_count = env->chunk_bytes / (int64_t)key->element_bytes;
    if (is_planned(runner, env, key, slices))
        return KOLO_OK;
    KOLO_TRY(keep_plan(runner, env, key, slices));
    kolo_plan_spec spec = {
        .collective = key->collective,
        .rank = env->rank,
        .size = env->size,
        .root = key->root,
        .ring = env->ring,
        .slice_offsets = runner->planned_slices,
        .chunk_count = chunk_count > 0 ? chunk_count : 1,
        .window_count = key->shared_tensors ? 0 : (int64_t)(runner->window_bytes / key->element_bytes),
        .shared_tensors = key->shared_tensors,
        .readable_tensors = key->readable_tensors,
    };
    runner->algorithm = key->shared_tensors ? kolo_algorithm_find("shared") : choose(runner, env, key, slices);
    kolo_schedule_reset(&runner->schedule);
    kolo_status status = runner->algorithm->build(&spec, &runner->schedule);
    if (status != KOLO_OK)
        runner->planned_slices[0] = -1;
    return status;
}

static kolo_status plan_group(kolo_runner *runner, const kolo_runner_env *env, const kolo_group *group)
{
    kolo_plan_key key = {.collective = group->operation.collective,
                         .association = group->association,
                         .root = group->operation.root,
                         .element_bytes = kolo_dtype_size(group->type),
                         .readable_tensors = is_readable(env, group)};
    return plan(runner, env, &key, runner->parts.slices);
}

/* Would results push out of the caches what is still to be read, or be pushed out themselves? In place, where a result is
 * stored its input was just read. */
static bool goes_around(const kolo_runner_env *env, kolo_collective collective, const kolo_piece *piece,
                        const int64_t *slices)
{
    bool adds = collective == KOLO_ALLREDUCE || collective == KOLO_REDUCE_SCATTER;
    double bytes = (double)slices[env->size] * (double)kolo_dtype_size(piece->type);
    return 2 * bytes > env->model.cache_bytes && !(adds && piece->input == piece->output);
}

kolo_status kolo_runner_start(kolo_runner *runner, const kolo_runner_env *env, kolo_group *group)
{
    size_t element_bytes = kolo_dtype_size(group->type);
    kolo_execution run = {
        .schedule = &runner->schedule,
        .type = group->type,
        .op = group->operation.op,
        .rank = env->rank,
        .size = env->size,
        .windows = runner->windows,
        .flags = runner->flags,
        .postscale = group->operation.postscale,
        .publisher = env->publisher,
        .tag = (uint64_t)(group->number & 0xffffffu) << KOLO_EXECUTOR_MESSAGE_BITS,
    };
    KOLO_TRY(lay_out(runner, env, group));
    KOLO_TRY(plan_group(runner, env, group));
    KOLO_TRY(kolo_memory_reserve(&runner->scratch, (size_t)runner->schedule.scratch_count * element_bytes));
    run.reads_tensors = runner->algorithm->reads_tensors;
    run.around = goes_around(env, group->operation.collective, group->members[0].piece, runner->parts.slices);
    memcpy(run.flag_base, runner->flag_base, sizeof(run.flag_base));
    run.base[KOLO_BUFFER_SCRATCH] = (uintptr_t)runner->scratch.data;
    runner->group = group;
    kolo_status status = place(runner, env, &run);
    if (status == KOLO_OK)
        status = kolo_executor_start(&runner->executor, env->ops, env->transport, &run);
    if (status != KOLO_OK)
        runner->group = NULL;
    return status;
}

/* ---- at places ------------------------------------------------------------------------------------------- */

static kolo_status reserve_bases(kolo_runner *runner, int32_t size, size_t tensors)
{
    if (tensors > runner->bases_capacity) {
        free(runner->bases);
        runner->bases = malloc(2 * tensors * (size_t)size * sizeof(*runner->bases));
        runner->bases_capacity = runner->bases != NULL ? tensors : 0;
    }
    if (runner->flags == NULL)
        runner->flags = malloc((size_t)size * sizeof(*runner->flags));
    return runner->bases != NULL && runner->flags != NULL
               ? KOLO_OK
               : kolo_fail(KOLO_ERR_MEMORY, "no memory for the places of %d ranks", size);
}

/* run->parts stays NULL for one tensor. slices: of what is worked on. */
static kolo_status locate(kolo_runner *runner, const kolo_runner_env *env, const kolo_board *board,
                          const kolo_placed *work, kolo_execution *run, const int64_t **slices)
{
    kolo_board_read_flags(board, &work->post, runner->flags);
    if (work->operation->piece_count > 1) {
        KOLO_TRY(kolo_board_read_places(board, &work->post, work->pieces, work->places, &run->parts));
        *slices = run->parts->slices;
        return KOLO_OK;
    }
    KOLO_TRY(kolo_parts_begin(&runner->parts, 1, env->size, false));
    kolo_parts_set(&runner->parts, 0, work->pieces->count);
    KOLO_TRY(kolo_parts_cut(&runner->parts));
    *slices = runner->parts.slices;
    uintptr_t *inputs = runner->bases, *outputs = runner->bases + env->size;
    KOLO_TRY(kolo_board_read_place(board, &work->post, work->operation, work->pieces, inputs, outputs, 1));
    run->peer_input = inputs;
    run->peer_output = outputs;
    run->base[KOLO_BUFFER_INPUT] = inputs[env->rank];
    run->base[KOLO_BUFFER_OUTPUT] = outputs[env->rank];
    return KOLO_OK;
}

/* Of all of a burst's tensors; the flags are those of the first. */
static kolo_status locate_burst(kolo_runner *runner, const kolo_runner_env *env, const kolo_board *board,
                                const kolo_group *group, kolo_execution *run)
{
    kolo_parts *parts = &runner->parts;
    size_t tensors = group->member_count;
    uintptr_t *inputs = runner->bases, *outputs = runner->bases + (size_t)env->size * tensors;
    kolo_board_read_flags(board, &group->members[0].request->post, runner->flags);
    KOLO_TRY(kolo_parts_begin(parts, tensors, env->size, false));
    for (size_t i = 0; i < tensors; i++) {
        const kolo_request *request = group->members[i].request;
        kolo_parts_set(parts, i, request->pieces->count);
        KOLO_TRY(kolo_board_read_place(board, &request->post, &request->operation, request->pieces, inputs + i,
                                       outputs + i, tensors));
    }
    KOLO_TRY(kolo_parts_cut(parts));
    kolo_rows rows = {.inputs = inputs, .outputs = outputs, .count = (size_t)env->size, .own = (size_t)env->rank};
    run->parts = parts;
    return kolo_parts_list(parts, rows, kolo_dtype_size(group->type));
}

/* What is left to say about `run`, and starts it. */
static kolo_status start_located(kolo_runner *runner, const kolo_runner_env *env, const kolo_operation *operation,
                                 const kolo_piece *piece, uint64_t round, const int64_t *slices, kolo_execution *run)
{
    run->schedule = &runner->schedule;
    run->type = piece->type;
    run->op = operation->op;
    run->rank = env->rank;
    run->size = env->size;
    run->flags = runner->flags;
    run->postscale = operation->postscale;
    kolo_plan_key key = {.collective = operation->collective,
                         .association = KOLO_ASSOCIATION_DIRECT,
                         .root = operation->root,
                         .element_bytes = kolo_dtype_size(piece->type),
                         .shared_tensors = true};
    KOLO_TRY(plan(runner, env, &key, slices));
    run->around = goes_around(env, operation->collective, piece, slices);
    for (int flag = 0; flag < KOLO_FLAG_COUNT; flag++)
        run->flag_base[flag] = runner->flag_base[flag] = round - 1;
    runner->packed = false;
    return kolo_executor_start(&runner->executor, env->ops, env->transport, run);
}

kolo_status kolo_runner_start_at_places(kolo_runner *runner, const kolo_runner_env *env, const kolo_board *board,
                                        const kolo_placed *work)
{
    kolo_execution run = {0};
    const int64_t *slices;
    KOLO_TRY(reserve_bases(runner, env->size, 1));
    KOLO_TRY(locate(runner, env, board, work, &run, &slices));
    return start_located(runner, env, work->operation, work->pieces, work->post.round, slices, &run);
}

kolo_status kolo_runner_start_burst(kolo_runner *runner, const kolo_runner_env *env, const kolo_board *board,
                                    const kolo_group *group)
{
    kolo_execution run = {0};
    KOLO_TRY(reserve_bases(runner, env->size, group->member_count));
    KOLO_TRY(locate_burst(runner, env, board, group, &run));
    return start_located(runner, env, &group->operation, group->members[0].piece, group->members[0].request->post.round,
                         runner->parts.slices, &run);
}

void kolo_runner_finish(kolo_runner *runner)
{
    for (int flag = 0; flag < KOLO_FLAG_COUNT; flag++)
        runner->flag_base[flag] += runner->schedule.flag_total[flag];
    if (runner->packed)
        each_part(runner, kolo_dtype_size(runner->group->type), unpack_part);
}
