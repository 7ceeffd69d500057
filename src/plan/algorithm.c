/* algorithm.c - the algorithms by name, the association classes, and the choice of the cheapest. */
#include "plan/algorithm.h"

#include "base/error.h"
#include "plan/build.h"

#include <stdio.h>
#include <string.h>

/* These two numbers are part of the promise of equal bits, not tuning: they decide in which order the elements of a
 * tensor are added. Changing them changes results in the last bits, from one version of Kolo to the next. */
#define RING_SIZE_MAX       4                      /* up to so many ranks: always the ring's order */
#define CIRCULANT_BYTES_MAX (INT64_C(1024) * 1024) /* with more: the circulant order up to so many bytes */

/* The first of equally cheap ones is taken. */
static const kolo_algorithm *const algorithms[] = {
    &kolo_algorithm_ring,           &kolo_algorithm_oneshot, &kolo_algorithm_circulant,
    &kolo_algorithm_binomial,       &kolo_algorithm_chain,   &kolo_algorithm_direct,
    &kolo_algorithm_direct_oneshot, &kolo_algorithm_attach,  &kolo_algorithm_shared,
};

const char *kolo_collective_name(kolo_collective collective)
{
    static const char *const names[KOLO_COLLECTIVE_COUNT] = {
        [KOLO_ALLREDUCE] = "allreduce", [KOLO_REDUCE_SCATTER] = "reduce_scatter",
        [KOLO_ALLGATHER] = "allgather", [KOLO_BROADCAST] = "broadcast",
        [KOLO_BARRIER] = "barrier",
    };
    return (unsigned)collective < KOLO_COLLECTIVE_COUNT ? names[collective] : "?";
}

static bool adds(kolo_collective collective)
{
    return collective == KOLO_ALLREDUCE || collective == KOLO_REDUCE_SCATTER;
}

kolo_association kolo_plan_association(kolo_collective collective, int64_t bytes, int32_t size, bool is_shared)
{
    if (is_shared)
        return KOLO_ASSOCIATION_DIRECT;
    if (!adds(collective))
        return KOLO_ASSOCIATION_NONE;
    return size <= RING_SIZE_MAX || bytes > CIRCULANT_BYTES_MAX ? KOLO_ASSOCIATION_RING : KOLO_ASSOCIATION_CIRCULANT;
}

size_t kolo_algorithm_count(void)
{
    return sizeof(algorithms) / sizeof(algorithms[0]);
}

const kolo_algorithm *kolo_algorithm_at(size_t index)
{
    return algorithms[index];
}

const kolo_algorithm *kolo_algorithm_find(const char *name)
{
    for (size_t i = 0; i < kolo_algorithm_count(); i++)
        if (strcmp(algorithms[i]->name, name) == 0)
            return algorithms[i];
    return NULL;
}

/* For the selector, which knows nothing of where tensors lie. */
static bool does(const kolo_algorithm *algorithm, kolo_collective collective)
{
    return !algorithm->shared_tensors && (algorithm->collectives & KOLO_COLLECTIVE_BIT(collective)) != 0;
}

/* For a name that kolo-info shows, and that this variable does not take; "" for others. */
static const char *hint(const char *name)
{
    const kolo_algorithm *found = kolo_algorithm_find(name);
    if (strcmp(name, "values") == 0)
        return " ('values' is how small all-reduces of one host go where prices say so; it cannot be forced)";
    if (found == NULL)
        return "";
    if (found->shared_tensors)
        return " ('shared' is how tensors from kolo_alloc go on one host; it cannot be forced)";
    return does(found, KOLO_BROADCAST) ? " (that is one of KOLO_BROADCAST's)" : " (that is one of KOLO_ALGORITHM's)";
}

kolo_status kolo_algorithm_forced(const char *variable, const char *value, kolo_collective collective,
                                  const kolo_algorithm **forced)
{
    char names[128] = "auto";
    *forced = NULL;
    if (strcmp(value, "auto") == 0)
        return KOLO_OK;
    for (size_t i = 0; i < kolo_algorithm_count(); i++) {
        size_t used = strlen(names);
        if (!does(algorithms[i], collective))
            continue;
        if (strcmp(algorithms[i]->name, value) == 0) {
            *forced = algorithms[i];
            return KOLO_OK;
        }
        snprintf(names + used, sizeof(names) - used, ", %s", algorithms[i]->name);
    }
    return kolo_fail(KOLO_ERR_CONFIG, "%s=%.64s names no algorithm for %s; one of %s%s", variable, value,
                     kolo_collective_name(collective), names, hint(value));
}

static bool is_possible(const kolo_algorithm *algorithm, const kolo_plan_work *work)
{
    return !algorithm->reads_tensors || work->readable_tensors;
}

const kolo_algorithm *kolo_algorithm_select(const kolo_plan_work *work, kolo_association association,
                                            const kolo_price_model *model, const kolo_algorithm *forced)
{
    kolo_collective collective = work->collective;
    bool is_shared = association == KOLO_ASSOCIATION_DIRECT;
    if (forced && does(forced, collective) && is_possible(forced, work) &&
        (is_shared || forced->association != KOLO_ASSOCIATION_DIRECT))
        return forced;
    bool any_order = !is_shared && (!adds(collective) || association == KOLO_ASSOCIATION_NONE);
    const kolo_algorithm *cheapest = NULL;
    double cheapest_ns = 0;
    for (size_t i = 0; i < kolo_algorithm_count(); i++) {
        const kolo_algorithm *algorithm = algorithms[i];
        if (!does(algorithm, collective) || !is_possible(algorithm, work) ||
            (!any_order && algorithm->association != association) ||
            (!is_shared && algorithm->association == KOLO_ASSOCIATION_DIRECT))
            continue;
        double price_ns = algorithm->price(work, model);
        if (!cheapest || price_ns < cheapest_ns) {
            cheapest = algorithm;
            cheapest_ns = price_ns;
        }
    }
    return cheapest;
}

bool kolo_plan_values_pay(const kolo_plan_work *work, bool by_place, const kolo_price_model *model)
{
    if (work->collective != KOLO_ALLREDUCE || work->bytes > KOLO_PLAN_VALUE_BYTES || work->size > KOLO_PLAN_VALUE_RANKS)
        return false;
    const kolo_algorithm *other =
        by_place ? &kolo_algorithm_shared : kolo_algorithm_select(work, KOLO_ASSOCIATION_DIRECT, model, NULL);
    double before_ns = by_place ? kolo_price_post(model) : kolo_price_order(model);
    return kolo_price_values(model, (double)work->bytes, work->size) <= before_ns + other->price(work, model);
}
