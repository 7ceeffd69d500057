/* fit.c - memory for measuring, and what is measured when. */
#include "fit/internal.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

static kolo_status reserve(fit *f)
{
    size_t size = (size_t)f->options->size;
    f->from = aligned_alloc(PAGE, FIT_BUFFER_BYTES);
    f->to = aligned_alloc(PAGE, FIT_BUFFER_BYTES);
    f->windows = calloc(size, sizeof(*f->windows));
    f->flags = calloc(size, sizeof(*f->flags));
    if (f->from == NULL || f->to == NULL || f->windows == NULL || f->flags == NULL)
        return kolo_fail(KOLO_ERR_MEMORY, "no memory for measuring prices");
    memset(f->from, 0, FIT_BUFFER_BYTES);
    memset(f->to, 0, FIT_BUFFER_BYTES);
    return KOLO_OK;
}

static void find_windows(fit *f)
{
    const kolo_fit_options *options = f->options;
    for (int32_t r = 0; r < options->size; r++) {
        f->windows[r] = (uintptr_t)options->ops->window(options->transport, r);
        f->flags[r] = (uint64_t *)(f->windows[r] + KOLO_FIT_PIECE_BYTES);
    }
}

static kolo_status measure(fit *f)
{
    const kolo_fit_options *options = f->options;
    KOLO_TRY(reserve(f));
    f->run = (kolo_execution){
        .schedule = &f->schedule,
        .base = {[KOLO_BUFFER_INPUT] = (uintptr_t)f->from, [KOLO_BUFFER_OUTPUT] = (uintptr_t)f->to},
        .windows = f->windows,
        .flags = f->flags,
        .type = KOLO_DTYPE_FLOAT32,
        .op = KOLO_SUM,
        .rank = options->rank,
        .size = options->size,
        .postscale = 1.0,
        .publisher = &f->publisher,
        .reads_tensors = true,
    };
    KOLO_TRY(fit_local(f));
    if (options->ops == NULL || options->size == 1)
        return KOLO_OK;
    if (!options->is_shared)
        return fit_exchange(f);
    if (options->ops->window_bytes(options->transport) < KOLO_FIT_WINDOW_BYTES)
        return KOLO_OK;
    find_windows(f);
    return fit_windows(f);
}

kolo_status kolo_fit(const kolo_fit_options *options, kolo_price_model *model)
{
    fit f = {.options = options,
             .model = *model,
             .began_ns = kolo_clock_now_ns(),
             .publisher = {.now_ns = kolo_clock_now_ns}};
    f.late_ns = f.began_ns + options->budget_ns;
    kolo_executor_init(&f.executor);
    kolo_schedule_init(&f.schedule);
    kolo_status status = measure(&f);
    if (status == KOLO_OK) {
        kolo_price_clamp(&f.model);
        *model = f.model;
    }
    kolo_executor_fini(&f.executor);
    kolo_schedule_fini(&f.schedule);
    free(f.from);
    free(f.to);
    free(f.windows);
    free(f.flags);
    return status;
}
