/* local.c - what a rank does by itself: steps, copies, reductions; with its memory in the caches, and not. */
#include "fit/internal.h"

#include "base/clock.h"
#include "base/error.h"

enum { LAPS = 9, WARM_UPS = 2, STEPS = 64, LINE_BYTES = 64 };

/* Puts memory out of all caches, where the processor lets us. */
static bool evict(const unsigned char *data, size_t bytes)
{
#if defined(__x86_64__)
    for (size_t at = 0; at < bytes; at += LINE_BYTES)
        __builtin_ia32_clflush(data + at);
    __builtin_ia32_mfence();
    return true;
#else
    (void)data;
    (void)bytes;
    return false;
#endif
}

/* A chain of copies of one element, planned and run. */
static kolo_status time_steps(fit *f, kolo_samples *samples)
{
    for (int lap = -WARM_UPS; lap < LAPS; lap++) {
        int64_t start_ns = kolo_clock_now_ns();
        double ns;
        kolo_schedule_reset(&f->schedule);
        uint32_t last = KOLO_NO_STEP;
        for (int i = 0; i < STEPS; i++) {
            uint32_t step = kolo_schedule_add(&f->schedule, &(kolo_step){.kind = KOLO_STEP_COPY,
                                                                         .dst = KOLO_BUFFER_OUTPUT,
                                                                         .a = KOLO_BUFFER_INPUT,
                                                                         .dst_offset = i,
                                                                         .a_offset = i,
                                                                         .count = 1,
                                                                         .peer = -1});
            kolo_schedule_after(&f->schedule, last, step);
            last = step;
        }
        KOLO_TRY(kolo_schedule_seal(&f->schedule));
        KOLO_TRY(fit_run(f, &ns));
        if (lap >= 0)
            kolo_samples_add(samples, (double)(kolo_clock_now_ns() - start_ns) / STEPS);
    }
    return KOLO_OK;
}

static kolo_status time_copy(fit *f, double *ns)
{
    kolo_step step = {
        .kind = KOLO_STEP_COPY, .dst = KOLO_BUFFER_OUTPUT, .a = KOLO_BUFFER_INPUT, .count = FIT_FLOATS, .peer = -1};
    return fit_step(f, &step, ns);
}

static kolo_status time_reduce(fit *f, double *ns)
{
    kolo_step step = {.kind = KOLO_STEP_REDUCE,
                      .dst = KOLO_BUFFER_OUTPUT,
                      .a = KOLO_BUFFER_OUTPUT,
                      .b = KOLO_BUFFER_INPUT,
                      .count = FIT_FLOATS,
                      .peer = -1};
    return fit_step(f, &step, ns);
}

/* As time_copy, with nothing in the caches. False where that is not possible. */
static bool time_far_copy(fit *f, kolo_status *status, double *ns)
{
    if (!evict(f->from, KOLO_FIT_PIECE_BYTES) || !evict(f->to, KOLO_FIT_PIECE_BYTES))
        return false;
    *status = time_copy(f, ns);
    return *status == KOLO_OK;
}

kolo_status fit_local(fit *f)
{
    kolo_samples steps = {.count = 0}, copies = {.count = 0}, reductions = {.count = 0}, far_copies = {.count = 0};
    kolo_status status = KOLO_OK;
    double copy_ns, reduce_ns, crowd = f->options->crowd;
    KOLO_TRY(time_steps(f, &steps));
    for (int lap = -WARM_UPS; lap < LAPS; lap++) {
        KOLO_TRY(time_copy(f, &copy_ns));
        KOLO_TRY(time_reduce(f, &reduce_ns));
        if (lap < 0)
            continue;
        kolo_samples_add(&copies, copy_ns);
        kolo_samples_add(&reductions, reduce_ns);
    }
    for (int lap = 0; lap < LAPS && time_far_copy(f, &status, &copy_ns); lap++)
        kolo_samples_add(&far_copies, copy_ns);
    f->model.step_ns = kolo_samples_median(&steps, f->model.step_ns) * crowd;
    kolo_samples_price(&copies, KOLO_FIT_PIECE_BYTES, crowd, &f->model.copy_ns);
    kolo_samples_price(&reductions, KOLO_FIT_PIECE_BYTES, crowd, &f->model.reduce_ns);
    /* Each byte comes from memory, and so does the room for its copy. */
    kolo_samples_price(&far_copies, 2 * KOLO_FIT_PIECE_BYTES, crowd, &f->model.memory_ns);
    if (far_copies.count > 0)
        f->model.memory_ns -= f->model.copy_ns / 2;
    return status;
}
