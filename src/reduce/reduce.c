/* reduce.c - chooses the instruction set when the library is loaded, and calls through its table. */
#include "reduce/reduce.h"

#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "reduce/kernels.h"

enum { MAX_ISAS = 3 };

/* What this machine can do, the best one last. Written before main, and by kolo_reduce_force. */
static const kolo_kernels *usable[MAX_ISAS] = {&kolo_kernels_portable};
static size_t usable_count = 1;
static const kolo_kernels *active = &kolo_kernels_portable;

#if defined(__x86_64__)
/* Not every compiler's __builtin_cpu_supports knows this one. */
static bool has_f16c(void)
{
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
}
#endif

__attribute__((constructor)) static void choose(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && has_f16c())
        usable[usable_count++] = &kolo_kernels_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        usable[usable_count++] = &kolo_kernels_avx512;
#elif defined(__aarch64__)
    usable[usable_count++] = &kolo_kernels_neon;
#endif
    active = usable[usable_count - 1];
}

size_t kolo_reduce_isa_count(void)
{
    return usable_count;
}

const char *kolo_reduce_isa_name(size_t index)
{
    return index < usable_count ? usable[index]->name : NULL;
}

bool kolo_reduce_force(const char *isa)
{
    if (isa == NULL) {
        active = usable[usable_count - 1];
        return true;
    }
    for (size_t i = 0; i < usable_count; i++) {
        if (strcmp(usable[i]->name, isa) == 0) {
            active = usable[i];
            return true;
        }
    }
    return false;
}

const char *kolo_reduce_isa(void)
{
    return active->name;
}

/* Dividing by a power of two is multiplying by its reciprocal, to the last bit, and several times as fast. */
static bool find_ending(const kolo_reduction *reduction, kolo_ending *ending)
{
    int32_t divisor = reduction->op == KOLO_AVERAGE ? reduction->size : 1;
    double postscale = kolo_dtype_is_float(reduction->type) ? reduction->postscale : 1.0;
    if (!reduction->final || (divisor == 1 && postscale == 1.0))
        return false;
    bool multiplies = (divisor & (divisor - 1)) == 0 && kolo_dtype_is_float(reduction->type);
    *ending = (kolo_ending){.divides = !multiplies, .first = multiplies ? 1.0 / divisor : divisor, .second = postscale};
    return true;
}

static void fold_at_once(const kolo_reduction *reduction, void *const *dsts, size_t n_dsts, const void *const *inputs,
                         size_t n_inputs, size_t count)
{
    kolo_ending ending;
    bool ends = find_ending(reduction, &ending);
    if (n_inputs > 1 || ends) {
        active->fold[reduction->type][reduction->op](dsts, n_dsts, inputs, n_inputs, count, ends ? &ending : NULL);
        return;
    }
    size_t bytes = count * kolo_dtype_size(reduction->type);
    if (n_dsts > 1)
        active->fold[KOLO_DTYPE_UINT8][KOLO_SUM](dsts, n_dsts, inputs, 1, bytes, NULL);
    else
        kolo_reduce_copy(dsts[0], inputs[0], bytes);
}

/* Many operands are worked on piece by piece: of more than MANY inputs FEW at a time, and more than FEW destinations one after
 * the other. A core's own cache keeps no more lines of what lies at the same place in its pages, as ranks' tensors do. What
 * is shorter than PIECE_LEAST is not worth the calls. */
enum { PIECE_BYTES = 8192, PIECE_LEAST = 1024, FEW = 8, MANY = 16, INPUTS_MAX = 64 };

/* Whether what a fold stores is what it has in its registers, so that another one may go on with it. */
static bool may_pause(kolo_dtype_id type)
{
    return type != KOLO_DTYPE_FLOAT16 && type != KOLO_DTYPE_BFLOAT16;
}

/* A piece of all inputs, from byte `at` on, to dst, where there may be an input. */
static void fold_piece(const kolo_reduction *reduction, void *dst, const void *const *inputs, size_t n_inputs,
                       size_t at, size_t count)
{
    _Alignas(64) unsigned char sum[PIECE_BYTES];
    const kolo_reduction part = {.type = reduction->type, .op = reduction->op};
    const void *moved[INPUTS_MAX];
    void *const sums[] = {sum}, *const dsts[] = {dst};
    size_t few = n_inputs > MANY && may_pause(reduction->type) ? FEW : INPUTS_MAX;
    for (size_t next = 0; next < n_inputs;) {
        size_t n = 0;
        if (next > 0)
            moved[n++] = sum;
        while (n < few && next < n_inputs)
            moved[n++] = (const unsigned char *)inputs[next++] + at;
        bool is_last = next == n_inputs;
        fold_at_once(is_last ? reduction : &part, is_last ? dsts : sums, 1, moved, n, count);
    }
}

