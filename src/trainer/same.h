/* same.h - what all ranks must have alike; else they would wait for each other's tensors, or compute nonsense. */
#ifndef KOLO_TRAINER_SAME_H
#define KOLO_TRAINER_SAME_H

#include "trainer/exchange.h"
#include "trainer/options.h"

/* Collective. Else false on every rank, and one of them has written to failure which option differs, and how. */
bool train_same_options(train_exchange *exchange, const train_options *options, train_failure *failure);

#endif
