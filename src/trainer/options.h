/* options.h - the command line of kolo-train. */
#ifndef KOLO_TRAINER_OPTIONS_H
#define KOLO_TRAINER_OPTIONS_H

#include <stdint.h>
#include <stdio.h>

#include "trainer/failure.h"
#include "trainer/model.h"

/* The numbers are in checkpoints. */
typedef enum train_optimizer_kind { TRAIN_SGD = 1, TRAIN_ADAM = 2 } train_optimizer_kind;

typedef enum train_decay { TRAIN_DECAY_NONE, TRAIN_DECAY_COSINE, TRAIN_DECAY_STEP } train_decay;

typedef struct train_options {
    bool help;
    bool version;
    bool resume;
    const char *data;       /* folder */
    const char *checkpoint; /* NULL: none */
    const char *log_loss;   /* NULL: none */
    const char *log_times;  /* NULL: none */
    const char *dump;       /* NULL: none; file for the final parameters */
    int32_t hidden[TRAIN_MAX_HIDDEN];
    int32_t hidden_count;
    int64_t epochs;
    int64_t stop_after; /* 0: epochs */
    int64_t batch;      /* samples per rank and step */
    int64_t limit;      /* 0: all training samples */
    int64_t seed;
    int64_t threads; /* 0: allowed cores / local ranks */
    train_optimizer_kind optimizer;
    double lr; /* peak; never 0 after parsing */
    double momentum;
    double weight_decay;
    train_decay decay;
    int64_t decay_every; /* epochs; step decay */
    double decay_factor; /* step decay */
    int64_t warmup;      /* steps */
} train_options;

/* Fills options from argv, defaults included. Strings point into argv. */
bool train_options_parse(train_options *options, int argc, char **argv, train_failure *failure);

void train_options_print_help(FILE *file);

const char *train_optimizer_name(train_optimizer_kind kind);

/* The options that all ranks must have alike, from index 0 on: *name "--batch", text "64". False: there are no more. */
bool train_options_common(const train_options *options, size_t index, const char **name, char *text, size_t size);

#endif
