/* express.c - cells in shared memory: flag and payload together. */
#include "engine/express.h"

#include "plan/slice.h"
#include "reduce/reduce.h"

#include <string.h>

static char *cell(const kolo_express *express, int32_t rank, uint32_t slot, uint64_t round)
{
    return express->cells[rank] + ((size_t)slot * 2 + (round & 1)) * KOLO_EXPRESS_CELL_BYTES;
}

static const void *payload(const kolo_express *express, int32_t rank, const kolo_request *request)
{
    return cell(express, rank, request->express_slot, request->express_round) + sizeof(uint64_t);
}

static bool has_posted(const kolo_express *express, int32_t rank, uint32_t slot, uint64_t round)
{
    const uint64_t *flag = (const uint64_t *)(const void *)cell(express, rank, slot, round);
    return __atomic_load_n(flag, __ATOMIC_ACQUIRE) == round;
}

bool kolo_express_takes(const kolo_express *express, const kolo_request *request, uint32_t slot)
{
    if (express->size == 0 || slot >= KOLO_EXPRESS_SLOTS)
        return false;
    if (request->operation.collective == KOLO_BARRIER)
        return true;
    if (request->operation.collective != KOLO_ALLREDUCE || request->operation.piece_count != 1)
        return false;
    const kolo_piece *piece = &request->pieces[0];
    return piece->count > 0 && piece->count <= KOLO_EXPRESS_BYTES / (int64_t)kolo_dtype_size(piece->type);
}

void kolo_express_post(kolo_express *express, kolo_request *request, uint32_t slot, uint64_t round)
{
    char *own = cell(express, express->rank, slot, round);
    request->express = true;
    request->express_slot = slot;
    request->express_round = round;
    request->express_next = express->first;
    express->first = request;
    if (request->operation.piece_count > 0) {
        const kolo_piece *piece = &request->pieces[0];
        kolo_reduce_scale(piece->type, request->operation.prescale, own + sizeof(uint64_t), piece->input,
                          (size_t)piece->count);
    }
    __atomic_store_n((uint64_t *)(void *)own, round, __ATOMIC_RELEASE);
}

uint32_t kolo_express_posted(const kolo_express *express, uint32_t slot, uint64_t round)
{
    uint32_t mask = 0;
    for (int32_t rank = 0; rank < express->size; rank++)
        mask |= (uint32_t)has_posted(express, rank, slot, round) << rank;
    return mask;
}

static bool is_complete(const kolo_express *express, const kolo_request *request)
{
    for (int32_t rank = 0; rank < express->size; rank++)
        if (rank != express->rank && !has_posted(express, rank, request->express_slot, request->express_round))
            return false;
    return true;
}

/* Slice by slice, in the order that the algorithms on windows have, so that the bits are theirs. */
static void fold(const kolo_express *express, const kolo_request *request)
{
    const kolo_piece *piece = &request->pieces[0];
    const kolo_reduction reduction = {.type = piece->type,
                                      .op = request->operation.op,
                                      .final = true,
                                      .size = express->size,
                                      .postscale = request->operation.postscale};
    size_t element_bytes = kolo_dtype_size(piece->type);
    const void *inputs[KOLO_EXPRESS_RANKS_MAX];
    for (int32_t position = 0; position < express->size; position++) {
        kolo_range slice = kolo_slice_of(piece->count, express->size, express->ring[position]);
        size_t offset = (size_t)slice.offset * element_bytes;
        if (slice.count == 0)
            continue;
        for (int32_t i = 0; i < express->size; i++) {
            int32_t rank = express->ring[(position + 1 + i) % express->size];
            inputs[i] = (const char *)payload(express, rank, request) + offset;
        }
        void *dst = (char *)piece->output + offset;
        kolo_reduce_fold(&reduction, &dst, 1, inputs, (size_t)express->size, (size_t)slice.count);
    }
}

kolo_request *kolo_express_next_done(kolo_express *express)
{
    for (kolo_request **at = &express->first; *at != NULL; at = &(*at)->express_next) {
        kolo_request *request = *at;
        if (!is_complete(express, request))
            continue;
        *at = request->express_next;
        request->express = false;
        if (request->operation.piece_count > 0)
            fold(express, request);
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
        *at = request->express_next;
    request->express = false;
}
