/* reference.c - deterministic inputs, and the expected result of every operation. */
#include "reference.h"

#include <string.h>

/* A value of any type: integers in `integer`, floats in `real`. */
typedef union element {
    int64_t integer;
    double real;
} element;

enum { BLOCK_ELEMENTS = 512 };

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ (x >> 33);
}

/* Whole numbers up to this are exact in the type. */
static int64_t exact_limit(perf_type type)
{
    switch (type) {
    case PERF_BFLOAT16:
        return 256;
    case PERF_HALF:
        return 2048;
    case PERF_FLOAT:
        return 1 << 24;
    default:
        return INT64_C(1) << 53;
    }
}

/* Signed as a whole number, so that there is no -0: what a sum or a minimum makes of it is not the same everywhere. */
static double real_input(const perf_pattern *p, uint64_t hash, uint64_t turn)
{
    int64_t limit = exact_limit(p->type);
    int64_t sign = (hash >> 63) != 0 ? -1 : 1;
    if (p->redop == PERF_PROD) /* at most three factors of two in a product, the others are one */
        return (double)(turn < 3 ? sign * 2 : sign);
    if (p->redop == PERF_MIN || p->redop == PERF_MAX)
        return (double)(sign * (int64_t)(hash % (uint64_t)limit));
    /* The partial sums of any order stay within the limit. With more ranks than that, some add nothing. */
    if (turn >= (uint64_t)limit)
        return 0.0;
    uint64_t magnitude = (uint64_t)(limit / p->ranks > 0 ? limit / p->ranks : 1);
    return (double)(sign * (int64_t)(hash % (magnitude + 1)));
}

static int64_t wrap(perf_type type, uint64_t value)
{
    switch (type) {
    case PERF_INT8:
        return (int8_t)value;
    case PERF_UINT8:
        return (uint8_t)value;
    case PERF_INT16:
        return (int16_t)value;
    case PERF_INT32:
        return (int32_t)value;
    default:
        return (int64_t)value;
    }
}

static element input_of(const perf_pattern *p, int rank, int64_t index)
{
    uint64_t hash = mix(mix(p->seed * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)rank + 1) + (uint64_t)index);
    uint64_t turn = ((uint64_t)rank + (uint64_t)index) % (uint64_t)p->ranks;
    if (perf_type_is_float(p->type))
        return (element){.real = real_input(p, hash, turn)};
    if (p->redop == PERF_PROD)
        hash |= 1; /* odd, or products of many ranks would all end in zeros */
    return (element){.integer = wrap(p->type, hash)};
}

static element reduced_real(const perf_pattern *p, int64_t index)
{
    double result = input_of(p, 0, index).real;
    for (int rank = 1; rank < p->ranks; rank++) {
        double next = input_of(p, rank, index).real;
        switch (p->redop) {
        case PERF_PROD:
            result *= next;
            break;
        case PERF_MIN:
            result = next < result ? next : result;
            break;
        case PERF_MAX:
            result = next > result ? next : result;
            break;
        default:
            result += next;
        }
    }
    if (p->redop == PERF_AVG)
        result /= p->ranks;
    return (element){.real = result};
}

static element reduced_integer(const perf_pattern *p, int64_t index)
{
    int64_t result = input_of(p, 0, index).integer;
    for (int rank = 1; rank < p->ranks; rank++) {
        int64_t next = input_of(p, rank, index).integer;
        switch (p->redop) {
        case PERF_PROD:
            result = (int64_t)((uint64_t)result * (uint64_t)next);
            break;
        case PERF_MIN:
            result = next < result ? next : result;
            break;
        case PERF_MAX:
            result = next > result ? next : result;
            break;
        default:
            result = (int64_t)((uint64_t)result + (uint64_t)next);
        }
    }
    result = wrap(p->type, (uint64_t)result);
    if (p->redop == PERF_AVG)
        result /= p->ranks;
    return (element){.integer = result};
}

static element reduced(const perf_pattern *p, int64_t index)
{
    return perf_type_is_float(p->type) ? reduced_real(p, index) : reduced_integer(p, index);
}

uint16_t perf_bfloat16_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits >> 16) | 0x40u); /* a quiet NaN */
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

