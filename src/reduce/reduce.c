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
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
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

void kolo_reduce_pair(kolo_dtype_id type, kolo_reduce_op op, void *dst, const void *a, const void *b, size_t count)
{
    active->pair[type][op](dst, a, b, count);
}

void kolo_reduce_many(kolo_dtype_id type, kolo_reduce_op op, void *dst, const void *const *inputs, size_t n_inputs,
                      size_t count)
{
    if (n_inputs == 2)
        active->pair[type][op](dst, inputs[0], inputs[1], count);
    else
        active->many[type][op](dst, inputs, n_inputs, count);
}

/* Dividing by a power of two is multiplying by its reciprocal, to the last bit, and several times as fast. */
static void finish_float(kolo_dtype_id type, int32_t divisor, double postscale, void *data, size_t count)
{
    if ((divisor & (divisor - 1)) == 0)
        active->multiply[type](data, data, 1.0 / divisor, postscale, count);
    else
        active->divide_multiply[type](data, data, divisor, postscale, count);
}

void kolo_reduce_finish(kolo_dtype_id type, kolo_reduce_op op, int32_t size, double postscale, void *data, size_t count)
{
    int32_t divisor = op == KOLO_AVERAGE ? size : 1;
    if (!kolo_dtype_is_float(type)) {
        if (divisor != 1)
            active->divide[type](data, divisor, count);
    } else if (divisor != 1 || postscale != 1.0) {
        finish_float(type, divisor, postscale, data, count);
    }
}

void kolo_reduce_scale(kolo_dtype_id type, double factor, void *dst, const void *src, size_t count)
{
    if (factor != 1.0 && kolo_dtype_is_float(type))
        active->multiply[type](dst, src, 1.0, factor, count);
    else if (dst != src && count > 0)
        memcpy(dst, src, count * kolo_dtype_size(type));
}
