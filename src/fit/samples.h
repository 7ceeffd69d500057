/* samples.h - few numbers, and their middle. */
#ifndef KOLO_FIT_SAMPLES_H
#define KOLO_FIT_SAMPLES_H

#include <stddef.h>

enum { KOLO_SAMPLES_MAX = 64 };

typedef struct kolo_samples {
    double values[KOLO_SAMPLES_MAX]; /* ascending */
    size_t count;
} kolo_samples;

/* More than KOLO_SAMPLES_MAX are not taken. */
void kolo_samples_add(kolo_samples *samples, double value);

/* The middle one, of an even number the lower of the two; `otherwise` where there is none. */
double kolo_samples_median(const kolo_samples *samples, double otherwise);

/* A price per byte: the median of what `bytes` took, `crowd` times; it stays where nothing was measured. */
void kolo_samples_price(const kolo_samples *samples, double bytes, double crowd, double *price_ns);

#endif
