/* threads.h - how many BLAS threads a rank may start without taking cores from its neighbours.
 *
 * Every rank tells which machine it runs on and which cores it may use. A core that several ranks may use counts for
 * each of them by its fraction: right when a launcher has bound every rank to cores of its own, when all share all,
 * and in between.
 */
#ifndef KOLO_TRAINER_THREADS_H
#define KOLO_TRAINER_THREADS_H

#include <stdint.h>

enum { TRAIN_CORES_WORDS = 64 }; /* 4096 logical cores */

/* Plain bytes, so that ranks can gather them. */
typedef struct train_cores {
    uint8_t machine[40]; /* the kernel's boot id: containers on one machine have the same; all zero where unknown */
    uint64_t allowed[TRAIN_CORES_WORDS];
} train_cores;

/* What holds for this process. All zero where the system does not tell. */
void train_cores_read(train_cores *cores);

/* The threads of rank, at least 1. cores[ranks] is what all ranks told. */
int32_t train_cores_threads(const train_cores *cores, int32_t ranks, int32_t rank);

#endif
