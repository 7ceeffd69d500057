/* windows.c - shared memory: flags, and what lies in windows, while all ranks use them at the same time.
 *
 * A meeting is a flag told and everybody's seen. A lap:
 *
 *     write ─► meet ─► fold ─► meet ─► write ─► meet ─► read, attach ─► meet ─► meet, meet, meet, ...
 *
 * What is written has been read by others before, and what is read was just written: as in an all-reduce. What is read by
 * attach is the next rank's own memory; ranks that may not do that skip it. Meetings
 * right after a meeting show the flight of flags alone; many of them, because who waits long in one is awaited in the
 * next.
 *
 * A rank that is late says in its line after which lap everybody shall stop. It says so before its next meeting, after
 * which all have seen it. */
#include "fit/internal.h"

#include "base/clock.h"
#include "base/error.h"

/* PEERS: of so many others a rank reads whole pieces. */
enum { LAPS = 12, WARM_UPS = 2, MEETINGS = 8, PEERS = 8, STOP_WORD = 7 };

typedef struct series {
    kolo_samples flight, write, fold, read, attach;
} series;

static kolo_status meet(fit *f, double *ns)
{
    kolo_schedule_reset(&f->schedule);
    uint32_t told = kolo_schedule_add(
        &f->schedule, &(kolo_step){.kind = KOLO_STEP_NOTIFY, .message = KOLO_FLAG_COPIED, .count = 1, .peer = -1});
    uint32_t seen = kolo_schedule_add(
        &f->schedule, &(kolo_step){.kind = KOLO_STEP_WAIT, .message = KOLO_FLAG_COPIED, .count = 1, .peer = -1});
    kolo_schedule_after(&f->schedule, told, seen);
    KOLO_TRY(kolo_schedule_seal(&f->schedule));
    KOLO_TRY(fit_run(f, ns));
    f->run.flag_base[KOLO_FLAG_COPIED]++;
    return KOLO_OK;
}

static kolo_status meet_often(fit *f, kolo_samples *flight)
{
    double ns, sum_ns = 0;
    for (int i = 0; i < MEETINGS; i++, sum_ns += ns)
        KOLO_TRY(meet(f, &ns));
    kolo_samples_add(flight, sum_ns / MEETINGS);
    return KOLO_OK;
}

/* The more ranks there are, the shorter are the pieces that all the others are read of. */
static int64_t floats(const fit *f)
{
    int32_t others = f->options->size - 1;
    return others <= PEERS ? FIT_FLOATS : FIT_FLOATS * PEERS / others + 1;
}

static kolo_status write_own(fit *f, kolo_samples *samples)
{
    kolo_step step = {.kind = KOLO_STEP_COPY,
                      .dst = KOLO_BUFFER_WINDOW,
                      .a = KOLO_BUFFER_INPUT,
                      .count = floats(f),
                      .peer = f->options->rank};
    double ns;
    KOLO_TRY(fit_step(f, &step, &ns));
    kolo_samples_add(samples, ns);
    return KOLO_OK;
}

/* In place, as gradients are reduced. */
static kolo_status fold_all(fit *f, kolo_samples *samples)
{
    kolo_step step = {.kind = KOLO_STEP_FOLD,
                      .dst = KOLO_BUFFER_INPUT,
                      .a = KOLO_BUFFER_WINDOW,
                      .b = KOLO_BUFFER_INPUT,
                      .count = floats(f)};
    double ns;
    KOLO_TRY(fit_step(f, &step, &ns));
    kolo_samples_add(samples, ns / (f->options->size - 1));
    return KOLO_OK;
}

static kolo_status read_next(fit *f, kolo_samples *samples)
{
    kolo_step step = {.kind = KOLO_STEP_COPY,
                      .dst = KOLO_BUFFER_OUTPUT,
                      .a = KOLO_BUFFER_WINDOW,
                      .count = floats(f),
                      .peer = (f->options->rank + 1) % f->options->size};
    double ns;
    KOLO_TRY(fit_step(f, &step, &ns));
    kolo_samples_add(samples, ns);
    return KOLO_OK;
}

/* Of pages that were not read before: the kernel finds the others twice as fast. */
static kolo_status attach_next(fit *f, uint64_t lap, kolo_samples *samples)
{
    int64_t offset = (int64_t)lap % (FIT_BUFFER_BYTES / KOLO_FIT_PIECE_BYTES) * FIT_FLOATS;
    kolo_step step = {.kind = KOLO_STEP_COPY,
                      .dst = KOLO_BUFFER_OUTPUT,
                      .a = KOLO_BUFFER_PEER_INPUT,
                      .dst_offset = offset,
                      .a_offset = offset,
                      .count = floats(f),
                      .peer = (f->options->rank + 1) % f->options->size};
    const kolo_transport_ops *ops = f->options->ops;
    double ns;
    if (ops->reads_peers == NULL || !ops->reads_peers(f->options->transport))
        return KOLO_OK;
    KOLO_TRY(fit_step(f, &step, &ns));
    kolo_samples_add(samples, ns);
    return KOLO_OK;
}

static kolo_status run_lap(fit *f, uint64_t lap, series *samples)
{
    double ns;
    KOLO_TRY(write_own(f, &samples->write));
    KOLO_TRY(meet(f, &ns));
    KOLO_TRY(fold_all(f, &samples->fold));
    KOLO_TRY(meet(f, &ns));
    KOLO_TRY(write_own(f, &samples->write));
    KOLO_TRY(meet(f, &ns));
    KOLO_TRY(read_next(f, &samples->read));
    KOLO_TRY(attach_next(f, lap, &samples->attach));
    KOLO_TRY(meet(f, &ns));
    return meet_often(f, &samples->flight);
}

/* After `laps` laps. */
static bool all_stop(const fit *f, uint64_t laps)
{
    for (int32_t r = 0; r < f->options->size; r++) {
        uint64_t last = __atomic_load_n(&f->flags[r][STOP_WORD], __ATOMIC_RELAXED);
        if (last != 0 && last <= laps)
            return true;
    }
    return false;
}

kolo_status fit_windows(fit *f)
{
    series samples = {.flight = {.count = 0}}, warm_up;
    uint64_t *own_stop = &f->flags[f->options->rank][STOP_WORD];
    for (uint64_t laps = 1; laps <= LAPS + WARM_UPS && !all_stop(f, laps - 1); laps++) {
        warm_up = samples;
        KOLO_TRY(run_lap(f, laps, laps <= WARM_UPS ? &warm_up : &samples));
        if (fit_is_late(f) && *own_stop == 0)
            __atomic_store_n(own_stop, laps + 1, __ATOMIC_RELAXED);
    }
    double bytes = (double)floats(f) * 4, crowd = f->options->crowd;
    f->model.flight_ns = kolo_samples_median(&samples.flight, f->model.flight_ns);
    kolo_samples_price(&samples.write, bytes, crowd, &f->model.write_ns);
    kolo_samples_price(&samples.fold, bytes, crowd, &f->model.fold_ns);
    kolo_samples_price(&samples.read, bytes, crowd, &f->model.read_ns);
    kolo_samples_price(&samples.attach, bytes, crowd, &f->model.attach_ns);
    return KOLO_OK;
}
