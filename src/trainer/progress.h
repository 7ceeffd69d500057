/* progress.h - what the user sees while it trains: an updating bar on a terminal, one line per epoch everywhere. */
#ifndef KOLO_TRAINER_PROGRESS_H
#define KOLO_TRAINER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct train_progress {
    FILE *bar;   /* NULL: no bar */
    FILE *lines; /* NULL: no lines */
    int64_t epochs;
    int64_t shown_ns; /* when the bar was last drawn */
} train_progress;

/* How far an epoch is. Times in nanoseconds. */
typedef struct train_tally {
    int64_t epoch; /* from 1 */
    int64_t step;  /* done */
    int64_t steps;
    int64_t samples; /* of all ranks */
    double loss_sum; /* over samples */
    int64_t elapsed_ns;
    int64_t wait_ns; /* of that, waiting for communication */
} train_tally;

/* Monotonic time. */
int64_t train_now_ns(void);

double train_tally_rate(const train_tally *tally); /* samples per second; 0 at the start */

/* Draws the bar, at most every 100 ms. */
void train_progress_step(train_progress *progress, const train_tally *tally, int64_t now_ns);

/* Removes the bar and writes the epoch's line. */
void train_progress_epoch(train_progress *progress, const train_tally *tally);

#endif
