/* dataset.h - labelled pictures in memory, and a batch of them as network input. */
#ifndef KOLO_TRAINER_DATASET_H
#define KOLO_TRAINER_DATASET_H

#include <stdint.h>

#include "trainer/failure.h"
#include "trainer/idx.h"

enum { TRAIN_CLASSES = 10 };

/* Pixels stay bytes (a quarter of the memory); a batch becomes float as it is drawn: pixel * scale + shift. */
typedef struct train_dataset {
    train_idx images; /* count x height x width */
    train_idx labels; /* count */
    int64_t count;    /* how many are used; at most what the files hold */
    int32_t pixels;   /* of one picture */
    float scale;
    float shift;
} train_dataset;

/* The pair of train_dataset_read: what trains and what tests. */
typedef struct train_data {
    train_dataset training;
    train_dataset test;
} train_data;

/* Reads train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte from
 * folder, each either as it is or with .gz at the end. Uses the first limit training samples (0: all). Both sets are
 * normalised by the mean and deviation of the training samples used. On failure nothing is held. */
bool train_data_read(train_data *data, const char *folder, int64_t limit, train_failure *failure);

void train_data_fini(train_data *data);

/* CRC-32 of what is trained on, to find out whether all ranks have the same. */
uint32_t train_dataset_checksum(const train_dataset *dataset);

/* Row i of inputs (count x pixels) and labels[i] = sample indices[i], normalised. indices NULL: from first on. */
void train_dataset_gather(const train_dataset *dataset, const uint32_t *indices, int64_t first, int64_t count,
                          float *inputs, uint8_t *labels);

#endif
