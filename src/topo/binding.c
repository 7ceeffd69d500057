/* binding.c - which rank gets which cores, and binding to them. */
#include "topo/internal.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"

/* ---- masks ---------------------------------------------------------------------------------- */

/* A CPU number at *text, which moves on. -1 where there is none, or none below limit. */
static int parse_cpu(const char **text, int limit)
{
    if (!isdigit((unsigned char)**text))
        return -1;
    int value = 0;
    for (; isdigit((unsigned char)**text); (*text)++) {
        value = value * 10 + (**text - '0');
        if (value > limit)
            return -1;
    }
    return value;
}

/* Not hwloc's parser: that one takes "3-" as endless, and allocates for whatever number it reads. */
bool kolo_topo_parse_list(const char *text, hwloc_const_bitmap_t within, hwloc_bitmap_t set)
{
    int limit = hwloc_bitmap_last(within);
    hwloc_bitmap_t found = hwloc_bitmap_alloc();
    bool ok = found && limit >= 0 && limit < INT_MAX / 10 - 1;
    while (ok) {
        int first = parse_cpu(&text, limit), last = first;
        if (first >= 0 && *text == '-') {
            text++;
            last = parse_cpu(&text, limit);
        }
        ok = first >= 0 && last >= first && hwloc_bitmap_set_range(found, (unsigned)first, last) == 0;
        if (!ok || *text != ',')
            break;
        text++;
    }
    ok = ok && *text == '\0' && hwloc_bitmap_isincluded(found, within) && hwloc_bitmap_copy(set, found) == 0;
    hwloc_bitmap_free(found);
    return ok;
}

/* False when it doesn't fit: half a mask would be a wrong one. */
static bool format_cpus(hwloc_const_bitmap_t set, char *text)
{
    int length = hwloc_bitmap_list_snprintf(text, KOLO_CPUS_TEXT, set);
    return length > 0 && length < KOLO_CPUS_TEXT;
}

/* ---- division ------------------------------------------------------------------------------- */

/* One crossed package outweighs all NUMA nodes, one of those all caches, one of those any unevenness (of a few
 * thousand cores). */
static int64_t crossing_cost(const kolo_topo_core *a, const kolo_topo_core *b)
{
    if (a->package != b->package)
        return INT64_C(1) << 48;
    if (a->numa != b->numa)
        return INT64_C(1) << 36;
    if (a->cache != b->cache)
        return INT64_C(1) << 24;
    return 0;
}

/* The cores of part `part` of `parts`: *first .. *end-1. */
static bool find_part(const kolo_topo *topo, int32_t part, int32_t parts, int32_t *first, int32_t *end)
{
    int64_t *costs = calloc((size_t)topo->core_count, sizeof(*costs));
    int32_t *cuts = calloc((size_t)parts + 1, sizeof(*cuts));
    bool ok = costs && cuts;
    if (ok) {
        for (int32_t i = 1; i < topo->core_count; i++)
            costs[i] = crossing_cost(&topo->cores[i - 1], &topo->cores[i]);
        ok = kolo_topo_divide(costs, topo->core_count, parts, cuts);
    }
    if (ok) {
        *first = cuts[part];
        *end = cuts[part + 1];
    }
    free(costs);
    free(cuts);
    return ok;
}

/* The last core of those near a network device; the last core where that tells nothing. */
static int32_t comm_core(const kolo_topo *topo, int32_t first, int32_t end)
{
    for (int32_t i = end - 1; i >= first; i--)
        if (topo->cores[i].near_network)
            return i;
    return end - 1;
}

/* How many ranks each part is for; 0: as many for all is not possible. Then the system's scheduler does better, since it may
 * move them about: ranks that share a core all the time would keep the others waiting. */
static int32_t sharers_of_a_part(const kolo_topo *topo, int32_t local_size)
{
    if (local_size <= topo->core_count)
        return 1;
    return local_size % topo->core_count == 0 ? local_size / topo->core_count : 0;
}

void kolo_topo_binding(const kolo_topo *topo, int32_t local_rank, int32_t local_size, kolo_binding *binding)
{
    *binding = (kolo_binding){.bound = false};
    int32_t first, end, sharers = sharers_of_a_part(topo, local_size);
    if (local_rank < 0 || local_rank >= local_size || sharers == 0)
        return;
    hwloc_bitmap_t part = hwloc_bitmap_alloc();
    if (part && find_part(topo, local_rank / sharers, local_size / sharers, &first, &end)) {
        for (int32_t i = first; i < end; i++)
            hwloc_bitmap_or(part, part, topo->cores[i].cpus);
        binding->bound = format_cpus(part, binding->rank_cpus) &&
                         format_cpus(topo->cores[comm_core(topo, first, end)].cpus, binding->comm_cpus);
    }
    hwloc_bitmap_free(part);
    if (!binding->bound) {
        kolo_log_write(topo->log, KOLO_LOG_WARN, "the cores of local rank %d cannot be written down; it stays unbound",
                       local_rank);
        *binding = (kolo_binding){.bound = false};
    }
}

/* ---- binding -------------------------------------------------------------------------------- */

static kolo_status bind_to(const kolo_topo *topo, hwloc_const_bitmap_t set, const char *cpus)
{
    if (!topo->real) {
        kolo_log_write(topo->log, KOLO_LOG_DEBUG, "not bound to CPUs %s: hwloc describes another machine than this one",
                       cpus);
        return KOLO_OK;
    }
    if (hwloc_set_cpubind(topo->hwloc, set, HWLOC_CPUBIND_THREAD) != 0)
        return kolo_fail_errno(KOLO_ERR_SYSTEM, errno,
                               "this thread cannot be bound to CPU%s %s; KOLO_BIND=none does without",
                               strpbrk(cpus, ",-") != NULL ? "s" : "", cpus);
    kolo_log_write(topo->log, KOLO_LOG_DEBUG, "bound to CPUs %s", cpus);
    return KOLO_OK;
}

kolo_status kolo_topo_check_bind(const char *bind)
{
    if (strcmp(bind, "auto") == 0 || strcmp(bind, "none") == 0)
        return KOLO_OK;
    return kolo_fail(KOLO_ERR_CONFIG, "KOLO_BIND=%.64s is unknown; auto or none", bind);
}

kolo_status kolo_topo_bind_thread(const kolo_topo *topo, const char *cpus)
{
    if (!*cpus)
        return KOLO_OK;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (!set)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for a set of CPUs");
    kolo_status status;
    if (kolo_topo_parse_list(cpus, topo->allowed, set)) {
        status = bind_to(topo, set, cpus);
    } else {
        char allowed[KOLO_CPUS_TEXT];
        hwloc_bitmap_list_snprintf(allowed, sizeof(allowed), topo->allowed);
        status =
            kolo_fail(KOLO_ERR_INVALID, "'%s' is no list of CPUs within the allowed ones, which are %s", cpus, allowed);
    }
    hwloc_bitmap_free(set);
    return status;
}