uint16_t perf_half_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7c00u);
    uint32_t exponent = magnitude >> 23;
    uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    uint32_t shift = exponent >= 113 ? 13 : 126 - exponent; /* more for subnormals: unit 2^-24 */
    if (shift > 25)
        return (uint16_t)sign;
    uint32_t half = mantissa >> shift;
    uint32_t rest = mantissa & ((1u << shift) - 1u);
    uint32_t middle = 1u << (shift - 1u);
    if (rest > middle || (rest == middle && (half & 1u) != 0))
        half++;
    if (exponent >= 113) /* the leading one counts as the exponent's last unit, and a carry is right, too */
        half += (exponent - 113) << 10;
    return (uint16_t)(sign | half);
}

static void store(perf_type type, const element *values, int64_t count, char *out)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t integer = perf_type_is_float(type) ? 0 : values[i].integer;
        uint16_t bits;
        float single;
        switch (type) {
        case PERF_INT8:
        case PERF_UINT8:
            out[i] = (char)integer;
            break;
        case PERF_INT16:
            memcpy(out + 2 * i, &(int16_t){(int16_t)integer}, 2);
            break;
        case PERF_INT32:
            memcpy(out + 4 * i, &(int32_t){(int32_t)integer}, 4);
            break;
        case PERF_HALF:
            bits = perf_half_from_float((float)values[i].real);
            memcpy(out + 2 * i, &bits, 2);
            break;
        case PERF_BFLOAT16:
            bits = perf_bfloat16_from_float((float)values[i].real);
            memcpy(out + 2 * i, &bits, 2);
            break;
        case PERF_FLOAT:
            single = (float)values[i].real;
            memcpy(out + 4 * i, &single, 4);
            break;
        default: /* int64 and double */
            memcpy(out + 8 * i, &values[i], 8);
        }
    }
}

void perf_reference_fill(const perf_pattern *pattern, int rank, int64_t offset, int64_t count, void *out)
{
    element values[BLOCK_ELEMENTS];
    size_t size = perf_type_size(pattern->type);
    for (int64_t done = 0; done < count;) {
        int64_t block = count - done < BLOCK_ELEMENTS ? count - done : BLOCK_ELEMENTS;
        for (int64_t i = 0; i < block; i++)
            values[i] = input_of(pattern, rank, offset + done + i);
        store(pattern->type, values, block, (char *)out + (size_t)done * size);
        done += block;
    }
}

static int64_t count_different(perf_type type, const element *values, int64_t count, const char *data)
{
    char expected[BLOCK_ELEMENTS * sizeof(element)];
    size_t size = perf_type_size(type);
    store(type, values, count, expected);
    if (memcmp(expected, data, (size_t)count * size) == 0)
        return 0;
    int64_t wrong = 0;
    for (int64_t i = 0; i < count; i++)
        wrong += memcmp(expected + (size_t)i * size, data + (size_t)i * size, size) != 0;
    return wrong;
}

int64_t perf_reference_check_reduced(const perf_pattern *pattern, int64_t offset, int64_t count, const void *data)
{
    element values[BLOCK_ELEMENTS];
    size_t size = perf_type_size(pattern->type);
    int64_t wrong = 0;
    for (int64_t done = 0; done < count;) {
        int64_t block = count - done < BLOCK_ELEMENTS ? count - done : BLOCK_ELEMENTS;
        for (int64_t i = 0; i < block; i++)
            values[i] = reduced(pattern, offset + done + i);
        wrong += count_different(pattern->type, values, block, (const char *)data + (size_t)done * size);
        done += block;
    }
    return wrong;
}

int64_t perf_reference_check_copied(const perf_pattern *pattern, int rank, int64_t offset, int64_t count,
                                    const void *data)
{
    element values[BLOCK_ELEMENTS];
    size_t size = perf_type_size(pattern->type);
    int64_t wrong = 0;
    for (int64_t done = 0; done < count;) {
        int64_t block = count - done < BLOCK_ELEMENTS ? count - done : BLOCK_ELEMENTS;
        for (int64_t i = 0; i < block; i++)
            values[i] = input_of(pattern, rank, offset + done + i);
        wrong += count_different(pattern->type, values, block, (const char *)data + (size_t)done * size);
        done += block;
    }
    return wrong;
}
