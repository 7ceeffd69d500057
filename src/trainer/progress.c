/* progress.c - draws the bar and the epoch lines. */
#include "trainer/progress.h"

#include <inttypes.h>
#include <time.h>

enum { BAR_WIDTH = 30, BAR_INTERVAL_NS = 100 * 1000 * 1000 };

int64_t train_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

double train_tally_rate(const train_tally *tally)
{
    return tally->elapsed_ns > 0 ? (double)tally->samples * 1e9 / (double)tally->elapsed_ns : 0.0;
}

static void print_figures(FILE *file, const train_tally *tally)
{
    double loss = tally->samples > 0 ? tally->loss_sum / (double)tally->samples : 0.0;
    double wait = tally->elapsed_ns > 0 ? 100.0 * (double)tally->wait_ns / (double)tally->elapsed_ns : 0.0;

    fprintf(file, "  loss %.4f  %8.0f samples/s  comm wait %4.1f %%", loss, train_tally_rate(tally), wait);
}

void train_progress_step(train_progress *progress, const train_tally *tally, int64_t now_ns)
{
    if (progress->bar == NULL || now_ns - progress->shown_ns < BAR_INTERVAL_NS)
        return;
    progress->shown_ns = now_ns;

    int filled = (int)(tally->step * BAR_WIDTH / tally->steps);
    fprintf(progress->bar, "\repoch %2" PRId64 "/%" PRId64 " [", tally->epoch, progress->epochs);
    for (int i = 0; i < BAR_WIDTH; i++)
        (void)putc(i < filled ? '#' : '.', progress->bar);
    fprintf(progress->bar, "] %3" PRId64 " %%", tally->step * 100 / tally->steps);
    print_figures(progress->bar, tally);
    (void)fflush(progress->bar);
}

void train_progress_epoch(train_progress *progress, const train_tally *tally)
{
    if (progress->bar != NULL) {
        fprintf(progress->bar, "\r\033[K");
        (void)fflush(progress->bar);
    }
    if (progress->lines == NULL)
        return;
    fprintf(progress->lines, "epoch %2" PRId64 "/%" PRId64, tally->epoch, progress->epochs);
    print_figures(progress->lines, tally);
    (void)putc('\n', progress->lines);
    (void)fflush(progress->lines);
}
