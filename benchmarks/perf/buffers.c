/* buffers.c - where each operation's inputs and results lie, and what must be in them. */
#include "buffers.h"

#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_LINE = 64, PAGE = 4096, POISON = 0x5a };

size_t perf_buffers_stride(int64_t tensor_bytes)
{
    return ((size_t)tensor_bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

/* Of the kernel's estimate, in bytes; SIZE_MAX where it gives none. */
static size_t available_bytes(void)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file != NULL && kib == 0 && fgets(line, sizeof(line), file) != NULL)
        (void)!sscanf(line, "MemAvailable: %llu kB", &kib);
    if (file != NULL)
        fclose(file);
    return kib > 0 && kib < SIZE_MAX / 1024 ? (size_t)kib * 1024 : SIZE_MAX;
}

/* Asking for more than there is would have some process killed. */
static bool has_room(const perf_memory *memory)
{
    enum { BUFFERS = 3 };
    const perf_backend *backend = memory->backend;
    size_t ranks = backend->one_host ? (size_t)backend->ranks : 1, available = available_bytes() / ranks / BUFFERS;
    if (memory->bytes <= available)
        return true;
    fprintf(stderr,
            "%s: rank %d: %d buffers of %zu bytes are more than this rank's share of the available memory, %zu bytes "
            "each; choose a smaller -e or --async\n",
            backend->program, backend->rank, BUFFERS, memory->bytes, available);
    return false;
}

static bool allocate_private(const perf_backend *backend, size_t bytes, char **memory)
{
    *memory = aligned_alloc(PAGE, bytes);
    if (*memory == NULL) {
        fprintf(stderr, "%s: rank %d: not enough memory for a buffer of %zu bytes; choose a smaller -e or --async\n",
                backend->program, backend->rank, bytes);
        return false;
    }
    return true;
}

static bool allocate(const perf_memory *memory, char **piece)
{
    if (!memory->from_backend)
        return allocate_private(memory->backend, memory->bytes, piece);
    void *ptr = NULL;
    if (!memory->backend->allocate(memory->backend->self, memory->bytes, &ptr))
        return false;
    *piece = ptr;
    return true;
}

bool perf_buffers_init(perf_memory *memory, const perf_backend *backend, perf_buffers kind, size_t bytes)
{
    /* Whole pages, and never 0: an operation on no elements still needs an address to tell in place from out of place.
     */
    *memory = (perf_memory){.backend = backend, .from_backend = kind == PERF_KOLO, .bytes = (bytes / PAGE + 1) * PAGE};
    if (memory->from_backend && backend->allocate == NULL) {
        fprintf(stderr, "%s: --buffers kolo: %s has no memory of its own\n", backend->program, backend->name);
        return false;
    }
    if (!has_room(memory))
        return false;
    if (!allocate(memory, &memory->input) || !allocate(memory, &memory->output) ||
        !allocate_private(backend, memory->bytes, &memory->pristine)) {
        perf_buffers_fini(memory);
        return false;
    }
    memset(memory->input, 0, memory->bytes);
    memset(memory->output, 0, memory->bytes);
    memset(memory->pristine, 0, memory->bytes);
    return true;
}

void perf_buffers_fini(perf_memory *memory)
{
    if (memory->from_backend) {
        if (memory->input != NULL)
            memory->backend->release(memory->backend->self, memory->input);
        if (memory->output != NULL)
            memory->backend->release(memory->backend->self, memory->output);
    } else {
        free(memory->input);
        free(memory->output);
    }
    free(memory->pristine);
    *memory = (perf_memory){0};
}

/* The elements of a tensor that this rank brings: [*offset, *offset + *count). */
static void input_range(const perf_call *call, int rank, int64_t *offset, int64_t *count)
{
    *offset = call->op == PERF_ALLGATHER ? call->offset : 0;
    *count = call->op == PERF_ALLGATHER ? call->slice_count : call->count;
    if (call->op == PERF_BROADCAST && rank != call->root)
        *count = 0;
}

