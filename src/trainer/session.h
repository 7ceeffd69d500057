/* session.h - one training, from reading the data to the last line of output. */
#ifndef KOLO_TRAINER_SESSION_H
#define KOLO_TRAINER_SESSION_H

#include "trainer/dataset.h"
#include "trainer/exchange.h"
#include "trainer/mlp.h"
#include "trainer/optimizer.h"
#include "trainer/options.h"
#include "trainer/progress.h"
#include "trainer/sampler.h"

/* Owned by one rank. gradient and parameters come from Kolo and live as long as the exchange; fini frees the rest. */
typedef struct train_session {
    const train_options *options;
    train_exchange *exchange;
    train_data data;
    train_model model;
    train_mlp mlp;
    train_optimizer optimizer;
    train_sampler sampler;
    train_progress progress;
    float *parameters;
    float *gradient;
    FILE *loss_log;      /* rank 0 with --log-loss */
    FILE *time_log;      /* with --log-times */
    int64_t epochs_done; /* also those before a resume */
    int64_t samples;     /* trained on by this job, over all ranks, in elapsed_ns */
    int64_t elapsed_ns;
} train_session;

/* Collective: trains, evaluates and prints as the options say. On failure only the rank that should report has a
 * text. */
bool train_session_run(const train_options *options, train_exchange *exchange, train_failure *failure);

/* One epoch, in epoch.c: forward, backward with every layer's reduction under way behind it, update. */
bool train_session_epoch(train_session *session, train_failure *failure);

#endif
