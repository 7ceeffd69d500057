/* express.c - cells in shared memory: flag and payload together. */
#include "engine/express.h"

#include "plan/slice.h"
#include "reduce/reduce.h"

#include <string.h>

void kolo_express_init(kolo_express *express)
{
    memset(express, 0, sizeof(*express));
    express->end = &express->first;
}

static char *cell(const kolo_express *express, int32_t rank, uint32_t slot, uint64_t round)
{
    return express->cells[rank] + ((size_t)slot * 2 + (round & 1)) * KOLO_EXPRESS_CELL_BYTES;
}

static const void *payload(const kolo_express *express, int32_t rank, uint32_t slot, uint64_t round)
{
    return cell(express, rank, slot, round) + sizeof(uint64_t);
}

static bool has_posted(const kolo_express *express, int32_t rank, uint32_t slot, uint64_t round)
{
    const uint64_t *flag = (const uint64_t *)(const void *)cell(express, rank, slot, round);
    return __atomic_load_n(flag, __ATOMIC_ACQUIRE) == round;
}

bool kolo_express_takes(const kolo_express *express, const kolo_operation *operation, const kolo_piece *piece,
                        uint32_t slot)
{
    if (express->size == 0 || slot >= KOLO_EXPRESS_SLOTS)
        return false;
    if (operation->collective == KOLO_BARRIER)
        return true;
    return operation->collective == KOLO_ALLREDUCE && operation->piece_count == 1 && piece->count > 0 &&
           piece->count <= KOLO_EXPRESS_BYTES / (int64_t)kolo_dtype_size(piece->type);
}

/* ---- one round of one slot -------------------------------------------------------------------------- */

void kolo_express_write(const kolo_express *express, uint32_t slot, uint64_t round, const kolo_operation *operation,
                        const kolo_piece *piece)
{
    char *own = cell(express, express->rank, slot, round);
    if (piece != NULL)
        kolo_reduce_scale(piece->type, operation->prescale, own + sizeof(uint64_t), piece->input, (size_t)piece->count);
    __atomic_store_n((uint64_t *)(void *)own, round, __ATOMIC_RELEASE);
}

bool kolo_express_is_complete(const kolo_express *express, uint32_t slot, uint64_t round)
{
    for (int32_t rank = 0; rank < express->size; rank++)
        if (rank != express->rank && !has_posted(express, rank, slot, round))
            return false;
    return true;
}

uint32_t kolo_express_posted(const kolo_express *express, uint32_t slot, uint64_t round)
{
    uint32_t mask = 0;
    for (int32_t rank = 0; rank < express->size; rank++)
        mask |= (uint32_t)has_posted(express, rank, slot, round) << rank;
    return mask;
}

/* Slice by slice, in the order that the algorithms on windows have, so that the bits are theirs. */
void kolo_express_read(const kolo_express *express, uint32_t slot, uint64_t round, const kolo_operation *operation,
                       const kolo_piece *piece)
{
    if (piece == NULL)
        return;
    const kolo_reduction reduction = {.type = piece->type,
                                      .op = operation->op,
                                      .final = true,
                                      .size = express->size,
                                      .postscale = operation->postscale};
    size_t element_bytes = kolo_dtype_size(piece->type);
    const void *inputs[KOLO_EXPRESS_RANKS_MAX];
    for (int32_t position = 0; position < express->size; position++) {
        kolo_range slice = kolo_slice_of(piece->count, express->size, express->ring[position]);
        size_t offset = (size_t)slice.offset * element_bytes;
        if (slice.count == 0)
            continue;
        for (int32_t i = 0; i < express->size; i++) {
            int32_t rank = express->ring[(position + 1 + i) % express->size];
            inputs[i] = (const char *)payload(express, rank, slot, round) + offset;
        }
        void *dst = (char *)piece->output + offset;
        kolo_reduce_fold(&reduction, &dst, 1, inputs, (size_t)express->size, (size_t)slice.count);
    }
}

/* ---- requests ---------------------------------------------------------------------------------------- */

static bool is_complete(const kolo_express *express, const kolo_request *request)
{
    return kolo_express_is_complete(express, request->express_slot, request->express_round);
}

void kolo_express_add(kolo_express *express, kolo_request *request, uint32_t slot, uint64_t round)
{
    request->express = true;
    request->express_slot = slot;
    request->express_round = round;
    request->express_next = NULL;
    *express->end = request;
    express->end = &request->express_next;
}

static void unlink_at(kolo_express *express, kolo_request **at)
{
    kolo_request *request = *at;
    *at = request->express_next;
    if (express->end == &request->express_next)
        express->end = at;
    request->express = false;
}

kolo_request *kolo_express_next_done(kolo_express *express, kolo_request **last_open)
{
    for (kolo_request **at = *last_open != NULL ? &(*last_open)->express_next : &express->first; *at != NULL;
         at = &(*at)->express_next) {
        kolo_request *request = *at;
        if (!is_complete(express, request)) {
            *last_open = request;
            continue;
        }
        unlink_at(express, at);
        kolo_express_read(express, request->express_slot, request->express_round, &request->operation,
                          kolo_request_piece(request));
        return request;
    }
    return NULL;
}

bool kolo_express_any_done(const kolo_express *express)
{
    for (const kolo_request *request = express->first; request != NULL; request = request->express_next)
        if (is_complete(express, request))
            return true;
    return false;
}

void kolo_express_drop(kolo_express *express, kolo_request *request)
{
    kolo_request **at = &express->first;
    while (*at != NULL && *at != request)
        at = &(*at)->express_next;
    if (*at != NULL)
        unlink_at(express, at);
}