static perf_pattern pattern_of(const perf_memory *memory, const perf_call *call, uint64_t seed, int tensor)
{
    return (perf_pattern){
        .type = call->type,
        .redop = perf_op_reduces(call->op) ? call->redop : PERF_MAX, /* the widest choice of values */
        .ranks = memory->backend->ranks,
        .seed = (seed << 32) + (uint64_t)tensor,
    };
}

void perf_buffers_fill(const perf_memory *memory, const perf_call *call, uint64_t seed)
{
    int rank = memory->backend->rank;
    int64_t offset;
    int64_t count;
    input_range(call, rank, &offset, &count);
    for (int k = 0; k < call->tensors; k++) {
        perf_pattern pattern = pattern_of(memory, call, seed, k);
        perf_reference_fill(&pattern, rank, offset, count, memory->pristine + (size_t)k * call->stride);
    }
}

void perf_buffers_rewrite(const perf_memory *memory, const perf_call *call)
{
    size_t size = perf_type_size(call->type);
    int64_t offset;
    int64_t count;
    input_range(call, memory->backend->rank, &offset, &count);
    char *target = call->in_place ? call->output + (size_t)offset * size : call->input;
    for (int k = 0; k < call->tensors; k++) {
        size_t shift = (size_t)k * call->stride;
        memcpy(target + shift, memory->pristine + shift, (size_t)count * size);
    }
}

void perf_buffers_poison(const perf_memory *memory, const perf_call *call)
{
    size_t size = perf_type_size(call->type);
    int64_t offset;
    int64_t count;
    input_range(call, memory->backend->rank, &offset, &count);
    for (int k = 0; k < call->tensors; k++) {
        char *output = call->output + (size_t)k * call->stride;
        size_t input_begin = call->in_place ? (size_t)offset * size : 0;
        size_t input_end = call->in_place ? input_begin + (size_t)count * size : 0;
        memset(output, POISON, input_begin);
        memset(output + input_end, POISON, (size_t)call->count * size - input_end);
    }
}

static int64_t count_wrong_gathered(const perf_pattern *pattern, const perf_call *call, const char *output)
{
    int64_t wrong = 0;
    for (int rank = 0; rank < pattern->ranks; rank++) {
        int64_t offset;
        int64_t count;
        perf_slice(call->count, pattern->ranks, rank, &offset, &count);
        wrong += perf_reference_check_copied(pattern, rank, offset, count,
                                             output + (size_t)offset * perf_type_size(call->type));
    }
    return wrong;
}

int64_t perf_buffers_count_wrong(const perf_memory *memory, const perf_call *call, uint64_t seed)
{
    int64_t wrong = 0;
    for (int k = 0; k < call->tensors; k++) {
        perf_pattern pattern = pattern_of(memory, call, seed, k);
        const char *output = call->output + (size_t)k * call->stride;
        switch (call->op) {
        case PERF_ALLREDUCE:
        case PERF_GROUPED_ALLREDUCE:
        case PERF_PREPARED_ALLREDUCE:
        case PERF_PREPARED_GROUP:
            wrong += perf_reference_check_reduced(&pattern, 0, call->count, output);
            break;
        case PERF_REDUCE_SCATTER:
            if (call->in_place)
                output += (size_t)call->offset * perf_type_size(call->type);
            wrong += perf_reference_check_reduced(&pattern, call->offset, call->slice_count, output);
            break;
        case PERF_ALLGATHER:
            wrong += count_wrong_gathered(&pattern, call, output);
            break;
        case PERF_BROADCAST:
            wrong += perf_reference_check_copied(&pattern, call->root, 0, call->count, output);
            break;
        default: /* memcpy */
            wrong += perf_reference_check_copied(&pattern, memory->backend->rank, 0, call->count, output);
        }
    }
    return wrong;
}
