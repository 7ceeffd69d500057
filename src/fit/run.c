/* run.c - a schedule, run by an executor as the engine does it, against the clock. */
#include "fit/internal.h"

#include "base/clock.h"
#include "base/error.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { MISSED_BYTES = 128 };

bool fit_is_late(const fit *f)
{
    return kolo_clock_now_ns() >= f->late_ns;
}

/* Everything that is posted comes back, whatever the peers do: a transport's promise. */
static void take_back(fit *f, kolo_status why)
{
    const kolo_transport_ops *ops = f->options->ops;
    kolo_executor_cancel(&f->executor, why);
    if (!kolo_executor_finished(&f->executor))
        ops->cancel_all(f->options->transport);
    while (!kolo_executor_finished(&f->executor))
        ops->progress(f->options->transport);
}

/* Says whom this rank waits for; who may be waiting too. */
static void give_up(fit *f, char missed[MISSED_BYTES])
{
    char list[MISSED_BYTES / 2];
    kolo_ranks ranks;
    kolo_ranks_init(&ranks);
    kolo_executor_peers(&f->executor, &ranks);
    kolo_ranks_format(&ranks, list, sizeof(list));
    if (ranks.count > 0)
        snprintf(missed, MISSED_BYTES, "rank%s %s", strpbrk(list, ",-.") != NULL ? "s" : "", list);
    kolo_ranks_fini(&ranks);
    take_back(f, KOLO_ERR_TIMEOUT);
}

kolo_status fit_run(fit *f, double *ns)
{
    const kolo_fit_options *options = f->options;
    KOLO_TRY(kolo_executor_start(&f->executor, options->ops, options->transport, &f->run));
    char missed[MISSED_BYTES] = "a peer";
    int64_t start_ns = kolo_clock_now_ns(), now_ns = start_ns, moved_ns = start_ns;
    for (;;) {
        int events = kolo_executor_advance(&f->executor, INT32_MAX);
        if (options->ops != NULL)
            events += options->ops->progress(options->transport);
        if (kolo_executor_finished(&f->executor))
            break;
        now_ns = kolo_clock_now_ns();
        if (events > 0 && !f->executor.canceled)
            moved_ns = now_ns;
        else if (options->failed != NULL && options->failed(options->user))
            take_back(f, KOLO_ERR_PEER);
        else if (f->executor.canceled || now_ns - start_ns > options->patience_ns)
            give_up(f, missed); /* of no effect where a step has failed before */
        else if (now_ns - moved_ns >= options->spin_ns)
            sched_yield();
    }
    *ns = (double)(kolo_clock_now_ns() - start_ns);
    if (f->executor.status == KOLO_ERR_TIMEOUT)
        return kolo_fail(KOLO_ERR_TIMEOUT, "nothing came from %s within %lld ms", missed,
                         (long long)(options->patience_ns / KOLO_NS_PER_MS));
    return f->executor.status;
}

kolo_status fit_step(fit *f, const kolo_step *step, double *ns)
{
    kolo_schedule_reset(&f->schedule);
    kolo_schedule_add(&f->schedule, step);
    KOLO_TRY(kolo_schedule_seal(&f->schedule));
    return fit_run(f, ns);
}