static void fold_many(const kolo_reduction *reduction, void *const *dsts, size_t n_dsts, const void *const *inputs,
                      size_t n_inputs, size_t bytes)
{
    _Alignas(64) unsigned char result[PIECE_BYTES];
    size_t element_bytes = kolo_dtype_size(reduction->type);
    for (size_t at = 0; at < bytes; at += PIECE_BYTES) {
        size_t length = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        unsigned char *to = n_dsts > 1 ? result : (unsigned char *)dsts[0] + at;
        fold_piece(reduction, to, inputs, n_inputs, at, length / element_bytes);
        for (size_t i = 0; n_dsts > 1 && i < n_dsts; i++)
            kolo_reduce_copy((unsigned char *)dsts[i] + at, result, length);
    }
}

void kolo_reduce_fold(const kolo_reduction *reduction, void *const *dsts, size_t n_dsts, const void *const *inputs,
                      size_t n_inputs, size_t count)
{
    size_t bytes = count * kolo_dtype_size(reduction->type);
    if ((n_inputs > MANY || n_dsts > FEW) && n_inputs <= INPUTS_MAX && bytes >= PIECE_LEAST)
        fold_many(reduction, dsts, n_dsts, inputs, n_inputs, bytes);
    else
        fold_at_once(reduction, dsts, n_dsts, inputs, n_inputs, count);
}

/* Field by field: to zero the whole would take longer. */
void kolo_folder_init(kolo_folder *folder, const kolo_reduction *reduction, size_t n_dsts, size_t n_inputs)
{
    folder->reduction = reduction;
    folder->n_dsts = n_dsts;
    folder->n_inputs = n_inputs;
    folder->element_bytes = kolo_dtype_size(reduction->type);
    folder->ends = find_ending(reduction, &folder->ending);
    bool is_copy = n_inputs == 1 && !folder->ends, is_kernel = !is_copy && n_inputs <= MANY && n_dsts <= FEW;
    folder->copies = is_copy && n_dsts == 1;
    folder->kernel = is_kernel ? active->fold[reduction->type][reduction->op] : NULL;
}

/* Where dst lies a few bytes past src, modulo 4096, string instructions (rep movsb) are 15 to 30 times slower than
 * elsewhere on some processors, and many a memcpy consists of them from a few KiB on. Elsewhere memcpy is at least as
 * good as vectors: it need not fetch lines that it overwrites from another core's cache. */
static bool is_just_past(const void *dst, const void *src)
{
    size_t distance = ((uintptr_t)dst - (uintptr_t)src) % 4096;
    return distance > 0 && distance < 64;
}

void kolo_reduce_copy(void *dst, const void *src, size_t bytes)
{
    /* Below, memcpy has no string instructions. */
    enum { LARGE_BYTES = 1024 };
    if (dst == src || bytes == 0) /* then there may be no memory at all */
        return;
    if (bytes >= LARGE_BYTES && is_just_past(dst, src))
        active->copy(dst, src, bytes);
    else
        memcpy(dst, src, bytes);
}

void kolo_reduce_copy_around(void *dst, const void *src, size_t bytes)
{
    if (bytes > 0)
        active->copy_around(dst, src, bytes);
}

/* Piece by piece in the nearest cache, and from there. */
void kolo_reduce_fold_around(const kolo_reduction *reduction, void *const *dsts, size_t n_dsts,
                             const void *const *inputs, size_t n_inputs, size_t count)
{
    _Alignas(64) unsigned char piece[PIECE_BYTES];
    size_t element_bytes = kolo_dtype_size(reduction->type), bytes = count * element_bytes;
    kolo_ending ending;
    if (n_inputs == 1 && n_dsts == 1 && !find_ending(reduction, &ending)) {
        kolo_reduce_copy_around(dsts[0], inputs[0], bytes);
        return;
    }
    if (n_inputs > INPUTS_MAX) {
        fold_at_once(reduction, dsts, n_dsts, inputs, n_inputs, count);
        return;
    }
    for (size_t at = 0; at < bytes; at += PIECE_BYTES) {
        size_t length = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        fold_piece(reduction, piece, inputs, n_inputs, at, length / element_bytes);
        for (size_t i = 0; i < n_dsts; i++)
            active->copy_around((unsigned char *)dsts[i] + at, piece, length);
    }
}

void kolo_reduce_end_around(void)
{
    active->end_around();
}

void kolo_reduce_scale(kolo_dtype_id type, double factor, void *dst, const void *src, size_t count)
{
    const kolo_reduction reduction = {.type = type, .op = KOLO_SUM, .final = true, .postscale = factor};
    kolo_reduce_fold(&reduction, &dst, 1, &src, 1, count);
}
